/* timing.h - what every bench shares: a clock, order statistics, and the order in which two things
 * are timed. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_BENCH_TIMING_H
#define IE_BENCH_TIMING_H

#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

/* Wall clock, or the processor time of all threads (`busy`: on a machine that others use too, with
 * one thread). */
static inline double bench_seconds(bool busy)
{
    struct timespec t;
    clock_gettime(busy ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static inline int bench_compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts the samples. q in [0, 1]: nearest order statistic. */
static inline double bench_quantile(double *samples, int count, double q)
{
    qsort(samples, (size_t)count, sizeof *samples, bench_compare);
    return samples[(int)(q * (count - 1) + 0.5)];
}

/* 0110 1001 1001 0110 ...: whether turn i belongs to the second of two contestants. Cancels linear
 * and quadratic drift. */
static inline bool bench_second_turn(unsigned i)
{
    return __builtin_parity(i);
}

#endif
