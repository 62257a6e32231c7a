/* exec.h - the one checked door to every operation: shapes and types, cost, scratch, dispatch,
 * error.
 *
 * Model code calls these and nothing else. Formulas and shapes stand in kernels/ops.h. When the
 * arena measures, everything happens but the operation itself: that is how memory and cost of a
 * model are known before it runs. A shape that does not fit is IE_BAD_ARGUMENT naming the
 * condition: a mistake of the engine or of a configuration nobody checked.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_EXEC_H
#define IE_EXEC_H

#include "backend.h"
#include "cost.h"

typedef struct ie_exec {
    ie_backend *backend;
    ie_arena *arena;
    ie_cost cost;
    ie_tally *tally; /* NULL, or where costs are kept by operation too */
} ie_exec;

/* A prepared layer: what it is, what the backend made of it, and its norm parameters (device, f32;
 * absent if not normed). */
typedef struct ie_conv_layer {
    ie_conv_spec spec;
    ie_conv *native;
    ie_tensor gamma, beta;
} ie_conv_layer;

typedef struct ie_linear_layer {
    ie_linear_spec spec;
    ie_linear *native;
} ie_linear_layer;

/* A layer norm: its weight and bias (device, f32). */
typedef struct ie_norm_layer {
    ie_tensor w, b;
    float eps;
} ie_norm_layer;

/* args->gamma, beta and scratch are filled in here. */
ie_status ie_exec_conv(ie_exec *x, const ie_conv_layer *layer, ie_conv_args args, ie_error *err);
ie_status ie_exec_linear(ie_exec *x, const ie_linear_layer *layer, ie_tensor y, ie_tensor in,
                         ie_tensor residual, ie_error *err);
ie_status ie_exec_attention(ie_exec *x, ie_attention_args args, ie_error *err);
ie_status ie_exec_gather(ie_exec *x, ie_tensor y, const ie_source *sources, int count,
                         ie_error *err);
ie_status ie_exec_add_rows(ie_exec *x, ie_tensor y, ie_tensor in, ie_tensor slots, ie_tensor index,
                           ie_error *err);

/* factor * x */
typedef struct ie_term {
    ie_tensor x;
    float factor;
} ie_term;

ie_status ie_exec_add(ie_exec *x, ie_tensor y, ie_tensor y_moments, ie_term a, ie_term b,
                      ie_error *err);
ie_status ie_exec_sinusoid(ie_exec *x, ie_tensor y, ie_tensor v, float max_period, ie_error *err);
ie_status ie_exec_layer_norm(ie_exec *x, const ie_norm_layer *layer, ie_tensor y, ie_tensor in,
                             ie_tensor length, ie_error *err);
ie_status ie_exec_rms_norm(ie_exec *x, ie_tensor y, ie_tensor in, ie_tensor w, ie_tensor length,
                           float eps, ie_error *err);
ie_status ie_exec_embed(ie_exec *x, ie_tensor y, ie_tensor table, ie_tensor ids, ie_error *err);
ie_status ie_exec_mask_image(ie_exec *x, ie_tensor y, ie_tensor rgb, ie_tensor mask, ie_error *err);

/* Where noise comes from; `step` as in kernels/rng.h. */
typedef struct ie_noise_key {
    uint64_t seed;
    uint32_t stage, step;
} ie_noise_key;

ie_status ie_exec_noise(ie_exec *x, ie_tensor z, int64_t slot, ie_noise_key key, ie_error *err);

/* alpha * image + sigma * noise of that key */
typedef struct ie_noising {
    float alpha, sigma;
    ie_noise_key key;
} ie_noising;

ie_status ie_exec_augment(ie_exec *x, ie_tensor y, int64_t slot, ie_tensor in, ie_noising how,
                          ie_error *err);
/* args.scratch is filled in here. */
ie_status ie_exec_sample(ie_exec *x, ie_sample_args args, ie_error *err);

#endif
