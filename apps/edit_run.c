/* edit_run.c - from a prepared job to written files. SPDX-License-Identifier: Apache-2.0 */
#include "edit_run.h"

#include "console.h"
#include "interrupt.h"
#include "json_lines.h"
#include "load_progress.h"
#include "model_path.h"
#include "provenance.h"
#include "units.h"

/* One call of ie_edit_run; what the engine's callbacks get to see. */
typedef struct edit_run {
    ie_edit_job *job;
    const ie_edit_values *values;
    char model_dir[PATH_MAX];
    ie_engine *engine;
    ie_engine_info info;
    ie_request request;
    ie_progress progress;
    ie_load_progress loading;
    int index; /* of the result: seed + index */
    double begin;
    bool cut_announced;
    ie_status stage_status; /* of writing a stage's image, where no status can be returned */
    ie_error stage_error;
} edit_run;

/* ---- what is said ---------------------------------------------------------------------------- */

static void announce_start(const edit_run *run, const ie_price *price)
{
    const ie_edit_values *v = run->values;
    if (v->json) {
        ie_jsonl j;
        ie_jsonl_begin(&j, stdout);
        ie_jsonl_text(&j, "event", "start");
        ie_jsonl_text(&j, "model", run->info.model_name);
        ie_jsonl_text(&j, "model_dir", run->model_dir);
        ie_jsonl_text(&j, "model_sha256", run->info.model_hash);
        ie_jsonl_text(&j, "device", run->info.device);
        ie_jsonl_int(&j, "count", v->count);
        ie_jsonl_real(&j, "flop_each", price->flop);
        ie_jsonl_uint(&j, "workspace_bytes", price->workspace_bytes);
        ie_jsonl_uint(&j, "weight_bytes", price->weight_bytes);
        ie_jsonl_end(&j);
    } else if (!v->quiet) {
        char flop[IE_UNIT_TEXT], bytes[IE_UNIT_TEXT];
        ie_note("model %s from %s on %s: %sFLOP an edit, %s of memory", run->info.model_name,
                run->model_dir, run->info.device, ie_unit_count(flop, price->flop),
                ie_unit_bytes(bytes, price->workspace_bytes + price->weight_bytes));
    }
}

/* A sentence that does not stop the work, about the file `name`. */
static void announce_note(edit_run *run, const char *name, const char *note)
{
    if (!note[0] || run->values->quiet) return;
    ie_progress_end_line(&run->progress);
    ie_note("%s: %s", name, note);
}

/* Once: it is the same for every seed. --quiet does not hide it from --json. */
static void announce_cut(edit_run *run)
{
    if (!run->request.prompt_cut || run->cut_announced) return;
    run->cut_announced = true;
    if (run->values->quiet) return;
    ie_progress_end_line(&run->progress);
    ie_note("the prompt has %d tokens and the model reads %d: the last %d are ignored",
            run->request.prompt_tokens, run->info.text_length, run->request.prompt_cut);
}

static void announce_result(edit_run *run, const char *path, double seconds)
{
    const ie_pixels *p = &run->job->result.pixels;
    if (run->values->json) {
        ie_jsonl j;
        ie_jsonl_begin(&j, stdout);
        ie_jsonl_text(&j, "event", "result");
        ie_jsonl_text(&j, "output", path);
        ie_jsonl_uint(&j, "seed", run->request.seed);
        ie_jsonl_int(&j, "width", p->width);
        ie_jsonl_int(&j, "height", p->height);
        ie_jsonl_int(&j, "prompt_tokens", run->request.prompt_tokens);
        ie_jsonl_int(&j, "prompt_cut", run->request.prompt_cut);
        ie_jsonl_real(&j, "seconds", seconds);
        ie_jsonl_end(&j);
    } else if (!run->values->quiet) {
        char time[IE_UNIT_TEXT];
        ie_note("%s written, %s", path, ie_unit_seconds(time, seconds));
    }
}

static ie_progress_style style_of(const ie_edit_values *v)
{
    if (v->quiet) return IE_PROGRESS_QUIET;
    return v->json ? IE_PROGRESS_JSON : ie_progress_style_for(stderr);
}

static FILE *stream_of(const ie_edit_values *v)
{
    return v->json ? stdout : stderr;
}

/* ---- callbacks of the engine ----------------------------------------------------------------- */

static int on_loading(void *user, const ie_loading *at)
{
    edit_run *run = user;
    ie_load_progress_show(&run->loading, at, ie_clock_seconds());
    return ie_interrupted();
}

