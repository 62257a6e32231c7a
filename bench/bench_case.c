/* bench_case.c - operands for a row of the op bench, and one run of it.
 * SPDX-License-Identifier: Apache-2.0 */
#include "bench_row.h"

#include <stdlib.h>
#include <string.h>

/* Zeroed device memory that lives as long as the case. */
static void *block(bench_case *c, uint64_t bytes)
{
    ie_error err = {0};
    if (c->block_count == (int)(sizeof c->blocks / sizeof *c->blocks)) return NULL;
    if (ie_block_alloc(&c->blocks[c->block_count], c->backend, bytes ? bytes : 64, "operand", &err))
        return NULL;
    return c->blocks[c->block_count++].data;
}

/* What a case is predicted for. */
static const ie_device_model *h200(void)
{
    return ie_device_model_find("h200");
}

static void price(bench_case *c, ie_cost cost)
{
    c->flop = cost.flop;
    c->bytes = cost.bytes;
    c->predicted = ie_times_sum(cost.times);
}

enum { CHUNK = 1 << 18 };

/* Small values, different enough, in the type. */
static void draw(void *out, ie_dtype type, int64_t count)
{
    uint32_t state = 1;
    for (int64_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        const float x = (float)(state >> 8) * 0x1p-24f - 0.5f;
        uint32_t bits;
        memcpy(&bits, &x, sizeof bits);
        if (type == IE_F32) {
            ((float *)out)[i] = x;
        } else {
            ((uint16_t *)out)[i] = (uint16_t)(bits >> 16);
        }
    }
}

/* On the host, for weights; the caller frees the data. */
static ie_tensor host_tensor(ie_dtype type, int rank, const int64_t *dim)
{
    ie_tensor t = ie_view(NULL, type, rank, dim);
    t.data = malloc((size_t)ie_bytes(t));
    if (t.data) draw(t.data, type, ie_numel(t));
    return t;
}

/* On the device; large ones repeat what a chunk holds. */
static ie_tensor tensor(bench_case *c, ie_dtype type, int rank, const int64_t *dim)
{
    static float chunk[CHUNK];
    ie_tensor t = ie_view(NULL, type, rank, dim);
    t.data = block(c, (uint64_t)ie_bytes(t));
    const int64_t size = ie_dtype_size(type), count = ie_numel(t);
    if (t.data) draw(chunk, type, count < CHUNK ? count : CHUNK);
    for (int64_t i = 0; t.data && i < count; i += CHUNK) {
        const int64_t part = count - i < CHUNK ? count - i : CHUNK;
        if (c->backend->vtable->upload(c->backend, (char *)t.data + i * size, chunk,
                                       (uint64_t)(part * size)))
            t.data = NULL;
    }
    return t;
}

static int64_t lanes_of(const bench_row *row)
{
    return row->lanes ? row->lanes : 1;
}

#define DIMS(...)                                                        \
    (int)(sizeof(int64_t[]){__VA_ARGS__} / sizeof(int64_t)), (int64_t[]) \
    {                                                                    \
        __VA_ARGS__                                                      \
    }
#define TENSOR(c, type, ...)   tensor((c), (type), DIMS(__VA_ARGS__))
#define HOST_TENSOR(type, ...) host_tensor((type), DIMS(__VA_ARGS__))

/* Mean 0 and variance 1/12 for every channel. */
static ie_tensor statistics(bench_case *c, int64_t lanes, int64_t channels)
{
    const int64_t dim[] = {lanes, channels, 2};
    ie_tensor t = ie_view(block(c, (uint64_t)(lanes * channels * 8)), IE_F32, 3, dim);
    float *values = malloc((size_t)ie_bytes(t));
    for (int64_t i = 0; values && i < lanes * channels; i++) {
        values[2 * i] = 0;
        values[2 * i + 1] = 1.0f / 12;
    }
    if (!values || !t.data || ie_upload(c->backend, t, values, &(ie_error){0})) t.data = NULL;
    free(values);
    return t;
}

