/* token.c - what happens to rows of vectors and tokens: look-up, sums, sinusoids.
 * SPDX-License-Identifier: Apache-2.0 */
#include "numbers.h"
#include "ref.h"

int ie_ref_add_rows(ie_stream *s, ie_tensor y, ie_tensor x, ie_tensor slots, ie_tensor index)
{
    (void)s;
    const int64_t channels = y.dim[1];
    const int32_t *slot = index.data;
    for (int64_t n = 0; n < y.dim[0]; n++) {
        const float *add = ie_offset(slots, slot[n] * slots.stride[0]);
        const float *from = ie_offset(x, n * x.stride[0]);
        float *to = ie_offset(y, n * y.stride[0]);
        for (int64_t c = 0; c < channels; c++) to[c] = (float)((double)from[c] + (double)add[c]);
    }
    return 0;
}

int ie_ref_sinusoid(ie_stream *s, ie_tensor y, ie_tensor v, float max_period)
{
    (void)s;
    const int64_t half = y.dim[1] / 2;
    const double log_period = log((double)max_period);
    for (int64_t n = 0; n < y.dim[0]; n++) {
        const double value = (double)((const float *)v.data)[n];
        float *row = ie_offset(y, n * y.stride[0]);
        for (int64_t k = 0; k < half; k++) {
            const double angle = value * exp(-log_period * (double)k / (double)half);
            row[k] = (float)cos(angle);
            row[half + k] = (float)sin(angle);
        }
    }
    return 0;
}

int ie_ref_embed(ie_stream *s, ie_tensor y, ie_tensor table, ie_tensor ids)
{
    (void)s;
    const int64_t rows = y.dim[0] * y.dim[1], channels = y.dim[2];
    float *to = y.data;
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < rows; r++) {
        const int64_t begin = ((const int32_t *)ids.data)[r] * channels;
        for (int64_t c = 0; c < channels; c++) {
            to[r * channels + c] = (float)ie_ref_load(table.data, table.dtype, begin + c);
        }
    }
    return 0;
}
