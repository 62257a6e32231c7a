/* supervise.h - the work of an attempt in a process of its own, so that somebody is left to see how
 * it died.
 *
 * An item that kills its process cannot say so; a job that is killed from outside dies as a whole
 * and must not blame its items. With two processes the two differ: when the working one dies alone,
 * the other one notes it. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_SUPERVISE_H
#define IE_APPS_SUPERVISE_H

#include "fail.h"

#include <stdbool.h>

typedef struct ie_attempt_end {
    int signal; /* that ended the process; 0: it returned */
    bool told;  /* a signal to end was passed on */
} ie_attempt_end;

/* Run `attempt` in a child, which dies with this process, and wait. Signals to end are passed on.
 * Returns what the attempt returned, with its error; when it was ended by a signal, IE_OK with
 * end->signal set. */
ie_status ie_supervise(ie_attempt_end *end, ie_status (*attempt)(void *user, ie_error *err),
                       void *user, ie_error *err);

#endif
