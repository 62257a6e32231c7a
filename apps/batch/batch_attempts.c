/* batch_attempts.c - planning; an attempt in its own process; what killed it; and again.
 * SPDX-License-Identifier: Apache-2.0 */
#include "batch_attempts.h"

#include "batch_device.h"
#include "batch_run.h"
#include "console.h"
#include "interrupt.h"
#include "json_lines.h"
#include "progress.h"
#include "supervise.h"

#include <string.h>

enum { MAX_DEATHS = 3 };

typedef ie_batch_drive_state drive;

/* ---- planning -------------------------------------------------------------------------------- */

static ie_status refuse_changed(const drive *d, ie_error *err)
{
    const ie_plan *p = &d->plan;
    if (!p->changed_count) return IE_OK;
    const ie_item *item = &d->manifest.items[p->changed[0]];
    return ie_app_fail(err, IE_BAD_ARGUMENT,
                       "%zu items were done from another line or with other options (first: %s, "
                       "line %d): another edit needs another id or --output-dir",
                       p->changed_count, item->id, item->line);
}

static ie_status make_plan(drive *d, ie_error *err)
{
    const ie_plan_options options = {d->values->retry_failed && !d->planned, d->values->verify};
    d->planned = true;
    ie_plan_release(&d->plan);
    ie_ledger_state_release(&d->state);
    IE_APP_TRY(ie_ledger_state_read(&d->state, d->output_root, err));
    IE_APP_TRY(
        ie_plan_make(&d->plan, &d->manifest, &d->state, d->shard, d->output_root, &options, err));
    return refuse_changed(d, err);
}

/* Failures that are tried again are failures no more, also for attempts after this one. */
static ie_status forgive(drive *d, ie_error *err)
{
    for (size_t i = 0; i < d->plan.due_count; i++) {
        const char *id = d->manifest.items[d->plan.due[i]].id;
        const ie_item_state *state = ie_ledger_state_of(&d->state, id);
        if (!state || !state->failed) continue;
        IE_APP_TRY(ie_ledger_mark(&d->ledger, id, IE_MARK_RETRIED, err));
    }
    return IE_OK;
}

static ie_status quarantine(drive *d, ie_error *err)
{
    const ie_plan *p = &d->plan;
    for (size_t i = 0; i < p->quarantine_count; i++) {
        const ie_item *item = &d->manifest.items[p->quarantine[i]];
        IE_APP_TRY(ie_ledger_failed(&d->ledger, item, "quarantined",
                                    "the process died twice while it worked on this item", err));
        if (!d->values->quiet) {
            ie_note("line %d, %s: quarantined, the process died twice while it worked on it",
                    item->line, item->id);
        }
    }
    return IE_OK;
}

/* ---- an attempt, in its own process ---------------------------------------------------------- */

static ie_status check_model(const drive *d, const ie_engine_info *info, ie_error *err)
{
    if (!d->state.model[0] || !strcmp(d->state.model, info->model_hash)) return IE_OK;
    return ie_app_fail(err, IE_BAD_ARGUMENT,
                       "%s was begun with another model (SHA-256 %.12s..., this one is %.12s...): "
                       "use another --output-dir",
                       d->values->output_dir, d->state.model, info->model_hash);
}

static void announce(const drive *d, const ie_batch_progress *p, const ie_batch_device *device,
                     int in_flight)
{
    if (p->style == IE_BATCH_BAR) {
        ie_note("model %s on %s, %d items at once; %zu of %zu left, ledger %s",
                device->info.model_name, device->info.device, in_flight,
                d->plan.due_count + d->plan.alone_count, d->plan.items, d->ledger.name);
    } else if (p->style == IE_BATCH_JSON) {
        ie_jsonl j;
        ie_jsonl_begin(&j, stdout);
        ie_jsonl_text(&j, "event", "start");
        ie_jsonl_text(&j, "model", device->info.model_name);
        ie_jsonl_text(&j, "model_sha256", device->info.model_hash);
        ie_jsonl_text(&j, "device", device->info.device);
        ie_jsonl_int(&j, "shard", d->shard.index);
        ie_jsonl_int(&j, "shards", d->shard.count);
        ie_jsonl_uint(&j, "items", d->plan.items);
        ie_jsonl_uint(&j, "left", d->plan.due_count + d->plan.alone_count);
        ie_jsonl_int(&j, "in_flight", in_flight);
        ie_jsonl_text(&j, "ledger", d->ledger.name);
        ie_jsonl_end(&j);
    }
}

static ie_status attempt(void *user, ie_error *err)
{
    drive *d = user;
    ie_batch_device device;
    ie_batch_values values = *d->values;
    ie_batch_progress progress;
    ie_status status;
    IE_APP_TRY_DONE(ie_batch_device_open(&device, d->values, err));
    IE_APP_TRY_DONE(check_model(d, &device.info, err));
    IE_APP_TRY_DONE(ie_ledger_model(&d->ledger, &device.info, err));
    if (!values.in_flight) values.in_flight = ie_batch_device_appetite(&device);
    ie_batch_job job = {.values = &values,
                        .manifest = &d->manifest,
                        .plan = &d->plan,
                        .ledger = &d->ledger,
                        .pictures = d->pictures,
                        .output_root = d->output_root,
                        .info = device.info,
                        .engine = ie_batch_device_engine(&device)};
    /* "cpu, 8 threads": how many is no part of how an output is made, and must not change its
     * bytes. */
    job.info.device[strcspn(job.info.device, ",")] = '\0';
    ie_batch_progress_begin(&progress, &values, &d->plan, &job.info, ie_clock_seconds());
    announce(d, &progress, &device, values.in_flight);
    IE_APP_TRY_DONE(ie_batch_run(&job, &progress, err));
done:
    ie_batch_device_close(&device);
    return status;
}

