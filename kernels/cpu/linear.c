/* linear.c - linear layers: several rows per lane are a 1x1 convolution over rows, one row is a
 * product of its own. A gated layer is that convolution to sums in f32, which its rows are then
 * made of: gates and values lie in different chunks of it. SPDX-License-Identifier: Apache-2.0 */
#include "linear.h"
#include "conv.h"
#include "threads.h"
#include "weights.h"

#include <oneapi/dnnl/dnnl_types.h>
#include <stdlib.h>
#include <string.h>

struct ie_linear {
    ie_linear_spec spec;
    ie_conv *conv; /* unless a vector */
    void *weights; /* of a vector: [O, K] of w_dtype */
    float *bias;   /* of a vector: [O] */
};

static ie_conv_spec as_conv(const ie_linear_spec *s)
{
    const ie_conv_spec c = {.dtype = s->x_dtype,
                            .height = s->rows,
                            .width = 1,
                            .channels = {s->inputs, 0},
                            .outputs = ie_linear_sums(s),
                            .kernel = 1,
                            .stride = 1,
                            .act = s->act};
    return c;
}

static uint64_t row_bytes(const ie_linear_spec *s)
{
    return ie_cpu_aligned((uint64_t)(s->inputs * s->outputs * ie_dtype_size(s->w_dtype)));
}

uint64_t ie_cpu_linear_bytes(const ie_linear_spec *spec)
{
    if (ie_linear_is_vector(spec)) return row_bytes(spec);
    const ie_conv_spec c = as_conv(spec);
    return ie_cpu_conv_bytes(&c);
}

static int load_row(ie_linear *l, void *memory, ie_tensor weight, ie_tensor bias)
{
    const ie_linear_spec *s = &l->spec;
    l->weights = memory;
    l->bias = calloc((size_t)s->outputs, sizeof *l->bias);
    float *row = calloc((size_t)s->inputs, sizeof *row);
    const int status = l->bias && row ? 0 : (int)dnnl_out_of_memory;
    for (int64_t o = 0; !status && o < s->outputs; o++) {
        char *out = (char *)memory + o * s->inputs * ie_dtype_size(s->w_dtype);
        ie_cpu_weights_to_float(row, weight, o * s->inputs, s->inputs, s->w_dtype);
        ie_cpu_store_row(out, s->w_dtype, row, s->inputs);
    }
    if (!status && ie_present(bias)) ie_cpu_weights_to_float(l->bias, bias, 0, s->outputs, IE_F32);
    free(row);
    return status;
}

int ie_cpu_linear_prepare(ie_linear **out, const ie_linear_spec *spec, void *memory,
                          ie_tensor weight, ie_tensor bias, const ie_uploader *up)
{
    *out = NULL;
    ie_linear *l = calloc(1, sizeof *l);
    if (!l) return dnnl_out_of_memory;
    l->spec = *spec;
    int status = 0;
    if (!ie_linear_is_vector(spec)) {
        const ie_conv_spec c = as_conv(spec);
        status = ie_cpu_conv_prepare(&l->conv, &c, memory, weight, bias, up);
    } else if (memory) {
        status = load_row(l, memory, weight, bias);
    }
    if (status) {
        ie_cpu_linear_release(l);
        return status;
    }
    *out = l;
    return 0;
}

/* Of the sums of a gated layer. */
static uint64_t sums_bytes(const ie_linear_spec *s, int64_t lanes)
{
    if (!s->gated) return 0;
    return ie_cpu_aligned((uint64_t)(lanes * s->rows * ie_linear_sums(s)) * sizeof(float));
}

uint64_t ie_cpu_linear_scratch(const ie_linear *linear, int64_t lanes)
{
    const ie_linear_spec *spec = &linear->spec;
    if (linear->conv) return sums_bytes(spec, lanes) + ie_cpu_conv_scratch(linear->conv, lanes);
    return ie_cpu_aligned((uint64_t)(lanes * spec->inputs) * sizeof(float));
}

/* [N, rows, C] as [N, rows, 1, C]. */
static ie_tensor as_map(ie_tensor t)
{
    if (!ie_present(t)) return t;
    const int64_t dim[] = {t.dim[0], t.dim[1], 1, t.dim[2]};
    return ie_view(t.data, t.dtype, 4, dim);
}

static int run_gated(ie_stream *s, const ie_linear *linear, const ie_linear_args *a)
{
    const ie_linear_spec *spec = &linear->spec;
    const int64_t lanes = a->y.dim[0], count = ie_linear_sums(spec);
    const int64_t dim[] = {lanes, spec->rows, 1, count};
    const ie_conv_args c = {.y = ie_view(a->scratch, IE_F32, 4, dim),
                            .x = {as_map(a->x)},
                            .scale = 1,
                            .scratch = (char *)a->scratch + sums_bytes(spec, lanes)};
    const int status = ie_cpu_conv(s, linear->conv, &c);
    if (status) return status;
#pragma omp parallel for num_threads(ie_cpu_thread_count()) schedule(static)
    for (int64_t row = 0; row < lanes * spec->rows; row++) {
        const float *sums = (const float *)a->scratch + row * count;
        ie_cpu_gate_row(ie_offset(a->y, row * spec->outputs), a->y.dtype, sums, spec->outputs);
    }
    return 0;
}

int ie_cpu_linear(ie_stream *s, const ie_linear *linear, const ie_linear_args *a)
{
    const ie_linear_spec *spec = &linear->spec;
    if (spec->gated) return run_gated(s, linear, a);
    if (linear->conv) {
        const ie_conv_args c = {.y = as_map(a->y),
                                .x = {as_map(a->x)},
                                .residual = as_map(a->residual),
                                .scale = 1,
                                .scratch = a->scratch};
        return ie_cpu_conv(s, linear->conv, &c);
    }
    const int64_t lanes = a->y.dim[0];
    ie_cpu_activate(a->scratch, a->x.data, a->x.dtype, spec->act, lanes * spec->inputs);
    const ie_row_product p = {a->y.data,    linear->weights, a->residual.data, a->scratch,
                              linear->bias, a->y.dtype,      spec->w_dtype,    lanes,
                              spec->inputs, spec->outputs};
    ie_cpu_row_product(&p);
    return 0;
}

void ie_cpu_linear_release(ie_linear *linear)
{
    if (!linear) return;
    ie_cpu_conv_release(linear->conv);
    free(linear->bias);
    free(linear);
}
