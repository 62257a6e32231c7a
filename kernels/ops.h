/* ops.h - every operation of the engine, stated once: formula, shapes, aliasing, rounding.
 *
 * A backend is a table of these functions. `kernels/ref` is the law: plain loops in double; every
 * other table is checked against it. Callers go through engine/backend/exec.c, which checks shapes;
 * kernels trust their arguments.
 *
 * Conventions
 *   layout     [N, H, W, C], channels last; the same bytes are tokens [N, T, C] with T = H*W.
 *   lanes      N rows of a batch. Lane n's result depends on lane n's inputs alone, and its
 *              reduction order on the shape of one lane alone: never on N, on its position, or on
 *              the number of threads.
 *   slots      values that live longer than a step (state, text keys, conditioning) lie in [S, ...]
 *              tensors; lanes name theirs through an i32 index tensor, so no lane ever needs a
 *              copy.
 *   types      "act" is the activation type (f32 or bf16). Statistics, softmax, embeddings and the
 *              sampler are f32.
 *   rounding   one rounding to the output type at the store; a backend may also round a transformed
 *              convolution operand, and attention's p, to the act type once before the product
 *              (and does, for matrix units).
 *   scratch    `scratch` points to the bytes that the matching *_scratch function asked for; never
 *              kept.
 *   result     0, or the backend's native error code.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_OPS_H
#define IE_OPS_H

#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ie_stream ie_stream; /* a backend's own order of execution */
/* a convolution made ready by a backend: packed weights, chosen kernel */
typedef struct ie_conv ie_conv;
typedef struct ie_linear ie_linear; /* a linear layer made ready by a backend */

typedef enum ie_act { IE_ACT_NONE, IE_ACT_SILU, IE_ACT_GELU, IE_ACT_GELU_TANH } ie_act;
/* as is, nearest x2, mean of 2x2 */
typedef enum ie_resample { IE_SAME, IE_UP2, IE_DOWN2 } ie_resample;

/* ---- convolution ----------------------------------------------------------------------------- */

/* What a convolution will always be; known when the model is loaded. H, W are the sources' size. */
typedef struct ie_conv_spec {
    ie_dtype dtype; /* of x, y, residual and the packed weights: f32 or bf16 */
    /* y is f32 whatever dtype is (the head, which guidance magnifies); no residual then */
    bool y_f32;
    int64_t height, width;   /* of the sources, before `resample` */
    int64_t channels[2];     /* of the two sources; channels[1] == 0: one source */
    int64_t outputs;         /* output channels */
    int kernel, stride, pad; /* square kernel; zero padding after all of the input transform */
    /* > 0: group norm is applied to the sources on load, over their joint channels */
    int groups;
    float eps;            /* of that group norm */
    ie_act act;           /* applied on load, after the norm */
    ie_resample resample; /* applied on load, after the activation */
} ie_conv_spec;

/* Output size: of the resampled source, (size + 2 pad - kernel) / stride + 1. */
static inline int64_t ie_resampled(int64_t size, ie_resample how)
{
    return how == IE_UP2 ? 2 * size : how == IE_DOWN2 ? size / 2 : size;
}
static inline int64_t ie_conv_out(const ie_conv_spec *c, int64_t size)
{
    return (ie_resampled(size, c->resample) + 2 * (int64_t)c->pad - c->kernel) / c->stride + 1;
}

/* y = scale * (bias + sum_{ky,kx,c} w[o,c,ky,kx] * u[.., oy*stride+ky-pad, ox*stride+kx-pad, c]
 *              + residual)
 * u = resample(act(film(norm(x0 ++ x1)))), zero outside the image
 *
 * norm: (x - mean_g) / sqrt(var_g + eps) * gamma_c + beta_c, mean_g and var_g over the pixels and
 *       channels of group g of this lane, from `moments`; groups cut the joint channels into equal
 *       runs and may straddle the sources
 * film: u * (1 + film[n, c]) + film[n, C + c]: scale first, then shift; C = joint channels
 *
 * y must not alias a source; residual may be y. */
