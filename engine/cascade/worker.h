/* worker.h - the two threads of an engine and the queue they work on.
 *
 *   device   computes: one pass after another, of the stage the scheduler names. One stage at a
 *            time, with all threads: on a CPU every operation is spread over all cores already, so
 *            a second stage beside it would only take cores from the first, and would need a
 *            workspace of its own.
 *   host     reads images onto the canvas, shows previews, writes results, ends requests: what
 *            takes no device, on one thread, while the device computes others.
 *
 * A request is with one thread at a time: queued, host (read), device, host (shown), device, ...,
 * host (written). Images are read only as fast as the first stage takes them, so waiting requests
 * cost no memory but their caller's, and a late one of high priority overtakes them.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CASCADE_WORKER_H
#define IE_CASCADE_WORKER_H

#include "ticket.h"

typedef struct ie_worker {
    pthread_mutex_t lock; /* of everything here, and of tickets in the queue */
    pthread_cond_t device_wake, host_wake, room;
    pthread_t device, host;
    bool started, closing;
    int threads; /* running */
    int limit;   /* of requests, */
    uint64_t bytes_limit;
    int64_t submissions; /* so far */
    ie_ticket *queue;    /* everything submitted that has not ended, by rank */
    ie_scheduler scheduler;
    ie_activity activity; /* but waiting and running, which are counted when asked for */
    ie_entry *batch[IE_MAX_LANES];
    /* The device thread's alone: what kept it from its device, and every request from a stage. */
    ie_status refused;
    ie_error refusal;
} ie_worker;

/* Start the threads; IE_NO_MEMORY. The engine is complete but for them. */
ie_status ie_worker_start(ie_engine *e, ie_error *err);
/* Cancel everything, wait until all has ended, stop. Fine when it has not been started. */
void ie_worker_stop(ie_engine *e);

/* Put a ticket into the queue, waiting for room until the time `until`; IE_BUSY. */
ie_status ie_worker_submit(ie_engine *e, ie_ticket *t, double until, ie_error *err);
/* Somebody has set a ticket's stop flag. */
void ie_worker_notice(ie_engine *e);

#endif
