/* grids.cu - test kernels: blocks of a grid that synchronise through global memory, warps of a
 * block that do through named barriers, and grids that overlap.
 * SPDX-License-Identifier: Apache-2.0 */
#include "kernels.h"
#include "ptx.h"

/* Sums over 32 threads, then over the block's warps; the result is thread 0's. */
PTX_INLINE float block_sum(float value, float *warps)
{
    for (int d = 16; d; d >>= 1) value += __shfl_down_sync(0xffffffffu, value, d);
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = value;
    __syncthreads();
    float sum = 0;
    if (threadIdx.x == 0) {
        for (unsigned i = 0; i < blockDim.x / 32; i++) sum += warps[i];
    }
    return sum;
}

__global__ void last_block_kernel(const float *x, float *partial, float *sum, unsigned *tickets)
{
    float *const warps = reinterpret_cast<float *>(dynamic_shared());
    const float mine = block_sum(x[blockIdx.x * blockDim.x + threadIdx.x], warps);
    if (threadIdx.x != 0) return;
    partial[blockIdx.x] = mine;
    __threadfence();
    if (atomicAdd(tickets, 1u) != gridDim.x - 1) return;
    __threadfence(); /* the others' sums are there */
    float total = 0;
    for (unsigned i = 0; i < gridDim.x; i++) total += partial[i];
    *sum = total;
}

cudaError_t run_last_block(const float *x, float *partial, float *sum, unsigned *tickets,
                           int blocks, cudaStream_t stream)
{
    return launch(launch_config(dim3(blocks), dim3(256), 32, stream), last_block_kernel, x, partial,
                  sum, tickets);
}

/* All blocks of the grid are alive together, or this would wait for ever. */
PTX_INLINE void grid_barrier(unsigned *arrived)
{
    __syncthreads();
    if (threadIdx.x == 0) {
        add_release(arrived, 1);
        while (load_acquire(arrived) < gridDim.x) {}
    }
    __syncthreads();
}

__global__ void normalise_kernel(const float *x, float *y, float *partial, unsigned *arrived)
{
    float *const warps = reinterpret_cast<float *>(dynamic_shared());
    const unsigned i = blockIdx.x * blockDim.x + threadIdx.x;
    const float mine = block_sum(x[i], warps);
    if (threadIdx.x == 0) partial[blockIdx.x] = mine;
    grid_barrier(arrived);
    float total = 0;
    for (unsigned b = 0; b < gridDim.x; b++) total += partial[b];
    y[i] = x[i] / total;
}

cudaError_t run_normalise(const float *x, float *y, float *partial, unsigned *arrived, int blocks,
                          cudaStream_t stream)
{
    cudaLaunchConfig_t config = launch_config(dim3(blocks), dim3(128), 16, stream);
    cudaLaunchAttribute cooperative = {};
    cooperative.id = cudaLaunchAttributeCooperative;
    cooperative.val.cooperative = 1;
    config.attrs = &cooperative;
    config.numAttrs = 1;
    return launch(config, normalise_kernel, x, y, partial, arrived);
}

/* Warps 0 and 1 fill a buffer of 64, warps 2 and 3 use it; two buffers in turn. Barriers 1 and 2
 * say that a buffer is full, 3 and 4 that it is empty. */
__global__ void hand_over_kernel(const float *x, float *y, int rounds)
{
    float *const buffers = reinterpret_cast<float *>(dynamic_shared()); /* [2, 64] */
    const int thread = static_cast<int>(threadIdx.x) & 63;
    const bool fills = threadIdx.x < 64;
    for (int round = 0; round < rounds; round++) {
        const int b = round & 1;
        if (fills) {
            if (round >= 2) named_barrier_sync(3 + b, 128);
            buffers[b * 64 + thread] = x[round * 64 + thread];
            named_barrier_arrive(1 + b, 128);
        } else {
            named_barrier_sync(1 + b, 128);
            y[round * 64 + 63 - thread] = 2.0f * buffers[b * 64 + 63 - thread];
            if (round + 2 < rounds) named_barrier_arrive(3 + b, 128);
        }
    }
}

cudaError_t run_hand_over(const float *x, float *y, int rounds, cudaStream_t stream)
{
    return launch(launch_config(dim3(1), dim3(128), 2 * 64 * sizeof(float), stream),
                  hand_over_kernel, x, y, rounds);
}

/* The constant is read before the grids before have ended. */
__global__ void mirror_kernel(const float *x, const float *constant, float *y, int n)
{
    const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    const float sum = constant[i];
    grid_dependency_wait();
    grid_dependency_launch();
    y[i] = x[n - 1 - i] + sum;
}

static cudaError_t run_mirror(const float *x, const float *constant, float *y, int blocks,
                              cudaStream_t stream)
{
    cudaLaunchConfig_t config = launch_config(dim3(blocks), dim3(64), 0, stream);
    cudaLaunchAttribute overlap = {};
    overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    overlap.val.programmaticStreamSerializationAllowed = 1;
    config.attrs = &overlap;
    config.numAttrs = 1;
    return launch(config, mirror_kernel, x, constant, y, blocks * 64);
}

cudaError_t run_mirrors(float *x, const float *constant, float *y, int blocks, int times,
                        cudaStream_t stream)
{
    cudaError_t code = cudaSuccess;
    for (int i = 0; i < times && code == cudaSuccess; i++) {
        code = i % 2 ? run_mirror(y, constant, x, blocks, stream)
                     : run_mirror(x, constant, y, blocks, stream);
    }
    return code;
}
