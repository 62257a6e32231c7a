/* values.h - how the kernels that move maps and rows read and write numbers: one or eight at once,
 * bf16 or f32 in memory, f32 in registers; norms and the activations.
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CUDA_VALUES_H
#define IE_CUDA_VALUES_H

#include "ops.h"
#include "ptx.h"

#include <cuda_bf16.h>

typedef __nv_bfloat16 bf16;

/* ---- N values: 16 bytes at a time where N is 8, and then `p` is aligned to 16 ---------------- */

template <int N> PTX_INLINE void load(float (&v)[N], const float *p)
{
    if constexpr (N % 4 == 0) {
#pragma unroll
        for (int i = 0; i < N; i += 4) {
            const float4 four = *reinterpret_cast<const float4 *>(p + i);
            v[i] = four.x;
            v[i + 1] = four.y;
            v[i + 2] = four.z;
            v[i + 3] = four.w;
        }
    } else {
#pragma unroll
        for (int i = 0; i < N; i++) v[i] = p[i];
    }
}

/* Eight of bf16, to f32. */
PTX_INLINE void expand(float (&v)[8], const uint4 &eight)
{
    const uint32_t pair[4] = {eight.x, eight.y, eight.z, eight.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
        v[2 * i] = __uint_as_float(pair[i] << 16);
        v[2 * i + 1] = __uint_as_float(pair[i] & 0xffff0000u);
    }
}

template <int N> PTX_INLINE void load(float (&v)[N], const bf16 *p)
{
    if constexpr (N == 8) {
        expand(v, *reinterpret_cast<const uint4 *>(p));
    } else {
#pragma unroll
        for (int i = 0; i < N; i++) v[i] = __bfloat162float(p[i]);
    }
}

PTX_INLINE uint32_t bf16_pair(float low, float high)
{
    const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<const uint32_t *>(&pair);
}

/* And back. */
PTX_INLINE uint4 rounded(const float (&v)[8])
{
    return uint4{bf16_pair(v[0], v[1]), bf16_pair(v[2], v[3]), bf16_pair(v[4], v[5]),
                 bf16_pair(v[6], v[7])};
}

template <int N> PTX_INLINE void store(float *p, const float (&v)[N])
{
    if constexpr (N % 4 == 0) {
#pragma unroll
        for (int i = 0; i < N; i += 4) {
            *reinterpret_cast<float4 *>(p + i) = float4{v[i], v[i + 1], v[i + 2], v[i + 3]};
        }
    } else {
#pragma unroll
        for (int i = 0; i < N; i++) p[i] = v[i];
    }
}

template <int N> PTX_INLINE void store(bf16 *p, const float (&v)[N])
{
    if constexpr (N == 8) {
        *reinterpret_cast<uint4 *>(p) = rounded(v);
    } else if constexpr (N == 4) { /* aligned to 8 */
        *reinterpret_cast<uint2 *>(p) = uint2{bf16_pair(v[0], v[1]), bf16_pair(v[2], v[3])};
    } else {
#pragma unroll
        for (int i = 0; i < N; i++) p[i] = __float2bfloat16(v[i]);
    }
}

/* ---- four f32 of a run that may end, at any alignment: what one Philox block covers ---------- */

PTX_INLINE bool is_whole(const float *p, int left)
{
    return left >= 4 && reinterpret_cast<uintptr_t>(p) % 16 == 0;
}

PTX_INLINE void load_four(float (&v)[4], const float *p, int left)
{
    if (is_whole(p, left)) {
        load(v, p);
        return;
    }
#pragma unroll
    for (int i = 0; i < 4; i++) v[i] = i < left ? p[i] : 0.0f;
}

PTX_INLINE void store_four(float *p, const float (&v)[4], int left)
{
    if (is_whole(p, left)) {
        store(p, v);
        return;
    }
#pragma unroll
    for (int i = 0; i < 4; i++) {
        if (i < left) p[i] = v[i];
    }
}

/* ---- norm and film, folded ------------------------------------------------------------------- */

/* (x - centre) scale + shift keeps the digits that x scale + (shift - centre scale) would lose. */
template <int N> struct folded_norm {
    float centre[N], scale[N], shift[N];
};

template <int N> PTX_INLINE void normalise(float (&v)[N], const folded_norm<N> &norm)
{
#pragma unroll
    for (int i = 0; i < N; i++) v[i] = (v[i] - norm.centre[i]) * norm.scale[i] + norm.shift[i];
}

/* ---- activations ----------------------------------------------------------------------------- */

/* Two of the slow instructions for a value, and six others. The power overflows to infinity and the
 * quotient to zero; both are within a few units of f32. */
PTX_INLINE float silu(float x)
{
    return divide_approximate(x, 1.0f + exp2_approximate(-1.44269504f * x));
}

/* erfc keeps the left tail. */
PTX_INLINE float gelu(float x)
{
    return 0.5f * x * erfcf(-0.70710678f * x);
}

/* 1 + tanh u = 2 / (1 + e^-2u), as silu. */
PTX_INLINE float gelu_tanh(float x)
{
    const float u = 0.79788456f * (x + 0.044715f * x * x * x);
    return divide_approximate(x, 1.0f + exp2_approximate(-2.88539008f * u));
}

template <int N> PTX_INLINE void activate(float (&v)[N], ie_act act)
{
    if (act == IE_ACT_SILU) {
#pragma unroll
        for (int i = 0; i < N; i++) v[i] = silu(v[i]);
    } else if (act == IE_ACT_GELU) {
#pragma unroll
        for (int i = 0; i < N; i++) v[i] = gelu(v[i]);
    } else if (act == IE_ACT_GELU_TANH) {
#pragma unroll
        for (int i = 0; i < N; i++) v[i] = gelu_tanh(v[i]);
    }
}

/* ---- sizes ----------------------------------------------------------------------------------- */

static inline unsigned blocks_for(int64_t items, int64_t each)
{
    return static_cast<unsigned>((items + each - 1) / each);
}

#endif
