/* engine.c - the public engine: open a model directory, describe it, price requests, close. Edits
 * themselves are ticket.c (the caller's side), worker.c (the threads) and stage.c (the device).
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine.h"

#include <stdio.h>
#include <string.h>

#include "guidance.h"
#include "model_hash.h"

enum {
    DEFAULT_LANES = 2, /* the fewest, too: a request with guidance takes two */
    DEFAULT_QUEUE = 64,
    MAX_QUEUE = 65536
};

void ie_options_default(ie_options *options)
{
    if (!options) return;
    *options = (ie_options){.device = "auto", .precision = IE_PRECISION_F32, .threads = 0};
}

void ie_request_default(ie_request *request)
{
    if (request) *request = (ie_request){0};
}

/* ---- opening --------------------------------------------------------------------------------- */

static ie_status read_configs(ie_engine *e, const char *directory, ie_unet_config *unets,
                              ie_text_config *text, ie_error *err)
{
    ie_path path;
    IE_TRY(ie_path_of(&path, err, "%s/cascade.json", directory));
    IE_TRY(ie_cascade_config_read(&e->cascade, path.text, err));
    for (int i = 0; i < e->cascade.stage_count; i++) {
        IE_TRY(
            ie_path_of(&path, err, "%s/%s/config.json", directory, e->cascade.stages[i].directory));
        IE_TRY(ie_unet_config_read(&unets[i], path.text, err));
    }
    IE_TRY(ie_path_of(&path, err, "%s/text_encoder/config.json", directory));
    IE_TRY(ie_text_config_read(text, path.text, err));
    return ie_cascade_config_check(&e->cascade, unets, text, err);
}

static ie_status open_text(ie_engine *e, const char *directory, const ie_text_config *config,
                           ie_error *err)
{
    ie_path path;
    ie_weights *weights = NULL;
    ie_status status = IE_OK;
    if (!e->backend->plan) {
        IE_TRY(ie_path_of(&path, err, "%s/tokenizer/spiece.model", directory));
        IE_TRY(ie_tokenizer_open(&e->tokenizer, path.text, config->vocab_size, err));
        IE_TRY(ie_path_of(&path, err, "%s/text_encoder", directory));
        IE_TRY(ie_weights_open(&weights, path.text, err));
    }
    status =
        ie_text_encoder_open(&e->text, config, e->cascade.text_length, weights, e->backend, err);
    ie_weights_close(&weights);
    return status;
}

static ie_status open_stage(ie_engine *e, const char *directory, int index,
                            const ie_unet_config *config, ie_error *err)
{
    const ie_stage_config *s = &e->cascade.stages[index];
    ie_path path;
    ie_weights *weights = NULL;
    ie_unet *unet = NULL;
    ie_status status = IE_OK;
    if (!e->backend->plan) {
        IE_TRY(ie_path_of(&path, err, "%s/%s", directory, s->directory));
        IE_TRY(ie_weights_open(&weights, path.text, err));
    }
    IE_TRY_DONE(ie_unet_open(&unet, config, e->cascade.text_length, weights, e->backend, err));
    status = ie_stage_open(&e->stages[index], s, index, unet, e->lanes[index], err);
    if (status == IE_OK) e->stage_count = index + 1;
done:
    ie_weights_close(&weights);
    return status;
}

ie_status ie_engine_text(ie_engine *e, ie_tensor *tokens, const ie_job *job, ie_exec *x,
                         ie_error *err)
{
    const int64_t dim[3] = {1, e->cascade.text_length, e->text_width};
    IE_TRY(ie_arena_tensor(x->arena, tokens, IE_F32, 3, dim, err));
    return ie_text_encoder_run(e->text, *tokens, job ? job->ids : NULL, job ? job->used : 1, x,
                               err);
}

