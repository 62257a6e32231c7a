/* norm.c - layer norm and RMS norm of token rows, in double. SPDX-License-Identifier: Apache-2.0 */
#include "numbers.h"
#include "ref.h"

typedef struct row_norm {
    ie_tensor y, x, w, b; /* b absent: RMS norm */
    double eps;
} row_norm;

static void norm_row(const row_norm *f, int64_t begin)
{
    const int64_t channels = f->x.dim[2];
    const float *w = f->w.data, *b = f->b.data;
    double mean = 0, square = 0;
    if (b) {
        for (int64_t c = 0; c < channels; c++)
            mean += ie_ref_load(f->x.data, f->x.dtype, begin + c);
        mean /= (double)channels;
    }
    for (int64_t c = 0; c < channels; c++) {
        const double d = ie_ref_load(f->x.data, f->x.dtype, begin + c) - mean;
        square += d * d;
    }
    const double inverse = 1 / sqrt(square / (double)channels + f->eps);
    for (int64_t c = 0; c < channels; c++) {
        const double d = ie_ref_load(f->x.data, f->x.dtype, begin + c) - mean;
        const double shift = b ? (double)b[c] : 0;
        ie_ref_store(f->y.data, f->y.dtype, begin + c, d * inverse * (double)w[c] + shift);
    }
}

static void norm_rows(const row_norm *f, ie_tensor length)
{
    const int64_t lanes = f->x.dim[0], tokens = f->x.dim[1], channels = f->x.dim[2];
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t n = 0; n < lanes; n++) {
        for (int64_t t = 0; t < tokens; t++) {
            const int64_t begin = (n * tokens + t) * channels;
            if (!ie_present(length) || t < ((const int32_t *)length.data)[n]) {
                norm_row(f, begin);
            } else {
                memset(ie_offset(f->y, begin), 0, (size_t)(channels * ie_dtype_size(f->y.dtype)));
            }
        }
    }
}

int ie_ref_layer_norm(ie_stream *s, ie_tensor y, ie_tensor x, ie_tensor w, ie_tensor b,
                      ie_tensor length, float eps)
{
    (void)s;
    norm_rows(&(row_norm){.y = y, .x = x, .w = w, .b = b, .eps = (double)eps}, length);
    return 0;
}

int ie_ref_rms_norm(ie_stream *s, ie_tensor y, ie_tensor x, ie_tensor w, ie_tensor length,
                    float eps)
{
    (void)s;
    norm_rows(&(row_norm){.y = y, .x = x, .w = w, .eps = (double)eps}, length);
    return 0;
}
