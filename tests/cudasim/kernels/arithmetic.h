/* arithmetic.h - a sample of what kernels compute between their interesting instructions: integers
 * of every width and sign, shifts, bytes, floats, doubles, conversions, comparisons with NaN,
 * tables, arrays with a run-time index. Host and device get the same bits: every operation is exact
 * or rounded once; of functions in double the few last bits are left out.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CUDASIM_ARITHMETIC_H
#define CUDASIM_ARITHMETIC_H

#include "ptx.h"

#include <cmath>
#include <cstdint>
#include <cstring>

constexpr int ARITHMETIC_RESULTS = 128;

static __device__ const int32_t arithmetic_table[8] = {3, -1, 40000, 0, -7, 12, 5, -9000};

struct alignas(4) Bytes { /* a parameter: its bytes are loaded alone or as a word */
    uint8_t value[4];
};
constexpr Bytes arithmetic_bytes = {{3, 200, 0, 255}};

struct Results {
    uint32_t *out;
    int count;

    PTX_INLINE void add(uint32_t value)
    {
        out[count++] = value;
    }
    PTX_INLINE void add(int32_t value)
    {
        add(static_cast<uint32_t>(value));
    }
    PTX_INLINE void add(uint64_t value)
    {
        add(static_cast<uint32_t>(value));
        add(static_cast<uint32_t>(value >> 32));
    }
    PTX_INLINE void add(float value) /* one kind of NaN */
    {
        add(value != value ? 0x7fffffffu : __float_as_uint(value));
    }
    PTX_INLINE void add(double value)
    {
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        add(value != value ? ~uint64_t{0} : bits);
    }
};

PTX_INLINE void integers(Results &r, uint32_t a, uint32_t b)
{
    const int32_t x = static_cast<int32_t>(a), y = static_cast<int32_t>(b | 1);
    const uint64_t wide = static_cast<uint64_t>(a) << 32 | b;
    const int64_t signed_wide = static_cast<int64_t>(wide);
    r.add(a * b + 5);
    r.add(x == INT32_MIN && y == -1 ? 0 : x / y);
    r.add(x == INT32_MIN && y == -1 ? 0 : x % y);
    r.add(a / (b | 1));
    r.add(a % (b | 1));
    r.add(wide / (b | 1));
    r.add(wide * uint64_t{0x9e3779b97f4a7c15u});
    r.add(static_cast<uint64_t>(signed_wide >> (b % 64)));
    r.add(wide << (b % 64));
    r.add(static_cast<uint64_t>(static_cast<int64_t>(x) * y));
    r.add(__umulhi(a, b));
    r.add(x >> (b % 32));
    r.add(a >> (b % 32) ^ ~b);
    r.add(min(x, y));
    r.add(max(a, b));
    r.add(static_cast<int32_t>(static_cast<int8_t>(a)) + static_cast<int16_t>(b));
    r.add(static_cast<uint32_t>(static_cast<uint8_t>(a >> 3)) * static_cast<uint16_t>(b));
    r.add((a >> 7 & 0x1ff) | (b & 0xfu) << 20);
    r.add((a & b) | (~a & (b >> 1)));
    r.add(min(a, b));
    r.add(static_cast<uint64_t>(signed_wide / y));
    r.add((signed_wide < y ? 1u : 0u) | (signed_wide >= x ? 2u : 0u) | (wide == a ? 4u : 0u));
}

PTX_INLINE void narrow(Results &r, uint32_t a, uint32_t b, Bytes bytes)
{
    const uint16_t x = static_cast<uint16_t>(a), y = static_cast<uint16_t>(b >> 8);
    const int16_t mean = static_cast<int16_t>((x & y) + ((x ^ y) >> 1));
    r.add(static_cast<int32_t>(mean));
    r.add(static_cast<uint32_t>(static_cast<uint16_t>(x << 3)));
    r.add((mean < 0 ? 1u : 0u) | (x == y ? 2u : 0u) | (x > y ? 4u : 0u));
    for (int i = 0; i < 4; i++) r.add(bytes.value[i] ? a >> (bytes.value[i] & 31) : b);
}

