/* weights.c - see weights.h.  SPDX-License-Identifier: Apache-2.0 */
#include "weights.h"
#include "half.h"

void ie_cpu_weights_to_float(float *out, ie_tensor w, int64_t first, int64_t count,
                             ie_dtype precision)
{
    const float *f = w.data;
    const uint16_t *h = w.data;
    for (int64_t i = 0; i < count; i++) {
        switch (w.dtype) {
        case IE_BF16: out[i] = ie_f32_from_bf16(h[first + i]); break;
        case IE_F16: out[i] = ie_f32_from_f16(h[first + i]); break;
        default: out[i] = f[first + i]; break;
        }
        if (precision == IE_BF16) out[i] = ie_f32_from_bf16(ie_bf16_from_f32(out[i]));
    }
}
