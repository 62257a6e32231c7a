/* cuda_bf16.h - stand-in for the toolkit's header: the bf16 types and the conversions that kernels
 * here use, round to nearest even. Arithmetic is done in f32 by the kernels, so there is none.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CUDASIM_CUDA_BF16_H
#define CUDASIM_CUDA_BF16_H

#include "cuda_runtime.h"

#include <cstdint>
#include <cstring>

struct __nv_bfloat16 {
    unsigned short bits;
} CUDASIM_ALIGNED(2);

struct __nv_bfloat162 {
    __nv_bfloat16 x, y;
} CUDASIM_ALIGNED(4);

typedef __nv_bfloat16 nv_bfloat16;
typedef __nv_bfloat162 nv_bfloat162;

CUDASIM_INLINE __nv_bfloat16 __float2bfloat16(float value)
{
    uint32_t bits;
    std::memcpy(&bits, &value, 4);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return {0x7fff}; /* the NaN that the chip makes */
    bits += 0x7fffu + (bits >> 16 & 1u);
    return {static_cast<unsigned short>(bits >> 16)};
}

CUDASIM_INLINE __nv_bfloat16 __float2bfloat16_rn(float value)
{
    return __float2bfloat16(value);
}

CUDASIM_INLINE float __bfloat162float(__nv_bfloat16 value)
{
    const uint32_t bits = static_cast<uint32_t>(value.bits) << 16;
    float result;
    std::memcpy(&result, &bits, 4);
    return result;
}

CUDASIM_INLINE __nv_bfloat162 __floats2bfloat162_rn(float low, float high)
{
    return {__float2bfloat16(low), __float2bfloat16(high)};
}

CUDASIM_INLINE float2 __bfloat1622float2(__nv_bfloat162 pair)
{
    return {__bfloat162float(pair.x), __bfloat162float(pair.y)};
}

#endif
