/* threads.c - see threads.h. SPDX-License-Identifier: Apache-2.0 */
#include "threads.h"

#include <math.h>
#include <signal.h>
#include <string.h>
#include <time.h>

double ie_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

double ie_time_after(double seconds)
{
    return seconds < 0 ? (double)INFINITY : ie_now() + seconds;
}

void ie_condition_open(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

bool ie_condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, double until)
{
    enum { FOREVER = 1 << 30 }; /* in seconds, what fits any time_t */
    if (until >= FOREVER) return pthread_cond_wait(condition, mutex) == 0;
    if (until <= ie_now()) return false;
    const double whole = floor(until);
    const struct timespec t = {(time_t)whole, (long)((until - whole) * 1e9)};
    return pthread_cond_timedwait(condition, mutex, &t) == 0;
}

ie_status ie_thread_start(pthread_t *out, void *(*run)(void *), void *argument, ie_error *err)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    const int code = pthread_create(out, NULL, run, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code == 0) return IE_OK;
    return ie_fail_native(err, IE_NO_MEMORY, code, "no thread can be started (%s): out of memory?",
                          strerror(code));
}