static ie_conv_args conv_operands(bench_case *c, const bench_row *row, const ie_conv_spec *spec)
{
    const int64_t out = ie_conv_out(spec, row->size), joint = row->inputs + row->inputs2;
    const int64_t n = lanes_of(row), side = row->size;
    ie_conv_args a = {.scale = 1};
    a.y = ie_view(NULL, c->type, DIMS(n, out, out, row->outputs));
    a.y.data = block(c, (uint64_t)ie_bytes(a.y));
    a.x[0] = TENSOR(c, c->type, n, side, side, row->inputs);
    if (row->inputs2) a.x[1] = TENSOR(c, c->type, n, side, side, row->inputs2);
    if (row->norm) {
        a.moments[0] = statistics(c, n, row->inputs);
        if (row->inputs2) a.moments[1] = statistics(c, n, row->inputs2);
        a.gamma = TENSOR(c, IE_F32, joint);
        a.beta = TENSOR(c, IE_F32, joint);
        a.film = TENSOR(c, IE_F32, n, 2 * joint);
    }
    if (row->residual) a.residual = TENSOR(c, c->type, n, out, out, row->outputs);
    if (row->moments) a.y_moments = TENSOR(c, IE_F32, n, row->outputs, 2);
    return a;
}

static bool open_conv(bench_case *c, const bench_row *row)
{
    const ie_ops *ops = c->ops;
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
    const ie_tensor w = HOST_TENSOR(IE_F32, row->outputs, joint, row->kernel, row->kernel);
    const ie_tensor bias = HOST_TENSOR(IE_F32, row->outputs);
    const ie_uploader up = ie_backend_uploader(c->backend);
    c->weights = block(c, ops->conv_bytes(&spec));
    const bool made = w.data && bias.data && c->weights &&
                      !ops->conv_prepare(&c->conv, &spec, c->weights, w, bias, &up);
    free(w.data);
    free(bias.data);
    if (!made) return false;
    c->scratch = block(c, ops->conv_scratch(c->conv, lanes_of(row)));
    for (int i = 0; i < BENCH_COPIES; i++) {
        c->conv_args[i] = conv_operands(c, row, &spec);
        c->conv_args[i].scratch = c->scratch;
    }
    price(c, ie_cost_conv(h200(), &spec, &c->conv_args[0], c->name));
    return c->scratch != NULL;
}

static bool open_linear(bench_case *c, const bench_row *row)
{
    const ie_ops *ops = c->ops;
    const ie_dtype x = row->size == 1 ? IE_F32 : c->type;
    const ie_linear_spec spec = {row->size, row->inputs, row->outputs, x,
                                 c->type,   x,           IE_ACT_NONE,  row->gated};
    const int64_t n = lanes_of(row), sums = ie_linear_sums(&spec);
    const ie_tensor w = HOST_TENSOR(IE_F32, sums, row->inputs), bias = HOST_TENSOR(IE_F32, sums);
    const ie_uploader up = ie_backend_uploader(c->backend);
    c->weights = block(c, ops->linear_bytes(&spec));
    const bool made = w.data && bias.data && c->weights &&
                      !ops->linear_prepare(&c->linear, &spec, c->weights, w, bias, &up);
    free(w.data);
    free(bias.data);
    if (!made) return false;
    c->scratch = block(c, ops->linear_scratch(c->linear, n));
    for (int i = 0; i < BENCH_COPIES; i++) {
        ie_linear_args *a = &c->linear_args[i];
        a->y = TENSOR(c, x, n, row->size, row->outputs);
        a->x = TENSOR(c, x, n, row->size, row->inputs);
        if (row->residual) a->residual = TENSOR(c, x, n, row->size, row->outputs);
        a->scratch = c->scratch;
    }
    price(c, ie_cost_linear(h200(), &spec, &c->linear_args[0], c->name));
    return c->scratch != NULL;
}

