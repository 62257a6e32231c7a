/* exec.c - checks, cost and dispatch of the operations that make up a network.
 * SPDX-License-Identifier: Apache-2.0 */
#include "exec.h"

#include "exec_check.h"

/* ---- convolution ----------------------------------------------------------------------------- */

static ie_status check_conv(const ie_conv_spec *c, const ie_conv_args *a, ie_error *err)
{
    const int64_t lanes = a->y.dim[0], joint = c->channels[0] + c->channels[1];
    const int64_t height = ie_conv_out(c, c->height), width = ie_conv_out(c, c->width);
    REQUIRE(shaped(a->y, 4, lanes, height, width, c->outputs) && ie_contiguous(a->y));
    REQUIRE(a->y.dtype == (c->y_f32 ? IE_F32 : c->dtype));
    for (int i = 0; i < 2; i++) {
        REQUIRE(ie_present(a->x[i]) == (c->channels[i] > 0));
        if (!ie_present(a->x[i])) continue;
        REQUIRE(shaped(a->x[i], 4, lanes, c->height, c->width, c->channels[i]) &&
                ie_contiguous(a->x[i]));
        REQUIRE(a->x[i].dtype == c->dtype && a->x[i].data != a->y.data);
        REQUIRE(c->groups == 0 || (shaped(a->moments[i], 3, lanes, c->channels[i], 2, 0) &&
                                   a->moments[i].dtype == IE_F32));
    }
    REQUIRE(c->groups == 0 || joint % c->groups == 0);
    REQUIRE(c->resample != IE_DOWN2 || (c->height % 2 == 0 && c->width % 2 == 0));
    REQUIRE(!ie_present(a->film) || (c->groups > 0 && shaped(a->film, 2, lanes, 2 * joint, 0, 0)));
    if (ie_present(a->residual)) {
        const ie_tensor r = a->residual;
        REQUIRE(!c->y_f32 && r.dtype == c->dtype && ie_contiguous(r));
        REQUIRE(shaped(r, 4, lanes, r.dim[1], r.dim[2], c->outputs));
        REQUIRE(ie_resampled(r.dim[1], a->residual_resample) == height);
        REQUIRE(ie_resampled(r.dim[2], a->residual_resample) == width);
        REQUIRE(r.data != a->y.data || a->residual_resample == IE_SAME);
    }
    REQUIRE(!ie_present(a->y_moments) || shaped(a->y_moments, 3, lanes, c->outputs, 2, 0));
    return IE_OK;
}

ie_status ie_exec_conv(ie_exec *x, const ie_conv_layer *layer, ie_conv_args args, ie_error *err)
{
    char name[IE_OPERATION_TEXT] = "";
    IE_TRY(check_conv(&layer->spec, &args, err));
    spend(x, name, ie_cost_conv(x->backend->model, &layer->spec, &args, name_for(x, name)));
    args.gamma = layer->gamma;
    args.beta = layer->beta;
    IE_TRY(ie_arena_take(x->arena, &args.scratch,
                         x->backend->ops->conv_scratch(layer->native, args.y.dim[0]), err));
    int code = 0;
    if (runs(x)) code = x->backend->ops->conv(x->backend->stream, layer->native, &args);
    ie_arena_give(x->arena, args.scratch);
    return native(x, code, "convolution", err);
}

/* ---- linear ---------------------------------------------------------------------------------- */

ie_status ie_exec_linear(ie_exec *x, const ie_linear_layer *layer, ie_tensor y, ie_tensor in,
                         ie_tensor residual, ie_error *err)
{
    const ie_linear_spec *l = &layer->spec;
    char name[IE_OPERATION_TEXT] = "";
    REQUIRE(in.rank == 3 && shaped(in, 3, in.dim[0], l->rows, l->inputs, 0) &&
            in.dtype == l->x_dtype);
    REQUIRE(shaped(y, 3, in.dim[0], l->rows, l->outputs, 0) && y.dtype == l->y_dtype);
    REQUIRE(ie_contiguous(in) && ie_contiguous(y));
    REQUIRE(!ie_present(residual) ||
            (same_shape(residual, y) && residual.dtype == y.dtype && ie_contiguous(residual)));
    REQUIRE(ie_linear_is_vector(l) || l->x_dtype == l->w_dtype);
    REQUIRE(!l->gated || !ie_present(residual));
    ie_linear_args args = {.y = y, .x = in, .residual = residual};
    spend(x, name, ie_cost_linear(x->backend->model, l, &args, name_for(x, name)));
    IE_TRY(ie_arena_take(x->arena, &args.scratch,
                         x->backend->ops->linear_scratch(layer->native, in.dim[0]), err));
    int code = 0;
    if (runs(x)) code = x->backend->ops->linear(x->backend->stream, layer->native, &args);
    ie_arena_give(x->arena, args.scratch);
    return native(x, code, "linear layer", err);
}

/* ---- attention ------------------------------------------------------------------------------- */

