/* cudasim_order.cu - pairs of kernels that differ in one thing that orders: without it the race
 * checker reports, with it the checker is silent. Compiled with the hooks of -fsanitize=thread.
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "ptx.h"
#include "support.h"

enum Order { NONE, ORDERED };

/* Two blocks together, 64 threads each, 1 KB of shared memory, 256 ints of zeroed device memory. */
static void run(void (*kernel)(int *, int), int variant, bool initialised = true)
{
    Device<int> data(256);
    if (initialised) data.zero();
    cudaLaunchAttribute attribute = {};
    attribute.id = cudaLaunchAttributeCooperative;
    attribute.val.cooperative = 1;
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(2);
    config.blockDim = dim3(64);
    config.dynamicSmemBytes = 1024;
    config.attrs = &attribute;
    config.numAttrs = 1;
    assert_int_equal(cudaLaunchKernelEx(&config, kernel, data.data(), variant), 0);
}

static void check(const char *text, void (*kernel)(int *, int))
{
    expect_report(97, text, [&] { run(kernel, NONE); });
    run(kernel, ORDERED); /* would end this process */
}

/* ---- inside a block -------------------------------------------------------------------------- */

/* A shuffle does not order memory, __syncwarp does. */
static __global__ void lanes(int *out, int ordered)
{
    int *const values = reinterpret_cast<int *>(dynamic_shared());
    const unsigned thread = threadIdx.x;
    values[thread] = static_cast<int>(thread);
    if (ordered)
        __syncwarp();
    else
        __shfl_sync(0xffffffffu, 1, 0);
    out[blockIdx.x * 64 + thread] = values[thread ^ 1];
}

/* One thread writes, an mbarrier says so; here the reader waits, or does not. */
static __global__ void through_mbarrier(int *out, int ordered)
{
    int *const values = reinterpret_cast<int *>(dynamic_shared());
    if (threadIdx.x == 0) mbarrier_init(512, 1);
    __syncthreads();
    if (threadIdx.x == 0) {
        values[0] = 5;
        mbarrier_arrive(512);
    }
    if (threadIdx.x == 40) {
        if (ordered) mbarrier_wait(512, 0);
        out[blockIdx.x] = values[0];
    }
}

static void test_shared(void **)
{
    check("race write->read at shared", lanes);
    check(" at shared+0: thread ", through_mbarrier); /* read first, or written first */
}

/* ---- between blocks -------------------------------------------------------------------------- */

/* Block 1 reads what block 0 has written, after a flag; with or without release. */
static __global__ void flag(int *data, int ordered)
{
    auto *const ready = reinterpret_cast<unsigned *>(data + 128);
    if (threadIdx.x != 0) return;
    if (blockIdx.x == 0) {
        data[0] = 5;
        if (ordered)
            store_release(ready, 1);
        else
            atomicExch(ready, 1u);
    } else {
        while (load_acquire(ready) == 0) {}
        data[1] = data[0];
    }
}

/* The same by fences around relaxed atomics; the reader's fence is what differs. */
static __global__ void fences(int *data, int ordered)
{
    auto *const ready = reinterpret_cast<unsigned *>(data + 128);
    if (threadIdx.x != 0) return;
    if (blockIdx.x == 0) {
        data[0] = 5;
        __threadfence();
        atomicAdd(ready, 1u);
    } else {
        while (atomicAdd(ready, 0u) == 0) __nanosleep(20);
        if (ordered) __threadfence();
        data[1] = data[0];
    }
}

/* What other threads of the block wrote is released too, once a barrier has joined them. */
static __global__ void cumulative(int *data, int ordered)
{
    auto *const ready = reinterpret_cast<unsigned *>(data + 128);
    if (blockIdx.x == 0) {
        data[threadIdx.x] = 1;
        if (ordered) __syncthreads();
        if (threadIdx.x == 0) store_release(ready, 1);
    } else {
        if (threadIdx.x == 0) {
            while (load_acquire(ready) == 0) {}
        }
        __syncthreads();
        data[64 + threadIdx.x] = data[63 - threadIdx.x];
    }
}

static __global__ void both_write(int *data, int ordered)
{
    if (threadIdx.x != 0) return;
    if (ordered)
        atomicAdd(data, 1);
    else
        data[0] = static_cast<int>(blockIdx.x);
}