/* What the text encoder takes and costs, without data. */
static ie_status measure_text(ie_engine *e, ie_error *err)
{
    ie_tensor tokens;
    ie_arena_measure(&e->arena);
    ie_exec x = {.backend = e->backend, .arena = &e->arena};
    IE_TRY(ie_engine_text(e, &tokens, NULL, &x, err));
    e->text_cost = x.cost;
    e->workspace_bytes = e->arena.peak;
    return IE_OK;
}

/* The same for a stage, with every number of lanes that can meet in a pass: scratch need not grow
 * with them. So many lanes belong to the most requests when each has one. */
static ie_status measure_stage(ie_engine *e, int index, ie_error *err)
{
    for (int lanes = 1; lanes <= e->lanes[index]; lanes++) {
        ie_arena_measure(&e->arena);
        ie_exec x = {.backend = e->backend, .arena = &e->arena};
        IE_TRY(ie_stage_measure(&e->stages[index], lanes, lanes, &x, err));
        if (lanes <= 2) e->cost[index][lanes - 1] = x.cost;
        if (e->arena.peak > e->workspace_bytes) e->workspace_bytes = e->arena.peak;
    }
    return IE_OK;
}

static ie_status measure(ie_engine *e, ie_error *err)
{
    IE_TRY(measure_text(e, err));
    for (int i = 0; i < e->stage_count; i++) IE_TRY(measure_stage(e, i, err));
    return IE_OK;
}

static ie_status prepare(ie_engine *e, ie_error *err)
{
    IE_TRY(ie_block_alloc(&e->workspace, e->backend, e->workspace_bytes, "workspace", err));
    if (e->backend->plan) return IE_OK;
    ie_exec x = {.backend = e->backend, .arena = &e->arena};
    ie_arena_over(&e->arena, e->workspace.data, e->workspace.bytes);
    for (int i = 0; i < e->stage_count; i++) IE_TRY(ie_stage_prepare(&e->stages[i], &x, err));
    return IE_OK;
}

static ie_status open_model(ie_engine *e, const char *directory, ie_error *err)
{
    ie_text_config text;
    ie_unet_config *unets = ie_alloc(IE_MAX_STAGES, sizeof *unets);
    ie_status status;
    if (!unets) return ie_fail(err, IE_NO_MEMORY, "no memory for the configurations");
    IE_TRY_DONE(read_configs(e, directory, unets, &text, err));
    e->canvas = unets[e->cascade.stage_count - 1].resolution;
    e->text_width = text.d_model;
    IE_TRY_DONE(open_text(e, directory, &text, err));
    for (int i = 0; i < e->cascade.stage_count; i++) {
        IE_TRY_DONE(open_stage(e, directory, i, &unets[i], err));
    }
    ie_scheduler_init(&e->worker.scheduler, e->stage_count, e->lanes);
    IE_TRY_DONE(measure(e, err));
    IE_TRY_DONE(prepare(e, err));
    if (!e->backend->plan) IE_TRY_DONE(ie_model_hash(e->hash, directory, &e->cascade, err));
done:
    ie_free(unets);
    return status;
}

static ie_status check_options(const ie_options *o, ie_error *err)
{
    for (int i = 0; i < IE_MAX_STAGES; i++) {
        if (o->lanes[i] && (o->lanes[i] < DEFAULT_LANES || o->lanes[i] > IE_MAX_LANES)) {
            return ie_fail(err, IE_BAD_ARGUMENT, "lanes %d of stage %d: legal are %d .. %d",
                           o->lanes[i], i + 1, DEFAULT_LANES, IE_MAX_LANES);
        }
    }
    if (o->queue_requests < 0 || o->queue_requests > MAX_QUEUE) {
        return ie_fail(err, IE_BAD_ARGUMENT, "queue_requests %d is outside 1 .. %d",
                       o->queue_requests, MAX_QUEUE);
    }
    return IE_OK;
}

/* What the process grew by since it had `before`, beyond the weights. */
static uint64_t grown(const ie_engine *e, uint64_t before)
{
    ie_engine_info info;
    ie_engine_describe(e, &info);
    const uint64_t now = ie_resident_bytes(), known = before + info.weight_bytes;
    return !e->backend->plan && before && now > known ? now - known : 0;
}

