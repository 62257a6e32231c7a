/* conv80_out.h - the end of conv80.cu: sums become values of y, and their moments partials.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CUDA_CONV80_OUT_H
#define IE_CUDA_CONV80_OUT_H

#include "conv80_loop.h"
#include "values.h"

/* ---- epilogue -------------------------------------------------------------------------------- */

/* `count` of V values at element `at`, as many as exist; the rest keeps what it was. */
template <int V, class T>
PTX_INLINE void load_some(float (&v)[V], const T *from, bool vector, int count)
{
    if (vector) {
        load(v, from);
        return;
    }
#pragma unroll
    for (int i = 0; i < V; i++) {
        float one[1];
        if (i < count) load(one, from + i), v[i] = one[0];
    }
}

template <int V>
PTX_INLINE void load_run(float (&v)[V], const conv80_call &c, const void *from, size_t at,
                         int count)
{
    if (c.p.y_f32) {
        load_some(v, static_cast<const float *>(from) + at, c.vector, count);
    } else {
        load_some(v, static_cast<const bf16 *>(from) + at, c.vector, count);
    }
}

template <int V, class T>
PTX_INLINE void store_some(T *to, const float (&v)[V], bool vector, int count)
{
    if (vector) {
        store(to, v);
        return;
    }
#pragma unroll
    for (int i = 0; i < V; i++) {
        const float one[1] = {v[i]};
        if (i < count) store(to + i, one);
    }
}

template <int V>
PTX_INLINE void store_run(const float (&v)[V], const conv80_call &c, size_t at, int count)
{
    if (c.p.y_f32) {
        store_some(static_cast<float *>(c.p.y) + at, v, c.vector, count);
    } else {
        store_some(static_cast<bf16 *>(c.p.y) + at, v, c.vector, count);
    }
}

/* Half as many of y from V sums: gates and values take turns. `count` of the sums exist. */
template <int V>
PTX_INLINE void store_gated(const float (&sums)[V], const conv80_call &c, size_t at, int count)
{
    float v[V / 2];
#pragma unroll
    for (int i = 0; i < V / 2; i++) v[i] = gelu_tanh(sums[2 * i]) * sums[2 * i + 1];
    store_run(v, c, at, count / 2);
}

/* v += the residual under a pixel of y, outputs o .. o + count. */
template <int V>
PTX_INLINE void add_residual(float (&v)[V], const conv80_call &c, int pixel, int o, int count)
{
    const conv_problem &p = c.p;
    const size_t image = static_cast<size_t>(blockIdx.y) * p.residual_height * p.residual_width;
    float r[V] = {};
    if (p.residual_resample == IE_SAME) {
        load_run(r, c, p.residual, (image + pixel) * p.outputs + o, count);
    } else {
        const int y = pixel / p.out_width, x = pixel - y * p.out_width;
        if (p.residual_resample == IE_UP2) {
            const int under = (y >> 1) * p.residual_width + (x >> 1);
            load_run(r, c, p.residual, (image + under) * p.outputs + o, count);
        } else {
#pragma unroll 1
            for (int k = 0; k < 4; k++) {
                const int under = (2 * y + (k >> 1)) * p.residual_width + 2 * x + (k & 1);
                float one[V] = {};
                load_run(one, c, p.residual, (image + under) * p.outputs + o, count);
#pragma unroll
                for (int i = 0; i < V; i++) r[i] += 0.25f * one[i];
            }
        }
    }
#pragma unroll
    for (int i = 0; i < V; i++) v[i] += r[i];
}

