/* epilogue.h - what happens to a convolution's sums while they are in cache, and the moments of the
 * result.
 *
 * y = scale * (sums + bias + residual), rounded once; per-channel statistics of y before that
 * rounding. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CPU_EPILOGUE_H
#define IE_CPU_EPILOGUE_H

#include "isa.h"
#include "ops.h"

typedef struct ie_epilogue {
    void *y;              /* one lane, [Ho * Wo, outputs] */
    const void *residual; /* one lane, or NULL; may be y */
    ie_dtype type;        /* of both */
    ie_resample residual_resample;
    int64_t width, outputs; /* Wo, and the channels of y */
    int64_t first, chunk;   /* the output channels at hand */
    const float *bias;      /* [outputs] */
    float scale;
    float *stats; /* [3, chunk]: running statistics (stats.h); NULL: not wanted */
} ie_epilogue;

/* sums [count, chunk] belong to pixels [pixel, pixel + count); `seen` pixels are in stats
 * already. */
void ie_cpu_epilogue(const ie_epilogue *e, const float *sums, int64_t pixel, int64_t count,
                     int64_t seen);

/* moments [channels, 2] (mean, variance) from statistics [3, channels] of parts, `stride` floats
 * apart, part i over min(each, total - i * each) values: merged in order. */
void ie_cpu_merge_moments(float *moments, const float *stats, int64_t stride, int64_t channels,
                          int64_t each, int64_t total);

#endif
