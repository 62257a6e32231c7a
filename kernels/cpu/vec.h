/* vec.h - the vocabulary of the inner loops: sixteen floats at a time, whatever the machine's
 * registers are.
 *
 * GCC vector types: one zmm on AVX-512, two ymm on AVX2, four q registers on aarch64. Products and
 * sums round one by one (-ffp-contract=off) except where ie_v_fma says otherwise, so a vector lane
 * and a scalar tail agree bit for bit. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CPU_VEC_H
#define IE_CPU_VEC_H

#include "isa.h"
#include "tensor.h"

#include <string.h>
#if defined(__AVX__)
#include <immintrin.h>
#endif

#define IE_INLINE static inline __attribute__((always_inline))

enum { IE_LANES = 16 };

typedef float ie_v __attribute__((vector_size(64)));
typedef int32_t ie_vi __attribute__((vector_size(64)));
typedef uint32_t ie_vu __attribute__((vector_size(64)));
typedef uint16_t ie_vh __attribute__((vector_size(32)));

IE_INLINE ie_v ie_v_set(float x)
{
    return (ie_v){x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x};
}
IE_INLINE ie_vu ie_v_bits(ie_v x)
{
    return (ie_vu)x;
}
IE_INLINE ie_v ie_v_select(ie_vi mask, ie_v yes, ie_v no) /* mask lanes are 0 or -1 */
{
    return (ie_v)(((ie_vi)yes & mask) | ((ie_vi)no & ~mask));
}

#if defined(__AVX512F__)
IE_INLINE ie_v ie_v_fma(ie_v a, ie_v b, ie_v c)
{
    return (ie_v)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
}
IE_INLINE ie_v ie_v_max(ie_v a, ie_v b)
{
    return (ie_v)_mm512_max_ps((__m512)a, (__m512)b);
}
IE_INLINE ie_v ie_v_min(ie_v a, ie_v b)
{
    return (ie_v)_mm512_min_ps((__m512)a, (__m512)b);
}
#else
IE_INLINE ie_v ie_v_max(ie_v a, ie_v b)
{
    return ie_v_select(a > b, a, b);
}
IE_INLINE ie_v ie_v_min(ie_v a, ie_v b)
{
    return ie_v_select(a < b, a, b);
}
#if defined(__FMA__)
IE_INLINE ie_v ie_v_fma(ie_v a, ie_v b, ie_v c)
{
    union {
        ie_v whole;
        __m256 half[2];
    } x = {a}, y = {b}, z = {c};
    z.half[0] = _mm256_fmadd_ps(x.half[0], y.half[0], z.half[0]);
    z.half[1] = _mm256_fmadd_ps(x.half[1], y.half[1], z.half[1]);
    return z.whole;
}
#else
IE_INLINE ie_v ie_v_fma(ie_v a, ie_v b, ie_v c)
{
    return a * b + c;
}
#endif
#endif

IE_INLINE ie_v ie_v_sqrt(ie_v x)
{
#if defined(__AVX512F__)
    return (ie_v)_mm512_sqrt_ps((__m512)x);
#else
    for (int i = 0; i < IE_LANES; i++) x[i] = __builtin_sqrtf(x[i]);
    return x;
#endif
}

/* ---- bf16 ------------------------------------------------------------------------------------ */

IE_INLINE ie_v ie_v_widen(ie_vh h)
{
    return (ie_v)(__builtin_convertvector(h, ie_vu) << 16);
}
IE_INLINE ie_vh ie_v_narrow(ie_v x) /* to nearest even; a NaN stays one */
{
#if defined(__AVX512BF16__)
    return (ie_vh)_mm512_cvtneps_pbh((__m512)x); /* below 2^-126 it gives zero */
#else
    const ie_vu u = ie_v_bits(x);
    const ie_vu rounded = u + 0x7fffu + ((u >> 16) & 1u);
    const ie_vi nan = (ie_vi)(u & 0x7fffffffu) > 0x7f800000;
    return __builtin_convertvector((ie_vu)(((ie_vi)rounded & ~nan) | (nan & 0x7fc00000)) >> 16,
                                   ie_vh);
#endif
}

/* c + the dot product of the two bf16 in each lane of a and b: exact products, f32 sums. */
IE_INLINE ie_v ie_v_dot_pairs(ie_v a, ie_v b, ie_v c)
{
#if defined(__AVX512BF16__)
    return (ie_v)_mm512_dpbf16_ps((__m512)c, (__m512bh)a, (__m512bh)b);
#else
    const ie_v a_high = (ie_v)(ie_v_bits(a) & 0xffff0000u),
               b_high = (ie_v)(ie_v_bits(b) & 0xffff0000u);
    c = ie_v_fma(a_high, b_high, c);
    return ie_v_fma((ie_v)(ie_v_bits(a) << 16), (ie_v)(ie_v_bits(b) << 16), c);
#endif
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* `type` is f32 or bf16 and a constant after inlining; i counts elements. */

IE_INLINE ie_v ie_v_load(const void *p, int64_t i, ie_dtype type)
{
    if (type == IE_BF16) {
        ie_vh h;
        memcpy(&h, (const uint16_t *)p + i, sizeof h);
        return ie_v_widen(h);
    }
    ie_v x;
    memcpy(&x, (const float *)p + i, sizeof x);
    return x;
}
IE_INLINE void ie_v_store(void *p, int64_t i, ie_v x, ie_dtype type)
{
    if (type == IE_BF16) {
        const ie_vh h = ie_v_narrow(x);
        memcpy((uint16_t *)p + i, &h, sizeof h);
    } else {
        memcpy((float *)p + i, &x, sizeof x);
    }
}
/* The first n < 16 lanes; the others read as zero and are not written. */
IE_INLINE ie_v ie_v_load_part(const void *p, int64_t i, int64_t n, ie_dtype type)
{
    if (type == IE_BF16) {
        uint16_t h[IE_LANES] = {0};
        memcpy(h, (const uint16_t *)p + i, (size_t)n * sizeof *h);
        return ie_v_load(h, 0, IE_BF16);
    }
    float x[IE_LANES] = {0};
    memcpy(x, (const float *)p + i, (size_t)n * sizeof *x);
    return ie_v_load(x, 0, IE_F32);
}
IE_INLINE void ie_v_store_part(void *p, int64_t i, int64_t n, ie_v x, ie_dtype type)
{
    if (type == IE_BF16) {
        const ie_vh h = ie_v_narrow(x);
        memcpy((uint16_t *)p + i, &h, (size_t)n * sizeof(uint16_t));
    } else {
        memcpy((float *)p + i, &x, (size_t)n * sizeof(float));
    }
}
/* Both in one: n >= 16 is a whole vector. */
IE_INLINE ie_v ie_v_get(const void *p, int64_t i, int64_t n, ie_dtype type)
{
    return n >= IE_LANES ? ie_v_load(p, i, type) : ie_v_load_part(p, i, n, type);
}
IE_INLINE void ie_v_put(void *p, int64_t i, int64_t n, ie_v x, ie_dtype type)
{
    if (n >= IE_LANES) {
        ie_v_store(p, i, x, type);
    } else {
        ie_v_store_part(p, i, n, x, type);
    }
}

/* Sum and maximum over the lanes, always by the same tree. */
IE_INLINE float ie_v_sum(ie_v x)
{
    float t[IE_LANES];
    memcpy(t, &x, sizeof t);
    for (int half = IE_LANES / 2; half > 0; half /= 2) {
        for (int i = 0; i < half; i++) t[i] += t[i + half];
    }
    return t[0];
}

#endif
