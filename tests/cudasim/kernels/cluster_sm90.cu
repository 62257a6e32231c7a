/* cluster_sm90.cu - test kernel: two blocks that load for each other by multicast and read each
 * other's shared memory.
 * SPDX-License-Identifier: Apache-2.0 */
#include "encode_map.h"
#include "kernels.h"
#include "ptx.h"

/* Shared memory: x [64, 64] in the 128-byte swizzle, f32 sums [64], one mbarrier. */
__global__ void __launch_bounds__(64)
    cluster_sums_kernel(const __grid_constant__ CUtensorMap x, float *out)
{
#if PTX_SM90
    unsigned char *const memory = dynamic_shared();
    float *const sums = reinterpret_cast<float *>(memory + 8192);
    const uint32_t start = shared_address(memory), loaded = start + 8192 + 256;
    const unsigned rank = cluster_rank();
    if (threadIdx.x == 0) {
        mbarrier_init(loaded, 1);
        mbarrier_init_fence();
    }
    cluster_arrive(); /* both barriers are there before anybody's copies */
    cluster_wait();
    if (threadIdx.x == 0) {
        mbarrier_arrive_expect(loaded, 8192);
        const int row = static_cast<int>(rank) * 32;
        tma_load_2d_multicast(start + row * 128, &x, loaded, 0, row, 3);
    }
    mbarrier_wait(loaded, 0);
    const int row = static_cast<int>(threadIdx.x);
    float sum = 0;
    for (int i = 0; i < 32; i++) {
        const int column = static_cast<int>(rank) * 32 + i;
        const int chunk = column / 8 ^ (row & 7);
        const auto *from = memory + row * 128 + chunk * 16 + column % 8 * 2;
        sum += __bfloat162float(*reinterpret_cast<const bf16 *>(from));
    }
    sums[row] = sum;
    cluster_arrive();
    cluster_wait();
    if (rank == 0) {
        out[row] = sum + load_cluster(map_shared(shared_address(sums + row), 1));
    }
    cluster_arrive(); /* nobody leaves while its memory is read */
    cluster_wait();
#endif
}

cudaError_t run_cluster_sums(const bf16 *x, float *sums, cudaStream_t stream)
{
    const TensorShape shape = {2, {64, 64, 0, 0}, {64, 32, 0, 0}, {1, 1, 0, 0}};
    CUtensorMap map;
    if (make_tensor_map(&map, x, shape, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2) != CUDA_SUCCESS) {
        return cudaErrorInvalidValue;
    }
    cudaLaunchConfig_t config = launch_config(dim3(2), dim3(64), 8192 + 256 + 8, stream);
    cudaLaunchAttribute cluster = {};
    cluster.id = cudaLaunchAttributeClusterDimension;
    cluster.val.clusterDim.x = 2;
    cluster.val.clusterDim.y = cluster.val.clusterDim.z = 1;
    config.attrs = &cluster;
    config.numAttrs = 1;
    return launch(config, cluster_sums_kernel, map, sums);
}
