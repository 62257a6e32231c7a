/* quantile.c - an exact quantile by radix selection: three histograms over the bits of |x|, eleven,
 * eleven and ten.
 *
 * Magnitudes of floats are ordered like their bits, and counts are integers, so any number of
 * threads gives the same. SPDX-License-Identifier: Apache-2.0 */
#include "half.h"
#include "sampler.h"
#include "threads.h"

#include <string.h>

enum { BUCKETS = 1 << 11 };

/* From the top: bits 31-21, 20-10, 9-0. */
typedef struct digit {
    int shift, bits;
} digit;
static const digit digits[] = {{21, 11}, {10, 11}, {0, 10}};

static const uint32_t infinite = 0x7f800000u;

static inline uint32_t magnitude(const float *x, int64_t i)
{
    const uint32_t bits = ie_bits_from_f32(x[i]) & 0x7fffffffu;
    return bits < infinite ? bits : infinite;
}

uint64_t ie_cpu_quantile_bytes(void)
{
    return (uint64_t)ie_cpu_thread_limit() * BUCKETS * sizeof(uint32_t);
}

/* Of the values that agree with prefix above digit d, how many have each value of it: into the
 * first histogram. */
static void count_digits(uint32_t *histograms, const float *x, int64_t count, uint32_t prefix,
                         digit d)
{
    const int top = d.shift + d.bits;
    const uint32_t above = top < 32 ? ~0u << top : 0, mask = (1u << d.bits) - 1;
    const int threads = ie_cpu_thread_count();
    memset(histograms, 0, (size_t)threads * BUCKETS * sizeof *histograms);
#pragma omp parallel num_threads(threads)
    {
        uint32_t *mine = histograms + (size_t)omp_get_thread_num() * BUCKETS;
#pragma omp for schedule(static)
        for (int64_t i = 0; i < count; i++) {
            const uint32_t bits = magnitude(x, i);
            if (((bits ^ prefix) & above) == 0) mine[bits >> d.shift & mask]++;
        }
    }
    for (int t = 1; t < threads; t++) {
        for (int b = 0; b < BUCKETS; b++) histograms[b] += histograms[t * BUCKETS + b];
    }
}

static uint32_t smallest_above(const float *x, int64_t count, uint32_t bits)
{
    uint32_t least = infinite;
#pragma omp parallel for num_threads(ie_cpu_thread_count()) schedule(static) reduction(min : least)
    for (int64_t i = 0; i < count; i++) {
        const uint32_t m = magnitude(x, i);
        if (m > bits && m < least) least = m;
    }
    return least;
}

float ie_cpu_quantile(const float *x, int64_t count, float q, void *histograms)
{
    const double position = (double)q * (double)(count - 1);
    int64_t k = (int64_t)position;
    if (k < 0) k = 0;
    if (k > count - 1) k = count - 1;
    uint32_t prefix = 0;
    int64_t below = 0; /* values smaller than every candidate */
    uint32_t *buckets = histograms;
    for (int d = 0; d < 3; d++) {
        count_digits(buckets, x, count, prefix, digits[d]);
        uint32_t b = 0;
        for (; below + buckets[b] <= k; b++) below += buckets[b];
        prefix |= b << digits[d].shift;
        if (d == 2) below += buckets[b]; /* now: not larger than the k-th */
    }
    const double low = (double)ie_f32_from_bits(prefix);
    if (k + 1 < below || k == count - 1) return (float)low;
    const double high = (double)ie_f32_from_bits(smallest_above(x, count, prefix));
    return (float)(high > low ? low + (position - (double)k) * (high - low) : low);
}
