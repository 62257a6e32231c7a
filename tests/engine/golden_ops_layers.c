/* golden_ops_layers.c - convolution, linear, norms, moments and attention against the reference's
 * cases.
 * SPDX-License-Identifier: Apache-2.0 */
#include "golden_ops.h"

/* ---- convolution ---------------------------------------------------------------------------- */

static ie_conv_spec spec_of(const ops_case *c)
{
    const ie_tensor x = ops_host(c, "x0"), weight = ops_host(c, "weight");
    return (ie_conv_spec){
        .dtype = c->r->backend->act,
        .height = x.dim[1],
        .width = x.dim[2],
        .channels = {x.dim[3], ops_has(c, "x1") ? ops_host(c, "x1").dim[3] : 0},
        .outputs = weight.dim[0],
        .kernel = ops_int(c, "kernel"),
        .stride = ops_int(c, "stride"),
        .pad = ops_int(c, "pad"),
        .groups = ops_int(c, "groups"),
        .eps = ops_real(c, "eps"),
        .act = (ie_act)ops_int(c, "act"),
        .resample = (ie_resample)ops_int(c, "resample"),
    };
}

bool ops_conv(const ops_case *c)
{
    const ie_dtype act = c->r->backend->act;
    const ie_ops *ops = c->r->backend->ops;
    ie_conv_layer layer = {.spec = spec_of(c)};
    void *memory;
    OPS_NEED(ie_arena_take(&c->r->arena, &memory, ops->conv_bytes(&layer.spec), err));
    const ie_uploader up = ie_backend_uploader(c->r->backend);
    if (ops->conv_prepare(&layer.native, &layer.spec, memory, ops_host(c, "weight"),
                          ops_host(c, "bias"), &up)) {
        ops_stop(c->name, "preparing failed");
    }
    layer.gamma = ops_input(c, "gamma", IE_F32);
    layer.beta = ops_input(c, "beta", IE_F32);
    const ie_conv_args args = {
        .y = ops_output(c, act, 4, ops_host(c, "y").dim),
        .x = {ops_input(c, "x0", act), ops_input(c, "x1", act)},
        .moments = {ops_input(c, "moments0", IE_F32), ops_input(c, "moments1", IE_F32)},
        .film = ops_input(c, "film", IE_F32),
        .residual = ops_input(c, "residual", act),
        .residual_resample = (ie_resample)ops_int(c, "residual_resample"),
        .scale = ops_real(c, "scale"),
        .y_moments = ops_output(c, IE_F32, 3, ops_host(c, "y_moments").dim),
    };
    OPS_NEED(ie_exec_conv(&c->r->x, &layer, args, err));
    ops->conv_release(layer.native);
    const bool y = ops_check(c, "y", args.y, c->r->bf16);
    return ops_check(c, "y_moments", args.y_moments, c->r->bf16) && y;
}

/* ---- linear --------------------------------------------------------------------------------- */

bool ops_linear(const ops_case *c)
{
    const ie_ops *ops = c->r->backend->ops;
    const ie_tensor x = ops_host(c, "x"), weight = ops_host(c, "weight");
    /* One row a lane: vectors, f32 whatever the weights are; the file has no bf16 bounds. */
    const bool vector = x.dim[1] == 1;
    const ie_dtype act = c->r->backend->act, values = vector ? IE_F32 : act;
    ie_linear_layer layer = {.spec = {.rows = x.dim[1],
                                      .inputs = weight.dim[1],
                                      .outputs = ops_host(c, "y").dim[2],
                                      .x_dtype = values,
                                      .w_dtype = act,
                                      .y_dtype = values,
                                      .act = (ie_act)ops_int(c, "act"),
                                      .gated = ops_int(c, "gated")}};
    void *memory;
    OPS_NEED(ie_arena_take(&c->r->arena, &memory, ops->linear_bytes(&layer.spec), err));
    const ie_uploader up = ie_backend_uploader(c->r->backend);
    if (ops->linear_prepare(&layer.native, &layer.spec, memory, weight, ops_host(c, "bias"), &up))
        ops_stop(c->name, "preparing failed");
    const ie_tensor y = ops_output(c, values, 3, ops_host(c, "y").dim);
    OPS_NEED(ie_exec_linear(&c->r->x, &layer, y, ops_input(c, "x", values),
                            ops_input(c, "residual", values), err));
    ops->linear_release(layer.native);
    return ops_check(c, "y", y, c->r->bf16 && !vector);
}

/* ---- norms ---------------------------------------------------------------------------------- */

/* The residual stream of text is f32 and its norm activations; elsewhere both are activations. */
bool ops_norm(const ops_case *c)
{
    const ie_dtype act = c->r->backend->act;
    const ie_tensor w = ops_input(c, "w", IE_F32), b = ops_input(c, "b", IE_F32);
    const ie_tensor length = ops_input(c, "length", IE_I32);
    const ie_dtype from[] = {IE_F32, act};
    bool ok = true;
    for (int i = 0; i < 2; i++) {
        const ie_tensor x = ops_input(c, "x", from[i]);
        const ie_tensor y = ops_output(c, act, 3, x.dim);
        if (ie_present(b)) {
            const ie_norm_layer norm = {w, b, ops_real(c, "eps")};
            OPS_NEED(ie_exec_layer_norm(&c->r->x, &norm, y, x, length, err));
        } else {
            OPS_NEED(ie_exec_rms_norm(&c->r->x, y, x, w, length, ops_real(c, "eps"), err));
        }
        ok = ops_check(c, "y", y, c->r->bf16) && ok;
    }
    return ok;
}

bool ops_moments(const ops_case *c)
{
    const ie_tensor x = ops_input(c, "x", c->r->backend->act);
    const ie_tensor m = ops_output(c, IE_F32, 3, ops_host(c, "m").dim);
    if (c->r->backend->ops->moments(c->r->backend->stream, m, x))
        ops_stop(c->name, "moments failed");
    return ops_check(c, "m", m, false); /* statistics are f32 on every device */
}

/* ---- attention ------------------------------------------------------------------------------ */

bool ops_attention(const ops_case *c)
{
    const ie_dtype act = c->r->backend->act;
    const ie_attention_args args = {
        .y = ops_output(c, act, 4, ops_host(c, "y").dim),
        .q = ops_input(c, "q", act),
        .keys = {{.k = ops_input(c, "k0", act),
                  .v = ops_input(c, "v0", act),
                  .index = ops_input(c, "index0", IE_I32),
                  .length = ops_input(c, "length0", IE_I32)},
                 {.k = ops_input(c, "k1", act), .v = ops_input(c, "v1", act)}},
        .bias = ops_input(c, "bias", IE_F32),
        .scale = ops_real(c, "scale"),
    };
    OPS_NEED(ie_exec_attention(&c->r->x, args, err));
    return ops_check(c, "y", args.y, c->r->bf16);
}
