/* conv.c - convolution: the cut of conv_plan.c, the operand of pack.c, oneDNN's product, the result
 * of epilogue.c.
 *
 *   numerics  f32 sums in an order that depends on the layer's shape; one rounding of the operand,
 *             one of the result
 *   mapping   one parallel region per call: norm factors, (packing), tasks in any order, moments in
 *             the order of tasks
 * SPDX-License-Identifier: Apache-2.0 */
#include "conv.h"
#include "epilogue.h"
#include "pack.h"
#include "threads.h"

#include <string.h>

/* Where the pieces of a call's scratch lie. */
typedef struct layout {
    uint64_t norm, parts, shared, threads;  /* offsets */
    uint64_t norm_lane, parts_lane, thread; /* sizes */
    uint64_t total;
} layout;

/* One call; lanes [lane, lane + lanes) are in work. */
typedef struct call {
    const ie_conv *conv;
    const ie_conv_args *a;
    layout at;
    int64_t lane, lanes;
} call;

static layout lay_out(const ie_conv *c, int64_t lanes)
{
    const ie_conv_plan *p = &c->plan;
    const int64_t joint = c->spec.channels[0] + c->spec.channels[1];
    const uint64_t together = (uint64_t)(lanes < p->lanes ? lanes : p->lanes);
    layout l = {0};
    l.norm_lane = ie_cpu_aligned((uint64_t)(3 * joint) * sizeof(float));
    l.parts_lane = ie_cpu_aligned((uint64_t)(p->tasks * 3 * c->spec.outputs) * sizeof(float));
    l.thread = p->strip_bytes + p->sums_bytes + ie_brick_scratch_bytes(c->brick);
    l.parts = l.norm + together * l.norm_lane;
    l.shared = l.parts + together * l.parts_lane;
    l.threads = l.shared + (p->way == IE_WAY_SHARED ? together * p->shared_bytes : 0);
    l.total = l.threads + (uint64_t)ie_cpu_thread_limit() * l.thread;
    return l;
}

static char *scratch(const call *k, uint64_t offset)
{
    return (char *)k->a->scratch + offset;
}

/* Lane n (of those in work) of a tensor. */
static void *lane_of(const call *k, ie_tensor t, int64_t n)
{
    return ie_present(t) ? ie_offset(t, (k->lane + n) * t.stride[0]) : NULL;
}

/* Norm, film or both come down to three numbers per channel. */
static bool has_factors(const call *k)
{
    return k->conv->spec.groups > 0 || ie_present(k->a->film);
}

static void find_norm_factors(const call *k, int64_t n)
{
    const ie_conv_args *a = k->a;
    const float *const moments[2] = {lane_of(k, a->moments[0], n), lane_of(k, a->moments[1], n)};
    ie_cpu_norm_factors((float *)(void *)scratch(k, k->at.norm + (uint64_t)n * k->at.norm_lane),
                        &k->conv->spec, moments, a->gamma.data, a->beta.data,
                        lane_of(k, a->film, n));
}

static ie_pack packing(const call *k, int64_t n)
{
    const ie_conv_spec *s = &k->conv->spec;
    const ie_conv_plan *p = &k->conv->plan;
    const char *norm =
        has_factors(k) ? scratch(k, k->at.norm + (uint64_t)n * k->at.norm_lane) : NULL;
    const ie_pack pack = {{lane_of(k, k->a->x[0], n), lane_of(k, k->a->x[1], n)},
                          {s->channels[0], s->channels[1]},
                          s->height,
                          s->width,
                          p->depth,
                          s->pad,
                          s->dtype,
                          p->type,
                          s->act,
                          s->resample,
                          (const float *)(const void *)norm};
    return pack;
}

/* Rows [first, first + rows) of the packed map, pixels if it is flat. */
static void pack_range(const ie_conv_plan *p, const ie_pack *pack, int64_t first, int64_t rows,
                       void *out)
{
    if (p->flat) {
        ie_cpu_pack_pixels(pack, first, rows, out);
    } else {
        ie_cpu_pack_rows(pack, first, rows, out);
    }
}

static int64_t shared_pieces(const ie_conv_plan *p)
{
    return (p->in_height + p->in_rows - 1) / p->in_rows;
}

static void pack_shared(const call *k, int64_t n, int64_t piece)
{
    const ie_conv_plan *p = &k->conv->plan;
    const ie_pack pack = packing(k, n);
    const int64_t first = piece * p->in_rows, left = p->in_height - first;
    char *map = scratch(k, k->at.shared + (uint64_t)n * p->shared_bytes);
    pack_range(p, &pack, first, left < p->in_rows ? left : p->in_rows,
               map + (uint64_t)first * p->row_bytes);
}

/* The operand of the strip whose input begins at row `first`; *packed is the row where the buffer's
 * strip began, -1 none. */
static const void *operand(const call *k, int64_t n, int64_t first, char *strip, int64_t *packed)
{
    const ie_conv_plan *p = &k->conv->plan;
    if (p->way == IE_WAY_IN_PLACE && !has_factors(k))
        return (const char *)lane_of(k, k->a->x[0], n) + (uint64_t)first * p->row_bytes;
    if (p->way == IE_WAY_SHARED) {
        return scratch(k, k->at.shared + (uint64_t)n * p->shared_bytes +
                              (uint64_t)first * p->row_bytes);
    }
    const ie_pack pack = packing(k, n);
    int64_t kept = *packed < 0 ? 0 : p->in_rows - (first - *packed);
    if (kept < 0) kept = 0;
    if (kept > 0) {
        memmove(strip, strip + (uint64_t)(p->in_rows - kept) * p->row_bytes,
                (uint64_t)kept * p->row_bytes);
    }
    pack_range(p, &pack, first + kept, p->in_rows - kept, strip + (uint64_t)kept * p->row_bytes);
    *packed = first;
    return strip;
}

