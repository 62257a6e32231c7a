/* step_case.c - see step_case.h.  SPDX-License-Identifier: Apache-2.0 */
#include "step_case.h"

#include "path.h"
#include "step_inputs.h"

/* A copy of a host tensor in the workspace; absent stays absent. */
static ie_status place(bench_step_case *c, ie_tensor *out, ie_tensor host, ie_error *err)
{
    *out = (ie_tensor){0};
    if (!ie_present(host)) return IE_OK;
    IE_TRY(ie_arena_tensor(&c->arena, out, host.dtype, host.rank, host.dim, err));
    return c->arena.measuring ? IE_OK : ie_upload(c->backend, *out, host.data, err);
}

/* What a request brings once: text and canvas of every slot, then the diffusion state and the
 * enlarged image. */
static ie_status fill_slots(bench_step_case *c, const bench_inputs *in, ie_error *err)
{
    const bool runs = !c->arena.measuring;
    for (int64_t i = 0; i < c->count; i++) {
        ie_tensor tokens, rgb, mask;
        const int length = ((const int32_t *)in->length.data)[i];
        IE_TRY(place(c, &tokens, ie_slice(in->tokens, 0, i, i + 1), err));
        IE_TRY(ie_unet_set_text(c->unet, &c->slots, (int)i, tokens, length, &c->x, err));
        ie_arena_give(&c->arena, tokens.data);
        IE_TRY(place(c, &rgb, ie_slice(in->rgb, 0, i, i + 1), err));
        IE_TRY(place(c, &mask, ie_slice(in->mask, 0, i, i + 1), err));
        IE_TRY(ie_unet_set_condition(c->unet, &c->slots, (int)i, rgb, mask, &c->x, err));
        ie_arena_give(&c->arena, rgb.data);
        ie_arena_give(&c->arena, mask.data);
    }
    if (runs) IE_TRY(ie_upload(c->backend, c->slots.z, in->z.data, err));
    if (runs && c->config.low_resolution)
        IE_TRY(ie_upload(c->backend, c->slots.low, in->low.data, err));
    return IE_OK;
}

/* Lane i is request i with its own text. */
static ie_status fill_lanes(bench_step_case *c, const bench_inputs *in, ie_error *err)
{
    const int64_t n = c->count, side = c->config.resolution;
    const int64_t map[4] = {n, side, side, c->config.output_channels};
    int32_t own[256];
    for (int32_t i = 0; i < n; i++) own[i] = i;
    const ie_tensor index = ie_view(own, IE_I32, 1, &n);
    IE_TRY(place(c, &c->lanes.v, in->v, err));
    IE_TRY(place(c, &c->lanes.v_aug, in->v_aug, err));
    IE_TRY(place(c, &c->lanes.request, index, err));
    IE_TRY(place(c, &c->lanes.text, index, err));
    return ie_arena_tensor(&c->arena, &c->pred, IE_F32, 4, map, err);
}

static ie_status set_up(bench_step_case *c, const bench_inputs *in, ie_error *err)
{
    IE_TRY(fill_slots(c, in, err));
    IE_TRY(fill_lanes(c, in, err));
    c->x.cost = (ie_cost){0};
    IE_TRY(bench_step_run(c, c->count, err));
    c->cost = c->x.cost;
    return IE_OK;
}

static ie_status check(const bench_step_case *c, const bench_inputs *in, ie_error *err)
{
    const ie_unet_config *k = &c->config;
    const int64_t n = in->v.dim[0], side = k->resolution, canvas = k->conditioning.resolution;
    const bool fits = n >= 1 && n <= 256 && ie_numel(in->length) == n &&
                      ie_numel(in->z) == n * side * side * k->image_channels &&
                      ie_present(in->low) == (k->low_resolution > 0) && in->tokens.rank == 3 &&
                      in->tokens.dim[0] == n && in->tokens.dim[2] == k->text.width &&
                      ie_numel(in->rgb) == n * canvas * canvas * 3;
    return fits ? IE_OK : ie_fail(err, IE_BAD_INPUT, "the inputs do not fit this stage");
}

