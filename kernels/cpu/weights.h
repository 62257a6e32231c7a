/* weights.h - the weights of a file, in any of its types, as floats.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CPU_WEIGHTS_H
#define IE_CPU_WEIGHTS_H

#include "isa.h"
#include "tensor.h"

/* out[i] = w[first + i], i < count, rounded to `precision` (f32 or bf16); w contiguous, f32, bf16
 * or f16. */
void ie_cpu_weights_to_float(float *out, ie_tensor w, int64_t first, int64_t count,
                             ie_dtype precision);

#endif