static bool open_attention(bench_case *c, const bench_row *row)
{
    const ie_ops *ops = c->ops;
    const int64_t n = lanes_of(row), t = row->size, h = row->heads, d = row->width;
    const int64_t keys[] = {row->text, row->image};
    for (int i = 0; i < BENCH_COPIES; i++) {
        ie_attention_args *a = &c->attention_args[i];
        *a = (ie_attention_args){.scale = 0.125f};
        a->y = TENSOR(c, c->type, n, t, h, d);
        a->q = TENSOR(c, c->type, n, t, h, d);
        for (int s = 0; s < 2 && keys[s] > 0; s++) {
            a->keys[s].k = TENSOR(c, c->type, n, keys[s], h, d);
            a->keys[s].v = TENSOR(c, c->type, n, keys[s], h, d);
        }
    }
    c->scratch = block(c, ops->attention_scratch(&c->attention_args[0]));
    for (int i = 0; i < BENCH_COPIES; i++) c->attention_args[i].scratch = c->scratch;
    price(c, ie_cost_attention(h200(), &c->attention_args[0], c->name));
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
    if (!a->steps.data || ie_upload(c->backend, a->steps, &step, &(ie_error){0})) return false;
    a->scratch = c->scratch = block(c, c->ops->sample_scratch(a));
    const double values = (double)ie_numel(a->z), bytes = 4.0 * sizeof(float) * values;
    price(c, ie_cost_stream(h200(), 12 * values, bytes, "sample", a->z, c->name));
    return c->scratch != NULL;
}

/* Memory alone bounds these. */
static bool open_rows(bench_case *c, const bench_row *row)
{
    const int64_t n = lanes_of(row), size = row->size, channels = row->inputs;
    const bool map = row->kind == BENCH_MOMENTS;
    c->gain = TENSOR(c, IE_F32, channels);
    c->offset = TENSOR(c, IE_F32, channels);
    for (int i = 0; i < BENCH_COPIES; i++) {
        c->x[i] = map ? TENSOR(c, c->type, n, size, size, channels)
                      : TENSOR(c, c->type, n, size, channels);
        c->y[i] = map ? TENSOR(c, IE_F32, n, channels, 2) : TENSOR(c, c->type, n, size, channels);
    }
    const char *what = map ? "moments" : row->kind == BENCH_LAYER_NORM ? "layer_norm" : "rms_norm";
    const double bytes = (double)(ie_bytes(c->x[0]) + ie_bytes(c->y[0]));
    price(c, ie_cost_stream(h200(), 4.0 * (double)ie_numel(c->x[0]) /* nominal */, bytes, what,
                            c->x[0], c->name));
    return c->gain.data && c->offset.data && c->y[BENCH_COPIES - 1].data;
}

bool bench_case_open(bench_case *c, const bench_row *row, ie_backend *backend)
{
    *c = (bench_case){
        .backend = backend, .ops = backend->ops, .kind = row->kind, .type = backend->act};
    bool ok = false;
    switch (row->kind) {
    case BENCH_CONV: ok = open_conv(c, row); break;
    case BENCH_LINEAR: ok = open_linear(c, row); break;
    case BENCH_ATTENTION: ok = open_attention(c, row); break;
    case BENCH_SAMPLE: ok = open_sample(c, row); break;
    case BENCH_MOMENTS:
    case BENCH_LAYER_NORM:
    case BENCH_RMS_NORM: ok = open_rows(c, row); break;
    }
    if (!ok) bench_case_close(c);
    return ok;
}

int bench_case_run(bench_case *c)
{
    const ie_ops *ops = c->ops;
    ie_stream *const s = c->backend->stream;
    const int i = c->turn++ % BENCH_COPIES;
    const ie_tensor all = {0};
    switch (c->kind) {
    case BENCH_CONV: return ops->conv(s, c->conv, &c->conv_args[i]);
    case BENCH_LINEAR: return ops->linear(s, c->linear, &c->linear_args[i]);
    case BENCH_ATTENTION: return ops->attention(s, &c->attention_args[i]);
    case BENCH_SAMPLE: return ops->sample(s, &c->sample_args);
    case BENCH_MOMENTS: return ops->moments(s, c->y[i], c->x[i]);
    case BENCH_LAYER_NORM:
        return ops->layer_norm(s, c->y[i], c->x[i], c->gain, c->offset, all, 1e-5f);
    case BENCH_RMS_NORM: return ops->rms_norm(s, c->y[i], c->x[i], c->gain, all, 1e-6f);
    }
    return -1;
}

int bench_case_wait(bench_case *c)
{
    char byte; /* a copy comes after what was asked for before it */
    return c->backend->vtable->download(c->backend, &byte, c->blocks[0].data, 1);
}

void bench_case_close(bench_case *c)
{
    c->ops->conv_release(c->conv);
    c->ops->linear_release(c->linear);
    for (int i = 0; i < c->block_count; i++) ie_block_free(&c->blocks[i]);
    *c = (bench_case){.backend = c->backend, .ops = c->ops, .type = c->type};
}
