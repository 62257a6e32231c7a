/* cudasim_runtime.cu - the host's interface: streams run late or early but in order, events order
 * them, graphs repeat what was captured, and errors are returned.
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "ptx.h"
#include "support.h"

static __global__ void add(int *data, int value)
{
    data[threadIdx.x] += value;
}

static __global__ void multiply(int *data, int value)
{
    data[threadIdx.x] *= value;
}

static void launch(void (*kernel)(int *, int), int *data, int value, cudaStream_t stream)
{
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(1);
    config.blockDim = dim3(4);
    config.stream = stream;
    assert_int_equal(cudaLaunchKernelEx(&config, kernel, data, value), cudaSuccess);
}

static int first(const Device<int> &data)
{
    return data.download()[0];
}

static void test_lazy_stream(void **)
{
    Device<int> data(4);
    data.zero();
    int *pinned;
    assert_int_equal(cudaMallocHost(reinterpret_cast<void **>(&pinned), 16), 0);
    cudaStream_t stream;
    assert_int_equal(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), 0);
    for (auto async : {cudasim::Async::lazy, cudasim::Async::eager}) {
        cudasim::config().async = async;
        pinned[0] = -1;
        data.zero();
        launch(add, data.data(), 5, stream);
        assert_int_equal(cudaMemcpyAsync(pinned, data.data(), 16, cudaMemcpyDeviceToHost, stream),
                         0);
        /* Who does not wait sees the old value, in one of the two. */
        assert_int_equal(pinned[0], async == cudasim::Async::lazy ? -1 : 5);
        assert_int_equal(cudaStreamSynchronize(stream), 0);
        assert_int_equal(pinned[0], 5);
    }
    cudasim::config() = cudasim::Config();
    int pageable[4] = {-1, -1, -1, -1}; /* complete when the call returns */
    launch(add, data.data(), 1, stream);
    assert_int_equal(cudaMemcpyAsync(pageable, data.data(), 16, cudaMemcpyDeviceToHost, stream), 0);
    assert_int_equal(pageable[3], 6);
    assert_int_equal(cudaStreamDestroy(stream), 0);
    assert_int_equal(cudaFreeHost(pinned), 0);
}

static void test_events(void **)
{
    Device<int> data(4);
    cudaStream_t a, b;
    cudaEvent_t event;
    assert_int_equal(cudaStreamCreateWithFlags(&a, cudaStreamNonBlocking), 0);
    assert_int_equal(cudaStreamCreateWithFlags(&b, cudaStreamNonBlocking), 0);
    assert_int_equal(cudaEventCreate(&event), 0);
    for_each_order([&](const char *) {
        data.zero();
        launch(add, data.data(), 3, a);
        assert_int_equal(cudaEventRecord(event, a), 0);
        launch(add, data.data(), 100, a); /* after the event: nobody waits for it */
        assert_int_equal(cudaStreamWaitEvent(b, event, 0), 0);
        launch(multiply, data.data(), 2, b);
        assert_int_equal(cudaStreamSynchronize(b), 0);
        assert_int_equal(cudaStreamSynchronize(a), 0);
        const int result = first(data);
        assert_true(result == 106 || result == 206);
    });
    launch(add, data.data(), 1, a);
    assert_int_equal(cudaEventRecord(event, a), 0);
    assert_int_equal(cudaEventQuery(event), cudaErrorNotReady);
    assert_int_equal(cudaEventSynchronize(event), 0);
    assert_int_equal(cudaEventQuery(event), 0);
    assert_int_equal(cudaEventDestroy(event), 0);
    assert_int_equal(cudaStreamDestroy(a), 0);
    assert_int_equal(cudaStreamDestroy(b), 0);
}

