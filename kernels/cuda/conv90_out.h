/* conv90_out.h - what conv90's two kernels do with finished sums: bias, residual, scale, the store,
 * and the partial moments.
 *
 * A warpgroup works on 64 pixels of one lane (half a tile) by 32 outputs at a time. Of these a warp
 * has 16 pixels; a thread has the four outputs 4 (lane % 8) .. + 3 of the pixels 4 i + lane / 8.
 * Eight threads store a pixel's 32 outputs, by eight bytes of bf16 or more; a gated layer's 16 by
 * four.
 *
 * Moments: each thread's mean and squared deviations of up to four values, in two passes; merged
 * by Chan's formula over the four threads of a column (lane ^ 8, then ^ 16), then over the four
 * warps from first to last. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CUDA_CONV90_OUT_H
#define IE_CUDA_CONV90_OUT_H

#include "conv90.h"
#include "values.h"

namespace
{
constexpr int OUT_COLUMNS = 32, OUT_HALF = CONV90_PIXELS / 2, OUT_WARP_ROWS = 16;
/* Shared memory of a warp: 32 means, 32 squares, the number of pixels (and alignment). */
constexpr int OUT_WARP_FLOATS = 2 * OUT_COLUMNS + 4;

#if PTX_SM90A
struct conv90_tile { /* of pixels */
    int index, lane, y, x;
};

/* 64 pixels of one lane, as a thread sees them: its pixels 4 i + lane / 8 of the warp's, as indices
 * of pixels in the result (-1: there is no such pixel) and in the residual (the first of four where
 * that is averaged). */
struct conv90_half {
    int half, lane, part; /* part: of the lane's partial moments */
    int pixel[4], residual[4];
};

struct out_group { /* a warpgroup at work on it */
    const conv90_half &part;
    float *moments; /* [4][OUT_WARP_FLOATS] shared */
    int barrier;    /* of its threads */
};

struct conv90_values { /* of a thread: by pixel, then by output */
    float v[4][4];
};

struct alignas(8) conv90_bf16x4 {
    __nv_bfloat162 low, high;
};

PTX_INLINE conv90_tile conv90_tile_at(const conv90_job &job, int index)
{
    const int image = index / (job.across * job.down), in = index % (job.across * job.down);
    return {index, image << job.plan.log_lanes, in / job.across << job.plan.log_height,
            in % job.across << job.plan.log_width};
}

/* Row 16 warp + 4 i + lane / 8 of the half, in the tile. */
PTX_INLINE int conv90_row(int half, int i)
{
    const int thread = static_cast<int>(threadIdx.x) % 128;
    return half * OUT_HALF + thread / 32 * OUT_WARP_ROWS + 4 * i + thread % 32 / 8;
}

PTX_INLINE conv90_half half_at(const conv90_job &job, const conv90_tile &tile, int half)
{
    const conv_problem &p = job.p;
    const int log_width = job.plan.log_width, log_image = log_width + job.plan.log_height;
    const bool down = p.residual_resample == IE_DOWN2, up = p.residual_resample == IE_UP2;
    const int image = job.across * job.down, in = tile.index % image;
    conv90_half h;
    h.half = half;
    h.lane = tile.lane + (job.plan.log_lanes ? half : 0);
    h.part = job.plan.log_lanes ? in : 2 * in + half;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const int row = conv90_row(half, i);
        const int x = tile.x + (row & ((1 << log_width) - 1));
        const int y = tile.y + (row >> log_width & ((1 << job.plan.log_height) - 1));
        const int lane = tile.lane + (row >> log_image);
        const bool valid = x < p.out_width && y < p.out_height && lane < p.lanes;
        const int ry = down ? 2 * y : up ? y / 2 : y, rx = down ? 2 * x : up ? x / 2 : x;
        h.pixel[i] = valid ? (lane * p.out_height + y) * p.out_width + x : -1;
        h.residual[i] = (lane * p.residual_height + ry) * p.residual_width + rx;
    }
    return h;
}

