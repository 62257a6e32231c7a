/* pack.h - the operand of a convolution, transformed on its way into a strip that stays in cache.
 *
 * u = resample(act(film(norm(x0 ++ x1)))) with the zero padding written out, rounded once to the
 * type of the product. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CPU_PACK_H
#define IE_CPU_PACK_H

#include "isa.h"
#include "ops.h"

typedef struct ie_pack {
    const void *x[2]; /* one lane of the sources, [H, W, channels[i]] */
    int64_t channels[2];
    int64_t height, width; /* of the sources */
    int64_t
        /* channels of a packed pixel: their sum, or one more to make it even for bf16 pairs */
        depth;
    int pad;
    ie_dtype from, to;
    ie_act act;
    ie_resample resample;
    const float *norm; /* [3, C]: v = (x - norm[0]) * norm[1] + norm[2]; NULL: none */
} ie_pack;

/* Row `row` counts from the padding above the image: row - pad is a row of the resampled source. A
 * packed row is resampled width + 2 pad pixels. */
void ie_cpu_pack_rows(const ie_pack *p, int64_t first, int64_t rows, void *out);

/* Pixels [first, first + count) of an image without padding and resampling. */
void ie_cpu_pack_pixels(const ie_pack *p, int64_t first, int64_t count, void *out);

/* out [3, C] of one lane: mean of the channel's group, gamma (1 + scale) / sqrt(var + eps), beta (1
 * + scale) + shift; all neutral where absent; gamma, beta [C], film [2C] or NULL; moments[i]
 * [channels[i], 2]. */
void ie_cpu_norm_factors(float *out, const ie_conv_spec *spec, const float *const moments[2],
                         const float *gamma, const float *beta, const float *film);

#endif
