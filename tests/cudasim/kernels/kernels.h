/* kernels.h - kernels that the simulator is tested with: small ones in the manner of the real
 * ones, not the product's. All matrices are bf16 unless said otherwise; the launchers enqueue and
 * return the launch's status.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CUDASIM_TEST_KERNELS_H
#define CUDASIM_TEST_KERNELS_H

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>

typedef __nv_bfloat16 bf16;

/* ---- sm_80 ----------------------------------------------------------------------------------- */

/* c [m, n] = a [m, k] b [n, k]^T */
struct Gemm {
    const bf16 *a, *b;
    bf16 *c;
    int m, n, k; /* n even, k a multiple of 8 */
};
cudaError_t run_gemm(Gemm g, cudaStream_t stream);

/* o = softmax(scale q [k1; k2]^T + bias) [v1; v2], head dimension 64; every matrix [lanes, heads,
 * rows, 64], bias [heads, queries, n1 + n2] or null */
struct Attention {
    const bf16 *q, *k1, *v1, *k2, *v2, *bias;
    bf16 *o;
    int lanes, heads, queries, n1, n2;
    float scale;
};
cudaError_t run_attention(Attention a, cudaStream_t stream);

/* y = silu((norm(x) gamma + beta) (1 + scale) + shift), x, y [lanes, pixels, channels] */
struct GroupNorm {
    const bf16 *x;
    bf16 *y;
    float *sums;                /* [lanes, groups, 2], zero before */
    const float *gamma, *beta;  /* [channels] */
    const float *scale, *shift; /* [lanes, channels] */
    int lanes, pixels, channels, groups;
};
cudaError_t run_group_norm(GroupNorm g, cudaStream_t stream);

/* sum [1] of x [blocks * 256]; partial [blocks], tickets [1] zero before: the last block adds the
 * others' sums, in order */
cudaError_t run_last_block(const float *x, float *partial, float *sum, unsigned *tickets,
                           int blocks, cudaStream_t stream);
/* y [blocks * 128] = x / sum(x), in one grid of which all blocks wait for each other */
cudaError_t run_normalise(const float *x, float *y, float *partial, unsigned *arrived, int blocks,
                          cudaStream_t stream);
/* The roles of a block's warps, joined by named barriers: y [rounds * 64] = 2 x */
cudaError_t run_hand_over(const float *x, float *y, int rounds, cudaStream_t stream);

/* out [blocks * 64, VOTE_RESULTS] of x [blocks * 64]: what each thread hears in votes of its warp,
 * and of the first VOTE_PART lanes and the others apart */
constexpr int VOTE_RESULTS = 6, VOTE_PART = 11;
cudaError_t run_votes(const unsigned *x, unsigned *out, int blocks, cudaStream_t stream);
/* out [64, SHUFFLE_RESULTS] of x [64]: the four shuffles in groups of 32, 16, 8 and 4 lanes */
constexpr int SHUFFLE_RESULTS = 16;
cudaError_t run_shuffles(const int *x, int *out, cudaStream_t stream);
/* Of x [blocks * 64]; before, every field is what no x changes it from, `chain` too */
struct AtomicResults {
    int least, most, count;
    unsigned least_unsigned, most_unsigned, some_bits, all_bits, odd_bits, chain, swapped;
    unsigned long long sum;
};
cudaError_t run_atomics(const unsigned *x, AtomicResults *r, int blocks, cudaStream_t stream);

/* out [count, ARITHMETIC_RESULTS]: the operations of arithmetic.h on pairs [count, 2] of words */
cudaError_t run_arithmetic(const uint32_t *pairs, uint32_t *out, int count, cudaStream_t stream);

/* ---- sm_89 ----------------------------------------------------------------------------------- */

/* d [16, 8] f32 = a [16, 32] b [8, 32]^T, e4m3 */
cudaError_t run_fp8_tile(const uint8_t *a, const uint8_t *b, float *d, cudaStream_t stream);

/* ---- sm_90 and sm_90a ------------------------------------------------------------------------ */

/* y [lanes, height / stride, width / stride, outputs] = 3x3 convolution of x, padded by one with
 * zeros; w [outputs, 3, 3, inputs]; inputs a multiple of 64, outputs of 8, the result's sides of 8
 * and 16 */
struct Conv {
    const bf16 *x, *w;
    bf16 *y;
    int lanes, height, width, inputs, outputs, stride;
};
cudaError_t run_conv(Conv c, cudaStream_t stream);

/* c [64, 64] = a [64, 64] b [64, 64]^T by wgmma, from ordinary stores; the result leaves through
 * stmatrix and a tensor store into a matrix of `columns` columns, at `column` */
cudaError_t run_small_product(const bf16 *a, const bf16 *b, bf16 *c, int columns, int column,
                              cudaStream_t stream);
/* d [64, 64] f32 = a [64, 128] b [64, 128]^T, e4m3 by wgmma */
cudaError_t run_small_fp8(const uint8_t *a, const uint8_t *b, float *d, cudaStream_t stream);
/* c [128, 256] = a [128, 64] b [256, 64]^T: wgmma of 256 columns, one warpgroup for 64 rows */
cudaError_t run_wide_product(const bf16 *a, const bf16 *b, bf16 *c, cudaStream_t stream);

/* y [blocks * 64] = x mirrored + constant, then x = y mirrored + constant, and so on: so many
 * grids, each of which may begin before the one before has ended */
cudaError_t run_mirrors(float *x, const float *constant, float *y, int blocks, int times,
                        cudaStream_t stream);

/* A cluster of two blocks: each loads half of x [64, 64] for both by multicast, adds up its 32
 * columns of every row, and block 0 adds what it reads from block 1: sums [64] */
cudaError_t run_cluster_sums(const bf16 *x, float *sums, cudaStream_t stream);

/* ---- shared ---------------------------------------------------------------------------------- */

inline cudaLaunchConfig_t launch_config(dim3 grid, dim3 block, size_t shared_bytes,
                                        cudaStream_t stream)
{
    cudaLaunchConfig_t config = {};
    config.gridDim = grid;
    config.blockDim = block;
    config.dynamicSmemBytes = shared_bytes;
    config.stream = stream;
    return config;
}

/* Asks for the shared memory, then launches. */
template <class Kernel, class... Arguments>
cudaError_t launch(const cudaLaunchConfig_t &config, Kernel *kernel, Arguments... arguments)
{
    const cudaError_t asked =
        cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                             static_cast<int>(config.dynamicSmemBytes));
    if (asked != cudaSuccess) return asked;
    return cudaLaunchKernelEx(&config, kernel, arguments...);
}

inline int divide_up(int a, int b)
{
    return (a + b - 1) / b;
}

#endif