PTX_INLINE float4 load4_bf16(const void *base, size_t element)
{
    const auto *from = static_cast<const __nv_bfloat16 *>(base) + element;
    const conv90_bf16x4 bits = *reinterpret_cast<const conv90_bf16x4 *>(from);
    const float2 low = __bfloat1622float2(bits.low), high = __bfloat1622float2(bits.high);
    return {low.x, low.y, high.x, high.y};
}

PTX_INLINE float4 load4(const void *base, size_t element, bool f32)
{
    if (!f32) return load4_bf16(base, element);
    return *reinterpret_cast<const float4 *>(static_cast<const float *>(base) + element);
}

PTX_INLINE void store4(void *base, size_t element, const float (&v)[4], bool f32)
{
    if (f32) {
        *reinterpret_cast<float4 *>(static_cast<float *>(base) + element) = {v[0], v[1], v[2],
                                                                             v[3]};
        return;
    }
    *reinterpret_cast<conv90_bf16x4 *>(static_cast<__nv_bfloat16 *>(base) + element) = {
        __floats2bfloat162_rn(v[0], v[1]), __floats2bfloat162_rn(v[2], v[3])};
}

PTX_INLINE void store2(void *base, size_t element, float low, float high, bool f32)
{
    if (f32) {
        *reinterpret_cast<float2 *>(static_cast<float *>(base) + element) = {low, high};
        return;
    }
    *reinterpret_cast<uint32_t *>(static_cast<bf16 *>(base) + element) = bf16_pair(low, high);
}

/* Outputs o .. o + 3 of the residual: at a pixel, or the mean of that and three beside it. */
PTX_INLINE float4 residual_at(const conv_problem &p, int pixel, int o)
{
    const size_t at = static_cast<size_t>(pixel) * p.outputs + o;
    float4 sum = load4(p.residual, at, p.y_f32);
    if (p.residual_resample != IE_DOWN2) return sum;
#pragma unroll 1
    for (int i = 1; i < 4; i++) {
        const int beside = i % 2 + i / 2 * p.residual_width;
        const float4 r = load4(p.residual, at + static_cast<size_t>(beside) * p.outputs, p.y_f32);
        sum = {sum.x + r.x, sum.y + r.y, sum.z + r.z, sum.w + r.w};
    }
    return {sum.x / 4, sum.y / 4, sum.z / 4, sum.w / 4};
}

struct conv90_moments { /* of a thread's four outputs */
    float mean[4], square[4], count;
};

PTX_INLINE conv90_moments moments_of(const conv90_half &h, const conv90_values &values)
{
    conv90_moments m = {{0, 0, 0, 0}, {0, 0, 0, 0}, 0};
#pragma unroll
    for (int i = 0; i < 4; i++) m.count += h.pixel[i] >= 0 ? 1.0f : 0.0f;
    const float share = m.count > 0 ? 1 / m.count : 0;
#pragma unroll
    for (int k = 0; k < 4; k++) {
#pragma unroll
        for (int i = 0; i < 4; i++) m.mean[k] += h.pixel[i] >= 0 ? values.v[i][k] : 0;
        m.mean[k] *= share;
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const float d = h.pixel[i] >= 0 ? values.v[i][k] - m.mean[k] : 0;
            m.square[k] += d * d;
        }
    }
    return m;
}

/* Chan: the moments of two sets together; `share` of the second in the count of both. */
PTX_INLINE void merge_moments(float &mean, float &square, float count, float other_mean,
                              float other_square, float share)
{
    const float d = other_mean - mean;
    mean += d * share;
    square += other_square + d * d * count * share;
}

PTX_INLINE void merge_with_lane(conv90_moments &m, int bits)
{
    const float count = __shfl_xor_sync(0xffffffffu, m.count, bits), sum = m.count + count;
    const float share = sum > 0 ? count / sum : 0;
#pragma unroll
    for (int k = 0; k < 4; k++) {
        const float mean = __shfl_xor_sync(0xffffffffu, m.mean[k], bits);
        const float square = __shfl_xor_sync(0xffffffffu, m.square[k], bits);
        merge_moments(m.mean[k], m.square[k], m.count, mean, square, share);
    }
    m.count = sum;
}

