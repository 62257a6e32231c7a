/* conv.h - the implicit GEMM behind convolutions and linear layers: one problem, two kernels.
 *
 *   y[n, p, o] = scale * (bias[o] + sum_{tap, i, c} w[o, tap, i, c] * x_i[n, p(tap), c]
 *                         + residual[n, p', o])
 *
 * or, gated,  y[n, p, o] = gelu_tanh(s[2 o]) * s[2 o + 1], s the sums with their bias.
 *
 * conv.cu turns an ie_conv_spec into such a problem, packs the weights and picks the kernel;
 * conv80.cu runs any problem on any device, conv90.cu those that conv90_fits on sm_90a. Norm, film,
 * activation and resampling of the sources are done before (apply.cu) or on load (conv90_norm.cu).
 * linear.cu is a problem with one tap, height 1 and width `rows`.
 *
 * Batch invariance: whatever a kernel chooses follows the problem without `lanes`.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CUDA_CONV_H
#define IE_CUDA_CONV_H

#include "ops.h"

#include <cuda_bf16.h>
#include <cuda_runtime.h>

struct conv_problem {
    /* Sources [lanes, height, width, channels[i]], 16-byte aligned; channels[i] is a multiple of 8
     * (conv.cu pads what is not); channels[1] == 0: one source. Read as zero outside the image. */
    const __nv_bfloat16 *x[2];
    int channels[2];
    int lanes, height, width, out_height, out_width, outputs, kernel, stride, pad;
    /* normed: of the sources u = silu((x - centre) scale + shift) is read, rounded to bf16, and
     * zero outside the image; `folded` [lanes, 3, channels[0] + channels[1]] is centre, scale,
     * shift. conv90 alone does that, where normed_load.h says so. */
    bool normed;
    const float *folded;
    /* Packed rows of weights: [padded outputs][ky][kx][source][channels of it padded to `unit`],
     * zero filled, the row as a whole padded to a multiple of CONV_ROW_UNIT elements.
     * unit: 64 where conv90 runs the problem, else 8. */
    int unit;
    const __nv_bfloat16 *weight;
    const float *bias; /* [padded outputs], zero filled: never absent */
    /* Of y's type (bf16, or f32 if y_f32), or null: [lanes, residual_height, residual_width,
     * outputs]. It reaches y's size by residual_resample (an ie_resample). May be y itself. */
    const void *residual;
    int residual_height, residual_width, residual_resample;
    float scale;
    void *y; /* [lanes, out_height, out_width, outputs] bf16, or f32 if y_f32 */
    bool y_f32;
    /* Outputs are sums: an even one of a gate, the next of its value, and y has half as many. No
     * residual then, no partials, and scale is 1. conv_pack lets rows of weights take turns. */
    bool gated;
    /* Null, or [lanes][conv*_tiles][CONV_PARTIALS][outputs]: over the output pixels of one lane in
     * one tile, of the f32 values before y's rounding, the mean, the sum of squared deviations from
     * that mean, and the number of pixels. conv_run merges them. */
    float *partials;
};

enum { CONV_MEAN, CONV_SQUARE, CONV_COUNT, CONV_PARTIALS };
/* Elements that a packed row is padded to; outputs are padded to CONV_OUTPUT_UNIT rows. */
enum { CONV_ROW_UNIT = 64, CONV_OUTPUT_UNIT = 64 };

static inline int conv_round_up(int value, int unit)
{
    return (value + unit - 1) / unit * unit;
}

static inline int conv_padded_outputs(const conv_problem &p)
{
    return conv_round_up(p.outputs, CONV_OUTPUT_UNIT);
}

/* Elements of a packed row that belong to one tap. */
static inline int conv_tap(const conv_problem &p)
{
    return conv_round_up(p.channels[0], p.unit) + conv_round_up(p.channels[1], p.unit);
}

/* Elements of a packed row: the weights of one output. */
static inline int conv_row(const conv_problem &p)
{
    return conv_round_up(p.kernel * p.kernel * conv_tap(p), CONV_ROW_UNIT);
}

/* ---- conv80.cu: cp.async, ldmatrix, mma.sync ------------------------------------------------- */

/* Tiles of output pixels per lane, as its partials count them. */
int conv80_tiles(const conv_problem &p);
uint64_t conv80_scratch(const conv_problem &p); /* bytes, for p.lanes lanes */
int conv80(ie_stream *s, const conv_problem &p, void *scratch);

/* ---- conv90.cu: tensor copies, wgmma --------------------------------------------------------- */

/* Whether conv90 runs the problem; shapes only, whatever `lanes` and `unit` are (unit will be 64),
 * pointers may be null. Asked only where the device is of 9.0. */
bool conv90_fits(const conv_problem &p);
int conv90_tiles(const conv_problem &p);
uint64_t conv90_scratch(const conv_problem &p); /* bytes, for p.lanes lanes */
int conv90(ie_stream *s, const conv_problem &p, void *scratch);

/* ---- conv.cu: what the problems of conv.cu and linear.cu share ------------------------------- */

/* Chooses the kernel, which is p.unit, by the shape and the device. A cudaError. */
int conv_choose(conv_problem *p);

/* Bytes of packed weights and bias, and packing them: `weight` [outputs, real[0] + real[1], kernel,
 * kernel] and `bias` [outputs] (or absent) are f32, bf16 or f16 in host memory, if p->gated all
 * gates before all values; `memory` is device memory; real[i] <= channels[i]. Sets p->weight and
 * p->bias. */
uint64_t conv_packed_bytes(const conv_problem &p);
int conv_pack(conv_problem *p, void *memory, const int real[2], ie_tensor weight, ie_tensor bias,
              const ie_uploader *up);

/* Element i of contiguous f32, bf16 or f16 host memory. */
float conv_load_host(ie_tensor t, int64_t i);

/* Bytes of scratch (for partials too, if moments are wanted) and the run; y_moments
 * [lanes, outputs, 2] or null. */
uint64_t conv_run_scratch(const conv_problem &p, bool moments);
int conv_run(ie_stream *s, const conv_problem &p, void *scratch, float *y_moments);

/* y [rows, padded] = act(x [rows, channels]), zero from `channels` on; x has rows of `stride`
 * elements, padded is a multiple of 8. */
int conv_pad(ie_stream *s, __nv_bfloat16 *y, int padded, const __nv_bfloat16 *x, int stride,
             int channels, int64_t rows, ie_act act);

#endif
