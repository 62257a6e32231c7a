/* batch_run.c - workers, the order of items, and how a job stops.
 * SPDX-License-Identifier: Apache-2.0 */
#include "batch_run.h"

#include "interrupt.h"
#include "progress.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Everything below `lock` is shared. */
typedef struct batch_run {
    const ie_batch_job *job;
    ie_batch_progress *progress;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t next_due;
    size_t *alone, alone_count, next_alone; /* grows by items that ran out of memory */
    int active, limit;                      /* items in flight, and how many may be */
    int workers;                            /* threads that have not ended */
    bool stop;                              /* begin nothing more */
    atomic_bool cancelled;                  /* give up what is in flight */
    ie_status status;                       /* the first reason to stop */
    ie_error err;
} batch_run;

typedef struct turn {
    size_t item;
    bool alone;
} turn;

/* ---- under the lock -------------------------------------------------------------------------- */

static void stop(batch_run *r, ie_status status, const ie_error *err)
{
    r->stop = true;
    if (r->status != IE_OK) return;
    r->status = status;
    r->err = *err;
}

static void check_failures(batch_run *r)
{
    const ie_batch_progress *p = r->progress;
    ie_error err;
    if (!ie_failure_limit_passed(&r->job->values->max_failures, p->failed, p->total)) return;
    stop(r,
         ie_app_fail(&err, IE_BAD_ARGUMENT,
                     "%zu of %zu items have failed: more than --max-failures", p->failed, p->total),
         &err);
}

/* Waits for an item that may begin; false: there is none, now or ever. */
static bool take(batch_run *r, turn *out)
{
    const ie_plan *plan = r->job->plan;
    while (!r->stop) {
        if (r->next_due < plan->due_count) {
            if (r->active < r->limit) {
                *out = (turn){plan->due[r->next_due++], false};
                r->active++;
                return true;
            }
        } else if (r->active == 0) {
            if (r->next_alone == r->alone_count) return false;
            *out = (turn){r->alone[r->next_alone++], true};
            r->active++;
            return true;
        }
        (void)pthread_cond_wait(&r->changed, &r->lock);
    }
    return false;
}

/* Out of memory: an item that was not alone is tried again, alone. */
static bool try_again(batch_run *r, const turn *t)
{
    if (t->alone) return false;
    if (r->limit > 1) r->limit /= 2;
    r->alone[r->alone_count++] = t->item;
    return true;
}

static void end_failed(batch_run *r, ie_item_run *run, const char *kind)
{
    ie_error err = {0};
    const ie_status status = ie_ledger_failed(r->job->ledger, run->item, kind, run->err.text, &err);
    ie_batch_progress_item(r->progress, run, false);
    ie_batch_progress_note(r->progress, run->item, "failed", kind, run->err.text);
    if (status != IE_OK) stop(r, status, &err);
    check_failures(r);
}

static void end_item(batch_run *r, const turn *t, ie_item_run *run, ie_outcome outcome)
{
    char text[96];
    switch (outcome) {
    case IE_OUTCOME_DONE:
        ie_batch_progress_item(r->progress, run, true);
        if (run->prompt_cut) {
            (void)snprintf(text, sizeof text,
                           "the prompt is too long: its last %d tokens are ignored",
                           run->prompt_cut);
            ie_batch_progress_note(r->progress, run->item, "note", NULL, text);
        }
        break;
    case IE_OUTCOME_FAILED: end_failed(r, run, run->kind); break;
    case IE_OUTCOME_MEMORY:
        if (try_again(r, t)) {
            (void)snprintf(text, sizeof text, "out of memory: %d in flight from now on", r->limit);
            ie_batch_progress_note(r->progress, run->item, "note", "memory", text);
        } else {
            end_failed(r, run, "memory");
        }
        break;
    case IE_OUTCOME_STOP:
        stop(r, run->err.status, &run->err);
        /* Not its fault; of a device that failed nobody knows whose it was. If this line cannot be
         * written either, the item runs alone next time. */
        if (run->err.status != IE_DEVICE) {
            (void)ie_ledger_mark(r->job->ledger, run->item->id, IE_MARK_STOPPED, NULL);
        }
        break;
    }
}

/* ---- threads --------------------------------------------------------------------------------- */

static void *work(void *user)
{
    batch_run *r = user;
    turn t;
    (void)pthread_mutex_lock(&r->lock);
    while (take(r, &t)) {
        ie_item_run run = {
            .job = r->job, .item = &r->job->manifest->items[t.item], .cancelled = &r->cancelled};
        (void)pthread_mutex_unlock(&r->lock);
        const ie_outcome outcome = ie_batch_item(&run);
        (void)pthread_mutex_lock(&r->lock);
        r->active--;
        end_item(r, &t, &run, outcome);
        (void)pthread_cond_broadcast(&r->changed);
    }
    r->workers--;
    (void)pthread_cond_broadcast(&r->changed);
    (void)pthread_mutex_unlock(&r->lock);
    return NULL;
}

static void show(batch_run *r, bool last)
{
    const ie_batch_engine *engine = &r->job->engine;
    engine->busy(engine->user, r->progress->stage_seconds);
    ie_batch_progress_show(r->progress, ie_clock_seconds(), last);
}

/* Draws, and looks for signals, until the workers have ended. */
static void watch(batch_run *r)
{
    while (r->workers) {
        struct timespec until;
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 50000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        (void)pthread_cond_timedwait(&r->changed, &r->lock, &until);
        if (ie_interrupted() && !r->stop) {
            ie_error err;
            stop(r, ie_app_fail(&err, IE_CANCELLED, "told to end"), &err);
            (void)pthread_cond_broadcast(&r->changed);
        }
        /* What is in flight on a device that has failed will not end by itself. */
        if (r->stop && r->status == IE_DEVICE) r->cancelled = true;
        r->progress->in_flight = r->active;
        show(r, false);
    }
}

static int start_workers(batch_run *r, pthread_t *threads, int count)
{
    int started = 0;
    while (started < count && !pthread_create(&threads[started], NULL, work, r)) started++;
    return started;
}

ie_status ie_batch_run(const ie_batch_job *job, ie_batch_progress *progress, ie_error *err)
{
    const ie_plan *plan = job->plan;
    const size_t left = plan->due_count + plan->alone_count;
    int count = job->values->in_flight;
    if ((size_t)count > left) count = (int)left;
    pthread_t threads[IE_BATCH_MAX_IN_FLIGHT];
    batch_run r = {.job = job,
                   .progress = progress,
                   .lock = PTHREAD_MUTEX_INITIALIZER,
                   .changed = PTHREAD_COND_INITIALIZER,
                   .limit = count};
    r.alone = calloc(left + 1, sizeof *r.alone);
    if (!r.alone) return ie_app_fail(err, IE_NO_MEMORY, "no memory for %zu items", left);
    memcpy(r.alone, plan->alone, plan->alone_count * sizeof *r.alone);
    r.alone_count = plan->alone_count;

    (void)pthread_mutex_lock(&r.lock);
    check_failures(&r); /* those of earlier attempts */
    const int started = r.workers = start_workers(&r, threads, count);
    if (!started && left) {
        stop(&r, ie_app_fail(&r.err, IE_NO_MEMORY, "no thread can be started"), &r.err);
    }
    watch(&r);
    progress->in_flight = 0;
    show(&r, true);
    (void)pthread_mutex_unlock(&r.lock);
    for (int i = 0; i < started; i++) (void)pthread_join(threads[i], NULL);
    free(r.alone);
    if (r.status != IE_OK && err) *err = r.err;
    return r.status;
}
