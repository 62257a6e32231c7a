/* moments.c - statistics of a map, alone and of a sum while it is written.
 *
 *   mapping  a task is (lane, 16 channels) and sees every pixel: a cache line of f32 per pixel, no
 *            partial results to keep
 * SPDX-License-Identifier: Apache-2.0 */
#include "maps.h"
#include "stats.h"
#include "threads.h"

/* One operand lane: alpha a + beta b, b may be absent, y too. */
typedef struct sum {
    const void *a, *b;
    void *y;
    float alpha, beta;
    int64_t pixels, channels;
} sum;

IE_INLINE ie_v sum_at(const sum *s, int64_t i, int64_t n, ie_dtype type)
{
    ie_v v = ie_v_get(s->a, i, n, type) * s->alpha;
    if (s->b) v += ie_v_get(s->b, i, n, type) * s->beta;
    if (s->y) ie_v_put(s->y, i, n, v, type);
    return v;
}

/* Mean and variance of channels [c, c + n) to m [n, 2]. */
IE_INLINE void column(float *m, const sum *s, int64_t c, int64_t n, ie_dtype type)
{
    ie_stats all = {0};
    ie_v x[IE_STATS_BLOCK];
    int64_t p = 0;
    for (; p + IE_STATS_BLOCK <= s->pixels; p += IE_STATS_BLOCK) {
        for (int i = 0; i < IE_STATS_BLOCK; i++)
            x[i] = sum_at(s, (p + i) * s->channels + c, n, type);
        ie_stats_block(&all, p, x, IE_STATS_BLOCK);
    }
    const int rest = (int)(s->pixels - p);
    for (int i = 0; i < rest; i++) x[i] = sum_at(s, (p + i) * s->channels + c, n, type);
    if (rest > 0) ie_stats_block(&all, p, x, rest);
    ie_stats_finish(m, all, s->pixels, n);
}

static void column_of_type(float *m, const sum *s, int64_t c, ie_dtype type)
{
    const int64_t n = s->channels - c;
    if (n >= IE_LANES && type == IE_F32) {
        column(m, s, c, IE_LANES, IE_F32);
    } else if (n >= IE_LANES) {
        column(m, s, c, IE_LANES, IE_BF16);
    } else if (type == IE_F32) {
        column(m, s, c, n, IE_F32);
    } else {
        column(m, s, c, n, IE_BF16);
    }
}

static void sum_with_moments(ie_tensor m, const sum *whole, int64_t lanes, ie_dtype type)
{
    const int64_t columns = (whole->channels + IE_LANES - 1) / IE_LANES;
    const int64_t lane = whole->pixels * whole->channels * ie_dtype_size(type);
#pragma omp parallel for num_threads(ie_cpu_thread_count()) schedule(static)
    for (int64_t i = 0; i < lanes * columns; i++) {
        const int64_t n = i / columns, c = i % columns * IE_LANES;
        sum s = *whole;
        s.a = (const char *)s.a + n * lane;
        if (s.b) s.b = (const char *)s.b + n * lane;
        if (s.y) s.y = (char *)s.y + n * lane;
        column_of_type((float *)m.data + 2 * (n * s.channels + c), &s, c, type);
    }
}

int ie_cpu_moments(ie_stream *s, ie_tensor m, ie_tensor x)
{
    (void)s;
    const sum whole = {x.data, NULL, NULL, 1, 0, x.dim[1] * x.dim[2], x.dim[3]};
    sum_with_moments(m, &whole, x.dim[0], x.dtype);
    return 0;
}

int ie_cpu_add(ie_stream *s, ie_tensor y, ie_tensor y_moments, ie_tensor a, ie_tensor b,
               float alpha, float beta)
{
    (void)s;
    const sum whole = {a.data, ie_present(b) ? b.data : NULL, y.data,  alpha,
                       beta,   y.dim[1] * y.dim[2],           y.dim[3]};
    if (ie_present(y_moments)) {
        sum_with_moments(y_moments, &whole, y.dim[0], y.dtype);
        return 0;
    }
    const int64_t count = ie_numel(y);
#pragma omp parallel for num_threads(ie_cpu_thread_count()) schedule(static)
    for (int64_t i = 0; i < count; i += IE_LANES) {
        if (y.dtype == IE_F32) {
            (void)sum_at(&whole, i, count - i, IE_F32);
        } else {
            (void)sum_at(&whole, i, count - i, IE_BF16);
        }
    }
    return 0;
}
