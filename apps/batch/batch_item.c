/* batch_item.c - read, edit, encode, commit: one item of a batch job.
 * SPDX-License-Identifier: Apache-2.0 */
#include "batch_job.h"

#include "output_file.h"
#include "progress.h"
#include "provenance.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

enum { WRITE_TRIES = 3 };

/* ---- inputs ---------------------------------------------------------------------------------- */

/* The item as the options of `edit`. */
static ie_status fill_values(ie_edit_values *v, const ie_item_run *run, ie_error *err)
{
    const ie_batch_values *all = run->job->values;
    const ie_item *item = run->item;
    const char *steps = item->steps ? item->steps : all->steps_text;
    const char *guidance = item->guidance ? item->guidance : all->guidance_text;
    *v = (ie_edit_values){
        .image = item->image ? item->image : "the image",
        .mask = item->mask            ? item->mask
                : item->mask_is_image ? "the image"
                                      : "the mask",
        .prompt = item->prompt,
        .output = item->output,
        .seed = item->seed,
        .count = item->count,
        .feather = all->feather,
        .mask_edit = item->mask_edit ? item->mask_edit : all->mask_edit,
        .sampler = all->sampler,
    };
    if (steps) IE_APP_TRY(ie_steps_spec_parse(&v->steps, steps, err));
    if (guidance) IE_APP_TRY(ie_guidance_spec_parse(&v->guidance, guidance, err));
    return ie_edit_check_stages(v, run->job->info.stage_count, err);
}

static ie_status prepare(ie_edit_job *job, const ie_edit_values *v, const ie_item_run *run,
                         ie_error *err)
{
    ie_image image, mask;
    IE_APP_TRY(ie_item_picture(&image, &run->job->pictures, run->item, false, err));
    const ie_status status = ie_item_picture(&mask, &run->job->pictures, run->item, true, err);
    if (status != IE_OK) {
        ie_image_release(&image);
        return status;
    }
    return ie_edit_job_take(job, v, &image, &mask, err);
}

/* ---- the edit -------------------------------------------------------------------------------- */

/* The engine's thread asks after every step. */
static int on_progress(void *user, int stage, int step, int steps)
{
    const ie_item_run *run = user;
    (void)stage, (void)step, (void)steps;
    return *run->cancelled;
}

static ie_status edit(ie_item_run *run, ie_edit_job *job, uint64_t seed, ie_error *err)
{
    const ie_batch_engine *engine = &run->job->engine;
    ie_batch_edit request = {.seed = seed, .progress = on_progress, .user = run};
    const ie_status status = engine->edit(engine->user, job, &request, err);
    run->prompt_cut = request.cut;
    return status;
}

/* ---- outputs --------------------------------------------------------------------------------- */

static ie_status encode(ie_item_run *run, ie_edit_job *job, ie_written *w, char **data,
                        ie_error *err)
{
    const ie_batch_values *all = run->job->values;
    const int quality = run->item->quality ? run->item->quality : all->quality;
    ie_write_options options = {.quality = quality ? quality : IE_JPEG_QUALITY};
    ie_provenance provenance;
    ie_request about = {.prompt = job->values->prompt, .seed = w->seed};
    if (!all->no_metadata) {
        ie_edit_job_request(job, &about);
        const char *guidance = job->values->guidance.text;
        ie_provenance_fill(&provenance, &about, &run->job->info, guidance);
        options.text = provenance.entries;
        options.text_count = provenance.count;
    }
    return ie_image_encode(&job->result, w->output, &options, data, &w->bytes, err);
}

/* What is wrong with this output alone; anything else (a full disk, one that fails) stops the
 * job. */
static bool is_items_own(int code)
{
    return code == EEXIST || code == ENOTDIR || code == ELOOP || code == EXDEV ||
           code == ENAMETOOLONG || code == EISDIR;
}

static ie_status commit(const ie_item_run *run, ie_written *w, const void *data, ie_error *err)
{
    struct timespec pause = {0, 100000000}; /* 0.1 s, then 0.4 s */
    ie_status status = IE_OK;
    for (int i = 0; i < WRITE_TRIES; i++) {
        status = ie_output_commit(run->job->ledger, run->job->output_root, run->item, w, data, err);
        if (status != IE_IO || is_items_own(err->native)) break;
        if (i + 1 < WRITE_TRIES) (void)nanosleep(&pause, NULL);
        pause.tv_nsec *= 4;
    }
    return status;
}

static ie_status make_output(ie_item_run *run, ie_edit_job *job, int index, ie_written *w,
                             ie_error *err)
{
    char *data = NULL;
    const ie_edit_values *v = job->values;
    w->seed = v->seed + (uint64_t)index;
    IE_APP_TRY(ie_edit_output_path(w->output, v, index, err));
    IE_APP_TRY(edit(run, job, w->seed, err));
    const double begin = ie_clock_seconds();
    ie_status status = encode(run, job, w, &data, err);
    if (status == IE_OK) status = commit(run, w, data, err);
    free(data);
    run->write_seconds += ie_clock_seconds() - begin;
    return status;
}

/* ---- all of it ------------------------------------------------------------------------------- */

static ie_outcome outcome_of(ie_item_run *run, ie_status status)
{
    run->kind = "input";
    switch (status) {
    case IE_OK: return IE_OUTCOME_DONE;
    case IE_BAD_ARGUMENT:
    case IE_BAD_INPUT: return IE_OUTCOME_FAILED;
    case IE_NO_MEMORY: return IE_OUTCOME_MEMORY;
    case IE_IO:
        run->kind = "output";
        return is_items_own(run->err.native) ? IE_OUTCOME_FAILED : IE_OUTCOME_STOP;
    case IE_BAD_MODEL:
    case IE_DEVICE:
    case IE_BUSY:
    case IE_LATE:
    case IE_UNFINISHED:
    case IE_CANCELLED: break;
    }
    return IE_OUTCOME_STOP;
}

static ie_status make_outputs(ie_item_run *run, ie_edit_job *job, ie_written *written,
                              ie_error *err)
{
    for (int i = 0; i < run->item->count; i++) {
        IE_APP_TRY(make_output(run, job, i, &written[i], err));
    }
    return IE_OK;
}

ie_outcome ie_batch_item(ie_item_run *run)
{
    const double begin = ie_clock_seconds();
    ie_edit_values values = {0};
    ie_edit_job job = {0};
    ie_error *err = &run->err;
    ie_status status;
    ie_written *written = calloc((size_t)run->item->count, sizeof *written);
    if (!written) {
        status = ie_app_fail(err, IE_NO_MEMORY, "no memory for %d results", run->item->count);
        goto done;
    }
    IE_APP_TRY_DONE(ie_ledger_begin(run->job->ledger, run->item, err));
    IE_APP_TRY_DONE(fill_values(&values, run, err));
    IE_APP_TRY_DONE(prepare(&job, &values, run, err));
    run->read_seconds = ie_clock_seconds() - begin;
    IE_APP_TRY_DONE(make_outputs(run, &job, written, err));
    IE_APP_TRY_DONE(
        ie_ledger_done(run->job->ledger, run->item, written, ie_clock_seconds() - begin, err));
done:
    ie_edit_job_release(&job);
    ie_guidance_spec_release(&values.guidance);
    free(written);
    return outcome_of(run, status);
}
