/* normed_load.h - which convolutions norm, film and activate their sources on load where there is
 * wgmma (conv90_norm.cu), instead of in a pass of their own (apply.cu).
 *
 * By the shape of one lane. Few channels and all outputs in one tile: there the pass costs a
 * quarter of the product and more, and each value is made once. Maps of up to 256 pixels are left
 * to conv90.cu, which splits their sums. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CUDA_NORMED_LOAD_H
#define IE_CUDA_NORMED_LOAD_H

#include "ops.h"

static inline bool ie_cuda_normed_load(const ie_conv_spec *c)
{
    return c->groups > 0 && c->act == IE_ACT_SILU && c->resample == IE_SAME && c->kernel == 3 &&
           c->stride == 1 && c->channels[0] % 64 == 0 && c->channels[1] % 64 == 0 &&
           c->channels[0] + c->channels[1] <= 256 && c->outputs <= 256 && c->outputs % 4 == 0 &&
           c->height * c->width > 256;
}

#endif
