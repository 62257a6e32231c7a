/* group_norm.cu - test kernels: sums of a group by shuffles and atomics, then the normalisation.
 * SPDX-License-Identifier: Apache-2.0 */
#include "kernels.h"
#include "ptx.h"

constexpr int THREADS = 256, PIXELS_PER_BLOCK = 64;

struct alignas(16) Eight {
    __nv_bfloat162 pair[4];
};

/* A thread owns eight channels; channels / 8 divides 256, channels of a group / 8 is 1 to 32 and a
 * power of two. Atomics on f32 have no fixed order: no way to make a product's result. */
__global__ void group_norm_sums(GroupNorm g)
{
    float *const sums = reinterpret_cast<float *>(dynamic_shared()); /* [groups, 2] */
    const int lane = static_cast<int>(blockIdx.y), thread = static_cast<int>(threadIdx.x);
    const int eights = g.channels / 8, mine = thread % eights;
    for (int i = thread; i < 2 * g.groups; i += THREADS) sums[i] = 0.0f;
    __syncthreads();

    float sum = 0, squares = 0;
    const int first = static_cast<int>(blockIdx.x) * PIXELS_PER_BLOCK;
    const int end = min(first + PIXELS_PER_BLOCK, g.pixels);
    for (int p = first + thread / eights; p < end; p += THREADS / eights) {
        const size_t at = (static_cast<size_t>(lane) * g.pixels + p) * g.channels + mine * 8;
        const Eight v = *reinterpret_cast<const Eight *>(g.x + at);
        for (int i = 0; i < 4; i++) {
            const float2 f = __bfloat1622float2(v.pair[i]);
            sum += f.x + f.y;
            squares += f.x * f.x + f.y * f.y;
        }
    }
    const int threads = g.channels / g.groups / 8; /* of a group */
    for (int d = threads >> 1; d; d >>= 1) {
        sum += __shfl_xor_sync(0xffffffffu, sum, d);
        squares += __shfl_xor_sync(0xffffffffu, squares, d);
    }
    if (mine % threads == 0) {
        atomicAdd(&sums[2 * (mine / threads)], sum);
        atomicAdd(&sums[2 * (mine / threads) + 1], squares);
    }
    __syncthreads();
    float *const out = g.sums + static_cast<size_t>(lane) * 2 * g.groups;
    for (int i = thread; i < 2 * g.groups; i += THREADS) atomicAdd(&out[i], sums[i]);
}

__global__ void group_norm_apply(GroupNorm g)
{
    const int lane = static_cast<int>(blockIdx.y);
    const size_t i = (static_cast<size_t>(blockIdx.x) * blockDim.x + threadIdx.x) * 8;
    if (i >= static_cast<size_t>(g.pixels) * g.channels) return;
    const int channel = static_cast<int>(i % g.channels), per = g.channels / g.groups;
    const float *sums = g.sums + 2 * (lane * g.groups + channel / per);
    const float n = static_cast<float>(g.pixels) * per, mean = sums[0] / n;
    const float rstd = rsqrtf(sums[1] / n - mean * mean + 1e-5f);
    const size_t at = static_cast<size_t>(lane) * g.pixels * g.channels + i;
    const Eight v = *reinterpret_cast<const Eight *>(g.x + at);
    Eight out;
    for (int k = 0; k < 4; k++) {
        const float2 f = __bfloat1622float2(v.pair[k]);
        float z[2] = {f.x, f.y};
        for (int h = 0; h < 2; h++) {
            const int c = channel + 2 * k + h, film = lane * g.channels + c;
            const float u =
                ((z[h] - mean) * rstd * g.gamma[c] + g.beta[c]) * (1.0f + g.scale[film]) +
                g.shift[film];
            z[h] = u / (1.0f + __expf(-u));
        }
        out.pair[k] = __floats2bfloat162_rn(z[0], z[1]);
    }
    *reinterpret_cast<Eight *>(g.y + at) = out;
}

cudaError_t run_group_norm(GroupNorm g, cudaStream_t stream)
{
    const size_t shared_bytes = 2 * static_cast<size_t>(g.groups) * sizeof(float);
    const dim3 sums(divide_up(g.pixels, PIXELS_PER_BLOCK), g.lanes);
    const cudaError_t error =
        launch(launch_config(sums, dim3(THREADS), shared_bytes, stream), group_norm_sums, g);
    if (error != cudaSuccess) return error;
    const dim3 apply(divide_up(g.pixels * g.channels / 8, THREADS), g.lanes);
    return launch(launch_config(apply, dim3(THREADS), 0, stream), group_norm_apply, g);
}
