/* engine.c - the public engine: describe it, price requests, close. Opening is engine_open.c; edits
 * themselves are ticket.c (the caller's side), worker.c (the threads) and stage.c (the device).
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine.h"

#include <stdio.h>
#include <string.h>

#include "guidance.h"

/* ---- closing --------------------------------------------------------------------------------- */

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
        .precision = e->backend->act == IE_BF16 ? IE_PRECISION_BF16 : IE_PRECISION_F32,
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
        info->workspace_bytes += e->stages[i].slots.bytes;
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