typedef struct ie_conv_args {
    ie_tensor y; /* [N, Ho, Wo, O] act (f32 if y_f32), contiguous */
    /* [N, H, W, channels[i]] act, contiguous; x[1] absent for one source */
    ie_tensor x[2];
    /* [N, channels[i], 2] f32: mean and variance per lane and channel; if normed */
    ie_tensor moments[2];
    ie_tensor gamma, beta;         /* [C] f32; if normed */
    ie_tensor film;                /* [N, 2C] f32, row stride free; absent: no film */
    ie_tensor residual;            /* [N, Hr, Wr, O] act, contiguous; absent: none */
    ie_resample residual_resample; /* how the residual reaches Ho x Wo */
    float scale;
    ie_tensor y_moments; /* [N, O, 2] f32: moments of y before its rounding; absent: not wanted */
    void *scratch;
} ie_conv_args;

/* ---- linear ---------------------------------------------------------------------------------- */

typedef struct ie_linear_spec {
    /* rows of one lane (1 for embeddings, T for tokens): fixes the reduction order */
    int64_t rows;
    int64_t inputs, outputs; /* K, O */
    /* f32 or act; x_dtype == w_dtype but for vectors (below); residual has y_dtype */
    ie_dtype x_dtype, w_dtype, y_dtype;
    ie_act act; /* applied to x on load */
    bool gated; /* T5's feed-forward: w and bias have O rows for gates, then O for values */
} ie_linear_spec;

/* One row a lane that is not gated: a vector, which waits for the weights, not for the products. */
static inline bool ie_linear_is_vector(const ie_linear_spec *l)
{
    return l->rows == 1 && !l->gated;
}

/* Rows of w and of the bias: sums that a row of y is made of. */
static inline int64_t ie_linear_sums(const ie_linear_spec *l)
{
    return l->gated ? 2 * l->outputs : l->outputs;
}

/* s[n,r,o] = bias[o] + sum_k w[o,k] * act(x[n,r,k])
 * y[n,r,o] = s[n,r,o] + residual[n,r,o]                     residual may be y
 *          = gelu_tanh(s[n,r,o]) * s[n,r,O+o]               gated: s unrounded; no residual */
typedef struct ie_linear_args {
    ie_tensor y;        /* [N, rows, O], contiguous */
    ie_tensor x;        /* [N, rows, K], contiguous */
    ie_tensor residual; /* [N, rows, O] or absent, contiguous */
    void *scratch;
} ie_linear_args;

/* ---- attention ------------------------------------------------------------------------------- */

/* One run of keys and values. Row l of lane n is k[index ? index[n] : n, l]; keys l >= length[same
 * row] do not exist. */
typedef struct ie_keys {
    /* [S or N, L, h, d] act, strides free but the last; absent: no such segment */
    ie_tensor k, v;
    ie_tensor index;  /* [N] i32, or absent */
    ie_tensor length; /* [S or N] i32, or absent: all L */
} ie_keys;

/* y[n,t,h,:] = sum_l p[l] v[l,h,:]
 * p = softmax over the keys of both segments of scale * <q, k_l> + bias[h,t,l]
 * The bias belongs to segment 1 alone. A query with no key at all gives zeros. */
typedef struct ie_attention_args {
    ie_tensor y;     /* [N, T, h, d] act, contiguous */
    ie_tensor q;     /* [N, T, h, d] act, strides free but the last */
    ie_keys keys[2]; /* text, then image */
    ie_tensor bias;  /* [h, T, L1] f32 or absent */
    float scale;
    void *scratch;
} ie_attention_args;

/* ---- the sampler ----------------------------------------------------------------------------- */

typedef enum ie_prediction { IE_PREDICT_EPSILON, IE_PREDICT_V } ie_prediction;
typedef enum ie_threshold {
    IE_THRESHOLD_NONE,
    IE_THRESHOLD_STATIC,
    IE_THRESHOLD_DYNAMIC
} ie_threshold;

/* One request's step: everything that does not depend on pixels. Plain data, copied to the device
 * as it is. */
