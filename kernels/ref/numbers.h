/* numbers.h - how the reference reads and writes numbers: every stored type to double, and back
 * with one rounding.
 *
 * Everything between a load and a store is double, so a value is rounded exactly once, to nearest
 * even, on its way out. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_REF_NUMBERS_H
#define IE_REF_NUMBERS_H

#include "half.h"
#include "ops.h"

#include <math.h>
#include <string.h>

/* To bf16 with one rounding. Rounding to f32 first and to bf16 after would round twice, so the f32
 * on the way is cut towards zero and made odd when anything was lost: then no tie can appear that
 * was not there. */
static inline uint16_t ie_ref_to_bf16(double value)
{
    const float near = (float)value;
    uint32_t bits = ie_bits_from_f32(near);
    if ((double)near != value && !isnan(value)) {
        bits -= fabs((double)near) > fabs(value);
        bits |= 1;
    }
    return ie_bf16_from_f32(ie_f32_from_bits(bits));
}

/* Element i of contiguous memory of type f32, bf16 or f16. */
static inline double ie_ref_load(const void *data, ie_dtype dtype, int64_t i)
{
    if (dtype == IE_F32) return (double)((const float *)data)[i];
    const uint16_t half = ((const uint16_t *)data)[i];
    if (dtype == IE_BF16) return (double)ie_f32_from_bf16(half);
    return (double)ie_f32_from_f16(half);
}

/* f32 or bf16: the types of results. */
static inline void ie_ref_store(void *data, ie_dtype dtype, int64_t i, double value)
{
    if (dtype == IE_F32) {
        ((float *)data)[i] = (float)value;
    } else {
        ((uint16_t *)data)[i] = ie_ref_to_bf16(value);
    }
}

/* What `value` becomes when it is stored as `dtype`. */
static inline double ie_ref_round(ie_dtype dtype, double value)
{
    if (dtype == IE_F32) return (double)(float)value;
    return (double)ie_f32_from_bf16(ie_ref_to_bf16(value));
}

static inline double ie_ref_act(ie_act act, double x)
{
    const double sqrt_half = 0.70710678118654752440;
    const double sqrt_2_over_pi = 0.79788456080286535588;
    switch (act) {
    case IE_ACT_SILU: return x / (1 + exp(-x));
    case IE_ACT_GELU: return 0.5 * x * erfc(-x * sqrt_half); /* erfc keeps the left tail */
    case IE_ACT_GELU_TANH: return 0.5 * x * (1 + tanh(sqrt_2_over_pi * (x + 0.044715 * x * x * x)));
    case IE_ACT_NONE: break;
    }
    return x;
}

#endif
