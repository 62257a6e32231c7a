/* sampler.h - the sampler's step and the noise; the contracts are in ops.h.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CPU_SAMPLER_H
#define IE_CPU_SAMPLER_H

#include "isa.h"
#include "ops.h"

uint64_t ie_cpu_sample_scratch(const ie_sample_args *a);
int ie_cpu_sample(ie_stream *s, const ie_sample_args *a);
int ie_cpu_noise(ie_stream *s, ie_tensor z, int64_t slot, uint64_t seed, uint32_t stage,
                 uint32_t step);
int ie_cpu_augment(ie_stream *s, ie_tensor y, int64_t slot, ie_tensor x, float alpha, float sigma,
                   uint64_t seed, uint32_t stage, uint32_t step);

/* The quantile of |x[0 .. count)| at position q * (count - 1), linear between order statistics; a
 * NaN counts as infinite. `histograms` has ie_cpu_quantile_bytes(). */
uint64_t ie_cpu_quantile_bytes(void);
float ie_cpu_quantile(const float *x, int64_t count, float q, void *histograms);

/* Normals of elements [first, first + IE_NOISE_RUN); first is a multiple of four. */
enum { IE_NOISE_RUN = 64 };
typedef struct ie_noise_key {
    uint64_t seed;
    uint32_t stage, step;
} ie_noise_key;
void ie_cpu_normals(float out[IE_NOISE_RUN], ie_noise_key key, int64_t first);

#endif
