/* interrupt.c - a signal handler has no argument to carry state, so this file has the program's one
 * mutable global. SPDX-License-Identifier: Apache-2.0 */
#include "interrupt.h"

#include <signal.h>

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

void ie_interrupt_watch(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    action.sa_flags = (int)(SA_RESETHAND | SA_RESTART);
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
}

bool ie_interrupted(void)
{
    return interrupted != 0;
}
