/* gemm.cu - test kernel: a ring of cp.async stages, ldmatrix, mma.sync. Tiles of 128 x 128 x 32,
 * eight warps of 64 x 32. Two rows of 64 bytes share a line of 128; their four chunks of 16 bytes
 * are xored with the line's number, so that ldmatrix meets no bank twice.
 * SPDX-License-Identifier: Apache-2.0 */
#include "kernels.h"
#include "ptx.h"

constexpr int TILE = 128, K_TILE = 32, STAGES = 3;
constexpr uint32_t HALF = TILE * K_TILE * 2, STAGE = 2 * HALF; /* bytes */

PTX_INLINE uint32_t place(int row, int chunk)
{
    return static_cast<uint32_t>(row * 64 + ((chunk ^ ((row >> 1) & 3)) << 4));
}

PTX_INLINE void load_stage(const Gemm &g, uint32_t to, int m0, int n0, int k0)
{
    for (int i = 0; i < 2; i++) {
        const int index = static_cast<int>(threadIdx.x) + i * 256;
        const int row = index >> 2, chunk = index & 3, k = k0 + chunk * 8;
        const bool in_a = m0 + row < g.m && k < g.k, in_b = n0 + row < g.n && k < g.k;
        const bf16 *a = in_a ? g.a + static_cast<size_t>(m0 + row) * g.k + k : g.a;
        const bf16 *b = in_b ? g.b + static_cast<size_t>(n0 + row) * g.k + k : g.b;
        cp_async_16(to + place(row, chunk), a, in_a);
        cp_async_16(to + HALF + place(row, chunk), b, in_b);
    }
}

PTX_INLINE void multiply_stage(float (&sums)[4][4][4], uint32_t from)
{
    const int warp = static_cast<int>(threadIdx.x) >> 5, lane = static_cast<int>(threadIdx.x) & 31;
    const int row_a = (warp >> 2) * 64 + (lane & 15);
    const int row_b = (warp & 3) * 32 + (lane & 7) + ((lane >> 4) << 3);
#pragma unroll
    for (int k = 0; k < 2; k++) {
        uint32_t a[4][4], b[2][4];
#pragma unroll
        for (int i = 0; i < 4; i++) {
            ldmatrix_x4(a[i], from + place(row_a + i * 16, k * 2 + (lane >> 4)));
        }
#pragma unroll
        for (int j = 0; j < 2; j++) {
            ldmatrix_x4(b[j], from + HALF + place(row_b + j * 16, k * 2 + ((lane >> 3) & 1)));
        }
#pragma unroll
        for (int i = 0; i < 4; i++) {
#pragma unroll
            for (int j = 0; j < 4; j++) {
                mma_bf16(sums[i][j], a[i], b[j >> 1][(j & 1) * 2], b[j >> 1][(j & 1) * 2 + 1]);
            }
        }
    }
}

PTX_INLINE void write_tile(const Gemm &g, const float (&sums)[4][4][4], int m0, int n0)
{
    const int warp = static_cast<int>(threadIdx.x) >> 5, lane = static_cast<int>(threadIdx.x) & 31;
#pragma unroll
    for (int i = 0; i < 4; i++) {
#pragma unroll
        for (int j = 0; j < 4; j++) {
#pragma unroll
            for (int half = 0; half < 2; half++) {
                const int row = m0 + (warp >> 2) * 64 + i * 16 + (lane >> 2) + half * 8;
                const int column = n0 + (warp & 3) * 32 + j * 8 + (lane & 3) * 2;
                if (row < g.m && column < g.n) {
                    const size_t at = static_cast<size_t>(row) * g.n + column;
                    *reinterpret_cast<__nv_bfloat162 *>(g.c + at) =
                        __floats2bfloat162_rn(sums[i][j][2 * half], sums[i][j][2 * half + 1]);
                }
            }
        }
    }
}

__global__ void __launch_bounds__(256) gemm_kernel(Gemm g)
{
    const uint32_t ring = shared_address(dynamic_shared());
    const int m0 = static_cast<int>(blockIdx.y) * TILE, n0 = static_cast<int>(blockIdx.x) * TILE;
    const int steps = (g.k + K_TILE - 1) / K_TILE;
    float sums[4][4][4] = {};
    for (int s = 0; s < STAGES - 1; s++) {
        if (s < steps) load_stage(g, ring + s * STAGE, m0, n0, s * K_TILE);
        cp_async_commit();
    }
    for (int step = 0; step < steps; step++) {
        cp_async_wait<STAGES - 2>();
        __syncthreads(); /* the stage is there for all, and the one before is free */
        const int next = step + STAGES - 1;
        if (next < steps) load_stage(g, ring + next % STAGES * STAGE, m0, n0, next * K_TILE);
        cp_async_commit();
        multiply_stage(sums, ring + step % STAGES * STAGE);
    }
    cp_async_wait<0>();
    write_tile(g, sums, m0, n0);
}

cudaError_t run_gemm(Gemm g, cudaStream_t stream)
{
    const dim3 grid(divide_up(g.n, TILE), divide_up(g.m, TILE));
    return launch(launch_config(grid, dim3(256), STAGES * STAGE, stream), gemm_kernel, g);
}