ie_status ie_engine_open(ie_engine **out, const char *model_dir, const ie_options *options,
                         ie_error *err)
{
    ie_options o;
    ie_options_default(&o);
    if (!out) return ie_fail(err, IE_BAD_ARGUMENT, "out is NULL");
    *out = NULL;
    if (options) o = *options;
    if (!model_dir) return ie_fail(err, IE_BAD_ARGUMENT, "model_dir is NULL");
    IE_TRY(check_options(&o, err));
    ie_engine *e = ie_alloc(1, sizeof *e);
    if (!e) return ie_fail(err, IE_NO_MEMORY, "no memory for an engine");
    for (int i = 0; i < IE_MAX_STAGES; i++) e->lanes[i] = o.lanes[i] ? o.lanes[i] : DEFAULT_LANES;
    e->worker.limit = o.queue_requests ? o.queue_requests : DEFAULT_QUEUE;
    e->worker.bytes_limit = o.queue_bytes;
    e->precision = o.precision;
    const uint64_t before = ie_resident_bytes();
    ie_status status =
        ie_backend_open(&e->backend, o.device ? o.device : "auto", o.precision, o.threads, err);
    if (status) goto done;
    e->backend->vtable->enter(e->backend);
    status = open_model(e, model_dir, err);
    e->backend->vtable->leave(e->backend);
    if (status) goto done;
    e->library_bytes = grown(e, before);
    if (!e->backend->plan) IE_TRY_DONE(ie_worker_start(e, err));
    *out = e;
    e = NULL;
done:
    ie_engine_close(&e);
    return status;
}

void ie_engine_close(ie_engine **engine)
{
    if (!engine || !*engine) return;
    ie_engine *e = *engine;
    ie_worker_stop(e);
    for (int i = 0; i < IE_MAX_STAGES; i++) ie_stage_close(&e->stages[i]);
    ie_text_encoder_close(&e->text);
    ie_tokenizer_close(&e->tokenizer);
    ie_block_free(&e->workspace);
    ie_cascade_config_release(&e->cascade);
    ie_backend_close(&e->backend);
    ie_free(e);
    *engine = NULL;
}

/* ---- describing ------------------------------------------------------------------------------ */

static void describe_stage(const ie_engine *e, int i, ie_stage_info *info)
{
    const ie_stage *s = &e->stages[i];
    snprintf(info->name, sizeof info->name, "%s", s->config->name);
    info->resolution = ie_unet_configuration(s->unet)->resolution;
    info->lanes = s->lanes;
    info->default_steps = s->config->steps;
    info->parameters = ie_unet_parameters(s->unet);
    info->weight_bytes = ie_unet_weight_bytes(s->unet);
    info->forward_flop = e->cost[i][0].flop;
    info->forward_bytes = e->cost[i][0].bytes;
    for (int lanes = 1; lanes <= 2; lanes++)
        info->forward_seconds[lanes - 1] = ie_times_sum(e->cost[i][lanes - 1].times);
    info->default_passes = ie_guidance_passes(&s->config->guidance, s->config->steps);
}

void ie_engine_describe(const ie_engine *e, ie_engine_info *info)
{
    if (!info) return;
    *info = (ie_engine_info){0};
    if (!e) return;
    *info = (ie_engine_info){
        .precision = e->precision,
        .threads = e->backend->threads,
        .canvas = e->canvas,
        .text_length = e->cascade.text_length,
        .stage_count = e->stage_count,
        .text_parameters = ie_text_encoder_parameters(e->text),
        .text_weight_bytes = ie_text_encoder_weight_bytes(e->text),
        .text_flop = e->text_cost.flop,
        .text_seconds = ie_times_sum(e->text_cost.times),
        .workspace_bytes = e->workspace_bytes,
        .library_bytes = e->library_bytes,
        .request_bytes = ie_job_bytes(e->canvas, e->cascade.text_length, e->text_width),
    };
    snprintf(info->model_name, sizeof info->model_name, "%s", e->cascade.name);
    snprintf(info->model_hash, sizeof info->model_hash, "%s", e->hash);
    snprintf(info->device, sizeof info->device, "%s", e->backend->text);
    info->weight_bytes = info->text_weight_bytes;
    for (int i = 0; i < e->stage_count; i++) {
        describe_stage(e, i, &info->stages[i]);
        info->weight_bytes += info->stages[i].weight_bytes;
        info->workspace_bytes += e->stages[i].slots.block.bytes;
    }
}

