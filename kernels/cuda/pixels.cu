/* pixels.cu - where pixels come from: gathered inputs, the conditioning image, the enlarged
 * previous stage; and rows of slots added to rows of lanes.
 *
 * gather      y[n, p, :] = x_0[index_0[n], p, :] ++ x_1[...] ++ ..., rest zero; y bf16, x_i f32 or
 *             bf16, at most 4
 * mask_image  y[n, p, :] = (1 - m) (2 rgb / 255 - 1), m; rgb, m u8, y [N, H, W, 4] bf16
 * augment     y[slot] = alpha up(clip(x, -1, 1)) + sigma normal(seed, stage, step, element); f32
 * add_rows    y[n, :] = x[n, :] + slots[index[n], :]; f32
 *
 *   aliasing  y may be x in add_rows
 *   numerics  f32; the places of an enlarged pixel are integers, its shares rounded once
 *   cost      under 10 FLOP a byte (augment 30): memory-bound. gather at 1024 x 1024, 16 channels
 *             from 10 of f32: 42 MB read, 34 MB written a lane
 *   mapping   gather: a thread 8 output elements (1 where C is no multiple of 8), lanes along y;
 *             mask_image: a thread a pixel, one 8-byte store; augment: a thread one Philox block
 *   limits    40 registers (nvcc 13.0; sm_80, 90a, 120), no spills, no stack
 *   measured  not yet on a device
 * SPDX-License-Identifier: Apache-2.0 */
#include "cuda_ops.h"
#include "launch.h"
#include "rng.h"
#include "values.h"

constexpr int PIXEL_THREADS = 256;

/* ---- gather ---------------------------------------------------------------------------------- */

enum { MOST_SOURCES = 4 };

struct Gathered {
    const void *x[MOST_SOURCES];
    const int *index[MOST_SOURCES];
    int first[MOST_SOURCES + 1]; /* channels of y: source i has [first[i], first[i + 1]) */
    bool wide[MOST_SOURCES];     /* f32 */
    int pixels, channels;
};

/* Indices of the parameter's arrays are constants, or they would be copied to memory. */
PTX_INLINE float gathered(const Gathered &g, int lane, int pixel, int c)
{
    float v = 0;
#pragma unroll
    for (int i = 0; i < MOST_SOURCES; i++) {
        if (c < g.first[i] || c >= g.first[i + 1]) continue;
        const int width = g.first[i + 1] - g.first[i];
        const int64_t row = static_cast<int64_t>(g.index[i][lane]) * g.pixels + pixel;
        const int64_t at = row * width + c - g.first[i];
        v = g.wide[i] ? static_cast<const float *>(g.x[i])[at]
                      : __bfloat162float(static_cast<const bf16 *>(g.x[i])[at]);
    }
    return v;
}

template <int N> __global__ void __launch_bounds__(PIXEL_THREADS) gather_kernel(bf16 *y, Gathered g)
{
    wait_for_last_grid();
    const int at = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x) * N;
    const int elements = g.pixels * g.channels, lane = static_cast<int>(blockIdx.y);
    if (at >= elements) return;
    const int pixel = at / g.channels, c = at - pixel * g.channels;
    float v[N];
#pragma unroll
    for (int i = 0; i < N; i++) v[i] = gathered(g, lane, pixel, c + i);
    store(y + static_cast<int64_t>(lane) * elements + at, v);
}

int ie_cuda_gather(ie_stream *s, ie_tensor y, const ie_source *sources, int count)
{
    if (y.dtype != IE_BF16 || count > MOST_SOURCES) return cudaErrorInvalidValue;
    Gathered g = {};
    g.pixels = static_cast<int>(y.dim[1] * y.dim[2]);
    g.channels = static_cast<int>(y.dim[3]);
    for (int i = 0; i < MOST_SOURCES; i++) {
        g.first[i + 1] = g.first[i];
        if (i >= count) continue;
        g.x[i] = sources[i].x.data;
        g.index[i] = static_cast<const int *>(sources[i].index.data);
        g.wide[i] = sources[i].x.dtype == IE_F32;
        g.first[i + 1] += static_cast<int>(sources[i].x.dim[3]);
    }
    const bool eight = g.channels % 8 == 0;
    const dim3 grid(blocks_for(y.dim[1] * y.dim[2] * y.dim[3], (eight ? 8 : 1) * PIXEL_THREADS),
                    static_cast<unsigned>(y.dim[0]));
    return launch(eight ? gather_kernel<8> : gather_kernel<1>, grid, dim3(PIXEL_THREADS), 0, s,
                  static_cast<bf16 *>(y.data), g);
}

/* ---- the conditioning image ------------------------------------------------------------------ */

PTX_INLINE float colour(uint8_t value, bool fill)
{
    return fill ? 0.0f : 2.0f * static_cast<float>(value) / 255.0f - 1.0f;
}

__global__ void __launch_bounds__(PIXEL_THREADS)
    mask_image_kernel(uint2 *y, const uint8_t *rgb, const uint8_t *mask, int64_t pixels)
{
    wait_for_last_grid();
    const int64_t p = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (p >= pixels) return;
    const bool fill = mask[p] != 0;
    y[p] = uint2{bf16_pair(colour(rgb[3 * p], fill), colour(rgb[3 * p + 1], fill)),
                 bf16_pair(colour(rgb[3 * p + 2], fill), fill ? 1.0f : 0.0f)};
}