/* Work forks from `a` to `b` and joins again, as a captured step does. */
static cudaGraph_t capture(cudaStream_t a, cudaStream_t b, const Device<int> &data, bool joins)
{
    cudaEvent_t fork, join;
    cudaGraph_t graph = nullptr;
    cudaEventCreate(&fork);
    cudaEventCreate(&join);
    assert_int_equal(cudaStreamBeginCapture(a, cudaStreamCaptureModeThreadLocal), 0);
    launch(add, data.data(), 1, a);
    assert_int_equal(cudaEventRecord(fork, a), 0);
    assert_int_equal(cudaStreamWaitEvent(b, fork, 0), 0);
    launch(multiply, data.data(), 3, b);
    assert_int_equal(cudaEventRecord(join, b), 0);
    if (joins) assert_int_equal(cudaStreamWaitEvent(a, join, 0), 0);
    assert_int_equal(cudaStreamSynchronize(a), cudaErrorStreamCaptureUnsupported);
    assert_int_equal(cudaStreamEndCapture(a, &graph),
                     joins ? cudaSuccess : cudaErrorStreamCaptureUnmatched);
    cudaEventDestroy(fork);
    cudaEventDestroy(join);
    return graph;
}

static void test_graphs(void **)
{
    Device<int> data(4);
    data.zero();
    cudaStream_t a, b;
    cudaStreamCreateWithFlags(&a, cudaStreamNonBlocking);
    cudaStreamCreateWithFlags(&b, cudaStreamNonBlocking);
    assert_null(capture(a, b, data, false));
    const cudaGraph_t graph = capture(a, b, data, true);
    assert_non_null(graph);
    assert_int_equal(first(data), 0); /* capturing runs nothing */
    cudaGraphExec_t exec;
    assert_int_equal(cudaGraphInstantiate(&exec, graph, 0), 0);
    assert_int_equal(cudaGraphDestroy(graph), 0);
    for (int i = 0; i < 3; i++) assert_int_equal(cudaGraphLaunch(exec, a), 0);
    assert_int_equal(cudaStreamSynchronize(a), 0);
    assert_int_equal(first(data), 39); /* ((0 + 1) 3 + 1) 3 + 1) 3 */
    assert_int_equal(cudaGraphExecDestroy(exec), 0);
    cudaStreamDestroy(a);
    cudaStreamDestroy(b);
    cudaGetLastError();
}

/* Reads before it waits: what it sees shows when it began. */
static __global__ void reads_early(int *data, int value)
{
    const int before = data[threadIdx.x];
    grid_dependency_wait();
    data[threadIdx.x] = before + value;
}

static void launch_overlapping(int *data, int value, cudaStream_t stream)
{
    cudaLaunchAttribute overlap = {};
    overlap.id = cudaLaunchAttributeProgrammaticStreamSerialization;
    overlap.val.programmaticStreamSerializationAllowed = 1;
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(1);
    config.blockDim = dim3(4);
    config.stream = stream;
    config.attrs = &overlap;
    config.numAttrs = 1;
    assert_int_equal(cudaLaunchKernelEx(&config, reads_early, data, value), cudaSuccess);
}

/* A grid that may begins before the one before has run where work is late, in a graph too; not
 * where a copy comes between, and never in the null stream. */
static void test_grids_overlap(void **)
{
    Device<int> data(4);
    cudaStream_t stream;
    cudaGraph_t graph;
    cudaGraphExec_t exec;
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    const auto result = [&](cudasim::Async async, const std::function<void()> &work) {
        cudasim::config().async = async;
        data.zero();
        work();
        assert_int_equal(cudaStreamSynchronize(stream), 0);
        cudasim::config() = cudasim::Config();
        return first(data);
    };
    const auto two = [&] {
        launch(add, data.data(), 5, stream);
        launch_overlapping(data.data(), 1, stream);
    };
    assert_int_equal(result(cudasim::Async::lazy, two), 1);
    assert_int_equal(result(cudasim::Async::eager, two), 6);
    const auto three = [&] { /* the third begins before the second goes on */
                             two();
                             launch_overlapping(data.data(), 1, stream);
    };
    assert_int_equal(result(cudasim::Async::lazy, three), 6);
    const auto apart = [&] {
        launch(add, data.data(), 5, stream);
        cudaMemsetAsync(data.data(), 0, 4, stream);
        launch_overlapping(data.data(), 1, stream);
    };
    assert_int_equal(result(cudasim::Async::lazy, apart), 1);
    const auto null_stream = [&] {
        launch(add, data.data(), 5, nullptr);
        launch_overlapping(data.data(), 1, nullptr);
    };
    assert_int_equal(result(cudasim::Async::lazy, null_stream), 6);
    assert_int_equal(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), 0);
    two();
    assert_int_equal(cudaStreamEndCapture(stream, &graph), 0);
    assert_int_equal(cudaGraphInstantiate(&exec, graph, 0), 0);
    const auto replay = [&] { assert_int_equal(cudaGraphLaunch(exec, stream), 0); };
    assert_int_equal(result(cudasim::Async::lazy, replay), 1);
    cudaGraphExecDestroy(exec);
    cudaGraphDestroy(graph);
    cudaStreamDestroy(stream);
}

