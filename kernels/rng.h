/* rng.h - noise as a pure function of (seed, stage, step, element): no state, no order.
 *
 * Philox4x32-10 (Salmon, Moraes, Dror, Shaw: Parallel Random Numbers: As Easy as 1, 2, 3; SC11).
 * The key is the seed, the counter is (element / 4, 0, step, stage); the four words of a block give
 * four normals by two Box-Muller pairs, and element takes number element % 4. Every backend draws
 * the same words; only the last place of log, sin and cos may differ.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_RNG_H
#define IE_RNG_H

#include <math.h>
#include <stdint.h>

#ifdef __CUDACC__
#define IE_HOST_DEVICE __host__ __device__
#else
#define IE_HOST_DEVICE
#endif

/* Step counters with a fixed meaning; the ancestral sampler counts its steps from 0. */
enum { IE_NOISE_MAX_STEP = 0x7fffffff };
#define IE_NOISE_INITIAL      0xffffffffu /* z at t = 1 */
#define IE_NOISE_AUGMENTATION 0xfffffffeu /* noise-conditioning augmentation */

typedef struct ie_u32x4 {
    uint32_t w[4];
} ie_u32x4;

IE_HOST_DEVICE static inline ie_u32x4 ie_philox(uint32_t key_low, uint32_t key_high, ie_u32x4 c)
{
    for (int round = 0; round < 10; round++) {
        const uint64_t p0 = (uint64_t)0xD2511F53u * c.w[0];
        const uint64_t p1 = (uint64_t)0xCD9E8D57u * c.w[2];
        const ie_u32x4 next = {{(uint32_t)(p1 >> 32) ^ c.w[1] ^ key_low, (uint32_t)p1,
                                (uint32_t)(p0 >> 32) ^ c.w[3] ^ key_high, (uint32_t)p0}};
        c = next;
        key_low += 0x9E3779B9u;
        key_high += 0xBB67AE85u;
    }
    return c;
}

/* 32 random bits to (0, 1): 23 bits and a half, exact in f32. */
IE_HOST_DEVICE static inline float ie_unit(uint32_t bits)
{
    return ((float)(bits >> 9) + 0.5f) * 0x1p-23f;
}

/* The four normals of block `block` (elements 4 block .. 4 block + 3). */
IE_HOST_DEVICE static inline void ie_normal4(float out[4], uint64_t seed, uint32_t stage,
                                             uint32_t step, uint32_t block)
{
    const ie_u32x4 counter = {{block, 0, step, stage}};
    const ie_u32x4 r = ie_philox((uint32_t)seed, (uint32_t)(seed >> 32), counter);
    for (int i = 0; i < 4; i += 2) {
        const float radius = sqrtf(-2.0f * logf(ie_unit(r.w[i])));
        const float turn = ie_unit(r.w[i + 1]);
        float sine, cosine;
#ifdef __CUDA_ARCH__
        sincospif(2.0f * turn, &sine, &cosine); /* no path for large angles, which needs a stack */
#else
        sine = sinf(6.28318530717958648f * turn);
        cosine = cosf(6.28318530717958648f * turn);
#endif
        out[i] = radius * cosine;
        out[i + 1] = radius * sine;
    }
}

#endif
