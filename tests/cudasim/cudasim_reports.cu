/* cudasim_reports.cu - what the simulator says of misuse, and with which exit code; what a launch
 * and a tensor map refuse. A report ends the process, so each is made in a child.
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "ptx.h"
#include "support.h"

static cudaError_t launch(void (*kernel)(int *), unsigned threads, size_t shared_bytes, int *data)
{
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(1);
    config.blockDim = dim3(threads);
    config.dynamicSmemBytes = shared_bytes;
    return cudaLaunchKernelEx(&config, kernel, data);
}

/* The kernel runs on 128 threads with 1 KB of shared memory; `data` is 64 ints of device memory. */
static void expect(int exit_code, const char *text, void (*kernel)(int *))
{
    const Device<int> data(64);
    expect_report(exit_code, text, [&] { launch(kernel, 128, 1024, data.data()); });
}

static __global__ void half_waits(int *)
{
    if (threadIdx.x < 64) named_barrier_sync(1, 128);
}

static __global__ void two_barriers(int *)
{
    if (threadIdx.x < 32)
        __syncthreads();
    else
        __syncthreads();
}

static __global__ void barrier_of_two_sizes(int *)
{
    named_barrier_arrive(2, threadIdx.x < 32 ? 64 : 128);
}

static void test_barriers(void **)
{
    expect(98, "64 in a named barrier at cudasim_reports.cu", half_waits);
    expect(99, "wait for each other (divergent barrier)", two_barriers);
    expect(99, "barrier 2 is used with 64 and with 128 threads", barrier_of_two_sizes);
}

static __global__ void half_waits_for_last_grid(int *)
{
    if (threadIdx.x < 64) grid_dependency_wait();
}

static void test_grid_dependency(void **)
{
    expect_report(99, "ends without griddepcontrol.wait, and its grid may begin early", [] {
        cudaLaunchAttribute overlap = {};
        overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
        overlap.val.programmaticStreamSerializationAllowed = 1;
        cudaLaunchConfig_t config = {};
        config.gridDim = dim3(1);
        config.blockDim = dim3(128);
        config.attrs = &overlap;
        config.numAttrs = 1;
        cudaLaunchKernelEx(&config, half_waits_for_last_grid, static_cast<int *>(nullptr));
    });
}

static __global__ void lane_outside_mask(int *)
{
    __shfl_sync(0xffffu, 1, 0);
}

static __global__ void shuffle_from_outside(int *)
{
    if (threadIdx.x % 32 < 16) __shfl_sync(0xffffu, 1, 20);
}

static __global__ void divergent_warp(int *)
{
    if (threadIdx.x % 32 < 16)
        __shfl_sync(0xffffffffu, 1, 0);
    else
        __syncwarp();
}

static __global__ void mask_of_ended_lanes(int *)
{
    if (threadIdx.x % 32 < 4) return;
    __syncwarp();
}

static void test_warps(void **)
{
    expect(99, "lane 16 is not in its mask 0000ffff", lane_outside_mask);
    expect(99, "reads lane 20, which is not in the mask", shuffle_from_outside);
    expect(99, "some lanes are in a shuffle, others in __syncwarp", divergent_warp);
    expect(99, "names lanes that ended", mask_of_ended_lanes);
}

static __global__ void copy_misaligned(int *data)
{
    cp_async_16(shared_address(dynamic_shared()), data + 1, true);
}

static __global__ void copy_beyond_shared(int *data)
{
    cp_async_16(1024 - 8 + 8, data, true);
}

static __global__ void copy_beyond_global(int *data)
{
    cp_async_16(0, data + 64, true);
}

static __global__ void copy_not_waited_for(int *data)
{
    cp_async_16(16 * threadIdx.x % 1024, data, true);
    cp_async_commit();
}

static __global__ void store_beside(int *data)
{
    data[64 + 1024] = 1;
}

