/* engine_open.c - opening a model directory, in this order: everything is read and checked, and
 * what it will take is counted; then memory is asked for; then the weights are loaded. What does
 * not fit is refused before the first byte is loaded.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine.h"

#include <string.h>

#include "model_hash.h"
#include "open_memory.h"

enum {
    DEFAULT_LANES = 2, /* the fewest, too: a request with guidance takes two */
    DEFAULT_QUEUE = 64,
    MAX_QUEUE = 65536
};

/* What opening needs, and nobody after it. */
typedef struct opening {
    ie_engine *e;
    const char *directory;
    const ie_options *options;
    ie_text_config text;
    ie_unet_config unets[IE_MAX_STAGES];
    ie_weights *text_weights, *weights[IE_MAX_STAGES];
    ie_open_memory memory;
    ie_loading now;  /* what the caller is told */
    uint64_t loaded; /* weights of the parts before the one being loaded */
} opening;

void ie_options_default(ie_options *options)
{
    if (!options) return;
    *options = (ie_options){.device = "auto", .precision = IE_PRECISION_AUTO, .threads = 0};
}

void ie_request_default(ie_request *request)
{
    if (request) *request = (ie_request){0};
}

/* ---- reading and checking -------------------------------------------------------------------- */

static ie_status read_configs(opening *o, ie_error *err)
{
    ie_engine *e = o->e;
    ie_path path;
    IE_TRY(ie_path_of(&path, err, "%s/cascade.json", o->directory));
    IE_TRY(ie_cascade_config_read(&e->cascade, path.text, err));
    for (int i = 0; i < e->cascade.stage_count; i++) {
        IE_TRY(ie_path_of(&path, err, "%s/%s/config.json", o->directory,
                          e->cascade.stages[i].directory));
        IE_TRY(ie_unet_config_read(&o->unets[i], path.text, err));
    }
    IE_TRY(ie_path_of(&path, err, "%s/text_encoder/config.json", o->directory));
    IE_TRY(ie_text_config_read(&o->text, path.text, err));
    IE_TRY(ie_cascade_config_check(&e->cascade, o->unets, &o->text, err));
    e->canvas = o->unets[e->cascade.stage_count - 1].resolution;
    e->text_width = o->text.d_model;
    return IE_OK;
}

static ie_status open_text(opening *o, ie_error *err)
{
    ie_engine *e = o->e;
    ie_path path;
    if (!e->backend->plan) {
        IE_TRY(ie_path_of(&path, err, "%s/tokenizer/spiece.model", o->directory));
        IE_TRY(ie_tokenizer_open(&e->tokenizer, path.text, o->text.vocab_size, err));
        IE_TRY(ie_path_of(&path, err, "%s/text_encoder", o->directory));
        IE_TRY(ie_weights_open(&o->text_weights, path.text, err));
    }
    return ie_text_encoder_open(&e->text, &o->text, e->cascade.text_length, o->text_weights,
                                e->backend, err);
}

static ie_status open_stage(opening *o, int index, ie_error *err)
{
    ie_engine *e = o->e;
    const ie_stage_config *s = &e->cascade.stages[index];
    ie_path path;
    ie_unet *unet = NULL;
    if (!e->backend->plan) {
        IE_TRY(ie_path_of(&path, err, "%s/%s", o->directory, s->directory));
        IE_TRY(ie_weights_open(&o->weights[index], path.text, err));
    }
    IE_TRY(ie_unet_open(&unet, &o->unets[index], e->cascade.text_length, o->weights[index],
                        e->backend, err));
    IE_TRY(ie_stage_open(&e->stages[index], s, index, unet, e->lanes[index], err));
    e->stage_count = index + 1;
    return IE_OK;
}

ie_status ie_engine_text(ie_engine *e, ie_tensor *tokens, const ie_job *job, ie_exec *x,
                         ie_error *err)
{
    const int64_t dim[3] = {1, e->cascade.text_length, e->text_width};
    IE_TRY(ie_arena_tensor(x->arena, tokens, IE_F32, 3, dim, err));
    return ie_text_encoder_run(e->text, *tokens, job ? job->ids : NULL, job ? job->used : 1, x,
                               err);
}

/* ---- counting -------------------------------------------------------------------------------- */

/* What the text encoder takes and costs, without data. */
static ie_status measure_text(opening *o, ie_error *err)
{
    ie_engine *e = o->e;
    ie_tensor tokens;
    ie_arena_measure(&e->arena);
    ie_exec x = {.backend = e->backend, .arena = &e->arena};
    IE_TRY(ie_engine_text(e, &tokens, NULL, &x, err));
    e->text_cost = x.cost;
    o->memory.text_workspace = e->arena.peak;
    return IE_OK;
}

/* The same for a stage, with every number of lanes that can meet in a pass: scratch need not grow
 * with them. So many lanes belong to the most requests when each has one. */
static ie_status measure_stage(opening *o, int index, ie_error *err)
{
    ie_engine *e = o->e;
    for (int lanes = 1; lanes <= e->lanes[index]; lanes++) {
        ie_arena_measure(&e->arena);
        ie_exec x = {.backend = e->backend, .arena = &e->arena};
        IE_TRY(ie_stage_measure(&e->stages[index], lanes, lanes, &x, err));
        if (lanes <= 2) e->cost[index][lanes - 1] = x.cost;
        o->memory.workspace[index][lanes] = e->arena.peak;
    }
    return IE_OK;
}