/* ---- attempts -------------------------------------------------------------------------------- */

/* Somebody died: note what it was working on. *blamed: how many items that was. */
static ie_status record_death(drive *d, const ie_attempt_end *end, size_t *blamed, ie_error *err)
{
    int number = 0;
    *blamed = 0;
    ie_ledger_state_release(&d->state);
    IE_APP_TRY(ie_ledger_state_read(&d->state, d->output_root, err));
    for (int i = 0; i < d->state.ledger_count; i++) {
        if (!strcmp(d->state.ledgers[i], d->ledger.name)) number = i + 1;
    }
    d->ledger.torn = true; /* it may have died inside a line */
    for (size_t i = 0; i < d->state.count; i++) {
        const ie_item_state *item = &d->state.items[i];
        if (item->open_in != number) continue;
        const ie_ledger_mark_kind mark = end->told ? IE_MARK_STOPPED : IE_MARK_KILLED;
        IE_APP_TRY(ie_ledger_mark(&d->ledger, item->id, mark, err));
        (*blamed)++;
    }
    return IE_OK;
}

static ie_status clear(drive *d, const size_t *items, size_t count, ie_error *err)
{
    for (size_t i = 0; i < count; i++) {
        const char *id = d->manifest.items[items[i]].id;
        const ie_item_state *state = ie_ledger_state_of(&d->state, id);
        if (!state || !(state->strikes || state->open_in)) continue;
        IE_APP_TRY(ie_ledger_mark(&d->ledger, id, IE_MARK_CLEARED, err));
    }
    return IE_OK;
}

/* When attempts die and nothing at all gets done, it is not the items: the next machine shall not
 * hold it against them. */
static ie_status give_up(drive *d, int signal, ie_error *err)
{
    IE_APP_TRY(clear(d, d->plan.due, d->plan.due_count, err));
    IE_APP_TRY(clear(d, d->plan.alone, d->plan.alone_count, err));
    return ie_app_fail(err, IE_DEVICE,
                       "the process died %d times (%s) and no item was done: it is not the items",
                       d->deaths, strsignal(signal));
}

static size_t count_done(const ie_ledger_state *state)
{
    size_t done = 0;
    for (size_t i = 0; i < state->count; i++) done += state->items[i].done;
    return done;
}

static bool is_hopeless(const drive *d)
{
    return d->deaths >= MAX_DEATHS && count_done(&d->state) == d->done_at_first;
}

/* *again: it died, and there is reason to try again. */
static ie_status supervise(drive *d, bool *again, ie_error *err)
{
    ie_attempt_end end;
    size_t blamed;
    IE_APP_TRY(ie_supervise(&end, attempt, d, err));
    if (!end.signal) return IE_OK;
    IE_APP_TRY(record_death(d, &end, &blamed, err));
    if (end.told) return ie_app_fail(err, IE_CANCELLED, "aborted by a second signal");
    d->deaths++;
    if (is_hopeless(d)) return give_up(d, end.signal, err);
    if (!blamed) {
        return ie_app_fail(err, IE_DEVICE, "the process died (%s) with no item in flight",
                           strsignal(end.signal));
    }
    if (!d->values->quiet) {
        ie_note("the process died (%s) with %zu items in flight; they are tried again, alone",
                strsignal(end.signal), blamed);
    }
    *again = true;
    return IE_OK;
}

/* One attempt, with a ledger of its own. */
static ie_status try_once(drive *d, bool *again, ie_error *err)
{
    const ie_plan *p = &d->plan;
    *again = false;
    IE_APP_TRY(ie_ledger_open(&d->ledger, d->output_root, d->shard, err));
    ie_status status;
    IE_APP_TRY_DONE(ie_ledger_start(&d->ledger, d->shard, p->items, d->manifest.count, err));
    IE_APP_TRY_DONE(forgive(d, err));
    IE_APP_TRY_DONE(quarantine(d, err));
    if (p->due_count + p->alone_count) IE_APP_TRY_DONE(supervise(d, again, err));
done:
    if (!*again) (void)ie_ledger_end(&d->ledger, status, NULL);
    ie_ledger_close(&d->ledger);
    return status;
}

ie_status ie_batch_attempts(drive *d, ie_error *err)
{
    for (bool again = true; again;) {
        const ie_plan *p = &d->plan;
        IE_APP_TRY(make_plan(d, err));
        if (!d->deaths) d->done_at_first = count_done(&d->state);
        if (p->due_count + p->alone_count + p->quarantine_count == 0) return IE_OK;
        if (ie_interrupted()) return ie_app_fail(err, IE_CANCELLED, "told to end");
        IE_APP_TRY(try_once(d, &again, err));
    }
    return make_plan(d, err);
}
