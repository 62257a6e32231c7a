/* image.c - where pixels come from: gathered inputs, the conditioning image, noise, the enlarged
 * previous stage. SPDX-License-Identifier: Apache-2.0 */
#include "numbers.h"
#include "ref.h"
#include "rng.h"

/* One pixel of one lane: the sources' channels side by side, then zeros. */
static void gather_pixel(ie_tensor y, const ie_source *sources, int count, int64_t lane,
                         int64_t pixel)
{
    const int64_t pixels = y.dim[1] * y.dim[2], channels = y.dim[3];
    const int64_t to = (lane * pixels + pixel) * channels;
    int64_t c = 0;
    for (int i = 0; i < count; i++) {
        const ie_tensor x = sources[i].x;
        const int64_t slot = ((const int32_t *)sources[i].index.data)[lane];
        const int64_t from = (slot * pixels + pixel) * x.dim[3];
        for (int64_t k = 0; k < x.dim[3]; k++, c++) {
            ie_ref_store(y.data, y.dtype, to + c, ie_ref_load(x.data, x.dtype, from + k));
        }
    }
    for (; c < channels; c++) ie_ref_store(y.data, y.dtype, to + c, 0);
}

int ie_ref_gather(ie_stream *s, ie_tensor y, const ie_source *sources, int count)
{
    (void)s;
    const int64_t lanes = y.dim[0], pixels = y.dim[1] * y.dim[2];
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < lanes * pixels; i++) {
        gather_pixel(y, sources, count, i / pixels, i % pixels);
    }
    return 0;
}

int ie_ref_mask_image(ie_stream *s, ie_tensor y, ie_tensor rgb, ie_tensor mask)
{
    (void)s;
    const int64_t pixels = y.dim[0] * y.dim[1] * y.dim[2];
    const uint8_t *colour = rgb.data, *fill = mask.data;
#pragma omp parallel for schedule(static)
    for (int64_t p = 0; p < pixels; p++) {
        for (int64_t c = 0; c < 3; c++) {
            const double value = fill[p] ? 0 : 2.0 * colour[3 * p + c] / 255.0 - 1;
            ie_ref_store(y.data, y.dtype, 4 * p + c, value);
        }
        ie_ref_store(y.data, y.dtype, 4 * p + 3, fill[p]);
    }
    return 0;
}

int ie_ref_noise(ie_stream *s, ie_tensor z, int64_t slot, uint64_t seed, uint32_t stage,
                 uint32_t step)
{
    (void)s;
    const int64_t count = z.dim[1] * z.dim[2] * z.dim[3];
    float *to = ie_offset(z, slot * z.stride[0]);
#pragma omp parallel for schedule(static)
    for (int64_t block = 0; block < (count + 3) / 4; block++) {
        float normal[4];
        ie_normal4(normal, seed, stage, step, (uint32_t)block);
        for (int64_t i = 4 * block; i < 4 * block + 4 && i < count; i++) to[i] = normal[i % 4];
    }
    return 0;
}

/* Where coordinate `i` of `size` lies between the centres of `from` source pixels: two of them and
 * the second's share. */
typedef struct between {
    int64_t low, high;
    double share;
} between;

static between locate(int64_t i, int64_t size, int64_t from)
{
    const double at = ((double)i + 0.5) * (double)from / (double)size - 0.5;
    const int64_t low = (int64_t)floor(at);
    return (between){
        .low = low < 0 ? 0 : low,
        .high = low + 1 > from - 1 ? from - 1 : low + 1,
        .share = at - (double)low,
    };
}

static double clipped(ie_tensor x, int64_t row, int64_t column, int64_t c)
{
    const int64_t i = (row * x.dim[1] + column) * x.dim[2] + c;
    return fmin(fmax((double)((const float *)x.data)[i], -1), 1);
}

/* Element i of x enlarged to the size of y. */
static double enlarged(ie_tensor x, ie_tensor y, int64_t i)
{
    const int64_t width = y.dim[2], channels = y.dim[3], c = i % channels;
    const between v = locate(i / channels / width, y.dim[1], x.dim[0]);
    const between h = locate(i / channels % width, width, x.dim[1]);
    const double above =
        clipped(x, v.low, h.low, c) * (1 - h.share) + clipped(x, v.low, h.high, c) * h.share;
    const double below =
        clipped(x, v.high, h.low, c) * (1 - h.share) + clipped(x, v.high, h.high, c) * h.share;
    return above * (1 - v.share) + below * v.share;
}

/* The number of parameters is that of ops.h. NOLINTNEXTLINE(readability-function-size) */
int ie_ref_augment(ie_stream *s, ie_tensor y, int64_t slot, ie_tensor x, float alpha, float sigma,
                   uint64_t seed, uint32_t stage, uint32_t step)
{
    (void)s;
    const int64_t count = y.dim[1] * y.dim[2] * y.dim[3];
    float *to = ie_offset(y, slot * y.stride[0]);
#pragma omp parallel for schedule(static)
    for (int64_t block = 0; block < (count + 3) / 4; block++) {
        float n[4];
        ie_normal4(n, seed, stage, step, (uint32_t)block);
        for (int64_t i = 4 * block; i < 4 * block + 4 && i < count; i++) {
            const double up = enlarged(x, y, i);
            to[i] = (float)((double)alpha * up + (double)sigma * (double)n[i % 4]);
        }
    }
    return 0;
}
