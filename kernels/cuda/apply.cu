/* apply.cu - what a convolution reads, made at memory speed before it.
 *
 * u = resample(act(film(norm(x0 ++ x1)))), rounded to bf16                              (ops.h)
 *
 *   shapes    x_i [N, H, W, C_i] bf16, moments_i [N, C_i, 2], gamma, beta [C], film [N, 2 C] f32;
 *             u [N, Hr, Wr, C] bf16, C = C_0 + C_1
 *   numerics  f32: norm and film fold into (x - mean) scale + shift, which keeps the digits that
 *             x scale + (shift - mean scale) would lose; one rounding at the store. A group's
 *             variance is the mean of its channels' variances plus the variance of their means
 *   cost      about 25 FLOP and 4 bytes an element (as is): memory-bound
 *   mapping   a block: 64 channels of a strip of 128 or 256 pixels of a lane. It first makes the
 *             statistics of the groups it touches, a warp a group, and its channels' three
 *             coefficients; then a thread keeps those of 8 channels (1 where a channel count is no
 *             multiple of 8) and walks over every 32nd (4th) pixel, four loads at a time. Twice
 *             as large: a source pixel is stored four times. Half: four sources a pixel.
 *             Where conv90_norm.cu transforms on load, fold_kernel stores the coefficients alone
 *   limits    128 registers (nvcc 13.0; sm_80, 90a, 120), no spills: 2 blocks an SM
 *   measured  not yet on a device
 * SPDX-License-Identifier: Apache-2.0 */
#include "cuda_ops.h"
#include "launch.h"
#include "values.h"

constexpr int APPLY_THREADS = 256, APPLY_TILE = 64, APPLY_RUN = 4;

struct Apply {
    const bf16 *x[2];
    const float *moments[2], *gamma, *beta; /* if normed */
    const float *film;                      /* or null */
    bf16 *u;
    int64_t film_lane;
    int channels[2], height, width;
    int groups; /* 0: no norm */
    float eps;
    ie_act act;
    ie_resample resample;
    int strip; /* pixels of a block: of the source, or of the result where that is smaller */
};

struct ApplyShared {
    float mean[APPLY_TILE], inverse[APPLY_TILE]; /* of the groups that the tile touches */
    float centre[APPLY_TILE], scale[APPLY_TILE], shift[APPLY_TILE]; /* of its channels */
};

/* ---- coefficients ---------------------------------------------------------------------------- */

PTX_INLINE const float *moment_of(const Apply &a, int c)
{
    const int64_t lane = blockIdx.z;
    return c < a.channels[0] ? a.moments[0] + (lane * a.channels[0] + c) * 2
                             : a.moments[1] + (lane * a.channels[1] + c - a.channels[0]) * 2;
}

PTX_INLINE float warp_sum(float v)
{
#pragma unroll
    for (int d = 16; d; d >>= 1) v += __shfl_xor_sync(0xffffffffu, v, d);
    return v;
}

/* Groups `first` to `last` of `size` channels, a warp each in turn. */
PTX_INLINE void group_statistics(const Apply &a, ApplyShared *shared, int first, int last, int size)
{
    const int warp = static_cast<int>(threadIdx.x) >> 5, lane = static_cast<int>(threadIdx.x) & 31;
    for (int g = first + warp; g <= last; g += APPLY_THREADS / 32) {
        float mean = 0, variance = 0;
        for (int c = lane; c < size; c += 32) mean += moment_of(a, g * size + c)[0];
        mean = warp_sum(mean) / static_cast<float>(size);
        for (int c = lane; c < size; c += 32) {
            const float *m = moment_of(a, g * size + c), d = m[0] - mean;
            variance += m[1] + d * d;
        }
        variance = warp_sum(variance) / static_cast<float>(size);
        if (lane != 0) continue;
        shared->mean[g - first] = mean;
        shared->inverse[g - first] = 1.0f / sqrtf(variance + a.eps);
    }
}

