/* interrupt.c - a signal handler has no argument to carry state, so this file has the program's
 * only mutable globals. SPDX-License-Identifier: Apache-2.0 */
#include "interrupt.h"

#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;
static volatile pid_t expected_sender, child;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

static void on_signal_from(int number, siginfo_t *info, void *context)
{
    (void)context;
    if (info->si_code != SI_USER || info->si_pid != expected_sender) return;
    if (interrupted) {
        (void)signal(number, SIG_DFL);
        (void)raise(number); /* delivered when this handler returns */
    }
    interrupted = 1;
}

static void on_signal_forward(int number)
{
    if (child > 0) {
        (void)kill(child, number);
    } else if (interrupted) {
        (void)signal(number, SIG_DFL);
        (void)raise(number);
    }
    interrupted = 1;
}

static void handle(const struct sigaction *action, bool with_usr1)
{
    (void)sigaction(SIGINT, action, NULL);
    (void)sigaction(SIGTERM, action, NULL);
    if (with_usr1) (void)sigaction(SIGUSR1, action, NULL);
}

void ie_interrupt_watch(void)
{
    struct sigaction action = {.sa_handler = on_signal};
    action.sa_flags = (int)(SA_RESETHAND | SA_RESTART);
    (void)sigemptyset(&action.sa_mask);
    handle(&action, false);
}

void ie_interrupt_watch_from(pid_t sender)
{
    struct sigaction action = {.sa_sigaction = on_signal_from};
    action.sa_flags = (int)(SA_SIGINFO | SA_RESTART);
    (void)sigemptyset(&action.sa_mask);
    expected_sender = sender;
    handle(&action, true);
}

bool ie_interrupted(void)
{
    return interrupted != 0;
}

void ie_interrupt_watch_all(void)
{
    struct sigaction action = {.sa_handler = on_signal_forward};
    action.sa_flags = (int)SA_RESTART;
    (void)sigemptyset(&action.sa_mask);
    handle(&action, true);
}

pid_t ie_interrupt_forward(void)
{
    sigset_t all, before;
    (void)sigemptyset(&all);
    (void)sigaddset(&all, SIGINT);
    (void)sigaddset(&all, SIGTERM);
    (void)sigaddset(&all, SIGUSR1);
    /* None may come between the fork and knowing the child. */
    (void)sigprocmask(SIG_BLOCK, &all, &before);
    const pid_t parent = getpid();
    const pid_t forked = fork();
    if (forked == 0) {
        ie_interrupt_watch_from(parent);
    } else if (forked > 0) {
        child = forked;
    }
    (void)sigprocmask(SIG_SETMASK, &before, NULL);
    return forked;
}

void ie_interrupt_forward_end(void)
{
    child = 0;
}
