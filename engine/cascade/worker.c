/* worker.c - see worker.h. SPDX-License-Identifier: Apache-2.0 */
#include "worker.h"

#include "engine.h"
#include "threads.h"

#include <math.h>
#include <omp.h>

/* ---- under the lock -------------------------------------------------------------------------- */

static void set_ending(ie_worker *w, ie_ticket *t, ie_status status)
{
    if (t->place == IE_SCHEDULED) ie_scheduler_remove(&w->scheduler, &t->job.entry);
    t->status = status;
    t->place = IE_ON_HOST;
    pthread_cond_signal(&w->host_wake);
}

static void cancel(ie_engine *e, ie_ticket *t)
{
    const ie_ticket_info *i = &t->info;
    if (i->stage < 0) {
        ie_fail(&t->err, IE_CANCELLED, "cancelled before its first step");
    } else {
        ie_fail(&t->err, IE_CANCELLED, "cancelled at step %d of %d of %s", i->step, i->steps,
                e->cascade.stages[i->stage].name);
    }
    set_ending(&e->worker, t, IE_CANCELLED);
}

static void give_up(ie_engine *e, ie_ticket *t)
{
    ie_fail(&t->err, IE_LATE, "not finished %g seconds after it was submitted",
            t->job.request->deadline);
    set_ending(&e->worker, t, IE_LATE);
}

/* End what is cancelled or late, unless a thread is at it: that thread will come by here. Returns
 * when the next deadline is. */
static double look_for_ends(ie_engine *e)
{
    double next = INFINITY;
    const double now = ie_now();
    for (ie_ticket *t = e->worker.queue; t; t = t->next) {
        if (t->status) continue;
        if (!t->busy && atomic_load(t->stop)) {
            cancel(e, t);
        } else if (!t->busy && t->due <= now) {
            give_up(e, t);
        } else if (t->due > now && t->due < next) {
            next = t->due;
        }
    }
    return next;
}

/* A busy ticket is given back; `status` with its sentence in t->err. */
static void give_back(ie_worker *w, ie_ticket *t, ie_status status)
{
    t->busy = false;
    if (status) set_ending(w, t, status);
    if (t->place == IE_ON_HOST) pthread_cond_signal(&w->host_wake);
}

/* To the stage its entry names, from anywhere. */
static void schedule(ie_worker *w, ie_ticket *t)
{
    t->place = IE_SCHEDULED;
    ie_scheduler_wait(&w->scheduler, &t->job.entry);
    pthread_cond_signal(&w->device_wake);
}

/* ---- the device ------------------------------------------------------------------------------ */

static ie_exec executor(ie_engine *e)
{
    return (ie_exec){.backend = e->backend, .arena = &e->arena};
}

/* After a failure half way the workspace still holds pieces. */
static void clear_workspace(ie_engine *e)
{
    ie_arena_over(&e->arena, e->workspace.data, e->workspace.bytes);
}

/* A prompt's encoder output, kept in host memory until each stage has read it. */
static ie_status encode(ie_engine *e, ie_job *job, ie_exec *x, ie_error *err)
{
    ie_tensor tokens;
    IE_TRY(ie_engine_text(e, &tokens, job, x, err));
    job->tokens = ie_alloc((uint64_t)ie_numel(tokens), sizeof *job->tokens);
    if (!job->tokens)
        return ie_fail(err, IE_NO_MEMORY, "no memory for a prompt of %d tokens", job->used);
    IE_TRY(ie_download(e->backend, job->tokens, tokens, err));
    ie_arena_give(x->arena, tokens.data);
    return IE_OK;
}

static ie_status admit(ie_engine *e, ie_stage *stage, ie_ticket *t)
{
    const ie_worker *w = &e->worker;
    if (w->refused) {
        t->err = w->refusal;
        return w->refused;
    }
    ie_exec x = executor(e);
    if (!t->job.tokens) IE_TRY(encode(e, &t->job, &x, &t->err));
    return ie_stage_admit(stage, &t->job, &x, &t->err);
}

/* Who waits for the stage takes free slots of it. */
static void admit_all(ie_engine *e, int stage)
{
    ie_worker *w = &e->worker;
    for (;;) {
        ie_entry *entry = ie_scheduler_admit(&w->scheduler, stage);
        if (!entry) return;
        ie_ticket *t = ie_ticket_of(entry);
        t->busy = true;
        if (stage == 0) pthread_cond_signal(&w->host_wake); /* it may read another image */
        pthread_mutex_unlock(&w->lock);
        const ie_status status = admit(e, &e->stages[stage], t);
        if (status) clear_workspace(e);
        pthread_mutex_lock(&w->lock);
        give_back(w, t, status);
    }
}

/* After the pass, outside the lock: tell the caller, and fetch the image after the last step. */
static ie_status after_step(ie_engine *e, ie_stage *stage, ie_ticket *t)
{
    const ie_request *r = t->job.request;
    const int step = t->job.entry.step + 1, steps = t->job.entry.stages[stage->index].steps;
    if (r->progress && r->progress(r->user, stage->index, step, steps)) atomic_store(t->stop, true);
    if (step < steps || atomic_load(t->stop)) return IE_OK;
    ie_exec x = executor(e);
    return ie_stage_leave(stage, &t->job, &x, &t->err);
}