static void test_copies(void **)
{
    expect(99, "is not aligned to 16 bytes", copy_misaligned);
    expect(99, "shared access 1024+16 beyond the 1024 bytes", copy_beyond_shared);
    expect(99, "are not inside an allocation of global memory", copy_beyond_global);
    expect(99, "ends before its cp.async were waited for", copy_not_waited_for);
#if defined(__SANITIZE_ADDRESS__)
    expect(1, "AddressSanitizer", store_beside);
#else
    expect(99, "a load or store at", store_beside);
#endif
}

static __global__ void wait_uninitialised(int *)
{
    mbarrier_wait(64, 0);
}

static __global__ void arrive_too_often(int *)
{
    if (threadIdx.x == 0) {
        mbarrier_init(64, 2);
        mbarrier_arrive_expect(64, 16);
        mbarrier_arrive(64);
        mbarrier_arrive(64);
    }
}

static __global__ void barrier_overwritten(int *)
{
    if (threadIdx.x == 0) {
        mbarrier_init(64, 1);
        *reinterpret_cast<uint64_t *>(dynamic_shared() + 64) = ~uint64_t{0};
        mbarrier_arrive(64);
    }
}

static void test_mbarriers(void **)
{
    expect(99, "mbarrier 64: a wait before it is initialised", wait_uninitialised);
    expect(99, "1 arrivals where the phase waits for 0", arrive_too_often);
    expect(99, "an arrival before it is initialised", barrier_overwritten);
}

static __global__ void load_without_map(int *data)
{
    if (threadIdx.x == 0) {
        mbarrier_init(512, 1);
        tma_load_2d(0, reinterpret_cast<const CUtensorMap *>(data), 512, 0, 0);
    }
}

static __global__ void wgmma_of_96(int *)
{
    float sums[32];
    if (threadIdx.x >= 32) wgmma_n64_bf16(sums, 0, 0, false);
}

static __global__ void wgmma_unaligned_operand(int *)
{
    float sums[32];
    wgmma_n64_bf16(sums, wgmma_descriptor_128(0), wgmma_descriptor_128(0), false);
    wgmma_commit();
    wgmma_wait<0>(); /* 64 rows of 128 bytes from 1 KB */
}

static void test_tensor_cores(void **)
{
    expect(99, "something that is no tensor map", load_without_map);
    expect(98, "96 in wgmma at cudasim_reports.cu", wgmma_of_96);
    expect(99, "a descriptor reads at", wgmma_unaligned_operand);
}

static __global__ void spins(int *data)
{
    while (load_acquire(reinterpret_cast<unsigned *>(data)) != 7) {}
}

static void test_spinning(void **)
{
    expect(98, "128 in a loop that waits for memory to change", spins);
}

/* ---- refusals: an error code, and the process goes on ---------------------------------------- */

static __global__ void nothing(int *)
{
}

static void test_launch_limits(void **)
{
    assert_int_equal(launch(nothing, 1025, 0, nullptr), cudaErrorInvalidConfiguration);
    assert_int_equal(launch(nothing, 0, 0, nullptr), cudaErrorInvalidConfiguration);
    assert_int_equal(launch(nothing, 32, 49153, nullptr), cudaErrorInvalidConfiguration);
    assert_int_equal(cudaGetLastError(), cudaErrorInvalidConfiguration);
    assert_int_equal(cudaGetLastError(), cudaSuccess);
    const auto attribute = cudaFuncAttributeMaxDynamicSharedMemorySize;
    assert_int_equal(cudaFuncSetAttribute(nothing, attribute, (227 << 10) + 1),
                     cudaErrorInvalidValue);
    assert_int_equal(cudaFuncSetAttribute(nothing, attribute, 227 << 10), cudaSuccess);
    assert_int_equal(launch(nothing, 32, 227 << 10, nullptr), cudaSuccess);

    cudaLaunchAttribute attributes[1] = {};
    attributes[0].id = cudaLaunchAttributeClusterDimension;
    attributes[0].val.clusterDim = {2, 1, 1};
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(3);
    config.blockDim = dim3(32);
    config.attrs = attributes;
    config.numAttrs = 1;
    int *const none = nullptr;
    assert_int_equal(cudaLaunchKernelEx(&config, nothing, none), cudaErrorInvalidConfiguration);
    config.gridDim = dim3(16);
    attributes[0].val.clusterDim = {16, 1, 1};
    assert_int_equal(cudaLaunchKernelEx(&config, nothing, none), cudaErrorInvalidConfiguration);
    attributes[0].id = cudaLaunchAttributeCooperative;
    attributes[0].val.cooperative = 1;
    config.gridDim = dim3(132 * 32 + 1);
    assert_int_equal(cudaLaunchKernelEx(&config, nothing, none),
                     cudaErrorCooperativeLaunchTooLarge);
    cudaGetLastError();
}

