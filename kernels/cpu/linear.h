/* linear.h - linear layers; the contracts are in ops.h.  SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CPU_LINEAR_H
#define IE_CPU_LINEAR_H

#include "isa.h"
#include "ops.h"

uint64_t ie_cpu_linear_bytes(const ie_linear_spec *spec);
int ie_cpu_linear_prepare(ie_linear **out, const ie_linear_spec *spec, void *memory,
                          ie_tensor weight, ie_tensor bias, const ie_uploader *up);
uint64_t ie_cpu_linear_scratch(const ie_linear *linear, int64_t lanes);
int ie_cpu_linear(ie_stream *s, const ie_linear *linear, const ie_linear_args *a);
void ie_cpu_linear_release(ie_linear *linear);

/* One row: y[n, o] = bias[o] + sum_k w[o, k] x[n, k] + residual[n, o], x [N, K] f32, w [O, K] f32
 * or bf16. */
typedef struct ie_row_product {
    void *y;
    const void *w, *residual;
    const float *x, *bias;
    ie_dtype y_type, w_type;
    int64_t lanes, inputs, outputs;
} ie_row_product;

void ie_cpu_row_product(const ie_row_product *p);

/* x [count] of `type` through the activation, into floats. */
void ie_cpu_activate(float *out, const void *x, ie_dtype type, ie_act act, int64_t count);

/* count floats rounded to `type`. */
void ie_cpu_store_row(void *out, ie_dtype type, const float *x, int64_t count);

/* out[o] = gelu_tanh(sums[o]) * sums[count + o], o < count, rounded to `type`. */
void ie_cpu_gate_row(void *out, ie_dtype type, const float *sums, int64_t count);

#endif
