/* tokens.c - rows of tokens: normalisations and embedding.
 *
 *   numerics  f32; a row's sums by sixteen running sums and one tree; the variance from deviations,
 *             in a second pass
 *   mapping   rows over threads
 * SPDX-License-Identifier: Apache-2.0 */
#include "maps.h"
#include "threads.h"
#include "vec_math.h"

#include <math.h>

typedef struct row_norm {
    ie_tensor y, x;
    const float *w, *b; /* b NULL: rms norm */
    ie_tensor length;
    float eps;
} row_norm;

/* x with the lanes from n on set to zero. */
IE_INLINE ie_v first_lanes(ie_v x, int64_t n)
{
    const ie_vi lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return n >= IE_LANES ? x : ie_v_select(lane < (int32_t)n, x, ie_v_set(0.0f));
}

IE_INLINE void norm_row(const row_norm *r, int64_t row, ie_dtype from, ie_dtype to)
{
    const int64_t width = r->x.dim[2], base = row * width;
    float mean = 0;
    if (r->b) {
        ie_v sum = ie_v_set(0.0f);
        for (int64_t c = 0; c < width; c += IE_LANES)
            sum += ie_v_get(r->x.data, base + c, width - c, from);
        mean = ie_v_sum(sum) / (float)width;
    }
    ie_v squares = ie_v_set(0.0f);
    for (int64_t c = 0; c < width; c += IE_LANES) {
        const ie_v d =
            first_lanes(ie_v_get(r->x.data, base + c, width - c, from) - mean, width - c);
        squares += d * d;
    }
    const float factor = 1.0f / sqrtf(ie_v_sum(squares) / (float)width + r->eps);
    for (int64_t c = 0; c < width; c += IE_LANES) {
        const int64_t n = width - c;
        ie_v v =
            (ie_v_get(r->x.data, base + c, n, from) - mean) * factor * ie_v_get(r->w, c, n, IE_F32);
        if (r->b) v += ie_v_get(r->b, c, n, IE_F32);
        ie_v_put(r->y.data, base + c, n, v, to);
    }
}

static void norm_row_of_types(const row_norm *r, int64_t row)
{
    const int64_t tokens = r->x.dim[1], width = r->x.dim[2];
    if (ie_present(r->length) && row % tokens >= ((const int32_t *)r->length.data)[row / tokens]) {
        memset(ie_offset(r->y, row * width), 0, (size_t)(width * ie_dtype_size(r->y.dtype)));
    } else if (r->x.dtype == IE_F32 && r->y.dtype == IE_F32) {
        norm_row(r, row, IE_F32, IE_F32);
    } else if (r->x.dtype == IE_F32) {
        norm_row(r, row, IE_F32, IE_BF16);
    } else if (r->y.dtype == IE_F32) {
        norm_row(r, row, IE_BF16, IE_F32);
    } else {
        norm_row(r, row, IE_BF16, IE_BF16);
    }
}

static void norm_rows(const row_norm *r)
{
#pragma omp parallel for num_threads(ie_cpu_thread_count()) schedule(static)
    for (int64_t row = 0; row < r->x.dim[0] * r->x.dim[1]; row++) norm_row_of_types(r, row);
}

int ie_cpu_layer_norm(ie_stream *s, ie_tensor y, ie_tensor x, ie_tensor w, ie_tensor b,
                      ie_tensor length, float eps)
{
    (void)s;
    const row_norm r = {y, x, w.data, b.data, length, eps};
    norm_rows(&r);
    return 0;
}

int ie_cpu_rms_norm(ie_stream *s, ie_tensor y, ie_tensor x, ie_tensor w, ie_tensor length,
                    float eps)
{
    (void)s;
    const row_norm r = {y, x, w.data, NULL, length, eps};
    norm_rows(&r);
    return 0;
}

int ie_cpu_embed(ie_stream *s, ie_tensor y, ie_tensor table, ie_tensor ids)
{
    (void)s;
    const int64_t width = table.dim[1];
    for (int64_t i = 0; i < ie_numel(ids); i++) {
        const void *row = ie_offset(table, ((const int32_t *)ids.data)[i] * width);
        for (int64_t c = 0; c < width; c += IE_LANES) {
            ie_v_put(y.data, i * width + c, width - c, ie_v_get(row, c, width - c, table.dtype),
                     IE_F32);
        }
    }
    return 0;
}