static ie_status check_keys(const ie_keys *s, ie_tensor q, ie_error *err)
{
    if (!ie_present(s->k)) return IE_OK;
    REQUIRE(shaped(s->k, 4, s->k.dim[0], s->k.dim[1], q.dim[2], q.dim[3]) &&
            same_shape(s->k, s->v));
    REQUIRE(s->k.dtype == q.dtype && s->v.dtype == q.dtype && s->k.stride[3] == 1 &&
            s->v.stride[3] == 1);
    REQUIRE(ie_present(s->index)
                ? shaped(s->index, 1, q.dim[0], 0, 0, 0) && s->index.dtype == IE_I32
                : s->k.dim[0] == q.dim[0]);
    REQUIRE(!ie_present(s->length) ||
            (shaped(s->length, 1, s->k.dim[0], 0, 0, 0) && s->length.dtype == IE_I32));
    return IE_OK;
}

ie_status ie_exec_attention(ie_exec *x, ie_attention_args args, ie_error *err)
{
    const ie_tensor q = args.q;
    char name[IE_OPERATION_TEXT] = "";
    REQUIRE(q.rank == 4 && q.stride[3] == 1 && same_shape(q, args.y) && args.y.dtype == q.dtype);
    REQUIRE(ie_contiguous(args.y));
    for (int i = 0; i < 2; i++) IE_TRY(check_keys(&args.keys[i], q, err));
    REQUIRE(!ie_present(args.bias) ||
            shaped(args.bias, 3, q.dim[2], q.dim[1], args.keys[1].k.dim[1], 0));
    spend(x, name, ie_cost_attention(x->backend->model, &args, name_for(x, name)));
    IE_TRY(ie_arena_take(x->arena, &args.scratch, x->backend->ops->attention_scratch(&args), err));
    int code = 0;
    if (runs(x)) code = x->backend->ops->attention(x->backend->stream, &args);
    ie_arena_give(x->arena, args.scratch);
    return native(x, code, "attention", err);
}

/* ---- maps and vectors ------------------------------------------------------------------------ */

ie_status ie_exec_gather(ie_exec *x, ie_tensor y, const ie_source *sources, int count,
                         ie_error *err)
{
    REQUIRE(y.rank == 4 && ie_contiguous(y) && count >= 1 && count <= 4);
    int64_t channels = 0;
    for (int i = 0; i < count; i++) {
        const ie_tensor s = sources[i].x;
        REQUIRE(s.rank == 4 && s.dim[1] == y.dim[1] && s.dim[2] == y.dim[2] && ie_contiguous(s));
        REQUIRE(s.dtype == IE_F32 || s.dtype == y.dtype);
        REQUIRE(shaped(sources[i].index, 1, y.dim[0], 0, 0, 0) && sources[i].index.dtype == IE_I32);
        channels += s.dim[3];
    }
    REQUIRE(channels <= y.dim[3]);
    spend_stream(x, 0, 2.0 * (double)ie_bytes(y), "gather", y);
    return native(x, runs(x) ? x->backend->ops->gather(x->backend->stream, y, sources, count) : 0,
                  "gather", err);
}

ie_status ie_exec_add_rows(ie_exec *x, ie_tensor y, ie_tensor in, ie_tensor slots, ie_tensor index,
                           ie_error *err)
{
    REQUIRE(y.rank == 2 && same_shape(y, in) && slots.rank == 2 && slots.dim[1] == y.dim[1]);
    REQUIRE(shaped(index, 1, y.dim[0], 0, 0, 0) && index.dtype == IE_I32);
    REQUIRE(y.dtype == IE_F32 && in.dtype == IE_F32 && slots.dtype == IE_F32);
    spend_stream(x, (double)ie_numel(y), 3.0 * (double)ie_bytes(y), "add_rows", y);
    return native(x,
                  runs(x) ? x->backend->ops->add_rows(x->backend->stream, y, in, slots, index) : 0,
                  "add_rows", err);
}

static bool is_like(ie_tensor t, ie_tensor y)
{
    return same_shape(y, t) && t.dtype == y.dtype && ie_contiguous(t);
}

ie_status ie_exec_add(ie_exec *x, ie_tensor y, ie_tensor y_moments, ie_term a, ie_term b,
                      ie_error *err)
{
    REQUIRE(y.rank == 4 && ie_contiguous(y) && is_like(a.x, y));
    REQUIRE(!ie_present(b.x) || is_like(b.x, y));
    REQUIRE(!ie_present(y_moments) || shaped(y_moments, 3, y.dim[0], y.dim[3], 2, 0));
    spend_stream(x, 3.0 * (double)ie_numel(y),
                 (double)(ie_bytes(y) + ie_bytes(a.x) + ie_bytes(b.x)), "add", y);
    if (!runs(x)) return IE_OK;
    return native(
        x, x->backend->ops->add(x->backend->stream, y, y_moments, a.x, b.x, a.factor, b.factor),
        "add", err);
}

ie_status ie_exec_sinusoid(ie_exec *x, ie_tensor y, ie_tensor v, float max_period, ie_error *err)
{
    REQUIRE(y.rank == 2 && y.dim[1] % 2 == 0 && y.dtype == IE_F32 && ie_contiguous(y));
    REQUIRE(shaped(v, 1, y.dim[0], 0, 0, 0) && v.dtype == IE_F32);
    spend_stream(x, (double)ie_numel(y), (double)ie_bytes(y), "sinusoid", y);
    return native(x, runs(x) ? x->backend->ops->sinusoid(x->backend->stream, y, v, max_period) : 0,
                  "sinusoid", err);
}
