/* stats.h - mean and sum of squared deviations of sixteen channels at once, in one pass over
 * memory.
 *
 * Values are taken relative to the first one seen, `base`: a constant channel has variance 0
 * exactly, and a mean that swamps the spread costs no digits of it. Up to 16 pixels stay in
 * registers: their mean, then their deviations squared, merged into the running pair (Chan, Golub,
 * LeVeque: Algorithms for computing the sample variance, 1983) in the order of the pixels.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CPU_STATS_H
#define IE_CPU_STATS_H

#include "vec.h"

enum { IE_STATS_BLOCK = 16 };

typedef struct ie_stats {
    ie_v base, mean, m2; /* mean - base; sum of (x - mean)^2 */
} ie_stats;

/* In memory, `channels` apart: base, mean, m2; the first n lanes from channel c on. */
IE_INLINE ie_stats ie_stats_load(const float *p, int64_t channels, int64_t c, int64_t n)
{
    const ie_stats s = {ie_v_get(p, c, n, IE_F32), ie_v_get(p, channels + c, n, IE_F32),
                        ie_v_get(p, 2 * channels + c, n, IE_F32)};
    return s;
}
IE_INLINE void ie_stats_store(float *p, int64_t channels, int64_t c, int64_t n, ie_stats s)
{
    ie_v_put(p, c, n, s.base, IE_F32);
    ie_v_put(p, channels + c, n, s.mean, IE_F32);
    ie_v_put(p, 2 * channels + c, n, s.m2, IE_F32);
}

/* Merge b, over `added` > 0 values, into a, over `count`. */
IE_INLINE void ie_stats_merge(ie_stats *a, int64_t count, ie_stats b, int64_t added)
{
    if (count == 0) {
        *a = b;
        return;
    }
    const float share = (float)((double)added / (double)(count + added));
    const ie_v delta = (b.base - a->base) + (b.mean - a->mean);
    a->mean += delta * share;
    a->m2 += b.m2 + delta * delta * ((float)count * share);
}

/* Merge n <= IE_STATS_BLOCK pixels x[0..n). */
IE_INLINE void ie_stats_block(ie_stats *a, int64_t count, const ie_v *x, int n)
{
    const ie_v base = count == 0 ? x[0] : a->base;
    ie_v sum = x[0] - base;
    for (int i = 1; i < n; i++) sum += x[i] - base;
    ie_stats b = {base, sum * (1.0f / (float)n), ie_v_set(0.0f)};
    for (int i = 0; i < n; i++) {
        const ie_v d = (x[i] - base) - b.mean;
        b.m2 += d * d;
    }
    ie_stats_merge(a, count, b, n);
}

/* [n, 2]: mean and variance of `count` values. */
IE_INLINE void ie_stats_finish(float *moments, ie_stats s, int64_t count, int64_t n)
{
    const ie_v mean = s.base + s.mean, variance = s.m2 * (1.0f / (float)count);
    for (int64_t k = 0; k < n; k++) {
        moments[2 * k] = mean[k];
        moments[2 * k + 1] = variance[k];
    }
}

#endif