typedef struct ie_step {
    int32_t slot;        /* row of z */
    int32_t lane_cond;   /* row of `prediction` with the text */
    int32_t lane_uncond; /* row without it; -1: guidance == 1, not computed */
    int32_t step;        /* counter of the noise */
    float guidance;      /* Imagen's convention: p = w cond + (1 - w) uncond */
    float alpha, sigma;  /* of z */
    float keep, now;     /* z' = keep z + now x0 + noise n */
    float noise;         /* 0: no noise is drawn */
    float percentile;    /* dynamic threshold: s = max(1, quantile(|x0|)) */
    float cap;           /* > 0: s is at most this */
    int32_t prediction;  /* ie_prediction */
    int32_t threshold;   /* ie_threshold */
    uint32_t stage;      /* counter of the noise */
    uint32_t seed_low, seed_high;
} ie_step;

/* p   = guidance * pred[cond] + (1 - guidance) * pred[uncond]
 * x0  = (z - sigma p) / alpha            epsilon prediction
 *     = alpha z - sigma p                v prediction
 * x0  = clip(x0, -1, 1)                  static
 *     = clip(x0, -s, s) / s              dynamic, s the exact quantile over all H*W*C values of
 *                                        |x0|, by linear interpolation between order statistics at
 *                                        position percentile * (HWC - 1)
 * x0  = 2 known / 255 - 1            where the pixel is known: last, so that s does not feel it
 * z'  = keep z + now x0 + noise * normal(seed, stage, step, element)          (rng.h)
 * The channels of `pred` past C (learned variance) are ignored. All arithmetic f32. */
typedef struct ie_sample_args {
    ie_tensor z;     /* [S, H, W, C] f32, updated in place */
    ie_tensor pred;  /* [N, H, W, >= C] f32 or act, contiguous */
    ie_tensor steps; /* [R, sizeof(ie_step)] u8: R packed ie_step */
    /* [S, H, W, C + 1] u8, contiguous: the colour of a pixel, then 0 if it is known, 1 if not;
     * absent: no pixel is known */
    ie_tensor known;
    void *scratch;
} ie_sample_args;

/* One piece of a gathered input. */
typedef struct ie_source {
    ie_tensor x;     /* [S, H, W, C] f32 or act */
    ie_tensor index; /* [N] i32: which slot each lane reads */
} ie_source;

/* ---- the table ------------------------------------------------------------------------------- */

/* How packed weights reach memory that the host cannot write: `bytes` of `host`, which may be
 * reused when it returns, to `device`, before any later work of the backend's stream. 0 or a native
 * code. */
typedef struct ie_uploader {
    int (*copy)(void *self, void *device, const void *host, uint64_t bytes);
    void *self;
} ie_uploader;