/* (x - centre) scale + shift of the tile's channels from c0 on; all threads take part. */
PTX_INLINE void coefficients(const Apply &a, ApplyShared *shared, int c0)
{
    const int channels = a.channels[0] + a.channels[1], c = c0 + static_cast<int>(threadIdx.x);
    const int size = a.groups > 0 ? channels / a.groups : channels, first = c0 / size;
    if (a.groups > 0) {
        group_statistics(a, shared, first, (min(c0 + APPLY_TILE, channels) - 1) / size, size);
        __syncthreads();
    }
    if (threadIdx.x < APPLY_TILE && c < channels) {
        float centre = 0, scale = 1, shift = 0;
        if (a.groups > 0) {
            centre = shared->mean[c / size - first];
            scale = shared->inverse[c / size - first] * a.gamma[c];
            shift = a.beta[c];
        }
        if (a.film) {
            const float *film = a.film + blockIdx.z * a.film_lane;
            scale *= 1.0f + film[c];
            shift = shift * (1.0f + film[c]) + film[channels + c];
        }
        shared->centre[threadIdx.x] = centre;
        shared->scale[threadIdx.x] = scale;
        shared->shift[threadIdx.x] = shift;
    }
    __syncthreads();
}

/* ---- pixels ---------------------------------------------------------------------------------- */

/* N channels of a thread. */
template <int N> struct Column {
    const bf16 *x; /* of the lane and the thread's first channel */
    bf16 *u;
    int64_t x_pixel, u_pixel;
    folded_norm<N> norm;
};

template <int N> PTX_INLINE void transform(float (&v)[N], const Column<N> &column, ie_act act)
{
    normalise(v, column.norm);
    activate(v, act);
}

/* To where source pixel p goes. */
template <int N>
PTX_INLINE void store_pixel(const float (&v)[N], const Column<N> &column, const Apply &a, int p)
{
    if (a.resample == IE_SAME) {
        store(column.u + p * column.u_pixel, v);
        return;
    }
    const int y = p / a.width, x = p - y * a.width;
    bf16 *to = column.u + (4 * static_cast<int64_t>(y) * a.width + 2 * x) * column.u_pixel;
    store(to, v);
    store(to + column.u_pixel, v);
    to += 2 * a.width * column.u_pixel;
    store(to, v);
    store(to + column.u_pixel, v);
}

/* Pixels begin, begin + step, ... before `end`, of the source. */
template <int N>
PTX_INLINE void walk(const Column<N> &column, const Apply &a, int begin, int end, int step)
{
    for (int p = begin; p < end; p += APPLY_RUN * step) {
        float v[APPLY_RUN][N];
#pragma unroll
        for (int i = 0; i < APPLY_RUN; i++) {
            if (p + i * step < end) load(v[i], column.x + (p + i * step) * column.x_pixel);
        }
#pragma unroll
        for (int i = 0; i < APPLY_RUN; i++) {
            if (p + i * step >= end) break;
            transform(v[i], column, a.act);
            store_pixel(v[i], column, a, p + i * step);
        }
    }
}

/* The same, of the result, half as large: the mean of four. */
template <int N>
PTX_INLINE void walk_halves(const Column<N> &column, const Apply &a, int begin, int end, int step)
{
    const int width = a.width / 2;
    for (int p = begin; p < end; p += step) {
        const int y = p / width, x = p - y * width;
        const bf16 *from =
            column.x + (2 * static_cast<int64_t>(y) * a.width + 2 * x) * column.x_pixel;
        float v[4][N];
#pragma unroll
        for (int i = 0; i < 4; i++) load(v[i], from + (i / 2 * a.width + i % 2) * column.x_pixel);
#pragma unroll
        for (int i = 0; i < 4; i++) transform(v[i], column, a.act);
#pragma unroll
        for (int c = 0; c < N; c++) v[0][c] = (v[0][c] + v[1][c] + (v[2][c] + v[3][c])) * 0.25f;
        store(column.u + p * column.u_pixel, v[0]);
    }
}

