/* interrupt.h - signals that tell the program to end, as a question that can be asked; and passing
 * them on to a process that works for this one. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_INTERRUPT_H
#define IE_APPS_INTERRUPT_H

#include <stdbool.h>
#include <sys/types.h>

/* From now on the first SIGINT or SIGTERM only sets a mark; the second ends the process as it would
 * have. */
void ie_interrupt_watch(void);
bool ie_interrupted(void);

/* The same for SIGINT, SIGTERM and SIGUSR1. */
void ie_interrupt_watch_all(void);

/* The same as this, but only when `sender` sent them: others reach the
 * process as well, once from a terminal or a scheduler and once more from who passes them on. */
void ie_interrupt_watch_from(pid_t sender);

/* After ie_interrupt_watch_all: fork. In the child 0 is returned, and only the parent's signals
 * count. In the parent, until ie_interrupt_forward_end, they set the mark and are passed on to the
 * child, the second one too. -1 with errno. */
pid_t ie_interrupt_forward(void);
void ie_interrupt_forward_end(void);

#endif