/* Under the lock again. */
static void count_step(ie_engine *e, ie_ticket *t, double begin)
{
    ie_worker *w = &e->worker;
    ie_entry *entry = &t->job.entry;
    const int stage = entry->stage;
    if (t->info.stage < 0) t->info.queued = begin - t->submitted;
    t->info.stage = stage;
    t->info.step = entry->step + 1;
    t->info.steps = entry->stages[stage].steps;
    if (!ie_scheduler_step(&w->scheduler, entry)) return;
    if (t->job.request->stage_done || entry->stage == e->stage_count) {
        t->place = IE_ON_HOST;
    } else {
        schedule(w, t);
    }
}

/* One pass of a stage. */
static void pass(ie_engine *e, int stage)
{
    ie_worker *w = &e->worker;
    ie_stage *s = &e->stages[stage];
    const int count = ie_scheduler_batch(&w->scheduler, stage, w->batch);
    ie_exec x = executor(e);
    ie_error err = {0};
    ie_status outcome[IE_MAX_LANES];
    if (count == 0) return; /* all who came were refused */
    for (int i = 0; i < count; i++) ie_ticket_of(w->batch[i])->busy = true;
    pthread_mutex_unlock(&w->lock);

    const double begin = ie_now();
    const ie_status status = ie_stage_pass(s, w->batch, count, &x, &err);
    if (status) clear_workspace(e);
    const double seconds = ie_now() - begin;
    for (int i = 0; i < count; i++) {
        ie_ticket *t = ie_ticket_of(w->batch[i]);
        if (status) t->err = err;
        outcome[i] = status ? status : after_step(e, s, t);
    }

    pthread_mutex_lock(&w->lock);
    w->activity.stages[stage].passes++;
    w->activity.stages[stage].seconds += seconds;
    for (int i = 0; i < count; i++) {
        ie_ticket *t = ie_ticket_of(w->batch[i]);
        w->activity.stages[stage].lanes += (uint64_t)ie_entry_lanes(w->batch[i]);
        if (!outcome[i]) count_step(e, t, begin);
        give_back(w, t, outcome[i]);
    }
}

static void *run_device(void *argument)
{
    ie_engine *e = argument;
    ie_worker *w = &e->worker;
    w->refused = ie_backend_enter(e->backend, &w->refusal);
    pthread_mutex_lock(&w->lock);
    while (!w->closing || w->queue) {
        look_for_ends(e);
        const int stage = ie_scheduler_next(&w->scheduler);
        if (stage < 0) {
            pthread_cond_wait(&w->device_wake, &w->lock);
        } else {
            admit_all(e, stage);
            pass(e, stage);
        }
    }
    pthread_mutex_unlock(&w->lock);
    if (!w->refused) ie_backend_leave(e->backend);
    return NULL;
}

/* ---- the host -------------------------------------------------------------------------------- */

/* What is to be done next: finish before beginning. */
static ie_ticket *next_on_host(ie_worker *w)
{
    const ie_scheduler_stage *first = &w->scheduler.stages[0];
    const bool may_read = ie_scheduler_length(first->waiting) < first->lanes;
    ie_ticket *unread = NULL;
    for (ie_ticket *t = w->queue; t; t = t->next) {
        if (t->busy) continue;
        if (t->place == IE_ON_HOST) return t;
        if (t->place == IE_QUEUED && may_read && !unread) unread = t;
    }
    return unread;
}

/* Show or write what the stage before has made. */
static ie_status deliver(ie_engine *e, ie_ticket *t)
{
    const int next = t->job.entry.stage;
    if (t->job.request->stage_done) IE_TRY(ie_job_show(&t->job, next - 1, &t->err));
    return next == e->stage_count ? ie_job_write(&t->job, &t->err) : IE_OK;
}

/* Under the lock, which is released meanwhile. */
static void end(ie_engine *e, ie_ticket *t)
{
    ie_worker *w = &e->worker;
    const ie_status status = t->status;
    pthread_mutex_unlock(&w->lock);
    ie_job_release(&t->job);
    if (status) atomic_store(t->stop, true); /* of the others of its call, too */
    if (t->job.request->ended) t->job.request->ended(t->job.request->user, status);
    pthread_mutex_lock(&w->lock);
    ie_ticket **at = &w->queue;
    while (*at != t) at = &(*at)->next;
    *at = t->next;
    w->activity.requests--;
    w->activity.bytes -= t->bytes;
    w->activity.ended++;
    t->info.status = status;
    t->info.seconds = ie_now() - t->submitted;
    if (t->info.stage < 0) t->info.queued = t->info.seconds;
    pthread_cond_broadcast(&w->room);
    pthread_cond_signal(&w->device_wake); /* it may be waiting for the last one */
    pthread_mutex_unlock(&w->lock);
    ie_ticket_end(t);
    pthread_mutex_lock(&w->lock);
}

