/* product.h - the inner product of the reference, shared by convolution and linear layers.
 *
 * Weights are packed [input][output], so one input value meets a run of outputs that lie side by
 * side: a plain loop that compilers turn into vector code while each output still sums its terms in
 * order, in double. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_REF_PRODUCT_H
#define IE_REF_PRODUCT_H

#include "ops.h"

enum { IE_REF_BLOCK = 64 }; /* outputs summed at once */

/* sum[o] += value * weight[o] */
static inline void ie_ref_axpy(double *restrict sum, double value, const float *restrict weight,
                               int64_t outputs)
{
    for (int64_t o = 0; o < outputs; o++) sum[o] += value * (double)weight[o];
}

static inline int64_t ie_ref_block(int64_t begin, int64_t outputs)
{
    return outputs - begin < IE_REF_BLOCK ? outputs - begin : IE_REF_BLOCK;
}

#endif
