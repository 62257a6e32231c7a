/* interrupt.h - SIGINT and SIGTERM as a question that can be asked.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_INTERRUPT_H
#define IE_APPS_INTERRUPT_H

#include <stdbool.h>

/* From now on the first signal only sets a mark; the second ends the process as it would have. */
void ie_interrupt_watch(void);
bool ie_interrupted(void);

#endif
