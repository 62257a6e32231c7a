/* ticket.c - the public functions around one request: submit, wait, poll, cancel, release; and
 * ie_edit, which is all of them at once. SPDX-License-Identifier: Apache-2.0 */
#include "ticket.h"

#include "engine.h"
#include "threads.h"

static uint64_t bytes_of(const ie_pixels *p)
{
    return (uint64_t)p->height * p->row_bytes;
}

/* A ticket for a checked request. Its prompt is read here: it can still be refused, and then there
 * is nothing to close. `stop` NULL: it is cancelled alone. */
static ie_status open_ticket(ie_ticket *t, ie_engine *e, ie_request *r, atomic_bool *stop,
                             ie_error *err)
{
    IE_TRY(ie_job_open(&t->job, r, &e->cascade, e->tokenizer, err));
    t->engine = e;
    t->stop = stop ? stop : &t->stop_alone;
    t->bytes = bytes_of(&r->image) + bytes_of(&r->mask) + bytes_of(&r->output);
    t->info = (ie_ticket_info){.status = IE_UNFINISHED, .stage = -1};
    pthread_mutex_init(&t->lock, NULL);
    ie_condition_open(&t->end);
    return IE_OK;
}

static void close_ticket(ie_ticket *t)
{
    pthread_cond_destroy(&t->end);
    pthread_mutex_destroy(&t->lock);
    ie_job_release(&t->job);
}

void ie_ticket_end(ie_ticket *t)
{
    pthread_mutex_lock(&t->lock);
    t->ended = true;
    pthread_cond_broadcast(&t->end);
    pthread_mutex_unlock(&t->lock);
}

ie_status ie_submit(ie_engine *e, ie_request *request, double seconds, ie_ticket **ticket,
                    ie_error *err)
{
    if (!ticket) return ie_fail(err, IE_BAD_ARGUMENT, "ticket is NULL");
    *ticket = NULL;
    IE_TRY(ie_engine_check(e, request, 1, err));
    const double until = ie_time_after(seconds);
    ie_ticket *t = ie_alloc(1, sizeof *t);
    if (!t) return ie_fail(err, IE_NO_MEMORY, "no memory for a request");
    ie_status status = open_ticket(t, e, request, NULL, err);
    if (status == IE_OK) {
        status = ie_worker_submit(e, t, until, err);
        if (status) close_ticket(t);
    }
    if (status) {
        ie_free(t);
    } else {
        *ticket = t;
    }
    return status;
}

ie_status ie_wait(ie_ticket *t, double seconds, ie_error *err)
{
    if (!t) return ie_fail(err, IE_BAD_ARGUMENT, "ticket is NULL");
    const double until = ie_time_after(seconds);
    pthread_mutex_lock(&t->lock);
    while (!t->ended && ie_condition_wait(&t->end, &t->lock, until)) {}
    const bool ended = t->ended;
    pthread_mutex_unlock(&t->lock);
    if (!ended) return ie_fail(err, IE_UNFINISHED, "not finished yet");
    if (err) *err = t->err;
    return t->status;
}

void ie_poll(const ie_ticket *ticket, ie_ticket_info *info)
{
    ie_ticket *t = (ie_ticket *)ticket; /* its locks change, nothing else */
    if (!info) return;
    *info = (ie_ticket_info){.stage = -1};
    if (!t) return;
    pthread_mutex_lock(&t->lock);
    if (t->ended) {
        *info = t->info;
    } else {
        pthread_mutex_lock(&t->engine->worker.lock);
        *info = t->info;
        pthread_mutex_unlock(&t->engine->worker.lock);
    }
    if (info->status == IE_UNFINISHED) {
        info->seconds = ie_now() - t->submitted;
        if (info->stage < 0) info->queued = info->seconds;
    }
    pthread_mutex_unlock(&t->lock);
}

void ie_cancel(ie_ticket *t)
{
    if (!t) return;
    pthread_mutex_lock(&t->lock);
    if (!t->ended) { /* so the engine is still there */
        atomic_store(t->stop, true);
        ie_worker_notice(t->engine);
    }
    pthread_mutex_unlock(&t->lock);
}

void ie_ticket_release(ie_ticket **ticket)
{
    if (!ticket || !*ticket) return;
    ie_cancel(*ticket);
    ie_wait(*ticket, -1, NULL);
    close_ticket(*ticket);
    ie_free(*ticket);
    *ticket = NULL;
}

/* ---- the synchronous use --------------------------------------------------------------------- */

/* Wait for all; the first failure that is not a consequence of another one is the call's. */
static ie_status wait_for_all(ie_ticket *tickets, int count, ie_error *err)
{
    ie_status first = IE_OK;
    for (int i = 0; i < count; i++) {
        ie_error e = {0};
        const ie_status status = ie_wait(&tickets[i], -1, &e);
        if (status == IE_OK || (first != IE_OK && first != IE_CANCELLED)) continue;
        if (first == IE_CANCELLED && status == IE_CANCELLED) continue;
        first = status;
        if (err) *err = e;
    }
    return first;
}

ie_status ie_edit(ie_engine *e, ie_request *requests, int count, ie_error *err)
{
    ie_status status = IE_OK;
    atomic_bool stop = false;
    int opened = 0;
    IE_TRY(ie_engine_check(e, requests, count, err));
    ie_ticket *tickets = ie_alloc((uint64_t)count, sizeof *tickets);
    if (!tickets) return ie_fail(err, IE_NO_MEMORY, "no memory for %d requests", count);
    for (; opened < count; opened++)
        IE_TRY_DONE(open_ticket(&tickets[opened], e, &requests[opened], &stop, err));
    for (int i = 0; i < count; i++) ie_worker_submit(e, &tickets[i], ie_time_after(-1), err);
    status = wait_for_all(tickets, count, err);
done:
    for (int i = 0; i < opened; i++) close_ticket(&tickets[i]);
    ie_free(tickets);
    return status;
}
