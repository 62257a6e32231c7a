/* bench_case.c - operands for a row of the op bench, and one run of it.
 * SPDX-License-Identifier: Apache-2.0 */
#include "bench_row.h"

#include <stdlib.h>
#include <string.h>

/* Memory that lives as long as the case; pages touched, values small and all different enough. */
static void *block(bench_case *c, uint64_t bytes)
{
    void *p = c->block_count < (int)(sizeof c->blocks / sizeof *c->blocks)
                  ? aligned_alloc(64, (bytes + 127) / 64 * 64)
                  : NULL;
    if (!p) return NULL;
    c->blocks[c->block_count++] = p;
    memset(p, 0, bytes);
    return p;
}

static ie_tensor tensor(bench_case *c, ie_dtype type, int rank, const int64_t *dim)
{
    int64_t count = 1;
    for (int i = 0; i < rank; i++) count *= dim[i];
    ie_tensor t = ie_view(block(c, (uint64_t)(count * ie_dtype_size(type))), type, rank, dim);
    uint32_t state = 1;
    for (int64_t i = 0; t.data && i < count; i++) {
        state = state * 1664525u + 1013904223u;
        const float x = (float)(state >> 8) * 0x1p-24f - 0.5f;
        uint32_t bits;
        memcpy(&bits, &x, sizeof bits);
        if (type == IE_F32) {
            ((float *)t.data)[i] = x;
        } else {
            ((uint16_t *)t.data)[i] = (uint16_t)(bits >> 16);
        }
    }
    return t;
}

#define TENSOR(c, type, ...)                                                     \
    tensor((c), (type), (int)(sizeof(int64_t[]){__VA_ARGS__} / sizeof(int64_t)), \
           (int64_t[]){__VA_ARGS__})

/* Mean 0 and variance 1/12 for every channel. */
static ie_tensor statistics(bench_case *c, int64_t channels)
{
    ie_tensor t = TENSOR(c, IE_F32, 1, channels, 2);
    for (int64_t i = 0; t.data && i < channels; i++) {
        ((float *)t.data)[2 * i] = 0;
        ((float *)t.data)[2 * i + 1] = 1.0f / 12;
    }
    return t;
}

static ie_conv_args conv_operands(bench_case *c, const bench_row *row, const ie_conv_spec *spec)
{
    const int64_t out = ie_conv_out(spec, row->size), joint = row->inputs + row->inputs2;
    ie_conv_args a = {.scale = 1};
    a.y = TENSOR(c, c->type, 1, out, out, row->outputs);
    a.x[0] = TENSOR(c, c->type, 1, row->size, row->size, row->inputs);
    if (row->inputs2) a.x[1] = TENSOR(c, c->type, 1, row->size, row->size, row->inputs2);
    if (row->norm) {
        a.moments[0] = statistics(c, row->inputs);
        if (row->inputs2) a.moments[1] = statistics(c, row->inputs2);
        a.gamma = TENSOR(c, IE_F32, joint);
        a.beta = TENSOR(c, IE_F32, joint);
        a.film = TENSOR(c, IE_F32, 1, 2 * joint);
    }
    if (row->residual) a.residual = TENSOR(c, c->type, 1, out, out, row->outputs);
    if (row->moments) a.y_moments = TENSOR(c, IE_F32, 1, row->outputs, 2);
    c->bytes =
        (double)(ie_bytes(a.y) * (row->residual ? 2 : 1) + ie_bytes(a.x[0]) + ie_bytes(a.x[1]));
    return a;
}

static bool open_conv(bench_case *c, const bench_row *row)
{
    const ie_ops *ops = ie_cpu_ops();
    const int64_t joint = row->inputs + row->inputs2;
    const ie_conv_spec spec = {.dtype = c->type,
                               .height = row->size,
                               .width = row->size,
                               .channels = {row->inputs, row->inputs2},
                               .outputs = row->outputs,
                               .kernel = row->kernel,
                               .stride = row->stride,
                               .pad = row->kernel / 2,
                               .groups = row->norm ? (joint % 32 ? 2 : 32) : 0,
                               .eps = 1e-5f,
                               .act = row->norm ? IE_ACT_SILU : IE_ACT_NONE,
                               .resample = row->resample};
    const ie_tensor w = TENSOR(c, IE_F32, row->outputs, joint, row->kernel, row->kernel);
    const ie_tensor bias = TENSOR(c, IE_F32, row->outputs);
    c->weights = block(c, ops->conv_bytes(&spec));
    if (!w.data || !bias.data || !c->weights) return false;
    if (ops->conv_prepare(&c->conv, &spec, c->weights, w, bias)) return false;
    c->scratch = block(c, ops->conv_scratch(c->conv, 1));
    for (int i = 0; i < BENCH_COPIES; i++) {
        c->conv_args[i] = conv_operands(c, row, &spec);
        c->conv_args[i].scratch = c->scratch;
    }
    const double pixels = (double)(ie_conv_out(&spec, row->size) * ie_conv_out(&spec, row->size));
    c->flop = 2 * pixels * (double)(row->outputs * joint * row->kernel * row->kernel);
    c->bytes += (double)ops->conv_bytes(&spec);
    return c->scratch != NULL;
}

