/* linear.c - y = bias + w act(x) + residual, or its gated form, in double.
 * SPDX-License-Identifier: Apache-2.0 */
#include "numbers.h"
#include "product.h"
#include "ref.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct ie_linear {
    ie_linear_spec spec;
    float *weight; /* [k][sum], rounded to spec.w_dtype */
    float *bias;   /* [sum], zero when absent */
};

uint64_t ie_ref_linear_bytes(const ie_linear_spec *spec)
{
    return (uint64_t)((spec->inputs + 1) * ie_linear_sums(spec)) * sizeof(float);
}

static void pack(const ie_linear *linear, ie_tensor weight, ie_tensor bias)
{
    const int64_t inputs = linear->spec.inputs, sums = ie_linear_sums(&linear->spec);
    for (int64_t i = 0; i < sums * inputs; i++) {
        const double w = ie_ref_load(weight.data, weight.dtype, i);
        const float rounded = (float)ie_ref_round(linear->spec.w_dtype, w);
        linear->weight[i % inputs * sums + i / inputs] = rounded;
    }
    for (int64_t o = 0; o < sums; o++) {
        linear->bias[o] = ie_present(bias) ? (float)ie_ref_load(bias.data, bias.dtype, o) : 0;
    }
}

int ie_ref_linear_prepare(ie_linear **out, const ie_linear_spec *spec, void *memory,
                          ie_tensor weight, ie_tensor bias, const ie_uploader *up)
{
    (void)up;
    ie_linear *linear = calloc(1, sizeof *linear);
    *out = linear;
    if (!linear) return ENOMEM;
    linear->spec = *spec;
    if (!memory) return 0;
    linear->weight = memory;
    linear->bias = linear->weight + spec->inputs * ie_linear_sums(spec);
    pack(linear, weight, bias);
    return 0;
}

void ie_ref_linear_release(ie_linear *linear)
{
    free(linear);
}

uint64_t ie_ref_linear_scratch(const ie_linear *linear, int64_t lanes)
{
    (void)linear, (void)lanes;
    return 0;
}

/* sum[i] of outputs first + i of w and bias, for one row of x. */
static void sum_outputs(double sum[IE_REF_BLOCK], const ie_linear *linear, ie_tensor x, int64_t row,
                        int64_t first, int64_t count)
{
    const ie_linear_spec *spec = &linear->spec;
    const int64_t inputs = spec->inputs, sums = ie_linear_sums(spec);
    memset(sum, 0, IE_REF_BLOCK * sizeof *sum);
    for (int64_t k = 0; k < inputs; k++) {
        const double value = ie_ref_load(x.data, spec->x_dtype, row * inputs + k);
        const float *weight = linear->weight + k * sums + first;
        ie_ref_axpy(sum, ie_ref_act(spec->act, value), weight, count);
    }
    for (int64_t i = 0; i < count; i++) sum[i] += (double)linear->bias[first + i];
}

int ie_ref_linear(ie_stream *s, const ie_linear *linear, const ie_linear_args *a)
{
    (void)s;
    const ie_linear_spec *spec = &linear->spec;
    const int64_t rows = a->y.dim[0] * spec->rows, outputs = spec->outputs;
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t row = 0; row < rows; row++) {
        for (int64_t first = 0; first < outputs; first += IE_REF_BLOCK) {
            const int64_t count = ie_ref_block(first, outputs), at = row * outputs + first;
            double y[IE_REF_BLOCK], value[IE_REF_BLOCK];
            sum_outputs(y, linear, a->x, row, first, count);
            if (spec->gated) sum_outputs(value, linear, a->x, row, outputs + first, count);
            for (int64_t i = 0; i < count; i++) {
                if (spec->gated) y[i] = ie_ref_act(IE_ACT_GELU_TANH, y[i]) * value[i];
                if (ie_present(a->residual)) {
                    y[i] += ie_ref_load(a->residual.data, spec->y_dtype, at + i);
                }
                ie_ref_store(a->y.data, spec->y_dtype, at + i, y[i]);
            }
        }
    }
    return 0;
}
