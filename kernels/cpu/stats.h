/* stats.h - mean and sum of squared deviations of sixteen channels at once, in one pass over memory.
 *
 * Up to 16 pixels stay in registers: their mean is taken relative to the first (so a constant channel has variance 0
 * exactly), their deviations squared, and the block is merged into the running pair (Chan, Golub, LeVeque: Algorithms for
 * computing the sample variance, 1983). Blocks are merged in the order of the pixels. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CPU_STATS_H
#define IE_CPU_STATS_H

#include "vec.h"

enum { IE_STATS_BLOCK = 16 };

typedef struct ie_stats {
    ie_v mean, m2; /* m2: sum of (x - mean)^2 */
} ie_stats;

/* Merge b, over `added` values, into a, over `count`; added > 0. */
IE_INLINE void ie_stats_merge(ie_stats *a, int64_t count, ie_stats b, int64_t added)
{
    if (count == 0) {
        *a = b;
        return;
    }
    const float share = (float)((double)added / (double)(count + added));
    const ie_v delta = b.mean - a->mean;
    a->mean += delta * share;
    a->m2 += b.m2 + delta * delta * ((float)count * share);
}

/* Merge n <= IE_STATS_BLOCK pixels x[0..n). */
IE_INLINE void ie_stats_block(ie_stats *a, int64_t count, const ie_v *x, int n)
{
    ie_v sum = x[0] - x[0];
    for (int i = 1; i < n; i++) sum += x[i] - x[0];
    const ie_v shift = sum * (1.0f / (float)n);
    ie_stats b = {x[0] + shift, ie_v_set(0.0f)};
    for (int i = 0; i < n; i++) {
        const ie_v d = (x[i] - x[0]) - shift;
        b.m2 += d * d;
    }
    ie_stats_merge(a, count, b, n);
}

#endif
