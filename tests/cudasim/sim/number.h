/* number.h - the numbers of the matrix instructions, as f32.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CUDASIM_NUMBER_H
#define CUDASIM_NUMBER_H

#include "model.h"

#include <cmath>
#include <cstdint>
#include <cstring>

namespace cudasim
{
inline float from_bf16(uint16_t bits)
{
    const uint32_t wide = static_cast<uint32_t>(bits) << 16;
    float value;
    std::memcpy(&value, &wide, 4);
    return value;
}

/* Bias 7, no infinity, NaN is all ones. */
inline float from_e4m3(uint8_t bits)
{
    const int exponent = bits >> 3 & 15, mantissa = bits & 7;
    float value;
    if ((bits & 0x7f) == 0x7f)
        value = NAN;
    else if (exponent == 0)
        value = std::ldexp(static_cast<float>(mantissa), -9);
    else
        value = std::ldexp(static_cast<float>(mantissa | 8), exponent - 10);
    return bits & 0x80 ? -value : value;
}

inline unsigned bytes_of(Number number)
{
    return number == BF16 ? 2 : 1;
}

/* 16 bytes of operands: 8 of bf16, 16 of e4m3, `step` floats apart. */
inline void unpack_chunk(const unsigned char *chunk, Number number, float *out, unsigned step)
{
    for (unsigned i = 0; i < 16 / bytes_of(number); i++) {
        if (number == BF16) {
            uint16_t bits;
            std::memcpy(&bits, chunk + 2 * i, 2);
            out[i * step] = from_bf16(bits);
        } else {
            out[i * step] = from_e4m3(chunk[i]);
        }
    }
}

/* Element i of a 32-bit register of operands. */
inline float from_register(uint32_t bits, Number number, unsigned i)
{
    if (number == BF16) return from_bf16(static_cast<uint16_t>(bits >> 16 * i));
    return from_e4m3(static_cast<uint8_t>(bits >> 8 * i));
}
} /* namespace cudasim */

#endif
