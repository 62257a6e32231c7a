/* arithmetic.cu - test kernel: arithmetic.h for many pairs of words.
 * SPDX-License-Identifier: Apache-2.0 */
#include "arithmetic.h"
#include "kernels.h"

__global__ void arithmetic_kernel(const uint32_t *pairs, uint32_t *out, Bytes bytes, int count)
{
    const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (i >= count) return;
    arithmetic(pairs[2 * i], pairs[2 * i + 1], bytes, out + i * ARITHMETIC_RESULTS);
}

cudaError_t run_arithmetic(const uint32_t *pairs, uint32_t *out, int count, cudaStream_t stream)
{
    return launch(launch_config(dim3(divide_up(count, 64)), dim3(64), 0, stream), arithmetic_kernel,
                  pairs, out, arithmetic_bytes, count);
}
