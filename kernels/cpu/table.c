/* table.c - the table of one instruction set.  SPDX-License-Identifier: Apache-2.0 */
#include "table.h"
#include "attention.h"
#include "conv.h"
#include "linear.h"
#include "maps.h"
#include "sampler.h"

const ie_ops *ie_cpu_table(void)
{
    static const ie_ops table = {
        .name = "cpu",
        .conv_bytes = ie_cpu_conv_bytes,
        .conv_prepare = ie_cpu_conv_prepare,
        .conv_scratch = ie_cpu_conv_scratch,
        .conv = ie_cpu_conv,
        .conv_release = ie_cpu_conv_release,
        .linear_bytes = ie_cpu_linear_bytes,
        .linear_prepare = ie_cpu_linear_prepare,
        .linear_scratch = ie_cpu_linear_scratch,
        .linear = ie_cpu_linear,
        .linear_release = ie_cpu_linear_release,
        .attention_scratch = ie_cpu_attention_scratch,
        .attention = ie_cpu_attention,
        .moments = ie_cpu_moments,
        .gather = ie_cpu_gather,
        .add_rows = ie_cpu_add_rows,
        .add = ie_cpu_add,
        .sinusoid = ie_cpu_sinusoid,
        .layer_norm = ie_cpu_layer_norm,
        .rms_norm = ie_cpu_rms_norm,
        .embed = ie_cpu_embed,
        .mask_image = ie_cpu_mask_image,
        .noise = ie_cpu_noise,
        .augment = ie_cpu_augment,
        .sample_scratch = ie_cpu_sample_scratch,
        .sample = ie_cpu_sample,
    };
    return &table;
}
