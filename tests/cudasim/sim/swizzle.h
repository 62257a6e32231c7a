/* swizzle.h - the three patterns in which tensor copies and wgmma permute the 16-byte chunks of
 * shared memory: bits 4.. of the address are xored with bits 7.., one, two or three of them.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CUDASIM_SWIZZLE_H
#define CUDASIM_SWIZZLE_H

#include <cstdint>

namespace cudasim
{
/* mode 0: none; 1, 2, 3: 32, 64, 128 bytes, which are also its span: 16 << mode */
inline uint32_t swizzle(uint32_t address, unsigned mode)
{
    return address ^ ((address >> 3) & (((1u << mode) - 1) << 4));
}

/* Bytes after which a pattern repeats, to which buffers are aligned. */
inline uint32_t swizzle_period(unsigned mode)
{
    return mode ? 128u << mode : 128u;
}
} /* namespace cudasim */

#endif
