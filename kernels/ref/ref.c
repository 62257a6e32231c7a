/* ref.c - the reference table: every operation of ops.h in plain C, written to be read and trusted,
 * not to be fast.
 *
 * Double between load and store, one rounding at the store, no rounding of transformed operands, no
 * intrinsics. Threads only share out independent results; no sum is split between them. Streams do
 * not exist here: every function has finished when it returns.
 * SPDX-License-Identifier: Apache-2.0 */
#include "ref.h"

static const ie_ops ref_ops = {
    .name = "ref",
    .conv_bytes = ie_ref_conv_bytes,
    .conv_prepare = ie_ref_conv_prepare,
    .conv_scratch = ie_ref_conv_scratch,
    .conv = ie_ref_conv,
    .conv_release = ie_ref_conv_release,
    .linear_bytes = ie_ref_linear_bytes,
    .linear_prepare = ie_ref_linear_prepare,
    .linear_scratch = ie_ref_linear_scratch,
    .linear = ie_ref_linear,
    .linear_release = ie_ref_linear_release,
    .attention_scratch = ie_ref_attention_scratch,
    .attention = ie_ref_attention,
    .moments = ie_ref_moments,
    .gather = ie_ref_gather,
    .add_rows = ie_ref_add_rows,
    .add = ie_ref_add,
    .sinusoid = ie_ref_sinusoid,
    .layer_norm = ie_ref_layer_norm,
    .rms_norm = ie_ref_rms_norm,
    .embed = ie_ref_embed,
    .mask_image = ie_ref_mask_image,
    .noise = ie_ref_noise,
    .augment = ie_ref_augment,
    .sample_scratch = ie_ref_sample_scratch,
    .sample = ie_ref_sample,
};

const ie_ops *ie_ref_ops(void)
{
    return &ref_ops;
}