struct MapChange {
    const char *what;
    void (*change)(cuuint64_t *lengths, cuuint64_t *strides, cuuint32_t *box, cuuint32_t *steps);
};

static CUresult encode(const MapChange *change, void *base, CUtensorMapSwizzle swizzle)
{
    cuuint64_t lengths[] = {64, 8}, strides[] = {128};
    cuuint32_t box[] = {64, 8}, steps[] = {1, 1};
    if (change) change->change(lengths, strides, box, steps);
    CUtensorMap map;
    return cuTensorMapEncodeTiled(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, base, lengths, strides,
                                  box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle,
                                  CU_TENSOR_MAP_L2_PROMOTION_NONE,
                                  CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
}

static void test_tensor_maps(void **)
{
    const Device<uint16_t> data(64 * 8);
    assert_int_equal(encode(nullptr, data.data(), CU_TENSOR_MAP_SWIZZLE_128B), CUDA_SUCCESS);
    static const MapChange changes[] = {
        {"an empty dimension",
         [](cuuint64_t *l, cuuint64_t *, cuuint32_t *, cuuint32_t *) { l[1] = 0; }},
        {"a stride of 130 bytes",
         [](cuuint64_t *, cuuint64_t *s, cuuint32_t *, cuuint32_t *) { s[0] = 130; }},
        {"a box of 257",
         [](cuuint64_t *, cuuint64_t *, cuuint32_t *b, cuuint32_t *) { b[1] = 257; }},
        {"rows of 24 bytes",
         [](cuuint64_t *, cuuint64_t *, cuuint32_t *b, cuuint32_t *) { b[0] = 12; }},
        {"a step of 9", [](cuuint64_t *, cuuint64_t *, cuuint32_t *, cuuint32_t *e) { e[1] = 9; }},
    };
    for (const MapChange &change : changes) {
        if (encode(&change, data.data(), CU_TENSOR_MAP_SWIZZLE_128B) == CUDA_SUCCESS) {
            print_error("accepted: %s\n", change.what);
            fail();
        }
    }
    assert_int_not_equal(encode(nullptr, data.data(), CU_TENSOR_MAP_SWIZZLE_64B), CUDA_SUCCESS);
    assert_int_not_equal(encode(nullptr, data.data() + 1, CU_TENSOR_MAP_SWIZZLE_128B),
                         CUDA_SUCCESS);
}

/* Page-locked memory is read when the copy runs, which is later than when it was asked for. */
static void test_rewritten_while_it_is_copied(void **)
{
    const Device<int> data(4);
    expect_report(99, "was written while a copy of 16 bytes from it was under way", [&] {
        int *pinned;
        cudaStream_t stream;
        cudaMallocHost(reinterpret_cast<void **>(&pinned), 16);
        cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
        pinned[3] = 1;
        cudaMemcpyAsync(data.data(), pinned, 16, cudaMemcpyHostToDevice, stream);
        pinned[3] = 2;
        cudaStreamSynchronize(stream);
    });
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_barriers),        cmocka_unit_test(test_warps),
        cmocka_unit_test(test_copies),          cmocka_unit_test(test_mbarriers),
        cmocka_unit_test(test_tensor_cores),    cmocka_unit_test(test_spinning),
        cmocka_unit_test(test_launch_limits),   cmocka_unit_test(test_tensor_maps),
        cmocka_unit_test(test_grid_dependency), cmocka_unit_test(test_rewritten_while_it_is_copied),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