static int on_progress(void *user, int stage, int step, int steps)
{
    edit_run *run = user;
    announce_cut(run);
    ie_progress_step(&run->progress, run->info.stages[stage].name, stage, step, steps,
                     ie_clock_seconds());
    return ie_interrupted() || run->stage_status != IE_OK;
}

static void on_stage_done(void *user, int stage, const ie_pixels *pixels)
{
    edit_run *run = user;
    char path[PATH_MAX];
    ie_image image = {.pixels = *pixels};
    const ie_write_options write = {.quality = IE_JPEG_QUALITY};
    if (run->stage_status != IE_OK) return;
    run->stage_status = ie_edit_stage_path(path, run->values, run->index,
                                           run->info.stages[stage].name, &run->stage_error);
    if (run->stage_status == IE_OK) {
        run->stage_status = ie_image_write(&image, path, &write, &run->stage_error);
    }
}

/* ---- the work -------------------------------------------------------------------------------- */

static void fill_request(edit_run *run)
{
    ie_request *r = &run->request;
    ie_request_default(r);
    ie_edit_job_request(run->job, r);
    r->progress = on_progress;
    r->stage_done = run->values->save_stages ? on_stage_done : NULL;
    r->user = run;
}

static ie_status interrupted(const edit_run *run, ie_error *err)
{
    return ie_app_fail(err, IE_CANCELLED, "interrupted: %d of %d results written", run->index,
                       run->values->count);
}

static ie_status open_model(edit_run *run, ie_error *err)
{
    const ie_edit_values *v = run->values;
    ie_options options;
    ie_options_default(&options);
    if (v->device) options.device = v->device;
    if (v->precision) options.precision = (ie_precision)(v->precision - 1);
    options.threads = v->threads;
    IE_APP_TRY(ie_model_path_here(run->model_dir, v->model, err));
    options.loading = on_loading;
    options.loading_user = run;
    ie_load_progress_begin(&run->loading, style_of(v), stream_of(v), ie_clock_seconds());
    const ie_status status = ie_engine_open(&run->engine, run->model_dir, &options, err);
    ie_load_progress_end(&run->loading);
    if (status == IE_CANCELLED) return interrupted(run, err);
    IE_APP_TRY(status);
    ie_engine_describe(run->engine, &run->info);
    return ie_edit_check_stages(v, run->info.stage_count, err);
}

static ie_status write_result(edit_run *run, ie_error *err)
{
    const ie_edit_values *v = run->values;
    char path[PATH_MAX];
    ie_provenance provenance;
    ie_write_options write = {.quality = v->quality ? v->quality : IE_JPEG_QUALITY};
    if (!v->no_metadata) {
        ie_provenance_fill(&provenance, &run->request, &run->info, v->guidance.text);
        write.text = provenance.entries;
        write.text_count = provenance.count;
    }
    IE_APP_TRY(ie_edit_output_path(path, v, run->index, err));
    IE_APP_TRY(ie_image_write(&run->job->result, path, &write, err));
    announce_note(run, path, run->job->result.note);
    announce_result(run, path, ie_clock_seconds() - run->begin);
    return IE_OK;
}

static ie_status edit_once(edit_run *run, ie_error *err)
{
    const ie_edit_values *v = run->values;
    run->request.seed = v->seed + (uint64_t)run->index;
    run->begin = ie_clock_seconds();
    ie_progress_begin(&run->progress, style_of(v), stream_of(v), run->begin);
    const ie_status status = ie_edit(run->engine, &run->request, 1, err);
    ie_progress_end_line(&run->progress);
    if (run->stage_status != IE_OK) {
        if (err) *err = run->stage_error;
        return run->stage_status;
    }
    if (status == IE_CANCELLED) return interrupted(run, err);
    IE_APP_TRY(status);
    announce_cut(run);
    return write_result(run, err);
}

ie_status ie_edit_run(ie_edit_job *job, ie_error *err)
{
    edit_run run = {.job = job, .values = job->values};
    ie_price price;
    ie_status status;
    ie_interrupt_watch();
    announce_note(&run, job->values->image, job->image.note);
    IE_APP_TRY_DONE(open_model(&run, err));
    fill_request(&run);
    IE_APP_TRY_DONE(ie_price_edit(run.engine, &run.request, 1, &price, err));
    announce_start(&run, &price);
    for (run.index = 0; run.index < job->values->count; run.index++) {
        if (ie_interrupted()) IE_APP_TRY_DONE(interrupted(&run, err)); /* while loading, writing */
        IE_APP_TRY_DONE(edit_once(&run, err));
    }
done:
    ie_engine_close(&run.engine);
    return status;
}
