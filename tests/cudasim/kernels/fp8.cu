/* fp8.cu - test kernel: one tile of 8-bit numbers by mma.sync, fragments loaded from memory.
 * SPDX-License-Identifier: Apache-2.0 */
#include "kernels.h"
#include "ptx.h"

__global__ void fp8_tile_kernel(const uint8_t *a, const uint8_t *b, float *d)
{
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 890
    const int lane = static_cast<int>(threadIdx.x), row = lane >> 2, quad = lane & 3;
    uint32_t fa[4], fb[2];
    for (int i = 0; i < 4; i++) {
        const uint8_t *from = a + (row + 8 * (i & 1)) * 32 + 4 * quad + 16 * (i >> 1);
        fa[i] = *reinterpret_cast<const uint32_t *>(from);
    }
    for (int i = 0; i < 2; i++) {
        fb[i] = *reinterpret_cast<const uint32_t *>(b + row * 32 + 4 * quad + 16 * i);
    }
    float sums[4] = {};
    mma_e4m3(sums, fa, fb[0], fb[1]);
    for (int i = 0; i < 4; i++) d[(row + 8 * (i >> 1)) * 8 + 2 * quad + (i & 1)] = sums[i];
#endif
}

cudaError_t run_fp8_tile(const uint8_t *a, const uint8_t *b, float *d, cudaStream_t stream)
{
    return launch(launch_config(dim3(1), dim3(32), 0, stream), fp8_tile_kernel, a, b, d);
}
