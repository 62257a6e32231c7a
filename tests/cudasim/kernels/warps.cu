/* warps.cu - test kernels: votes and shuffles of whole warps and of parts of one, and atomics of
 * several blocks on the same words. SPDX-License-Identifier: Apache-2.0 */
#include "kernels.h"
#include "ptx.h"

/* The two parts of a warp vote apart, one after the other. */
__global__ void vote_kernel(const unsigned *x, unsigned *out)
{
    const unsigned i = blockIdx.x * blockDim.x + threadIdx.x, lane = i % 32;
    unsigned *const to = out + i * VOTE_RESULTS;
    to[0] = __ballot_sync(0xffffffffu, x[i] & 1);
    to[1] = __any_sync(0xffffffffu, x[i] > 250) ? 1 : 0;
    to[2] = __all_sync(0xffffffffu, x[i] < 255) ? 1 : 0;
    if (lane < VOTE_PART) {
        const unsigned mask = (1u << VOTE_PART) - 1;
        to[3] = __ballot_sync(mask, x[i] & 2);
        to[4] = __any_sync(mask, x[i] > 250) ? 1 : 0;
        to[5] = __all_sync(mask, x[i] < 240) ? 1 : 0;
    } else {
        const unsigned mask = ~((1u << VOTE_PART) - 1);
        to[3] = __ballot_sync(mask, x[i] & 4);
        to[4] = __any_sync(mask, x[i] < 4) ? 1 : 0;
        to[5] = __all_sync(mask, x[i] > 15) ? 1 : 0;
    }
}

cudaError_t run_votes(const unsigned *x, unsigned *out, int blocks, cudaStream_t stream)
{
    return launch(launch_config(dim3(blocks), dim3(64), 0, stream), vote_kernel, x, out);
}

template <int WIDTH> PTX_INLINE void shuffle_all(int value, int *to)
{
    to[0] = __shfl_sync(0xffffffffu, value, 5, WIDTH);
    to[1] = __shfl_up_sync(0xffffffffu, value, 3, WIDTH);
    to[2] = __shfl_down_sync(0xffffffffu, value, 3, WIDTH);
    to[3] = __shfl_xor_sync(0xffffffffu, value, 5, WIDTH);
}

__global__ void shuffle_kernel(const int *x, int *out)
{
    int *const to = out + threadIdx.x * SHUFFLE_RESULTS;
    shuffle_all<32>(x[threadIdx.x], to);
    shuffle_all<16>(x[threadIdx.x], to + 4);
    shuffle_all<8>(x[threadIdx.x], to + 8);
    shuffle_all<4>(x[threadIdx.x], to + 12);
}

cudaError_t run_shuffles(const int *x, int *out, cudaStream_t stream)
{
    return launch(launch_config(dim3(1), dim3(64), 0, stream), shuffle_kernel, x, out);
}

/* Whoever swaps with a word of a chain hands on what was there: in the end the word has one of the
 * values, and all others have been added up. The minimum goes through shared memory. */
__global__ void atomic_kernel(const unsigned *x, AtomicResults *r)
{
    auto *const least = reinterpret_cast<int *>(dynamic_shared());
    const unsigned value = x[blockIdx.x * blockDim.x + threadIdx.x];
    const int number = static_cast<int>(value);
    if (threadIdx.x == 0) *least = INT32_MAX;
    __syncthreads();
    atomicMin(least, number);
    atomicMin(&r->least_unsigned, value);
    atomicMax(&r->most, number);
    atomicMax(&r->most_unsigned, value);
    atomicAdd(&r->count, 1);
    atomicOr(&r->some_bits, value);
    atomicAnd(&r->all_bits, value);
    atomicAdd(&r->sum, static_cast<unsigned long long>(value));
    atomicAdd(&r->swapped, atomicExch(&r->chain, value));
    for (unsigned seen = 0, before = 1; before != seen;) { /* a sum of bits without carry */
        before = seen;
        seen = atomicCAS(&r->odd_bits, before, before ^ value);
    }
    __syncthreads();
    if (threadIdx.x == 0) atomicMin(&r->least, *least);
}

cudaError_t run_atomics(const unsigned *x, AtomicResults *r, int blocks, cudaStream_t stream)
{
    return launch(launch_config(dim3(blocks), dim3(64), 16, stream), atomic_kernel, x, r);
}
