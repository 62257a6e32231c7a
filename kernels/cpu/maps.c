/* maps.c - gathering the input of a U-Net, the conditioning image, small f32 vectors.
 * SPDX-License-Identifier: Apache-2.0 */
#include "maps.h"
#include "half.h"
#include "threads.h"

#include <math.h>
#include <string.h>

static inline float load(const void *p, int64_t i, ie_dtype type)
{
    return type == IE_F32 ? ((const float *)p)[i] : ie_f32_from_bf16(((const uint16_t *)p)[i]);
}
static inline void store(void *p, int64_t i, float x, ie_dtype type)
{
    if (type == IE_F32) {
        ((float *)p)[i] = x;
    } else {
        ((uint16_t *)p)[i] = ie_bf16_from_f32(x);
    }
}

/* Row `row` (of all lanes' rows) of y. */
static void gather_row(ie_tensor y, const ie_source *sources, int count, int64_t row)
{
    const int64_t width = y.dim[2], channels = y.dim[3], lane = row / y.dim[1],
                  line = row % y.dim[1];
    int64_t base = 0;
    for (int s = 0; s < count; s++) {
        const ie_tensor x = sources[s].x;
        const int64_t slot = ((const int32_t *)sources[s].index.data)[lane];
        const void *from = ie_offset(x, slot * x.stride[0] + line * x.stride[1]);
        void *to = ie_offset(y, row * width * channels + base);
        for (int64_t p = 0; p < width; p++) {
            for (int64_t c = 0; c < x.dim[3]; c++) {
                store(to, p * channels + c, load(from, p * x.dim[3] + c, x.dtype), y.dtype);
            }
        }
        base += x.dim[3];
    }
    for (int64_t p = 0; p < width; p++) {
        for (int64_t c = base; c < channels; c++)
            store(y.data, (row * width + p) * channels + c, 0, y.dtype);
    }
}

int ie_cpu_gather(ie_stream *s, ie_tensor y, const ie_source *sources, int count)
{
    (void)s;
#pragma omp parallel for num_threads(ie_cpu_thread_count()) schedule(static)
    for (int64_t row = 0; row < y.dim[0] * y.dim[1]; row++) gather_row(y, sources, count, row);
    return 0;
}

int ie_cpu_mask_image(ie_stream *s, ie_tensor y, ie_tensor rgb, ie_tensor mask)
{
    (void)s;
    const uint8_t *colour = rgb.data, *fill = mask.data;
    const int64_t pixels = y.dim[0] * y.dim[1] * y.dim[2];
#pragma omp parallel for num_threads(ie_cpu_thread_count()) schedule(static)
    for (int64_t p = 0; p < pixels; p++) {
        for (int64_t c = 0; c < 3; c++) {
            /* The numerator is exact, so there is one rounding before the store. */
            store(y.data, 4 * p + c, fill[p] ? 0 : (float)(2 * colour[3 * p + c] - 255) / 255,
                  y.dtype);
        }
        store(y.data, 4 * p + 3, fill[p], y.dtype);
    }
    return 0;
}

int ie_cpu_add_rows(ie_stream *s, ie_tensor y, ie_tensor x, ie_tensor slots, ie_tensor index)
{
    (void)s;
    for (int64_t n = 0; n < y.dim[0]; n++) {
        const float *a = ie_offset(x, n * x.stride[0]);
        const float *b = ie_offset(slots, ((const int32_t *)index.data)[n] * slots.stride[0]);
        float *to = ie_offset(y, n * y.stride[0]);
        for (int64_t c = 0; c < y.dim[1]; c++) to[c] = a[c] + b[c];
    }
    return 0;
}

/* In double: angles reach 1000, and there are few of them. */
int ie_cpu_sinusoid(ie_stream *s, ie_tensor y, ie_tensor v, float max_period)
{
    (void)s;
    const int64_t half = y.dim[1] / 2;
    for (int64_t n = 0; n < y.dim[0]; n++) {
        float *to = ie_offset(y, n * y.stride[0]);
        const double at = (double)((const float *)v.data)[n];
        for (int64_t k = 0; k < half; k++) {
            const double angle = at * exp(-log((double)max_period) * (double)k / (double)half);
            to[k] = (float)cos(angle);
            to[half + k] = (float)sin(angle);
        }
    }
    return 0;
}