/* A planning engine has no data and no worker's work that this could disturb. */
ie_status ie_engine_operations(ie_engine *e, int stage, int lanes, ie_operation_info *out,
                               int *count, ie_error *err)
{
    if (!e || !out || !count || *count < 1) {
        return ie_fail(err, IE_BAD_ARGUMENT, "operations: an engine and room for one are needed");
    }
    if (!e->backend->plan) {
        return ie_fail(err, IE_BAD_ARGUMENT, "operations are known on a device that plans alone");
    }
    const int most = stage >= 0 && stage < e->stage_count ? e->stages[stage].lanes : 1;
    if (stage < -1 || stage >= e->stage_count || lanes < 1 || lanes > most) {
        return ie_fail(err, IE_BAD_ARGUMENT, "stage %d with %d lanes: legal are -1 to %d, 1 to %d",
                       stage, lanes, e->stage_count - 1, most);
    }
    ie_arena arena;
    ie_tensor tokens;
    ie_tally tally = {.rows = out, .room = *count};
    ie_arena_measure(&arena);
    ie_exec x = {.backend = e->backend, .arena = &arena, .tally = &tally};
    *count = 0;
    IE_TRY(stage < 0 ? ie_engine_text(e, &tokens, NULL, &x, err)
                     : ie_stage_measure(&e->stages[stage], lanes, lanes, &x, err));
    *count = tally.count;
    return IE_OK;
}

/* ---- checking and pricing -------------------------------------------------------------------- */

static ie_status check_all(const ie_engine *e, const ie_request *requests, int count, ie_error *err)
{
    if (!e) return ie_fail(err, IE_BAD_ARGUMENT, "engine is NULL");
    if (count < 1 || !requests) return ie_fail(err, IE_BAD_ARGUMENT, "there are no requests");
    for (int i = 0; i < count; i++) IE_TRY(ie_job_check(&requests[i], &e->cascade, i, count, err));
    return IE_OK;
}

ie_status ie_engine_check(const ie_engine *e, const ie_request *requests, int count, ie_error *err)
{
    IE_TRY(check_all(e, requests, count, err));
    if (!e->backend->plan) return IE_OK;
    const ie_device_model *model = e->backend->model;
    return ie_fail(err, IE_BAD_ARGUMENT, "device '%s%s' only prices; it cannot edit",
                   model ? "cuda:" : "plan", model ? model->name : "");
}

ie_status ie_price_edit(const ie_engine *e, const ie_request *requests, int count, ie_price *price,
                        ie_error *err)
{
    if (!price) return ie_fail(err, IE_BAD_ARGUMENT, "price is NULL");
    IE_TRY(check_all(e, requests, count, err));
    ie_engine_info info;
    ie_engine_describe(e, &info);
    *price = (ie_price){.workspace_bytes = info.workspace_bytes, .weight_bytes = info.weight_bytes};
    for (int i = 0; i < count; i++) {
        ie_job job = {.request = (ie_request *)&requests[i]};
        ie_job_resolve(&job, &e->cascade);
        price->flop += e->text_cost.flop;
        for (int s = 0; s < e->stage_count; s++) {
            const int passes =
                ie_guidance_passes(&job.entry.stages[s].guidance, job.entry.stages[s].steps);
            price->passes[s] += passes;
            price->flop += passes * e->cost[s][0].flop;
        }
    }
    return IE_OK;
}