/* One thread for one output: the four warps' moments, then the place in `partials`. */
PTX_INLINE void write_partial(const conv90_job &job, const out_group &group, int column,
                              int in_block)
{
    float mean = 0, square = 0, count = 0;
    for (int warp = 0; warp < 4; warp++) {
        const float *from = group.moments + warp * OUT_WARP_FLOATS;
        const float more = from[2 * OUT_COLUMNS], sum = count + more;
        merge_moments(mean, square, count, from[in_block], from[OUT_COLUMNS + in_block],
                      sum > 0 ? more / sum : 0);
        count = sum;
    }
    const conv90_half &h = group.part;
    const int o = column + in_block, parts = job.across * job.down * (job.plan.log_lanes ? 1 : 2);
    if (h.lane >= job.p.lanes || o >= job.p.outputs) return;
    float *to = job.p.partials +
                (static_cast<size_t>(h.lane) * parts + h.part) * CONV_PARTIALS * job.p.outputs + o;
    to[CONV_MEAN * job.p.outputs] = mean;
    to[CONV_SQUARE * job.p.outputs] = square;
    to[CONV_COUNT * job.p.outputs] = count;
}

/* By all threads of the warpgroup. */
PTX_INLINE void write_moments(const conv90_job &job, const out_group &group, int column,
                              const conv90_values &values)
{
    const int thread = static_cast<int>(threadIdx.x) % 128, lane = thread % 32;
    conv90_moments m = moments_of(group.part, values);
    merge_with_lane(m, 8);
    merge_with_lane(m, 16);
    float *mine = group.moments + thread / 32 * OUT_WARP_FLOATS;
    if (lane < 8) {
#pragma unroll
        for (int k = 0; k < 4; k++) {
            mine[4 * lane + k] = m.mean[k];
            mine[OUT_COLUMNS + 4 * lane + k] = m.square[k];
        }
        if (lane == 0) mine[2 * OUT_COLUMNS] = m.count;
    }
    named_barrier_sync(group.barrier, 128);
    if (thread < 32) write_partial(job, group, column, lane);
    named_barrier_sync(group.barrier, 128); /* before the next moments */
}

/* values.v holds the sums of outputs column + 4 (lane % 8) .. + 3; by all threads of the
 * warpgroup. */
PTX_INLINE void finish_block(const conv90_job &job, const out_group &group, int column,
                             conv90_values &values)
{
    const conv_problem &p = job.p;
    const int o = column + static_cast<int>(threadIdx.x) % 8 * 4;
    const bool used = o < p.outputs; /* outputs are a multiple of 4 */
    const float4 bias = used ? *reinterpret_cast<const float4 *>(p.bias + o) : float4{0, 0, 0, 0};
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const int pixel = group.part.pixel[i];
        if (pixel < 0 || !used) continue;
        const float4 r =
            p.residual ? residual_at(p, group.part.residual[i], o) : float4{0, 0, 0, 0};
        float(&v)[4] = values.v[i];
        v[0] = p.scale * (v[0] + bias.x + r.x);
        v[1] = p.scale * (v[1] + bias.y + r.y);
        v[2] = p.scale * (v[2] + bias.z + r.z);
        v[3] = p.scale * (v[3] + bias.w + r.w);
        const size_t at = static_cast<size_t>(pixel) * p.outputs + o;
        if (p.gated) {
            store2(p.y, at / 2, gelu_tanh(v[0]) * v[1], gelu_tanh(v[2]) * v[3], p.y_f32);
        } else {
            store4(p.y, at, v, p.y_f32);
        }
    }
    if (p.partials) write_moments(job, group, column, values);
}
#endif
} /* namespace */

#endif