static ie_status open_all(bench_step_case *c, const bench_step_options *o, bench_inputs *in,
                          ie_error *err)
{
    ie_path path;
    ie_weights *weights = NULL;
    ie_status status;
    IE_TRY(ie_path_of(&path, err, "%s/config.json", o->directory));
    IE_TRY(ie_unet_config_read(&c->config, path.text, err));
    IE_TRY(o->inputs ? bench_inputs_read(in, o->inputs, err)
                     : bench_inputs_make(in, &c->config, o->lanes, o->tokens, err));
    IE_TRY(check(c, in, err));
    c->count = (int)in->v.dim[0];
    IE_TRY(ie_weights_open(&weights, o->directory, err));
    IE_TRY_DONE(
        ie_unet_open(&c->unet, &c->config, (int)in->tokens.dim[1], weights, c->backend, err));
    IE_TRY_DONE(ie_unet_load(c->unet, weights, (ie_load_watch){0}, err));
    IE_TRY_DONE(ie_unet_slots_plan(&c->slots, c->unet, c->count, false, err));
    IE_TRY_DONE(ie_unet_slots_open(&c->slots, c->unet, err));
    c->x = (ie_exec){.backend = c->backend, .arena = &c->arena};
    ie_arena_measure(&c->arena);
    IE_TRY_DONE(set_up(c, in, err));
    IE_TRY_DONE(ie_block_alloc(&c->workspace, c->backend, c->arena.peak, "workspace", err));
    ie_arena_over(&c->arena, c->workspace.data, c->workspace.bytes);
    status = set_up(c, in, err);
done:
    ie_weights_close(&weights);
    return status;
}

ie_status bench_step_open(bench_step_case *c, const bench_step_options *o, ie_error *err)
{
    *c = (bench_step_case){0};
    IE_TRY(ie_backend_open(&c->backend, o->device, o->precision, o->threads, err));
    bench_inputs in = {0};
    ie_status status = ie_backend_enter(c->backend, err);
    if (status) {
        ie_backend_close(&c->backend);
        return status;
    }
    status = open_all(c, o, &in, err);
    bench_inputs_close(&in);
    return status;
}

/* Of some lanes; absent stays absent. */
static ie_tensor first(ie_tensor t, int lanes)
{
    return ie_present(t) ? ie_slice(t, 0, 0, lanes) : t;
}

static ie_status forward(bench_step_case *c, int lanes, ie_exec *x, ie_error *err)
{
    const ie_unet_lanes some = {.v = first(c->lanes.v, lanes),
                                .v_aug = first(c->lanes.v_aug, lanes),
                                .request = first(c->lanes.request, lanes),
                                .text = first(c->lanes.text, lanes)};
    return ie_unet_forward(c->unet, &c->slots, &some, first(c->pred, lanes), x, err);
}

ie_status bench_step_run(bench_step_case *c, int lanes, ie_error *err)
{
    return forward(c, lanes, &c->x, err);
}

ie_status bench_step_predict(bench_step_case *c, int lanes, double *seconds, ie_error *err)
{
    ie_backend described = *c->backend;
    described.model = ie_device_model_find("h200");
    ie_arena arena;
    ie_arena_measure(&arena);
    ie_exec x = {.backend = &described, .arena = &arena};
    const ie_status status = forward(c, lanes, &x, err);
    *seconds = ie_times_sum(x.cost.times);
    return status;
}

/* A copy from the device comes after what was asked for before it. */
ie_status bench_step_wait(bench_step_case *c, ie_error *err)
{
    float first_value;
    const ie_tensor one = ie_view(c->pred.data, IE_F32, 1, (const int64_t[]){1});
    return ie_download(c->backend, &first_value, one, err);
}

void bench_step_close(bench_step_case *c)
{
    ie_unet_slots_close(&c->slots);
    ie_unet_close(&c->unet);
    ie_block_free(&c->workspace);
    if (c->backend) ie_backend_leave(c->backend);
    ie_backend_close(&c->backend);
}
