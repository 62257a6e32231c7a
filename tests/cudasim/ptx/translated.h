/* translated.h - what the C++ made by ptx2cpp.py needs beside the simulator: PTX instructions that
 * are no C++ operator, by their definition in the PTX manual.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CUDASIM_TRANSLATED_H
#define CUDASIM_TRANSLATED_H

#include "cuda_bf16.h"
#include "cuda_runtime.h"
#include "model.h"
#include "report.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>

namespace cudasim
{
template <class To, class From> inline To cast(From from) /* the same bits */
{
    static_assert(sizeof(To) == sizeof(From), "a cast keeps the size");
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}

inline uint16_t to_bf16(float value)
{
    return cast<uint16_t>(__float2bfloat16(value));
}

/* Of a float that is rounded already: the nearest integer there is; for NaN 0, or, where one of the
 * types has 64 bits, the highest bit alone. */
template <class T, class F> inline T clamped(F value)
{
    constexpr bool wide = sizeof(F) == 8 || sizeof(T) == 8;
    if (std::isnan(value)) return wide ? static_cast<T>(uint64_t{1} << (8 * sizeof(T) - 1)) : 0;
    if (value <= static_cast<F>(std::numeric_limits<T>::min()))
        return std::numeric_limits<T>::min();
    if (value >= static_cast<F>(std::numeric_limits<T>::max()))
        return std::numeric_limits<T>::max();
    return static_cast<T>(value);
}

template <class F> inline F reciprocal(F value)
{
    return 1 / value;
}
inline double rough_reciprocal(double value) /* its lower half is zero */
{
    return cast<double>(cast<uint64_t>(1 / value) >> 32 << 32);
}
template <class F> inline F reciprocal_root(F value)
{
    return 1 / std::sqrt(value);
}
inline uint32_t bit_count(uint64_t value)
{
    return static_cast<uint32_t>(__builtin_popcountll(value));
}
inline uint32_t leading_zeros(uint32_t value)
{
    return value ? static_cast<uint32_t>(__builtin_clz(value)) : 32;
}
inline uint32_t leading_zeros(uint64_t value)
{
    return value ? static_cast<uint32_t>(__builtin_clzll(value)) : 64;
}
/* bfind: the highest bit that differs from the sign, counted from below, or (`shift`) the shift
 * that brings it to the top; all ones if there is none */
template <class T> inline uint32_t find_leading(T value, bool shift)
{
    using U = std::make_unsigned_t<T>;
    const U bits = static_cast<U>(value < 0 ? ~value : value);
    if (!bits) return ~0u;
    const uint32_t zeros = leading_zeros(bits);
    return shift ? zeros : 8 * sizeof bits - 1 - zeros;
}
template <class T> inline T reversed(T value)
{
    T result = 0;
    for (unsigned i = 0; i < 8 * sizeof value; i++) {
        result = static_cast<T>(result << 1 | (value >> i & 1));
    }
    return result;
}

/* copysign: the sign of a on the value of b. */
template <class T> inline T sign_onto(T a, T b)
{
    return std::copysign(b, a);
}

/* bfi: the low `length` bits of a, put into b at `start` */
template <class T> inline T insert_field(T a, T b, uint32_t start, uint32_t length)
{
    constexpr uint32_t width = 8 * sizeof(T);
    if (start >= width || length == 0) return b;
    const T ones = length >= width ? ~T{0} : static_cast<T>((T{1} << length) - 1);
    return static_cast<T>((b & ~(ones << start)) | ((a & ones) << start));
}

/* bfe: `length` bits of a from `start` on, sign-extended for signed types */
template <class T> inline T extract_field(T a, uint32_t start, uint32_t length)
{
    constexpr uint32_t width = 8 * sizeof(T);
    start &= 255;
    length &= 255;
    if (length == 0) return 0;
    using U = std::make_unsigned_t<T>;
    U result = 0;
    const bool negative = std::is_signed_v<T> && a < 0;
    for (uint32_t i = 0; i < width; i++) {
        const uint32_t from = start + std::min(i, std::is_signed_v<T> ? length - 1 : i);
        const bool in = i < length || std::is_signed_v<T>;
        const bool bit = from < width ? (static_cast<U>(a) >> from & 1) : negative;
        if (in && bit) result |= U{1} << i;
    }
    return static_cast<T>(result);
}

/* prmt in its general mode: every nibble of the selector names a byte of {b, a}, or its sign */
inline uint32_t permute_bytes(uint32_t a, uint32_t b, uint32_t selector)
{
    const uint64_t bytes = static_cast<uint64_t>(b) << 32 | a;
    uint32_t result = 0;
    for (unsigned i = 0; i < 4; i++) {
        const uint32_t which = selector >> 4 * i & 15;
        uint32_t byte = static_cast<uint32_t>(bytes >> 8 * (which & 7) & 255);
        if (which & 8) byte = byte & 0x80 ? 255 : 0;
        result |= byte << 8 * i;
    }
    return result;
}

/* lop3: the table has one bit per combination of a, b and c */
inline uint32_t logic3(uint32_t a, uint32_t b, uint32_t c, uint32_t table)
{
    uint32_t result = 0;
    for (unsigned i = 0; i < 8; i++) {
        if (!(table >> i & 1)) continue;
        result |= (i & 4 ? a : ~a) & (i & 2 ? b : ~b) & (i & 1 ? c : ~c);
    }
    return result;
}

/* shfl.sync: mode u(p), d(own), b(fly), i(dx); `bounds` packs the clamp and the segment's mask */
inline uint32_t exchange(char mode, uint32_t value, uint32_t by, uint32_t bounds, uint32_t mask,
                         bool *inside)
{
    const int lane = here->lane, segment = static_cast<int>(bounds >> 8 & 31);
    const int clamp = static_cast<int>(bounds & 31), step = static_cast<int>(by & 31);
    const int highest = (lane & segment) | (clamp & ~segment);
    const int source = mode == 'u'   ? lane - step
                       : mode == 'd' ? lane + step
                       : mode == 'b' ? lane ^ step
                                     : (lane & segment) | (step & ~segment);
    *inside = mode == 'u' ? source >= highest : source <= highest;
    return static_cast<uint32_t>(shuffle(mask, value, *inside ? source : lane));
}

inline unsigned char *aligned(uint64_t address, size_t bytes)
{
    if (address % bytes) {
        fail("access of %zu bytes at %#zx, which is not aligned", bytes,
             static_cast<size_t>(address));
    }
    return reinterpret_cast<unsigned char *>(address);
}
} /* namespace cudasim */

#endif