/* The sums become the values of y, and go there. */
template <class TILE>
PTX_INLINE void write_tile(conv80_sums<TILE> &sums, const conv80_call &c, int row, int o)
{
    const conv_problem &p = c.p;
    const int pixels = p.out_height * p.out_width, count = p.outputs - o;
    if (count <= 0) return;
    float bias[TILE::run];
#pragma unroll
    for (int i = 0; i < TILE::run; i++) bias[i] = p.bias[o + i]; /* padded to whole runs */
#pragma unroll
    for (int i = 0; i < 2 * TILE::down; i++) {
        const int pixel = row + i * 8;
        float v[TILE::run];
#pragma unroll
        for (int j = 0; j < TILE::run; j++) {
            v[j] = sums[i >> 1][j >> 1][(i & 1) * 2 + (j & 1)] + bias[j];
        }
        if (pixel < pixels) {
            if (p.residual) add_residual(v, c, pixel, o, count);
#pragma unroll
            for (int j = 0; j < TILE::run; j++) v[j] *= p.scale;
            const size_t at = (static_cast<size_t>(blockIdx.y) * pixels + pixel) * p.outputs + o;
            if (p.gated) {
                store_gated(v, c, at / 2, count);
            } else {
                store_run(v, c, at, count);
            }
        }
#pragma unroll
        for (int j = 0; j < TILE::run; j++) {
            sums[i >> 1][j >> 1][(i & 1) * 2 + (j & 1)] = v[j];
        }
    }
}

/* v[j] of all pixels of the tile, for a lane's outputs: over its rows done already, here over the
 * lanes and warps that hold the others. `shared` [warps_down][columns]. */
template <class TILE> PTX_INLINE void sum_down(float (&v)[TILE::run], float *shared, int column)
{
    const int warp = static_cast<int>(threadIdx.x) >> 5, lane = static_cast<int>(threadIdx.x) & 31;
#pragma unroll
    for (int j = 0; j < TILE::run; j++) {
#pragma unroll
        for (int bits = 4; bits < 32; bits *= 2) v[j] += __shfl_xor_sync(~0u, v[j], bits);
    }
    __syncthreads(); /* the ring, or the sums before, are no longer read */
    if (lane < 4) {
        float *own = shared + warp / TILE::warps_across * TILE::columns + column;
#pragma unroll
        for (int j = 0; j < TILE::run; j++) own[j] = v[j];
    }
    __syncthreads();
#pragma unroll
    for (int j = 0; j < TILE::run; j++) {
        v[j] = 0;
#pragma unroll
        for (int w = 0; w < TILE::warps_down; w++) v[j] += shared[w * TILE::columns + column + j];
    }
}

/* Mean, and squares of deviations from it, of the tile's pixels. */
template <class TILE>
PTX_INLINE void write_partials(const conv80_sums<TILE> &values, const conv80_call &c, int m0,
                               int row, int o, int column)
{
    const conv_problem &p = c.p;
    const int pixels = p.out_height * p.out_width, left = pixels - m0;
    const float count = static_cast<float>(left < TILE::rows ? left : TILE::rows);
    float *shared = reinterpret_cast<float *>(dynamic_shared());
    float mean[TILE::run] = {}, square[TILE::run] = {};
#pragma unroll
    for (int i = 0; i < 2 * TILE::down; i++) {
#pragma unroll
        for (int j = 0; j < TILE::run; j++) {
            const float v = values[i >> 1][j >> 1][(i & 1) * 2 + (j & 1)];
            if (row + i * 8 < pixels) mean[j] += v;
        }
    }
    sum_down<TILE>(mean, shared, column);
#pragma unroll
    for (int j = 0; j < TILE::run; j++) mean[j] /= count;
#pragma unroll
    for (int i = 0; i < 2 * TILE::down; i++) {
#pragma unroll
        for (int j = 0; j < TILE::run; j++) {
            const float d = values[i >> 1][j >> 1][(i & 1) * 2 + (j & 1)] - mean[j];
            if (row + i * 8 < pixels) square[j] += d * d;
        }
    }
    sum_down<TILE>(square, shared, column);
    /* All warps of a column, and all lanes of a run, have the same sums: one of them writes. */
    if (static_cast<int>(threadIdx.x) / 32 / TILE::warps_across > 0 || (threadIdx.x & 31) > 3) {
        return;
    }
    const int tiles = (pixels + TILE::rows - 1) / TILE::rows;
    const size_t tile = static_cast<size_t>(blockIdx.y) * tiles + m0 / TILE::rows;
    float *to = p.partials + tile * CONV_PARTIALS * p.outputs;
#pragma unroll
    for (int j = 0; j < TILE::run; j++) {
        if (o + j >= p.outputs) continue;
        to[CONV_MEAN * p.outputs + o + j] = mean[j];
        to[CONV_SQUARE * p.outputs + o + j] = square[j];
        to[CONV_COUNT * p.outputs + o + j] = count;
    }
}

#endif