/* One piece of work of one ticket. */
static void serve(ie_engine *e, ie_ticket *t)
{
    ie_worker *w = &e->worker;
    const bool unread = t->place == IE_QUEUED;
    t->busy = true;
    if (!t->status) {
        pthread_mutex_unlock(&w->lock);
        const ie_status status = unread ? ie_job_read(&t->job, e->canvas, &t->err) : deliver(e, t);
        pthread_mutex_lock(&w->lock);
        give_back(w, t, status);
        if (status) return;
        if (t->job.entry.stage < e->stage_count) {
            schedule(w, t);
            return;
        }
        t->busy = true;
    }
    end(e, t);
}

static void *run_host(void *argument)
{
    ie_engine *e = argument;
    ie_worker *w = &e->worker;
    omp_set_num_threads(1); /* the others are the device's */
    pthread_mutex_lock(&w->lock);
    while (!w->closing || w->queue) {
        const double deadline = look_for_ends(e);
        ie_ticket *t = next_on_host(w);
        if (t) {
            serve(e, t);
        } else {
            ie_condition_wait(&w->host_wake, &w->lock, deadline);
        }
    }
    pthread_mutex_unlock(&w->lock);
    return NULL;
}

/* ---- from outside ---------------------------------------------------------------------------- */

ie_status ie_worker_start(ie_engine *e, ie_error *err)
{
    ie_worker *w = &e->worker;
    pthread_mutex_init(&w->lock, NULL);
    ie_condition_open(&w->device_wake);
    ie_condition_open(&w->host_wake);
    ie_condition_open(&w->room);
    w->started = true;
    IE_TRY(ie_thread_start(&w->device, run_device, e, err));
    w->threads = 1;
    IE_TRY(ie_thread_start(&w->host, run_host, e, err));
    w->threads = 2;
    return IE_OK;
}

void ie_worker_stop(ie_engine *e)
{
    ie_worker *w = &e->worker;
    if (!w->started) return;
    pthread_mutex_lock(&w->lock);
    w->closing = true;
    for (ie_ticket *t = w->queue; t; t = t->next) atomic_store(t->stop, true);
    pthread_cond_signal(&w->device_wake);
    pthread_cond_signal(&w->host_wake);
    pthread_mutex_unlock(&w->lock);
    if (w->threads > 0) pthread_join(w->device, NULL);
    if (w->threads > 1) pthread_join(w->host, NULL);
    pthread_cond_destroy(&w->room);
    pthread_cond_destroy(&w->host_wake);
    pthread_cond_destroy(&w->device_wake);
    pthread_mutex_destroy(&w->lock);
}

/* One always fits into an empty queue. */
static bool has_room(const ie_worker *w, const ie_ticket *t)
{
    if (!w->queue) return true;
    if (w->activity.requests >= w->limit) return false;
    return !w->bytes_limit || w->activity.bytes + t->bytes <= w->bytes_limit;
}

ie_status ie_worker_submit(ie_engine *e, ie_ticket *t, double until, ie_error *err)
{
    ie_worker *w = &e->worker;
    ie_entry *entry = &t->job.entry;
    ie_status status = IE_OK;
    pthread_mutex_lock(&w->lock);
    while (!has_room(w, t) && ie_condition_wait(&w->room, &w->lock, until)) {}
    if (has_room(w, t)) {
        entry->rank = ie_rank(w->submissions++, entry->priority);
        ie_ticket **at = &w->queue;
        while (*at && (*at)->job.entry.rank < entry->rank) at = &(*at)->next;
        t->next = *at;
        *at = t;
        t->submitted = ie_now();
        t->due = t->job.request->deadline > 0 ? t->submitted + t->job.request->deadline
                                              : (double)INFINITY;
        w->activity.requests++;
        w->activity.bytes += t->bytes;
        pthread_cond_signal(&w->host_wake);
    } else {
        status = ie_fail(err, IE_BUSY, "the queue is full: %d requests, %llu bytes",
                         w->activity.requests, (unsigned long long)w->activity.bytes);
    }
    pthread_mutex_unlock(&w->lock);
    return status;
}

void ie_worker_notice(ie_engine *e)
{
    pthread_mutex_lock(&e->worker.lock);
    pthread_cond_signal(&e->worker.host_wake);
    pthread_mutex_unlock(&e->worker.lock);
}

void ie_engine_activity(ie_engine *e, ie_activity *activity)
{
    if (!activity) return;
    *activity = (ie_activity){0};
    if (!e || !e->worker.started) return;
    ie_worker *w = &e->worker;
    pthread_mutex_lock(&w->lock);
    *activity = w->activity;
    for (int i = 0; i < e->stage_count; i++) {
        activity->stages[i].waiting = ie_scheduler_length(w->scheduler.stages[i].waiting);
        activity->stages[i].running = ie_scheduler_length(w->scheduler.stages[i].running);
    }
    for (const ie_ticket *t = w->queue; t; t = t->next)
        activity->stages[0].waiting += t->place == IE_QUEUED;
    pthread_mutex_unlock(&w->lock);
}
