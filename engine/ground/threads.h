/* threads.h - what POSIX threads leave to be said once: a clock that only goes forward, waiting
 * until a time on it, and starting a thread that catches no signals.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_GROUND_THREADS_H
#define IE_GROUND_THREADS_H

#include "error.h"

#include <pthread.h>
#include <stdbool.h>

/* Seconds, from an arbitrary beginning (CLOCK_MONOTONIC). */
double ie_now(void);

/* `seconds` from now as a time; negative: never, INFINITY. */
double ie_time_after(double seconds);

/* A condition whose waits are timed by ie_now. */
void ie_condition_open(pthread_cond_t *condition);

/* Wait for a signal until the time `until` (INFINITY: for ever); false when it has passed. */
bool ie_condition_wait(pthread_cond_t *condition, pthread_mutex_t *mutex, double until);

/* Signals go to threads of the program, never to this one. IE_NO_MEMORY when the system has no
 * thread left. */
ie_status ie_thread_start(pthread_t *out, void *(*run)(void *), void *argument, ie_error *err);

#endif
