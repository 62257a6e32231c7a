/* ref.h - the functions of the reference table, file by file. ops.h says what each computes.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_REF_H
#define IE_REF_H

#include "ops.h"

/* conv.c */
uint64_t ie_ref_conv_bytes(const ie_conv_spec *spec);
int ie_ref_conv_prepare(ie_conv **out, const ie_conv_spec *spec, void *memory, ie_tensor weight,
                        ie_tensor bias, const ie_uploader *up);
uint64_t ie_ref_conv_scratch(const ie_conv *conv, int64_t lanes);
int ie_ref_conv(ie_stream *s, const ie_conv *conv, const ie_conv_args *a);
void ie_ref_conv_release(ie_conv *conv);

/* conv_input.c: row `row` of lane `lane` of u, the transformed input, as [width][channels]. `norm`
 * is [C][2]: the mean and 1/sqrt(variance + eps) of every channel's group. */
void ie_ref_conv_norm(double *norm, const ie_conv_spec *spec, const ie_conv_args *a, int64_t lane);
void ie_ref_conv_row(double *u, const ie_conv_spec *spec, const ie_conv_args *a, const double *norm,
                     int64_t lane, int64_t row);

/* linear.c */
uint64_t ie_ref_linear_bytes(const ie_linear_spec *spec);
int ie_ref_linear_prepare(ie_linear **out, const ie_linear_spec *spec, void *memory,
                          ie_tensor weight, ie_tensor bias, const ie_uploader *up);
uint64_t ie_ref_linear_scratch(const ie_linear *linear, int64_t lanes);
int ie_ref_linear(ie_stream *s, const ie_linear *linear, const ie_linear_args *a);
void ie_ref_linear_release(ie_linear *linear);

/* attention.c */
uint64_t ie_ref_attention_scratch(const ie_attention_args *a);
int ie_ref_attention(ie_stream *s, const ie_attention_args *a);

/* moments.c */
int ie_ref_moments(ie_stream *s, ie_tensor m, ie_tensor x);
int ie_ref_add(ie_stream *s, ie_tensor y, ie_tensor y_moments, ie_tensor a, ie_tensor b,
               float alpha, float beta);

/* norm.c */
int ie_ref_layer_norm(ie_stream *s, ie_tensor y, ie_tensor x, ie_tensor w, ie_tensor b,
                      ie_tensor length, float eps);
int ie_ref_rms_norm(ie_stream *s, ie_tensor y, ie_tensor x, ie_tensor w, ie_tensor length,
                    float eps);

/* token.c */
int ie_ref_add_rows(ie_stream *s, ie_tensor y, ie_tensor x, ie_tensor slots, ie_tensor index);
int ie_ref_sinusoid(ie_stream *s, ie_tensor y, ie_tensor v, float max_period);
int ie_ref_embed(ie_stream *s, ie_tensor y, ie_tensor table, ie_tensor ids);

/* image.c */
int ie_ref_gather(ie_stream *s, ie_tensor y, const ie_source *sources, int count);
int ie_ref_mask_image(ie_stream *s, ie_tensor y, ie_tensor rgb, ie_tensor mask);
int ie_ref_noise(ie_stream *s, ie_tensor z, int64_t slot, uint64_t seed, uint32_t stage,
                 uint32_t step);
int ie_ref_augment(ie_stream *s, ie_tensor y, int64_t slot, ie_tensor x, float alpha, float sigma,
                   uint64_t seed, uint32_t stage, uint32_t step);

/* sampler.c */
uint64_t ie_ref_sample_scratch(const ie_sample_args *a);
int ie_ref_sample(ie_stream *s, const ie_sample_args *a);

/* quantile.c: the q-quantile of values[0 .. count), count >= 1, by linear interpolation at position
 * q (count - 1). Reorders the values, which must hold no NaN. */
double ie_ref_quantile(double *values, int64_t count, double q);

#endif
