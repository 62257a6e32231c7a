/* bounds.h - how far from the exact value honest arithmetic may end up: the error model of the
 * harness.
 *
 * An `approx` is an exact value (in double) and a bound of the absolute error a backend may have at
 * that point. The rules are those of ops.h: statistics, sums and functions in f32, one rounding to
 * the output type at the store, and for a transformed convolution operand one rounding to the act
 * type. U is the unit roundoff: one operation rounded to nearest is off by at most U |result|.
 * First-order analysis; second-order terms are far below the slack of the integer constants.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_BOUNDS_H
#define IE_BOUNDS_H

#include "check.h"

#include <math.h>

#define CHECK_U        0x1p-24  /* of f32: 24 bits of significand */
#define CHECK_U_BF16   0x1p-8   /* of bf16: 8 bits */
#define CHECK_SMALLEST 0x1p-126 /* f32 results below this may be flushed to zero */

typedef struct approx {
    double v, e; /* value, absolute error bound */
} approx;

static inline double check_unit(ie_dtype dtype)
{
    return dtype == IE_BF16 ? CHECK_U_BF16 : CHECK_U;
}

/* One more f32 operation on the way. */
static inline approx check_rounded(approx x)
{
    return (approx){x.v, x.e + CHECK_U * (fabs(x.v) + x.e)};
}

/* Stored as `dtype`. */
static inline approx check_stored(approx x, ie_dtype dtype)
{
    return (approx){x.v, x.e + check_unit(dtype) * (fabs(x.v) + x.e) + CHECK_SMALLEST};
}

/* Element i of an output is x, stored in the output's type. */
static inline void check_expect(check_output *out, int64_t i, approx x)
{
    out->want[i] = x.v;
    out->bound[i] = check_stored(x, out->t.dtype).e;
}

/* Error of a product sum of n f32 terms in any order, relative to the sum of their sizes: every
 * term passes through at most n additions and one product. */
static inline double check_sum_error(int64_t n)
{
    return (double)(n + 1) * CHECK_U;
}

/* The same for statistics, which run over up to a million pixels. One f32 accumulator from end to
 * end would lose most of its digits there, so it is refused: a run of at most 256 additions, then a
 * tree (or double, or compensation) is what a backend must do. */
static inline double check_statistic_error(int64_t n)
{
    const double depth = n <= 256 ? (double)n : 256 + log2((double)n);
    return (depth + 1) * CHECK_U;
}

/* Slopes are at most 1.13 for all of them; the function itself is within 8 U |x|: each is x times a
 * factor in [0, 1] made from exp, tanh or erf with an absolute error of a few U. */
static inline approx check_act(ie_act act, approx x)
{
    double v;
    switch (act) {
    case IE_ACT_SILU: v = x.v / (1 + exp(-x.v)); break;
    case IE_ACT_GELU: v = x.v * 0.5 * erfc(-x.v / sqrt(2)); break;
    case IE_ACT_GELU_TANH:
        v = 0.5 * x.v * (1 + tanh(sqrt(2 / M_PI) * (x.v + 0.044715 * pow(x.v, 3))));
        break;
    default: return x;
    }
    return (approx){v, 1.13 * x.e + 8 * CHECK_U * fabs(x.v)};
}

/* Running mean and variance of values that carry an error themselves. The true statistics take two
 * passes: check_spread_mean over all, then check_spread_var over all, then the results. */
typedef struct check_spread {
    int64_t count;
    double sum, size, error;     /* of v, |v| + e, e */
    double mean, square, error2; /* of (v - mean)^2, e^2 */
} check_spread;

static inline void check_spread_mean(check_spread *s, approx x)
{
    s->count++;
    s->sum += x.v;
    s->size += fabs(x.v) + x.e;
    s->error += x.e;
    s->mean = s->sum / (double)s->count;
}

static inline void check_spread_var(check_spread *s, approx x)
{
    s->square += (x.v - s->mean) * (x.v - s->mean);
    s->error2 += x.e * x.e;
}

static inline approx check_mean(const check_spread *s)
{
    const double n = (double)s->count;
    return (approx){s->mean, s->error / n + check_statistic_error(s->count) * s->size / n};
}

/* The standard deviation moves by at most the root mean square r of the input errors, so the
 * variance by 2 sqrt(var) r + r^2. Deviations from a mean that is off by d add d^2 (the cross term
 * sums to zero), and their own arithmetic a relative error. E[x^2] - E[x]^2 does not fit in
 * here. */
static inline approx check_variance(const check_spread *s)
{
    const double n = (double)s->count, var = s->square / n, r = sqrt(s->error2 / n);
    const double d = check_statistic_error(s->count) * s->size / n;
    const double own = (check_statistic_error(s->count) + 4 * CHECK_U) * (var + r * r + d * d);
    return (approx){var, 2 * sqrt(var) * r + r * r + d * d + own};
}

/* Pair `i` of an output [.., 2] of means and variances. */
static inline void check_expect_moments(check_output *out, int64_t i, const check_spread *s)
{
    check_expect(out, 2 * i, check_mean(s));
    check_expect(out, 2 * i + 1, check_variance(s));
}

/* 1 / sqrt(var + eps). */
static inline approx check_inverse_root(approx var, double eps)
{
    const double v = 1 / sqrt(var.v + eps);
    /* The variance is never below zero, which bounds how far the root may move. */
    const double low = fmax(var.v - var.e, 0) + eps, high = var.v + var.e + eps;
    const double e = fmax(1 / sqrt(low) - v, v - 1 / sqrt(high));
    return (approx){v, e + 4 * CHECK_U * (v + e)};
}

#endif
