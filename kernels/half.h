/* half.h - bf16 and f16 bits to f32 and back, as every backend and the loader read them.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_HALF_H
#define IE_HALF_H

#include <stdint.h>
#include <string.h>

static inline float ie_f32_from_bits(uint32_t bits)
{
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static inline uint32_t ie_bits_from_f32(float f)
{
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static inline float ie_f32_from_bf16(uint16_t h)
{
    return ie_f32_from_bits((uint32_t)h << 16);
}

/* Round to nearest, ties to even; NaN stays a (quiet) NaN. */
static inline uint16_t ie_bf16_from_f32(float f)
{
    const uint32_t bits = ie_bits_from_f32(f);
    if ((bits & 0x7fffffffu) > 0x7f800000u) return (uint16_t)(bits >> 16 | 0x40u);
    return (uint16_t)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

static inline float ie_f32_from_f16(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    const uint32_t magnitude = (uint32_t)(h & 0x7fffu) << 13;
    if ((h & 0x7c00u) == 0x7c00u)
        return ie_f32_from_bits(sign | magnitude | 0x7f800000u); /* inf, NaN */
    /* The exponent bias differs by 112: one exact multiplication, subnormals included. */
    return ie_f32_from_bits(ie_bits_from_f32(ie_f32_from_bits(magnitude) * 0x1p112f) | sign);
}

#endif