static void test_errors(void **)
{
    Device<int> data(4);
    int host[8] = {};
    assert_int_equal(cudaMemcpy(data.data(), host, 17, cudaMemcpyHostToDevice),
                     cudaErrorInvalidValue);
    assert_int_equal(cudaMemcpy(data.data(), host, 16, cudaMemcpyDeviceToHost),
                     cudaErrorInvalidValue);
    assert_int_equal(cudaMemset(data.data() + 2, 0, 9), cudaErrorInvalidValue);
    assert_int_equal(cudaFree(data.data() + 1), cudaErrorInvalidValue);
    assert_int_equal(cudaFree(nullptr), cudaSuccess);
    void *large = nullptr;
    assert_int_equal(cudaMalloc(&large, size_t{1} << 40), cudaErrorMemoryAllocation);
    assert_null(large);
    assert_int_equal(cudaFreeHost(host), cudaErrorInvalidValue);
    assert_int_equal(cudaPeekAtLastError(), cudaErrorInvalidValue);
    assert_string_equal(cudaGetErrorName(cudaGetLastError()), "cudaErrorInvalidValue");
}

static void test_memory_is_limited(void **)
{
    size_t left = 0, total = 0;
    const Device<char> before(1000);
    cudasim_memory(5000);
    assert_int_equal(cudaMemGetInfo(&left, &total), 0);
    assert_int_equal(total, 5000);
    assert_int_equal(left, 4000);
    void *one = nullptr, *more = nullptr;
    assert_int_equal(cudaMalloc(&one, 4000), 0);
    assert_int_equal(cudaMalloc(&more, 1), cudaErrorMemoryAllocation);
    assert_int_equal(cudaFree(one), 0);
    assert_int_equal(cudaMalloc(&more, 1), 0);
    assert_int_equal(cudaFree(more), 0);
    cudasim_memory(size_t{4} << 30);
    cudaGetLastError();
}

/* After a kernel's illegal access every call fails with it, and asking does not clear it. */
static void test_a_broken_device(void **)
{
    Device<int> data(4);
    cudaStream_t stream;
    cudaEvent_t event;
    void *memory;
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    cudaEventCreate(&event);
    cudasim_break(cudaErrorIllegalAddress);
    assert_int_equal(cudaMalloc(&memory, 16), cudaErrorIllegalAddress);
    assert_int_equal(cudaMemsetAsync(data.data(), 0, 16, stream), cudaErrorIllegalAddress);
    assert_int_equal(cudaEventRecord(event, stream), cudaErrorIllegalAddress);
    assert_int_equal(cudaEventSynchronize(event), cudaErrorIllegalAddress);
    assert_int_equal(cudaStreamSynchronize(stream), cudaErrorIllegalAddress);
    assert_int_equal(cudaStreamQuery(stream), cudaErrorIllegalAddress);
    assert_int_equal(cudaGetLastError(), cudaErrorIllegalAddress);
    assert_int_equal(cudaGetLastError(), cudaErrorIllegalAddress);
    cudasim_break(cudaSuccess);
    assert_int_equal(cudaGetLastError(), cudaSuccess);
    assert_int_equal(cudaEventDestroy(event), 0);
    assert_int_equal(cudaStreamDestroy(stream), 0);
}

static void test_fresh_memory_is_nan(void **)
{
    const Device<float> data(100);
    for (float value : data.download()) assert_true(value != value);
}

extern "C" int host_in_c(void);

static void test_host_code_in_c(void **)
{
    assert_int_equal(host_in_c(), 0);
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_lazy_stream),     cmocka_unit_test(test_events),
        cmocka_unit_test(test_graphs),          cmocka_unit_test(test_grids_overlap),
        cmocka_unit_test(test_errors),          cmocka_unit_test(test_memory_is_limited),
        cmocka_unit_test(test_a_broken_device), cmocka_unit_test(test_fresh_memory_is_nan),
        cmocka_unit_test(test_host_code_in_c),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