static ie_status measure(opening *o, ie_error *err)
{
    ie_engine *e = o->e;
    IE_TRY(measure_text(o, err));
    for (int i = 0; i < e->stage_count; i++) IE_TRY(measure_stage(o, i, err));
    e->workspace_bytes = ie_open_workspace(e, &o->memory, IE_MAX_LANES);
    return IE_OK;
}

/* ---- loading --------------------------------------------------------------------------------- */

static ie_status tell(const opening *o, ie_error *err)
{
    const ie_options *options = o->options;
    if (!options->loading || !options->loading(options->loading_user, &o->now)) return IE_OK;
    return ie_fail(err, IE_CANCELLED, "cancelled while the model was loaded");
}

static ie_status tell_layer(void *user, uint64_t bytes, ie_error *err)
{
    opening *o = user;
    o->now.done = o->loaded + bytes;
    return tell(o, err);
}

static ie_status begin(opening *o, ie_loading_work work, uint64_t total, ie_error *err)
{
    o->now = (ie_loading){.model_name = o->e->cascade.name, .work = work, .total = total};
    o->loaded = 0;
    return tell(o, err);
}

static ie_status load(opening *o, ie_error *err)
{
    ie_engine *e = o->e;
    const ie_load_watch watch = {.layer = tell_layer, .user = o};
    IE_TRY(begin(o, IE_LOADING_WEIGHTS, ie_open_weights(e), err));
    IE_TRY(ie_text_encoder_load(e->text, o->text_weights, watch, err));
    o->loaded = ie_text_encoder_weight_bytes(e->text);
    for (int i = 0; i < e->stage_count; i++) {
        IE_TRY(ie_unet_load(e->stages[i].unet, o->weights[i], watch, err));
        o->loaded += ie_unet_weight_bytes(e->stages[i].unet);
    }
    return IE_OK;
}

static ie_status prepare(opening *o, ie_error *err)
{
    ie_engine *e = o->e;
    ie_exec x = {.backend = e->backend, .arena = &e->arena};
    for (int i = 0; i < e->stage_count; i++) IE_TRY(ie_stage_allocate(&e->stages[i], err));
    IE_TRY(ie_block_alloc(&e->workspace, e->backend, e->workspace_bytes, "workspace", err));
    ie_arena_over(&e->arena, e->workspace.data, e->workspace.bytes);
    for (int i = 0; i < e->stage_count; i++) IE_TRY(ie_stage_prepare(&e->stages[i], &x, err));
    return IE_OK;
}

static ie_status hash(opening *o, ie_error *err)
{
    uint64_t total = ie_weights_file_bytes(o->text_weights);
    for (int i = 0; i < o->e->stage_count; i++) total += ie_weights_file_bytes(o->weights[i]);
    IE_TRY(begin(o, IE_LOADING_HASH, total, err));
    const ie_load_watch watch = {.layer = tell_layer, .user = o};
    return ie_model_hash(o->e->hash, o->directory, &o->e->cascade, watch, err);
}

static ie_status open_model(opening *o, ie_error *err)
{
    ie_engine *e = o->e;
    IE_TRY(read_configs(o, err));
    IE_TRY(open_text(o, err));
    for (int i = 0; i < e->cascade.stage_count; i++) IE_TRY(open_stage(o, i, err));
    ie_scheduler_init(&e->worker.scheduler, e->stage_count, e->lanes);
    IE_TRY(measure(o, err));
    if (e->backend->plan) return IE_OK;
    IE_TRY(ie_open_fits(e, &o->memory, err));
    IE_TRY(load(o, err));
    IE_TRY(prepare(o, err));
    return hash(o, err);
}

static ie_status open_entered(ie_engine *e, const char *directory, const ie_options *options,
                              ie_error *err)
{
    opening *o = ie_alloc(1, sizeof *o);
    if (!o) return ie_fail(err, IE_NO_MEMORY, "no memory to open %s", directory);
    o->e = e;
    o->directory = directory;
    o->options = options;
    ie_status status = ie_backend_enter(e->backend, err);
    if (!status) {
        status = open_model(o, err);
        ie_backend_leave(e->backend);
    }
    ie_weights_close(&o->text_weights);
    for (int i = 0; i < IE_MAX_STAGES; i++) ie_weights_close(&o->weights[i]);
    ie_free(o);
    return status;
}

/* ---- the call -------------------------------------------------------------------------------- */

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
    const uint64_t now = ie_resident_bytes(), known = before + ie_open_weights(e);
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
    const uint64_t before = ie_resident_bytes();
    ie_status status =
        ie_backend_open(&e->backend, o.device ? o.device : "auto", o.precision, o.threads, err);
    if (status) goto done;
    IE_TRY_DONE(open_entered(e, model_dir, &o, err));
    e->library_bytes = grown(e, before);
    if (!e->backend->plan) IE_TRY_DONE(ie_worker_start(e, err));
    *out = e;
    e = NULL;
done:
    ie_engine_close(&e);
    return status;
}
