/* products_sm90.cu - test kernels: wgmma on operands that ordinary stores or tensor copies put
 * into shared memory, and results that leave through stmatrix and a tensor store.
 * SPDX-License-Identifier: Apache-2.0 */
#include "encode_map.h"
#include "kernels.h"
#include "ptx.h"

/* Rows of 128 bytes, chunks xored with the row: what the 128-byte swizzle does. */
PTX_INLINE void copy_rows(unsigned char *to, const void *from, int rows)
{
    for (int i = static_cast<int>(threadIdx.x); i < rows * 8; i += static_cast<int>(blockDim.x)) {
        const int row = i >> 3, chunk = i & 7;
        *reinterpret_cast<uint4 *>(to + row * 128 + ((chunk ^ (row & 7)) << 4)) =
            static_cast<const uint4 *>(from)[i];
    }
}

PTX_INLINE uint32_t pack(float low, float high)
{
    const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<const uint32_t *>(&pair);
}

/* Shared memory: a, b, c, 8 KB each. */
__global__ void __launch_bounds__(128)
    small_product_kernel(const bf16 *a, const bf16 *b, const __grid_constant__ CUtensorMap c,
                         int column)
{
#if PTX_SM90A
    unsigned char *const memory = dynamic_shared();
    const uint32_t start = shared_address(memory), tile = start + 16384;
    copy_rows(memory, a, 64);
    copy_rows(memory + 8192, b, 64);
    fence_proxy_async(); /* wgmma reads what these stores wrote */
    __syncthreads();
    float sums[32];
#pragma unroll
    for (int i = 0; i < 32; i++) sums[i] = 0.0f;
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < 4; k++) {
        wgmma_n64_bf16(sums, wgmma_descriptor_128(start + k * 32),
                       wgmma_descriptor_128(start + 8192 + k * 32), k > 0);
    }
    wgmma_commit();
    wgmma_wait<0>();

    const int warp = static_cast<int>(threadIdx.x) >> 5, lane = static_cast<int>(threadIdx.x) & 31;
    const int row = warp * 16 + (lane & 7) + (lane & 8);
#pragma unroll
    for (int j = 0; j < 4; j++) { /* 16 columns: matrices of rows 0-7, 8-15, then 8 columns on */
        const float *s = sums + 8 * j;
        const uint32_t out[4] = {pack(s[0], s[1]), pack(s[2], s[3]), pack(s[4], s[5]),
                                 pack(s[6], s[7])};
        const int chunk = 2 * j + (lane >> 4);
        stmatrix_x4(tile + row * 128 + ((chunk ^ (row & 7)) << 4), out);
    }
    fence_proxy_async();
    __syncthreads();
    if (threadIdx.x == 0) {
        tma_store_2d(&c, tile, column, 0);
        bulk_commit();
        bulk_wait_read<0>();
    }
#endif
}

cudaError_t run_small_product(const bf16 *a, const bf16 *b, bf16 *c, int columns, int column,
                              cudaStream_t stream)
{
    const TensorShape shape = {
        2, {static_cast<cuuint64_t>(columns), 64, 0, 0}, {64, 64, 0, 0}, {1, 1, 0, 0}};
    CUtensorMap map;
    if (make_tensor_map(&map, c, shape, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2) != CUDA_SUCCESS) {
        return cudaErrorInvalidValue;
    }
    return launch(launch_config(dim3(1), dim3(128), 3 * 8192, stream), small_product_kernel, a, b,
                  map, column);
}

/* Element (row, column) of the 64 columns that a warpgroup holds in 32 registers. */
template <class Store> PTX_INLINE void for_each_sum(const float *sums, int columns, Store store)
{
    const int warp = static_cast<int>(threadIdx.x) % 128 >> 5, lane = threadIdx.x & 31;
#pragma unroll
    for (int j = 0; j < columns / 8; j++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            store(warp * 16 + (lane >> 2) + 8 * (i >> 1), 8 * j + 2 * (lane & 3) + (i & 1),
                  sums[4 * j + i]);
        }
    }
}

__global__ void __launch_bounds__(128)
    small_fp8_kernel(const uint8_t *a, const uint8_t *b, float *d)
{
#if PTX_SM90A
    unsigned char *const memory = dynamic_shared();
    const uint32_t start = shared_address(memory);
    copy_rows(memory, a, 64);
    copy_rows(memory + 8192, b, 64);
    fence_proxy_async();
    __syncthreads();
    float sums[32];
#pragma unroll
    for (int i = 0; i < 32; i++) sums[i] = 0.0f;
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < 4; k++) {
        wgmma_n64_e4m3(sums, wgmma_descriptor_128(start + k * 32),
                       wgmma_descriptor_128(start + 8192 + k * 32), k > 0);
    }
    wgmma_commit();
    wgmma_wait<0>();
    for_each_sum(sums, 64, [&](int row, int column, float s) { d[row * 64 + column] = s; });
#endif
}

cudaError_t run_small_fp8(const uint8_t *a, const uint8_t *b, float *d, cudaStream_t stream)
{
    return launch(launch_config(dim3(1), dim3(128), 2 * 8192, stream), small_fp8_kernel, a, b, d);
}

/* Shared memory: a 16 KB, b 32 KB, then one mbarrier. */
__global__ void __launch_bounds__(256)
    wide_product_kernel(const __grid_constant__ CUtensorMap a,
                        const __grid_constant__ CUtensorMap b, bf16 *c)
{
#if PTX_SM90A
    const uint32_t start = shared_address(dynamic_shared()), loaded = start + 49152;
    if (threadIdx.x == 0) {
        mbarrier_init(loaded, 1);
        mbarrier_init_fence();
    }
    __syncthreads();
    if (threadIdx.x == 0) {
        mbarrier_arrive_expect(loaded, 49152);
        tma_load_2d(start, &a, loaded, 0, 0);
        tma_load_2d(start + 16384, &b, loaded, 0, 0);
    }
    mbarrier_wait(loaded, 0);
    const int rows = static_cast<int>(threadIdx.x) / 128 * 64;
    float sums[128];
#pragma unroll
    for (int i = 0; i < 128; i++) sums[i] = 0.0f;
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < 4; k++) {
        wgmma_n256_bf16(sums, wgmma_descriptor_128(start + rows * 128 + k * 32),
                        wgmma_descriptor_128(start + 16384 + k * 32), k > 0);
    }
    wgmma_commit();
    wgmma_wait<0>();
    for_each_sum(sums, 256, [&](int row, int column, float s) {
        c[(rows + row) * 256 + column] = __float2bfloat16(s);
    });
#endif
}

cudaError_t run_wide_product(const bf16 *a, const bf16 *b, bf16 *c, cudaStream_t stream)
{
    const TensorShape shape_a = {2, {64, 128, 0, 0}, {64, 128, 0, 0}, {1, 1, 0, 0}};
    const TensorShape shape_b = {2, {64, 256, 0, 0}, {64, 256, 0, 0}, {1, 1, 0, 0}};
    CUtensorMap maps[2];
    const CUtensorMapDataType type = CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
    if (make_tensor_map(&maps[0], a, shape_a, type, 2) != CUDA_SUCCESS ||
        make_tensor_map(&maps[1], b, shape_b, type, 2) != CUDA_SUCCESS) {
        return cudaErrorInvalidValue;
    }
    return launch(launch_config(dim3(1), dim3(256), 49152 + 8, stream), wide_product_kernel,
                  maps[0], maps[1], c);
}