/* Neighbouring bytes are not the same byte. */
static __global__ void bytes(int *data, int ordered)
{
    auto *const bytes_of_one = reinterpret_cast<unsigned char *>(data);
    if (threadIdx.x == 0) bytes_of_one[ordered ? blockIdx.x : 0] = 1;
}

static void test_global(void **)
{
    check("race write->read at global", flag);
    check("race write->read at global", fences);
    check("race write->read at global", cumulative);
    check("race write/write at global", both_write);
    check("race write/write at global", bytes);
}

/* ---- grids that overlap ---------------------------------------------------------------------- */

static __global__ void writes(int *data, int)
{
    grid_dependency_wait();
    data[threadIdx.x] = 1;
}

static __global__ void reads(int *data, int ordered)
{
    int value = ordered ? 0 : data[threadIdx.x];
    grid_dependency_wait();
    if (ordered) value = data[threadIdx.x];
    data[128 + threadIdx.x] = value;
}

static __global__ void overwrites(int *data, int ordered)
{
    if (ordered) grid_dependency_wait();
    data[threadIdx.x] = 2;
    grid_dependency_wait();
}

static __global__ void reads_constant(int *data, int)
{
    const int value = data[64 + threadIdx.x]; /* written by the host alone */
    grid_dependency_wait();
    data[threadIdx.x] = value;
}

/* `writes`, then the kernel, twice; the kernel may begin early. */
static void run_after(void (*kernel)(int *, int), int variant)
{
    Device<int> data(256);
    data.zero();
    cudaStream_t stream;
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    cudaLaunchAttribute overlap = {};
    overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    overlap.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(1);
    config.blockDim = dim3(64);
    config.stream = stream;
    config.attrs = &overlap;
    config.numAttrs = 1;
    for (int i = 0; i < 2; i++) {
        assert_int_equal(cudaLaunchKernelEx(&config, writes, data.data(), variant), 0);
        assert_int_equal(cudaLaunchKernelEx(&config, kernel, data.data(), variant), 0);
    }
    assert_int_equal(cudaStreamSynchronize(stream), 0);
    cudaStreamDestroy(stream);
}

static void test_grids_overlap(void **)
{
    expect_report(97, "write of what the next grid has read before its griddepcontrol.wait",
                  [] { run_after(reads, NONE); });
    cudasim::config().async = cudasim::Async::eager; /* and where they do not overlap */
    expect_report(97, "read before griddepcontrol.wait of what a grid has written",
                  [] { run_after(reads, NONE); });
    cudasim::config() = cudasim::Config();
    expect_report(97, "write before griddepcontrol.wait", [] { run_after(overwrites, NONE); });
    run_after(reads, ORDERED);
    run_after(overwrites, ORDERED);
    run_after(reads_constant, ORDERED);
}

/* ---- launches, bounds, initialisation -------------------------------------------------------- */

static __global__ void read_one(int *data, int at)
{
    if (threadIdx.x == 0 && blockIdx.x == 0)
        dynamic_shared()[0] = static_cast<unsigned char>(data[at]);
}

static void test_bounds(void **)
{
    run(read_one, 255);
    expect_report(97, "uninitialised global memory", [] { run(read_one, 3, false); });
    /* The allocation is rounded to 256 bytes: 253 ints leave room that no page guards. */
    expect_report(97, "access outside every allocation", [] {
        Device<int> data(253);
        data.zero();
        cudaLaunchConfig_t config = {};
        config.gridDim = config.blockDim = dim3(1);
        config.dynamicSmemBytes = 16;
        cudaLaunchKernelEx(&config, read_one, data.data(), 253);
    });
}

static void test_launches_are_ordered(void **)
{
    Device<int> data(256);
    data.zero();
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(2);
    config.blockDim = dim3(64);
    config.dynamicSmemBytes = 1024;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(cudaLaunchKernelEx(&config, lanes, data.data(), ORDERED), 0);
    }
    assert_int_equal(data.download()[64], 1);
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_shared),
        cmocka_unit_test(test_global),
        cmocka_unit_test(test_grids_overlap),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_launches_are_ordered),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
