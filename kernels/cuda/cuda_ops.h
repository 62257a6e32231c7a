/* cuda_ops.h - the operations of ops.h on a CUDA device, one function each; cuda.cu has the table.
 *
 * Every data pointer of a tensor is device memory, but for `weight` and `bias` of the two prepare
 * functions, which are host memory as everywhere. The activation type is bf16.
 *
 * Not named cuda.h: on the include path that would hide the toolkit's.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CUDA_OPS_H
#define IE_CUDA_OPS_H

#include "ops.h"

#ifdef __cplusplus
extern "C" {
#endif

/* conv.cu */
uint64_t ie_cuda_conv_bytes(const ie_conv_spec *spec);
int ie_cuda_conv_prepare(ie_conv **out, const ie_conv_spec *spec, void *memory, ie_tensor weight,
                         ie_tensor bias, const ie_uploader *up);
uint64_t ie_cuda_conv_scratch(const ie_conv *conv, int64_t lanes);
int ie_cuda_conv(ie_stream *s, const ie_conv *conv, const ie_conv_args *a);
void ie_cuda_conv_release(ie_conv *conv);

/* linear.cu */
uint64_t ie_cuda_linear_bytes(const ie_linear_spec *spec);
int ie_cuda_linear_prepare(ie_linear **out, const ie_linear_spec *spec, void *memory,
                           ie_tensor weight, ie_tensor bias, const ie_uploader *up);
uint64_t ie_cuda_linear_scratch(const ie_linear *linear, int64_t lanes);
int ie_cuda_linear(ie_stream *s, const ie_linear *linear, const ie_linear_args *a);
void ie_cuda_linear_release(ie_linear *linear);

/* attention.cu */
uint64_t ie_cuda_attention_scratch(const ie_attention_args *a);
int ie_cuda_attention(ie_stream *s, const ie_attention_args *a);

/* apply.cu: u = resample(act(film(norm(x0 ++ x1)))) of a convolution, rounded to bf16;
 * u [N, Hr, Wr, C0 + C1] contiguous */
int ie_cuda_apply(ie_stream *s, const ie_conv_spec *spec, const ie_conv_args *a, void *u);
/* Its norm and film alone, as (x - centre) scale + shift: folded [N, 3, C0 + C1] f32 */
int ie_cuda_fold(ie_stream *s, const ie_conv_spec *spec, const ie_conv_args *a, float *folded);

/* moments.cu */
int ie_cuda_moments(ie_stream *s, ie_tensor m, ie_tensor x);

/* pixels.cu */
int ie_cuda_gather(ie_stream *s, ie_tensor y, const ie_source *sources, int count);
int ie_cuda_add_rows(ie_stream *s, ie_tensor y, ie_tensor x, ie_tensor slots, ie_tensor index);
int ie_cuda_add(ie_stream *s, ie_tensor y, ie_tensor y_moments, ie_tensor a, ie_tensor b,
                float alpha, float beta);
int ie_cuda_mask_image(ie_stream *s, ie_tensor y, ie_tensor rgb, ie_tensor mask);
int ie_cuda_augment(ie_stream *s, ie_tensor y, int64_t slot, ie_tensor x, float alpha, float sigma,
                    uint64_t seed, uint32_t stage, uint32_t step);

/* tokens.cu */
int ie_cuda_sinusoid(ie_stream *s, ie_tensor y, ie_tensor v, float max_period);
int ie_cuda_layer_norm(ie_stream *s, ie_tensor y, ie_tensor x, ie_tensor w, ie_tensor b,
                       ie_tensor length, float eps);
int ie_cuda_rms_norm(ie_stream *s, ie_tensor y, ie_tensor x, ie_tensor w, ie_tensor length,
                     float eps);
int ie_cuda_embed(ie_stream *s, ie_tensor y, ie_tensor table, ie_tensor ids);

/* sampler.cu */
int ie_cuda_noise(ie_stream *s, ie_tensor z, int64_t slot, uint64_t seed, uint32_t stage,
                  uint32_t step);
uint64_t ie_cuda_sample_scratch(const ie_sample_args *a);
int ie_cuda_sample(ie_stream *s, const ie_sample_args *a);

/* The name of the kernel whose launch failed last in this thread, as the compiler spells it; NULL:
 * none did. Forgets it. */
const char *ie_cuda_failed_kernel(void);
/* The kernel that this thread launched last, in a graph it recorded too; NULL: none. */
const char *ie_cuda_last_kernel(void);

/* Does the current device run kernels of this build? And its compute capability: 80, 90, 120. Both
 * return 0, or the error. */
int ie_cuda_probe(void);
int ie_cuda_arch(int *arch);

const ie_ops *ie_cuda_ops(void);

#ifdef __cplusplus
}
#endif
#endif
