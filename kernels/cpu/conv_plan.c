/* conv_plan.c - see conv_plan.h. The constants are those of a core with 1 MB of L2; bench/LOG.md
 * has the measurements. SPDX-License-Identifier: Apache-2.0 */
#include "conv_plan.h"
#include "threads.h"

enum {
    TASKS = 16, /* enough that a handful of threads end together, few enough to cost nothing */
    STRIP_BYTES =
        512 << 10, /* a strip that streams, with its sums: half of L2, the rest is for weights */
    SHARED_BYTES = 3 << 20, /* a packed lane no larger than this is shared whatever else holds */
    PASS_BYTES = 16 << 20,  /* packed lanes of one pass: what a share of L3 holds */
    MANY_OUTPUTS = 256,     /* so many products per packed element hide its trip through memory */
    STRIP_PIXELS = 256,     /* of a strip that is not packed by its task */
    CHUNK = 64,             /* output channels: below this a brick reloads its operand too often */
    CHUNK_BYTES = 1 << 20,  /* weights of a chunk: consecutive tasks find them in L2 */
};

static int64_t smallest(int64_t a, int64_t b)
{
    return a < b ? a : b;
}
static int64_t largest(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static bool needs_packing(const ie_conv_spec *s, const ie_conv_plan *p)
{
    return s->groups > 0 || s->act != IE_ACT_NONE || s->resample != IE_SAME || s->channels[1] > 0 ||
           s->pad > 0 || p->type != s->dtype || p->depth != s->channels[0];
}

static int64_t rows_under(const ie_conv_spec *s, int64_t rows)
{
    return (rows - 1) * s->stride + s->kernel;
}

/* The most rows whose operand and sums fit in STRIP_BYTES; at least one. */
static int64_t rows_that_fit(const ie_conv_spec *s, const ie_conv_plan *p)
{
    const int64_t sums = p->out_width * s->outputs * 4, row = (int64_t)p->row_bytes;
    const int64_t room = STRIP_BYTES - (s->kernel - s->stride) * row;
    return largest(1, room / (s->stride * row + sums));
}

static void cut_stream(const ie_conv_spec *s, ie_conv_plan *p)
{
    p->rows = smallest(rows_that_fit(s, p), largest(1, p->out_height / TASKS));
    p->strips = (p->out_height + p->rows - 1) / p->rows;
    p->strips_per_task = largest(1, p->strips / TASKS);
    p->chunk = s->outputs;
}

/* Strips of about STRIP_PIXELS, at least four of them where there are rows enough; chunks until
 * there are TASKS and the weights of one are few. */
static void cut_chunks(const ie_conv_spec *s, ie_conv_plan *p)
{
    const int64_t few = p->flat ? 32 : 4;
    const int64_t taps = (int64_t)s->kernel * s->kernel * p->depth * ie_dtype_size(p->type);
    p->rows = smallest(STRIP_PIXELS / p->out_width, largest(few, p->out_height / 4));
    p->rows = largest(1, smallest(p->rows, p->out_height));
    p->strips = (p->out_height + p->rows - 1) / p->rows;
    p->strips_per_task = 1;
    p->chunk = s->outputs;
    while (p->chunk / CHUNK % 2 == 0 && p->chunk % CHUNK == 0 &&
           (p->strips * (s->outputs / p->chunk) < TASKS || p->chunk * taps > CHUNK_BYTES)) {
        p->chunk /= 2;
    }
}

static ie_conv_way way_of(const ie_conv_spec *s, const ie_conv_plan *p)
{
    if (!needs_packing(s, p)) return IE_WAY_IN_PLACE;
    const int64_t enough = p->flat ? (int64_t)TASKS * CHUNK : (int64_t)TASKS * 4;
    if (p->out_height < enough || s->outputs >= MANY_OUTPUTS) return IE_WAY_SHARED;
    return p->flat || (int64_t)p->shared_bytes > SHARED_BYTES ? IE_WAY_STREAM : IE_WAY_SHARED;
}

ie_conv_plan ie_cpu_plan_conv(const ie_conv_spec *s)
{
    ie_conv_plan p = {.type = s->dtype == IE_BF16 && ie_brick_has_bf16() ? IE_BF16 : IE_F32};
    p.flat = s->kernel == 1 && s->stride == 1 && s->pad == 0 && s->resample == IE_SAME;
    p.depth = s->channels[0] + s->channels[1];
    if (p.type == IE_BF16) p.depth += p.depth % 2; /* bf16 products come in pairs */
    p.in_height = ie_resampled(s->height, s->resample) + (int64_t)2 * s->pad;
    p.in_width = ie_resampled(s->width, s->resample) + (int64_t)2 * s->pad;
    p.out_height = ie_conv_out(s, s->height);
    p.out_width = ie_conv_out(s, s->width);
    if (p.flat) {
        p.in_height = p.out_height = s->height * s->width;
        p.in_width = p.out_width = 1;
    }
    p.row_bytes = (uint64_t)(p.in_width * p.depth * ie_dtype_size(p.type));
    p.shared_bytes = ie_cpu_aligned((uint64_t)p.in_height * p.row_bytes);
    p.way = way_of(s, &p);
    if (p.way == IE_WAY_STREAM) {
        cut_stream(s, &p);
    } else {
        cut_chunks(s, &p);
    }
    p.in_rows = rows_under(s, p.rows);
    p.tasks = (p.strips + p.strips_per_task - 1) / p.strips_per_task;
    p.chunks = s->outputs / p.chunk;
    p.lanes = p.way == IE_WAY_SHARED ? largest(1, PASS_BYTES / (int64_t)p.shared_bytes) : INT32_MAX;
    p.strip_bytes = p.way == IE_WAY_SHARED ? 0 : ie_cpu_aligned((uint64_t)p.in_rows * p.row_bytes);
    p.sums_bytes = ie_cpu_aligned((uint64_t)(p.rows * p.out_width * p.chunk) * sizeof(float));
    return p;
}