template <int N> __global__ void __launch_bounds__(APPLY_THREADS, 2) apply_kernel(Apply a)
{
    wait_for_last_grid();
    constexpr int VECTORS = APPLY_TILE / N, ROWS = APPLY_THREADS / VECTORS;
    auto *const shared = reinterpret_cast<ApplyShared *>(dynamic_shared());
    const int channels = a.channels[0] + a.channels[1];
    const int c0 = static_cast<int>(blockIdx.y) * APPLY_TILE;
    const int own = static_cast<int>(threadIdx.x) % VECTORS * N, c = c0 + own;
    coefficients(a, shared, c0);
    if (c >= channels) return; /* no barrier follows */

    const bool second = c >= a.channels[0], half = a.resample == IE_DOWN2;
    const int64_t lane = blockIdx.z, pixels = static_cast<int64_t>(a.height) * a.width;
    const int64_t results = half ? a.height / 2 * static_cast<int64_t>(a.width / 2)
                            : a.resample == IE_UP2 ? 4 * pixels
                                                   : pixels;
    Column<N> column;
    column.x_pixel = second ? a.channels[1] : a.channels[0];
    column.u_pixel = channels;
    column.x = (second ? a.x[1] : a.x[0]) + lane * pixels * column.x_pixel +
               (second ? c - a.channels[0] : c);
    column.u = a.u + lane * results * channels + c;
#pragma unroll
    for (int i = 0; i < N; i++) {
        column.norm.centre[i] = shared->centre[own + i];
        column.norm.scale[i] = shared->scale[own + i];
        column.norm.shift[i] = shared->shift[own + i];
    }
    const int walked = static_cast<int>(half ? results : pixels);
    const int begin = static_cast<int>(blockIdx.x) * a.strip, end = min(begin + a.strip, walked);
    const int row = static_cast<int>(threadIdx.x) / VECTORS;
    if (half) {
        walk_halves(column, a, begin + row, end, ROWS);
    } else {
        walk(column, a, begin + row, end, ROWS);
    }
}

/* The coefficients alone. */
__global__ void __launch_bounds__(APPLY_THREADS, 2) fold_kernel(Apply a, float *folded)
{
    wait_for_last_grid();
    auto *const shared = reinterpret_cast<ApplyShared *>(dynamic_shared());
    const int channels = a.channels[0] + a.channels[1], own = static_cast<int>(threadIdx.x);
    const int c0 = static_cast<int>(blockIdx.y) * APPLY_TILE, c = c0 + own;
    coefficients(a, shared, c0);
    if (own >= APPLY_TILE || c >= channels) return;
    float *to = folded + static_cast<int64_t>(blockIdx.z) * 3 * channels + c;
    to[0] = shared->centre[own];
    to[channels] = shared->scale[own];
    to[2 * channels] = shared->shift[own];
}

/* ---- launch ---------------------------------------------------------------------------------- */

static Apply describe(const ie_conv_spec *spec, const ie_conv_args *args)
{
    Apply a = {};
    for (int i = 0; i < 2; i++) {
        a.x[i] = static_cast<const bf16 *>(args->x[i].data);
        a.moments[i] = static_cast<const float *>(args->moments[i].data);
        a.channels[i] = static_cast<int>(spec->channels[i]);
    }
    a.gamma = static_cast<const float *>(args->gamma.data);
    a.beta = static_cast<const float *>(args->beta.data);
    if (ie_present(args->film)) {
        a.film = static_cast<const float *>(args->film.data);
        a.film_lane = args->film.stride[0];
    }
    a.height = static_cast<int>(spec->height);
    a.width = static_cast<int>(spec->width);
    a.groups = spec->groups > 0 ? spec->groups : 0;
    a.eps = spec->eps;
    a.act = spec->act;
    a.resample = spec->resample;
    return a;
}

static unsigned tiles_of(const ie_conv_spec *spec)
{
    return blocks_for(spec->channels[0] + spec->channels[1], APPLY_TILE);
}

int ie_cuda_apply(ie_stream *s, const ie_conv_spec *spec, const ie_conv_args *args, void *u)
{
    if (spec->dtype != IE_BF16) return cudaErrorInvalidValue;
    Apply a = describe(spec, args);
    a.u = static_cast<bf16 *>(u);
    const bool half = a.resample == IE_DOWN2;
    const int64_t walked = half ? spec->height / 2 * (spec->width / 2) : spec->height * spec->width;
    const bool eight = spec->channels[0] % 8 == 0 && spec->channels[1] % 8 == 0;
    a.strip = walked >= 4096 ? 256 : 128;
    const dim3 grid(blocks_for(walked, a.strip), tiles_of(spec),
                    static_cast<unsigned>(args->x[0].dim[0]));
    return launch(eight ? apply_kernel<8> : apply_kernel<1>, grid, dim3(APPLY_THREADS),
                  sizeof(ApplyShared), s, a);
}

int ie_cuda_fold(ie_stream *s, const ie_conv_spec *spec, const ie_conv_args *args, float *folded)
{
    const dim3 grid(1, tiles_of(spec), static_cast<unsigned>(args->x[0].dim[0]));
    return launch(fold_kernel, grid, dim3(APPLY_THREADS), sizeof(ApplyShared), s,
                  describe(spec, args), folded);
}
