/* epilogue.c - see epilogue.h. Sixteen pixels by sixteen channels at a time, so the statistics are
 * made from registers. SPDX-License-Identifier: Apache-2.0 */
#include "epilogue.h"
#include "stats.h"

/* Element offsets of one block's residual pixels: one tap each, or four to be averaged. */
typedef struct taps {
    int64_t at[4][IE_STATS_BLOCK];
} taps;

static void find_taps(taps *t, const ie_epilogue *e, int64_t pixel, int n)
{
    for (int i = 0; i < n; i++) {
        const int64_t p = pixel + i, y = p / e->width, x = p % e->width;
        if (e->residual_resample == IE_UP2) {
            t->at[0][i] = ((y / 2) * (e->width / 2) + x / 2) * e->outputs + e->first;
            continue;
        }
        const int64_t corner = (2 * y * 2 * e->width + 2 * x) * e->outputs + e->first;
        t->at[0][i] = corner;
        t->at[1][i] = corner + e->outputs;
        t->at[2][i] = corner + 2 * e->width * e->outputs;
        t->at[3][i] = corner + (2 * e->width + 1) * e->outputs;
    }
}

IE_INLINE ie_v residual(const ie_epilogue *e, const taps *t, int i, int64_t c, int64_t n,
                        ie_dtype type)
{
    const ie_v r = ie_v_get(e->residual, t->at[0][i] + c, n, type);
    if (e->residual_resample != IE_DOWN2) return r;
    return ((r + ie_v_get(e->residual, t->at[1][i] + c, n, type)) +
            (ie_v_get(e->residual, t->at[2][i] + c, n, type) +
             ie_v_get(e->residual, t->at[3][i] + c, n, type))) *
           0.25f;
}

/* A block of pixels: where it begins, how many pixels have gone before, and its sums. */
typedef struct place {
    int64_t pixel, seen;
    const float *sums;
} place;

/* Channels [c, c + n) of `count` <= 16 pixels. */
IE_INLINE void finish(const ie_epilogue *e, const place *at, int count, int64_t c, int64_t n,
                      const taps *t, ie_dtype type)
{
    ie_v v[IE_STATS_BLOCK];
    const ie_v bias = ie_v_get(e->bias, e->first + c, n, IE_F32);
    for (int i = 0; i < count; i++) {
        const int64_t to = (at->pixel + i) * e->outputs + e->first + c;
        v[i] = ie_v_get(at->sums, i * e->chunk + c, n, IE_F32) + bias;
        if (e->residual && t) v[i] += residual(e, t, i, c, n, type);
        if (e->residual && !t) v[i] += ie_v_get(e->residual, to, n, type);
        v[i] *= e->scale;
        ie_v_put(e->y, to, n, v[i], type);
    }
    if (e->stats) {
        ie_stats s = ie_stats_load(e->stats, e->chunk, c, n);
        ie_stats_block(&s, at->seen, v, count);
        ie_stats_store(e->stats, e->chunk, c, n, s);
    }
}

IE_INLINE void block(const ie_epilogue *e, const place *at, int count, const taps *t, ie_dtype type)
{
    int64_t c = 0;
    for (; c + IE_LANES <= e->chunk; c += IE_LANES) finish(e, at, count, c, IE_LANES, t, type);
    if (c < e->chunk) finish(e, at, count, c, e->chunk - c, t, type);
}

/* Few output channels, all of them, and no statistics: pixels and channels are one run of
 * numbers, in which the bias repeats after 16 * outputs of them. */
IE_INLINE void flat_run(const ie_epilogue *e, const float *sums, int64_t pixel, int64_t count,
                        ie_dtype type)
{
    float bias[IE_LANES * IE_LANES];
    const int64_t period = e->outputs * IE_LANES, total = count * e->outputs;
    const int64_t to = pixel * e->outputs;
    for (int64_t i = 0; i < period; i++) bias[i] = e->bias[i % e->outputs];
    for (int64_t i = 0, k = 0; i < total; i += IE_LANES, k += IE_LANES) {
        const int64_t n = total - i;
        if (k == period) k = 0;
        ie_v v = ie_v_get(sums, i, n, IE_F32) + ie_v_load(bias, k, IE_F32);
        if (e->residual) v += ie_v_get(e->residual, to + i, n, type);
        ie_v_put(e->y, to + i, n, v * e->scale, type);
    }
}

static bool is_flat(const ie_epilogue *e)
{
    return e->outputs < IE_LANES && e->chunk == e->outputs && !e->stats &&
           (!e->residual || e->residual_resample == IE_SAME);
}

void ie_cpu_epilogue(const ie_epilogue *e, const float *sums, int64_t pixel, int64_t count,
                     int64_t seen)
{
    if (is_flat(e) && e->type == IE_F32) {
        flat_run(e, sums, pixel, count, IE_F32);
        return;
    }
    if (is_flat(e)) {
        flat_run(e, sums, pixel, count, IE_BF16);
        return;
    }
    taps all;
    const taps *t = e->residual && e->residual_resample != IE_SAME ? &all : NULL;
    for (int64_t i = 0; i < count; i += IE_STATS_BLOCK) {
        const int n = count - i < IE_STATS_BLOCK ? (int)(count - i) : IE_STATS_BLOCK;
        const place at = {pixel + i, seen + i, sums + i * e->chunk};
        if (t) find_taps(&all, e, pixel + i, n);
        if (e->type == IE_F32 && n == IE_STATS_BLOCK) {
            block(e, &at, IE_STATS_BLOCK, t, IE_F32);
        } else if (e->type == IE_F32) {
            block(e, &at, n, t, IE_F32);
        } else if (n == IE_STATS_BLOCK) {
            block(e, &at, IE_STATS_BLOCK, t, IE_BF16);
        } else {
            block(e, &at, n, t, IE_BF16);
        }
    }
}

void ie_cpu_merge_moments(float *moments, const float *stats, int64_t stride, int64_t channels,
                          int64_t each, int64_t total)
{
    for (int64_t c = 0; c < channels; c += IE_LANES) {
        const int64_t n = channels - c < IE_LANES ? channels - c : IE_LANES;
        ie_stats all = {0};
        for (int64_t i = 0; i * each < total; i++) {
            const ie_stats part = ie_stats_load(stats + i * stride, channels, c, n);
            ie_stats_merge(&all, i * each, part, total - i * each < each ? total - i * each : each);
        }
        ie_stats_finish(moments + 2 * c, all, total, n);
    }
}