static ie_epilogue ending(const call *k, int64_t n, int64_t task, int64_t chunk)
{
    const ie_conv_spec *s = &k->conv->spec;
    const ie_conv_plan *p = &k->conv->plan;
    const ie_conv_args *a = k->a;
    float *parts = (float *)(void *)scratch(k, k->at.parts + (uint64_t)n * k->at.parts_lane);
    const ie_epilogue e = {
        lane_of(k, a->y, n),
        lane_of(k, a->residual, n),
        a->y.dtype,
        ie_present(a->residual) ? a->residual_resample : IE_SAME,
        ie_conv_out(s, s->width),
        s->outputs,
        chunk * p->chunk,
        p->chunk,
        k->conv->bias,
        a->scale,
        ie_present(a->y_moments) ? parts + (task * p->chunks + chunk) * 3 * p->chunk : NULL};
    return e;
}

/* Strips of one task for one chunk of one lane. The last strip of a layer is moved up so that all
 * have the same size; what it computes a second time is not stored again. */
static int run_task(const call *k, int64_t n, int64_t task, int64_t chunk)
{
    const ie_conv *c = k->conv;
    const ie_conv_plan *p = &c->plan;
    char *strip = scratch(k, k->at.threads + (uint64_t)omp_get_thread_num() * k->at.thread);
    float *sums = (float *)(void *)(strip + p->strip_bytes);
    const ie_epilogue e = ending(k, n, task, chunk);
    int64_t packed = -1, seen = 0;
    const int64_t first = task * p->strips_per_task, last = first + p->strips_per_task;
    for (int64_t i = first; i < last && i < p->strips; i++) {
        const int64_t start = i * p->rows,
                      end = start + p->rows < p->out_height ? start + p->rows : p->out_height;
        const int64_t top = end - p->rows;
        const void *x = operand(k, n, top * c->spec.stride, strip, &packed);
        const int status = ie_brick_run(c->brick, omp_get_thread_num(), (int)chunk, x, sums,
                                        strip + p->strip_bytes + p->sums_bytes);
        if (status) return status;
        const int64_t fresh = (end - start) * p->out_width;
        ie_cpu_epilogue(&e, sums + (start - top) * p->out_width * p->chunk, start * p->out_width,
                        fresh, seen);
        seen += fresh;
    }
    return 0;
}

static void merge_moments(const call *k, int64_t n, int64_t chunk)
{
    const ie_conv_plan *p = &k->conv->plan;
    const float *parts =
        (const float *)(const void *)scratch(k, k->at.parts + (uint64_t)n * k->at.parts_lane);
    float *moments = (float *)lane_of(k, k->a->y_moments, n) + 2 * chunk * p->chunk;
    ie_cpu_merge_moments(moments, parts + chunk * 3 * p->chunk, 3 * k->conv->spec.outputs, p->chunk,
                         p->strips_per_task * p->rows * p->out_width, p->out_height * p->out_width);
}

/* All lanes in work, in one parallel region. Lanes turn fastest, so that a chunk's weights serve
 * all of them. */
static int run_lanes(const call *k)
{
    const ie_conv_plan *p = &k->conv->plan;
    const int64_t lanes = k->lanes;
    int status = 0;
#pragma omp parallel num_threads(ie_cpu_thread_count())
    {
        if (has_factors(k)) {
#pragma omp for
            for (int64_t n = 0; n < lanes; n++) find_norm_factors(k, n);
        }
        if (p->way == IE_WAY_SHARED) {
            const int64_t pieces = shared_pieces(p);
#pragma omp for schedule(dynamic)
            for (int64_t i = 0; i < lanes * pieces; i++) pack_shared(k, i / pieces, i % pieces);
        }
#pragma omp for schedule(dynamic)
        for (int64_t i = 0; i < p->chunks * p->tasks * lanes; i++) {
            const int failed = run_task(k, i % lanes, i / lanes % p->tasks, i / lanes / p->tasks);
            if (failed) {
#pragma omp atomic write
                status = failed;
            }
        }
        if (ie_present(k->a->y_moments)) {
#pragma omp for
            for (int64_t i = 0; i < p->chunks * lanes; i++) merge_moments(k, i % lanes, i / lanes);
        }
    }
    return status;
}

int ie_cpu_conv(ie_stream *s, const ie_conv *conv, const ie_conv_args *a)
{
    (void)s;
    const int64_t lanes = a->y.dim[0];
    call k = {conv, a, lay_out(conv, lanes), 0, 0};
    for (int64_t n = 0; n < lanes; n += k.lanes) {
        k.lane = n;
        k.lanes = lanes - n < conv->plan.lanes ? lanes - n : conv->plan.lanes;
        const int status = run_lanes(&k);
        if (status) return status;
    }
    return 0;
}

uint64_t ie_cpu_conv_scratch(const ie_conv *conv, int64_t lanes)
{
    return lay_out(conv, lanes).total;
}
