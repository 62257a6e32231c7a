/* conv.h - a convolution made ready: what conv_prepare.c makes and conv.c runs. The contracts are
 * in ops.h.
 *
 * The result's type is that of args.y, so a linear layer with another output type is the same thing
 * (linear.c). One ie_conv serves one caller at a time (onednn.h).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CPU_CONV_H
#define IE_CPU_CONV_H

#include "conv_plan.h"
#include "isa.h"

struct ie_conv {
    ie_conv_spec spec;
    ie_conv_plan plan;
    ie_brick *brick;
    float *bias; /* [outputs] */
};

uint64_t ie_cpu_conv_bytes(const ie_conv_spec *spec);
int ie_cpu_conv_prepare(ie_conv **out, const ie_conv_spec *spec, void *memory, ie_tensor weight,
                        ie_tensor bias, const ie_uploader *up);
uint64_t ie_cpu_conv_scratch(const ie_conv *conv, int64_t lanes);
int ie_cpu_conv(ie_stream *s, const ie_conv *conv, const ie_conv_args *a);
void ie_cpu_conv_release(ie_conv *conv);

#endif
