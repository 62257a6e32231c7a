/* descriptor.h - the 64-bit descriptor of a wgmma operand in shared memory.
 *
 *   bits 0-13   start address / 16        bits 32-45  stride byte offset / 16 (sbo)
 *   bits 16-29  leading byte offset / 16  bits 62-63  swizzle: 0 none, 1 128, 2 64, 3 32 bytes
 *                (lbo)                    bits 49-51  base offset, which must be 0 here
 *
 * An operand consists of core matrices of 8 rows of 16 bytes.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CUDASIM_DESCRIPTOR_H
#define CUDASIM_DESCRIPTOR_H

#include "swizzle.h"

#include <cstdint>

namespace cudasim
{
struct Descriptor {
    uint32_t start, lbo, sbo; /* bytes */
    unsigned mode;            /* of swizzle.h */
    unsigned base_offset;
};

inline Descriptor decode(uint64_t bits)
{
    const unsigned field = static_cast<unsigned>(bits >> 62);
    return {static_cast<uint32_t>(bits & 0x3fff) << 4,
            static_cast<uint32_t>(bits >> 16 & 0x3fff) << 4,
            static_cast<uint32_t>(bits >> 32 & 0x3fff) << 4, field ? 4 - field : 0,
            static_cast<unsigned>(bits >> 49 & 7)};
}

/* Address of element (mn, k) of an operand whose elements have `size` bytes and lie along k. */
inline uint32_t k_major(const Descriptor &d, unsigned mn, unsigned k, unsigned size)
{
    const uint32_t row_group = d.start + mn / 8 * d.sbo, byte = k * size;
    if (!d.mode) return row_group + byte / 16 * d.lbo + mn % 8 * 16 + byte % 16;
    return swizzle(row_group + mn % 8 * (16u << d.mode) + byte, d.mode);
}

/* The same for elements of 2 bytes that lie along mn. */
inline uint32_t mn_major(const Descriptor &d, unsigned mn, unsigned k)
{
    if (!d.mode) return d.start + mn / 8 * d.sbo + k / 8 * d.lbo + k % 8 * 16 + mn % 8 * 2;
    const unsigned span = 16u << d.mode, per_span = span / 2;
    return swizzle(
        d.start + mn / per_span * d.lbo + k / 8 * d.sbo + k % 8 * span + mn % per_span * 2, d.mode);
}
} /* namespace cudasim */

#endif