PTX_INLINE void bits(Results &r, uint32_t a, uint32_t b)
{
    r.add(__popc(a));
    r.add(__clz(static_cast<int>(a >> (b % 32))));
    r.add(__ffs(static_cast<int>(a & b)));
    r.add(__brev(a));
    r.add(__byte_perm(a, b, 0x5140));
    r.add(__byte_perm(a, b, b & 0x7777));
    r.add(__funnelshift_l(a, b, 9));
    r.add(__funnelshift_r(a, b, a & 31));
}

PTX_INLINE void floats(Results &r, uint32_t a, uint32_t b)
{
    const float x = __uint_as_float(a), y = __uint_as_float(b);
    const float i = static_cast<float>(static_cast<int32_t>(a)), u = static_cast<float>(b);
    r.add(i);
    r.add(u);
    r.add(fmaf(i, 0.37f, u));
    r.add(i / (u + 1.0f));
    r.add(sqrtf(u));
    r.add(fminf(x, y));
    r.add(fmaxf(x, y));
    r.add(fabsf(x));
    r.add((x < y ? 1u : 0u) | (x <= y ? 2u : 0u) | (x == y ? 4u : 0u) | (x != y ? 8u : 0u));
    r.add((!(x < y) ? 1u : 0u) | (!(x >= y) ? 2u : 0u) | (x > 0.0f && y > 0.0f ? 4u : 0u) |
          (!(x > y) ? 8u : 0u));
    r.add(static_cast<int32_t>(i * 0.25f));
    r.add(static_cast<uint32_t>(u * 0.5f));
    r.add(__float2int_rn(i * 0.125f));
    r.add(floorf(i * 0.3f));
    r.add(ceilf(i * 0.3f));
    r.add(truncf(u * 0.7f));
    r.add(copysignf(x, y));
    r.add(__fdividef(i, u + 1.0f));
}

PTX_INLINE void doubles(Results &r, uint32_t a, uint32_t b)
{
    const uint64_t bits = static_cast<uint64_t>(a) << 32 | b;
    const double i = static_cast<int32_t>(a), u = b;
    double x;
    memcpy(&x, &bits, sizeof x);
    r.add(x + i);
    r.add(i - u);
    r.add(i * 0.3);
    r.add(fma(i, 0.3, u));
    r.add(i / (u + 1.0));
    r.add(sqrt(u));
    r.add(-x);
    r.add(fabs(x));
    r.add(fmin(x, i));
    r.add(fmax(x, i));
    r.add((x < i ? 1u : 0u) | (x <= i ? 2u : 0u) | (x == i ? 4u : 0u) | (x != i ? 8u : 0u));
    r.add((!(x < i) ? 1u : 0u) | (!(x >= i) ? 2u : 0u) | (x > 0.0 && i > 0.0 ? 4u : 0u) |
          (!(x > i) ? 8u : 0u));
    r.add(x > u ? i : u);
    r.add(floor(i * 0.3));
    r.add(ceil(i * 0.3));
    r.add(trunc(u * 0.7));
    r.add(rint(u * 0.125));
    r.add(static_cast<double>(__uint_as_float(a)));
    r.add(static_cast<double>(static_cast<int64_t>(bits)));
    r.add(static_cast<float>(i * 0.3));
    r.add(static_cast<int32_t>(i * 0.25));
    r.add(static_cast<uint32_t>(u * 0.5));
    r.add(static_cast<uint64_t>(static_cast<int64_t>(i * 1e9)));
    r.add(static_cast<float>(exp(i * 1e-8)));
    r.add(static_cast<float>(log(u + 1.0)));
}

PTX_INLINE void arrays(Results &r, uint32_t a, uint32_t b)
{
    uint32_t stack[16]; /* run-time index: local memory */
    for (unsigned i = 0; i < 16; i++) stack[(i * 5 + a) % 16] = i * b;
    r.add(stack[b % 16]);
    r.add(arithmetic_table[a % 8] * arithmetic_table[b % 8]);
}

PTX_INLINE int arithmetic(uint32_t a, uint32_t b, Bytes bytes, uint32_t *out)
{
    Results r = {out, 0};
    integers(r, a, b);
    narrow(r, a, b, bytes);
    bits(r, a, b);
    floats(r, a, b);
    doubles(r, a, b);
    arrays(r, a, b);
    return r.count;
}

#endif
