/* ticket.h - one submitted request, from ie_submit until it has ended.
 *
 * A ticket belongs to its caller; the worker's threads move it along. Its own mutex guards `ended`
 * alone, so that waiting for it is possible when the engine is gone; everything else is the
 * worker's (worker.h) until it has ended and constant afterwards. Where both mutexes are held, the
 * ticket's was taken first. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CASCADE_TICKET_H
#define IE_CASCADE_TICKET_H

#include "job.h"

#include <pthread.h>
#include <stdatomic.h>

/* Where a request is. */
typedef enum ie_place {
    IE_QUEUED,    /* submitted; its image has not been read yet */
    IE_SCHEDULED, /* waits for or runs in a stage: the device's work */
    IE_ON_HOST    /* to be shown, written or ended: the host's work */
} ie_place;

struct ie_ticket {
    ie_job job; /* first: the scheduler's entry is the ticket (ie_ticket_of) */
    ie_engine *engine;
    atomic_bool *stop, stop_alone; /* its own, or one for all requests of a call */
    uint64_t bytes;                /* of image, mask and output */
    double submitted, due;         /* ie_now; INFINITY: no deadline */
    ie_ticket *next;               /* in the queue, by rank */
    ie_place place;
    bool busy;           /* a thread works at it outside the worker's mutex */
    ie_status status;    /* how it will end, */
    ie_error err;        /* and why */
    ie_ticket_info info; /* seconds and status only when it has ended */
    pthread_mutex_t lock;
    pthread_cond_t end;
    bool ended;
};

static inline ie_ticket *ie_ticket_of(ie_entry *entry)
{
    return (ie_ticket *)entry;
}

/* The last thing the engine does with a ticket. */
void ie_ticket_end(ie_ticket *t);

#endif
