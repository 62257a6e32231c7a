/* maps.h - operations on images and tokens that are one pass over memory; the contracts are in
 * ops.h. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CPU_MAPS_H
#define IE_CPU_MAPS_H

#include "isa.h"
#include "ops.h"

int ie_cpu_moments(ie_stream *s, ie_tensor m, ie_tensor x);
int ie_cpu_gather(ie_stream *s, ie_tensor y, const ie_source *sources, int count);
int ie_cpu_add_rows(ie_stream *s, ie_tensor y, ie_tensor x, ie_tensor slots, ie_tensor index);
int ie_cpu_add(ie_stream *s, ie_tensor y, ie_tensor y_moments, ie_tensor a, ie_tensor b,
               float alpha, float beta);
int ie_cpu_sinusoid(ie_stream *s, ie_tensor y, ie_tensor v, float max_period);
int ie_cpu_layer_norm(ie_stream *s, ie_tensor y, ie_tensor x, ie_tensor w, ie_tensor b,
                      ie_tensor length, float eps);
int ie_cpu_rms_norm(ie_stream *s, ie_tensor y, ie_tensor x, ie_tensor w, ie_tensor length,
                    float eps);
int ie_cpu_embed(ie_stream *s, ie_tensor y, ie_tensor table, ie_tensor ids);
int ie_cpu_mask_image(ie_stream *s, ie_tensor y, ie_tensor rgb, ie_tensor mask);

#endif