static bool open_linear(bench_case *c, const bench_row *row)
{
    const ie_ops *ops = ie_cpu_ops();
    const ie_dtype x = row->size == 1 ? IE_F32 : c->type;
    const ie_linear_spec spec = {row->size, row->inputs, row->outputs, x, c->type, x, IE_ACT_NONE};
    const ie_tensor w = TENSOR(c, IE_F32, row->outputs, row->inputs),
                    bias = TENSOR(c, IE_F32, row->outputs);
    c->weights = block(c, ops->linear_bytes(&spec));
    if (!w.data || !bias.data || !c->weights) return false;
    if (ops->linear_prepare(&c->linear, &spec, c->weights, w, bias)) return false;
    c->scratch = block(c, ops->linear_scratch(c->linear, 1));
    for (int i = 0; i < BENCH_COPIES; i++) {
        ie_linear_args *a = &c->linear_args[i];
        a->y = TENSOR(c, x, 1, row->size, row->outputs);
        a->x = TENSOR(c, x, 1, row->size, row->inputs);
        if (row->residual) a->residual = TENSOR(c, x, 1, row->size, row->outputs);
        a->scratch = c->scratch;
    }
    c->flop = 2.0 * (double)(row->size * row->inputs * row->outputs);
    c->bytes = (double)ops->linear_bytes(&spec) +
               (double)(ie_bytes(c->linear_args[0].y) + ie_bytes(c->linear_args[0].x));
    return c->scratch != NULL;
}

static bool open_attention(bench_case *c, const bench_row *row)
{
    const ie_ops *ops = ie_cpu_ops();
    const int64_t t = row->size, h = row->heads, d = row->width, keys[] = {row->text, row->image};
    for (int i = 0; i < BENCH_COPIES; i++) {
        ie_attention_args *a = &c->attention_args[i];
        *a = (ie_attention_args){.scale = 0.125f};
        a->y = TENSOR(c, c->type, 1, t, h, d);
        a->q = TENSOR(c, c->type, 1, t, h, d);
        c->bytes = 2.0 * (double)ie_bytes(a->y);
        for (int s = 0; s < 2 && keys[s] > 0; s++) {
            a->keys[s].k = TENSOR(c, c->type, 1, keys[s], h, d);
            a->keys[s].v = TENSOR(c, c->type, 1, keys[s], h, d);
            c->bytes += 2.0 * (double)ie_bytes(a->keys[s].k);
        }
    }
    c->scratch = block(c, ops->attention_scratch(&c->attention_args[0]));
    for (int i = 0; i < BENCH_COPIES; i++) c->attention_args[i].scratch = c->scratch;
    c->flop = 4.0 * (double)(t * h * d * (row->text + row->image));
    return c->scratch != NULL;
}

static bool open_sample(bench_case *c, const bench_row *row)
{
    const ie_step step = {.lane_uncond = -1,
                          .guidance = 1,
                          .alpha = 0.8f,
                          .sigma = 0.6f,
                          .keep = 0.9f,
                          .now = 0.1f,
                          .noise = 0.05f,
                          .percentile = 0.995f,
                          .threshold = IE_THRESHOLD_DYNAMIC};
    ie_sample_args *a = &c->sample_args;
    a->z = TENSOR(c, IE_F32, 1, row->size, row->size, 3);
    a->pred = TENSOR(c, c->type, 1, row->size, row->size, 3);
    a->steps = TENSOR(c, IE_F32, 1, (int64_t)(sizeof step / sizeof(float)));
    if (!a->steps.data) return false;
    memcpy(a->steps.data, &step, sizeof step);
    a->scratch = c->scratch = block(c, ie_cpu_ops()->sample_scratch(a));
    c->bytes = 2.0 * (double)ie_bytes(a->z) + (double)ie_bytes(a->pred);
    c->flop = 10.0 * (double)ie_numel(a->z); /* a nominal figure: memory and the noise bound it */
    return c->scratch != NULL;
}

bool bench_case_open(bench_case *c, const bench_row *row, ie_dtype type)
{
    *c = (bench_case){.type = type};
    bool ok = false;
    switch (row->kind) {
    case BENCH_CONV: ok = open_conv(c, row); break;
    case BENCH_LINEAR: ok = open_linear(c, row); break;
    case BENCH_ATTENTION: ok = open_attention(c, row); break;
    case BENCH_SAMPLE: ok = open_sample(c, row); break;
    }
    if (!ok) bench_case_close(c);
    return ok;
}

int bench_case_run(bench_case *c)
{
    const ie_ops *ops = ie_cpu_ops();
    const int i = c->turn++ % BENCH_COPIES;
    if (c->conv) return ops->conv(NULL, c->conv, &c->conv_args[i]);
    if (c->linear) return ops->linear(NULL, c->linear, &c->linear_args[i]);
    if (ie_present(c->sample_args.z)) return ops->sample(NULL, &c->sample_args);
    return ops->attention(NULL, &c->attention_args[i]);
}

void bench_case_close(bench_case *c)
{
    ie_cpu_ops()->conv_release(c->conv);
    ie_cpu_ops()->linear_release(c->linear);
    for (int i = 0; i < c->block_count; i++) free(c->blocks[i]);
    *c = (bench_case){.type = c->type};
}