typedef struct ie_ops {
    const char *name;

    /* Convolution: size of the packed weights; pack (`memory` has that size, `weight` [O, C, k, k]
     * f32, bf16 or f16 in host memory, `bias` [O] likewise or absent) and choose the kernel;
     * scratch for N lanes; run; release (NULL is fine). `prepare` gives *out = NULL on failure; it
     * may be called with memory == NULL and an absent weight: then it chooses the kernel only, for
     * planning. `up` may be NULL where `memory` is the host's. */
    uint64_t (*conv_bytes)(const ie_conv_spec *spec);
    int (*conv_prepare)(ie_conv **out, const ie_conv_spec *spec, void *memory, ie_tensor weight,
                        ie_tensor bias, const ie_uploader *up);
    uint64_t (*conv_scratch)(const ie_conv *conv, int64_t lanes);
    int (*conv)(ie_stream *s, const ie_conv *conv, const ie_conv_args *a);
    void (*conv_release)(ie_conv *conv);

    /* Linear, in the same five parts; `weight` [O, K], or [2O, K] if gated. */
    uint64_t (*linear_bytes)(const ie_linear_spec *spec);
    int (*linear_prepare)(ie_linear **out, const ie_linear_spec *spec, void *memory,
                          ie_tensor weight, ie_tensor bias, const ie_uploader *up);
    uint64_t (*linear_scratch)(const ie_linear *linear, int64_t lanes);
    int (*linear)(ie_stream *s, const ie_linear *linear, const ie_linear_args *a);
    void (*linear_release)(ie_linear *linear);

    uint64_t (*attention_scratch)(const ie_attention_args *a);
    int (*attention)(ie_stream *s, const ie_attention_args *a);

    /* m[n,c] = mean and (biased) variance of x[n,:,:,c]; x [N, H, W, C] act, m [N, C, 2] f32.
     * Two-pass or compensated: never E[x^2] - E[x]^2. */
    int (*moments)(ie_stream *s, ie_tensor m, ie_tensor x);

    /* y[n,h,w,:] = x_0[index_0[n],h,w,:] ++ x_1[...] ++ ..., cast; channels of y past the sum are
     * zero. y [N, H, W, C] act; at most 4 sources. */
    int (*gather)(ie_stream *s, ie_tensor y, const ie_source *sources, int count);

    /* y[n,:] = x[n,:] + slots[index[n],:]; y, x [N, C] f32, slots [S, C] f32, index [N] i32; y may
     * be x. */
    int (*add_rows)(ie_stream *s, ie_tensor y, ie_tensor x, ie_tensor slots, ie_tensor index);

    /* y = alpha a + beta b; b absent: y = alpha a. y, a, b [N, H, W, C] act; y may be a or b;
     * y_moments as in conv. */
    int (*add)(ie_stream *s, ie_tensor y, ie_tensor y_moments, ie_tensor a, ie_tensor b,
               float alpha, float beta);

    /* y[n, k] = cos(v[n] f_k), y[n, D/2 + k] = sin(v[n] f_k), f_k = exp(-ln(max_period) k / (D/2));
     * y [N, D] f32, D even; v [N] f32. Angles reach 1000: reduce them accurately. */
    int (*sinusoid)(ie_stream *s, ie_tensor y, ie_tensor v, float max_period);

    /* Rows of tokens. x, y [N, T, C], contiguous; w, b [C] f32; x f32 or act, y f32 or act; y may
     * be x if types agree.
     * layer_norm  (x - mean) / sqrt(var + eps) * w + b
     * rms_norm    x / sqrt(mean(x^2) + eps) * w
     * length [N] i32 or absent: rows t >= length[n] of y are zero. */
    int (*layer_norm)(ie_stream *s, ie_tensor y, ie_tensor x, ie_tensor w, ie_tensor b,
                      ie_tensor length, float eps);
    int (*rms_norm)(ie_stream *s, ie_tensor y, ie_tensor x, ie_tensor w, ie_tensor length,
                    float eps);

    /* y[n,t,:] = table[ids[n,t],:], cast; table [V, C] f32 or act; ids [N, T] i32 in range; y [N,
     * T, C] f32. */
    int (*embed)(ie_stream *s, ie_tensor y, ie_tensor table, ie_tensor ids);

    /* The conditioning image: y[n,h,w,:] = (1 - m) * (2 rgb / 255 - 1) for three channels, then m
     * in {0, 1}. rgb [N, H, W, 3] u8, mask [N, H, W, 1] u8 (0 or 1, 1 = fill), y [N, H, W, 4]
     * act. */
    int (*mask_image)(ie_stream *s, ie_tensor y, ie_tensor rgb, ie_tensor mask);

    /* z[slot] = normal(seed, stage, step, element), element = index within [H, W, C]; z [S, H, W,
     * C] f32. */
    int (*noise)(ie_stream *s, ie_tensor z, int64_t slot, uint64_t seed, uint32_t stage,
                 uint32_t step);

    /* Noise-conditioning augmentation: y[slot] = alpha * up(clip(x, -1, 1)) + sigma * normal(seed,
     * stage, step, element of y); up is bilinear, half-pixel centres, edges clamped; x [h, w, C]
     * f32, y [S, H, W, C] f32. */
    int (*augment)(ie_stream *s, ie_tensor y, int64_t slot, ie_tensor x, float alpha, float sigma,
                   uint64_t seed, uint32_t stage, uint32_t step);

    uint64_t (*sample_scratch)(const ie_sample_args *a);
    int (*sample)(ie_stream *s, const ie_sample_args *a);
} ie_ops;

/* The tables. Each returns a complete table. */
const ie_ops *ie_ref_ops(void);
const ie_ops *ie_cpu_ops(void); /* only in builds with oneDNN */

#ifdef __cplusplus
}
#endif
#endif