int ie_cuda_mask_image(ie_stream *s, ie_tensor y, ie_tensor rgb, ie_tensor mask)
{
    if (y.dtype != IE_BF16) return cudaErrorInvalidValue;
    const int64_t pixels = y.dim[0] * y.dim[1] * y.dim[2];
    return launch(mask_image_kernel, dim3(blocks_for(pixels, PIXEL_THREADS)), dim3(PIXEL_THREADS),
                  0, s, static_cast<uint2 *>(y.data), static_cast<const uint8_t *>(rgb.data),
                  static_cast<const uint8_t *>(mask.data), pixels);
}

/* ---- the enlarged previous stage ------------------------------------------------------------- */

struct Enlarged {
    const float *x; /* [from_height, from_width, channels] */
    int from_height, from_width, height, width, channels;
    float alpha, sigma;
    uint64_t seed;
    uint32_t stage, step;
};

/* Coordinate i of `size` between the centres of `from` source pixels: two of them, and the second's
 * share. It is ((2 i + 1) from - size) / (2 size), in integers. */
struct Between {
    int low, high;
    float share;
};

PTX_INLINE Between between(int i, int size, int from)
{
    const int64_t at = static_cast<int64_t>(2 * i + 1) * from - size;
    if (at < 0) return {0, 0, 0.0f}; /* before the first centre */
    const int low = static_cast<int>(at / (2 * size)), rest = static_cast<int>(at % (2 * size));
    return {low, low + 1 < from ? low + 1 : low,
            static_cast<float>(rest) / static_cast<float>(2 * size)};
}

PTX_INLINE float clipped(const Enlarged &e, int row, int column, int c)
{
    const float v = e.x[(row * e.from_width + column) * e.channels + c];
    return fminf(fmaxf(v, -1.0f), 1.0f);
}

PTX_INLINE float enlarged(const Enlarged &e, int i)
{
    const int pixel = i / e.channels, c = i - pixel * e.channels, row = pixel / e.width;
    const Between v = between(row, e.height, e.from_height);
    const Between h = between(pixel - row * e.width, e.width, e.from_width);
    const float above =
        clipped(e, v.low, h.low, c) * (1.0f - h.share) + clipped(e, v.low, h.high, c) * h.share;
    const float below =
        clipped(e, v.high, h.low, c) * (1.0f - h.share) + clipped(e, v.high, h.high, c) * h.share;
    return above * (1.0f - v.share) + below * v.share;
}

__global__ void __launch_bounds__(PIXEL_THREADS) augment_kernel(float *y, Enlarged e)
{
    wait_for_last_grid();
    const int count = e.height * e.width * e.channels;
    const int block = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x), at = 4 * block;
    if (at >= count) return;
    float normal[4], v[4];
    ie_normal4(normal, e.seed, e.stage, e.step, static_cast<uint32_t>(block));
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const float up = at + i < count ? enlarged(e, at + i) : 0.0f;
        v[i] = e.alpha * up + e.sigma * normal[i];
    }
    store_four(y + at, v, count - at);
}

/* The number of parameters is that of ops.h. NOLINTNEXTLINE(readability-function-size) */
int ie_cuda_augment(ie_stream *s, ie_tensor y, int64_t slot, ie_tensor x, float alpha, float sigma,
                    uint64_t seed, uint32_t stage, uint32_t step)
{
    Enlarged e = {};
    e.x = static_cast<const float *>(x.data);
    e.from_height = static_cast<int>(x.dim[0]);
    e.from_width = static_cast<int>(x.dim[1]);
    e.height = static_cast<int>(y.dim[1]);
    e.width = static_cast<int>(y.dim[2]);
    e.channels = static_cast<int>(y.dim[3]);
    e.alpha = alpha;
    e.sigma = sigma;
    e.seed = seed;
    e.stage = stage;
    e.step = step;
    const dim3 grid(blocks_for(y.dim[1] * y.dim[2] * y.dim[3], 4 * PIXEL_THREADS));
    return launch(augment_kernel, grid, dim3(PIXEL_THREADS), 0, s,
                  static_cast<float *>(y.data) + slot * y.stride[0], e);
}

/* ---- rows of slots --------------------------------------------------------------------------- */

struct AddRows {
    const float *x, *slots;
    const int *index;
    int64_t y_row, x_row, slot_row;
    int channels;
};

__global__ void __launch_bounds__(PIXEL_THREADS)
    add_rows_kernel(float *y, AddRows p) /* y may be x */
{
    wait_for_last_grid();
    const int c = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (c >= p.channels) return;
    y[blockIdx.y * p.y_row + c] =
        p.x[blockIdx.y * p.x_row + c] + p.slots[p.index[blockIdx.y] * p.slot_row + c];
}

int ie_cuda_add_rows(ie_stream *s, ie_tensor y, ie_tensor x, ie_tensor slots, ie_tensor index)
{
    AddRows p = {};
    p.x = static_cast<const float *>(x.data);
    p.slots = static_cast<const float *>(slots.data);
    p.index = static_cast<const int *>(index.data);
    p.y_row = y.stride[0];
    p.x_row = x.stride[0];
    p.slot_row = slots.stride[0];
    p.channels = static_cast<int>(y.dim[1]);
    const dim3 grid(blocks_for(y.dim[1], PIXEL_THREADS), static_cast<unsigned>(y.dim[0]));
    return launch(add_rows_kernel, grid, dim3(PIXEL_THREADS), 0, s, static_cast<float *>(y.data),
                  p);
}
