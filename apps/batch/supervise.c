/* supervise.c - fork, pass signals on, wait. SPDX-License-Identifier: Apache-2.0 */
#include "supervise.h"

#include "interrupt.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* In the child. */
__attribute__((noreturn)) static void run_attempt(ie_status (*attempt)(void *, ie_error *),
                                                  void *user, ie_error *shared, pid_t parent)
{
    /* Die with the parent, whichever way it dies. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent) _exit(EXIT_FAILURE);
    shared->status = attempt(user, shared);
    exit(EXIT_SUCCESS);
}

ie_status ie_supervise(ie_attempt_end *end, ie_status (*attempt)(void *user, ie_error *err),
                       void *user, ie_error *err)
{
    *end = (ie_attempt_end){.signal = 0};
    ie_error *shared =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) return ie_app_fail(err, IE_NO_MEMORY, "no memory for a process");
    (void)fflush(NULL);
    const pid_t parent = getpid();
    const pid_t child = ie_interrupt_forward();
    if (child == 0) run_attempt(attempt, user, shared, parent);
    ie_status status = IE_OK;
    int how = 0;
    if (child < 0) {
        status = ie_app_fail(err, IE_NO_MEMORY, "cannot start a process: %s", strerror(errno));
        goto done;
    }
    while (waitpid(child, &how, 0) < 0 && errno == EINTR) continue;
    ie_interrupt_forward_end();
    end->told = ie_interrupted();
    if (WIFSIGNALED(how)) {
        end->signal = WTERMSIG(how);
    } else if (WEXITSTATUS(how) != EXIT_SUCCESS) {
        /* A library called exit, or a sanitizer reported: as bad as a signal. */
        end->signal = SIGABRT;
    } else {
        status = shared->status;
        if (status != IE_OK && err) *err = *shared;
    }
done:
    (void)munmap(shared, sizeof *shared);
    return status;
}
