/* runtime.cc - the host's view of the simulated device: memory, copies, attributes, errors. The
 * device is one of an H200's size, compute capability 9.0 unless CUDASIM_ARCH says otherwise.
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "cuda_runtime_api.h"
#include "memory.h"
#include "race.h"
#include "report.h"
#include "stream.h"

#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <vector>

namespace cudasim
{
static cudaError_t last_error = cudaSuccess;

cudaError_t remember_error(cudaError_t error)
{
    if (error != cudaSuccess) last_error = error;
    return error;
}

/* cudasim_break: what every call fails with, and from which call on. */
static cudaError_t broken = cudaSuccess, breaks_with = cudaSuccess;
static int good_calls = 0;

cudaError_t device_state()
{
    if (breaks_with != cudaSuccess && good_calls-- <= 0) {
        broken = breaks_with;
        breaks_with = cudaSuccess;
    }
    return remember_error(broken);
}

static size_t memory_bytes = GLOBAL_BYTES; /* cudasim_memory */

static std::map<const unsigned char *, size_t> pinned; /* host memory that the device may read */

static bool is_pinned(const void *pointer, size_t bytes)
{
    const auto *first = static_cast<const unsigned char *>(pointer);
    auto next = pinned.upper_bound(first);
    if (next == pinned.begin()) return false;
    --next;
    return first + bytes <= next->first + next->second;
}

static bool fits(const void *pointer, size_t bytes, bool device)
{
    return device ? is_in_allocation(pointer, bytes) : !is_global(pointer);
}

static cudaError_t check_copy(const void *to, const void *from, size_t bytes, cudaMemcpyKind kind)
{
    if (const cudaError_t error = device_state()) return error;
    bool to_device = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    bool from_device = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    if (kind == cudaMemcpyDefault) {
        to_device = is_global(to);
        from_device = is_global(from);
    }
    if (fits(to, bytes, to_device) && fits(from, bytes, from_device)) return cudaSuccess;
    return remember_error(cudaErrorInvalidValue);
}

static void copy(void *to, const void *from, size_t bytes)
{
    std::memmove(to, from, bytes);
    race_initialised(to, bytes);
}

static void fill(void *to, int value, size_t bytes)
{
    std::memset(to, value, bytes);
    race_initialised(to, bytes);
}
} /* namespace cudasim */

using namespace cudasim;

/* ---- what only the simulator has ------------------------------------------------------------- */

void cudasim_memory(size_t bytes)
{
    memory_bytes = bytes;
}

void cudasim_break(cudaError_t error)
{
    broken = last_error = error;
    breaks_with = cudaSuccess;
}

void cudasim_break_after(int calls, cudaError_t error)
{
    cudasim_break(cudaSuccess);
    breaks_with = error;
    good_calls = calls;
}

/* ---- device ---------------------------------------------------------------------------------- */

cudaError_t cudaGetDeviceCount(int *count)
{
    *count = 1;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int device)
{
    return device == 0 ? device_state() : remember_error(cudaErrorInvalidValue);
}

cudaError_t cudaGetDevice(int *device)
{
    *device = 0;
    return device_state();
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device)
{
    if (device != 0) return remember_error(cudaErrorInvalidValue);
    if (const cudaError_t error = device_state()) return error;
    switch (attribute) {
    case cudaDevAttrMultiProcessorCount: *value = 132; return cudaSuccess;
    case cudaDevAttrComputeCapabilityMajor: *value = arch() / 10; return cudaSuccess;
    case cudaDevAttrComputeCapabilityMinor: *value = arch() % 10; return cudaSuccess;
    case cudaDevAttrCooperativeLaunch: *value = 1; return cudaSuccess;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin:
        *value = static_cast<int>(shared_most());
        return cudaSuccess;
    }
    return remember_error(cudaErrorInvalidValue);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device)
{
    if (device != 0) return remember_error(cudaErrorInvalidValue);
    *properties = {"simulated device", arch() / 10, arch() % 10};
    return device_state();
}

cudaError_t cudaMemGetInfo(size_t *free_bytes, size_t *total_bytes)
{
    *total_bytes = memory_bytes;
    *free_bytes = memory_bytes > global_live() ? memory_bytes - global_live() : 0;
    return device_state();
}

/* ---- memory ---------------------------------------------------------------------------------- */

cudaError_t cudaMalloc(void **pointer, size_t bytes)
{
    *pointer = nullptr;
    if (const cudaError_t error = device_state()) return error;
    const bool fits = global_live() + bytes <= memory_bytes;
    if (bytes && fits) *pointer = global_allocate(bytes);
    if (bytes && !*pointer) return remember_error(cudaErrorMemoryAllocation);
    return cudaSuccess;
}

cudaError_t cudaFree(void *pointer)
{
    cudaDeviceSynchronize();
    if (pointer && !global_free(pointer)) return remember_error(cudaErrorInvalidValue);
    return cudaSuccess;
}

cudaError_t cudaMallocHost(void **pointer, size_t bytes)
{
    *pointer = nullptr;
    if (const cudaError_t error = device_state()) return error;
    *pointer = std::malloc(bytes);
    if (!*pointer) return remember_error(cudaErrorMemoryAllocation);
    pinned[static_cast<unsigned char *>(*pointer)] = bytes;
    return cudaSuccess;
}

cudaError_t cudaFreeHost(void *pointer)
{
    if (!pointer) return cudaSuccess;
    if (!pinned.erase(static_cast<unsigned char *>(pointer))) {
        return remember_error(cudaErrorInvalidValue);
    }
    cudaDeviceSynchronize();
    std::free(pointer);
    return cudaSuccess;
}

cudaError_t cudaMemcpy(void *to, const void *from, size_t bytes, cudaMemcpyKind kind)
{
    const cudaError_t error = check_copy(to, from, bytes, kind);
    if (error != cudaSuccess) return error;
    drain_blocking_streams();
    copy(to, from, bytes);
    return cudaSuccess;
}

/* Pageable host memory is read before the call returns, and written before it returns too. */
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream)
{
    const cudaError_t error = check_copy(to, from, bytes, kind);
    if (error != cudaSuccess) return error;
    const bool pageable_source = !is_global(from) && !is_pinned(from, bytes);
    const bool pageable_target = !is_global(to) && !is_pinned(to, bytes);
    if (pageable_source) {
        if (is_capturing(stream)) return remember_error(cudaErrorStreamCaptureUnsupported);
        const auto *first = static_cast<const unsigned char *>(from);
        const std::vector<unsigned char> staged(first, first + bytes);
        return enqueue(stream, [=] { copy(to, staged.data(), bytes); });
    }
    if (!is_global(from) && !is_capturing(stream)) {
        const auto *first = static_cast<const unsigned char *>(from);
        const std::vector<unsigned char> before(first, first + bytes);
        return enqueue(stream, [=] {
            if (std::memcmp(from, before.data(), bytes) != 0) {
                fail("page-locked host memory at %p was written while a copy of %zu bytes from it "
                     "was under way",
                     from, bytes);
            }
            copy(to, from, bytes);
        });
    }
    if (pageable_target && is_capturing(stream)) {
        return remember_error(cudaErrorStreamCaptureUnsupported);
    }
    const cudaError_t queued = enqueue(stream, [=] { copy(to, from, bytes); });
    if (queued == cudaSuccess && pageable_target) drain(stream);
    return queued;
}

cudaError_t cudaMemset(void *to, int value, size_t bytes)
{
    return cudaMemsetAsync(to, value, bytes, nullptr);
}

cudaError_t cudaMemsetAsync(void *to, int value, size_t bytes, cudaStream_t stream)
{
    if (!is_in_allocation(to, bytes)) return remember_error(cudaErrorInvalidValue);
    return enqueue(stream, [=] { fill(to, value, bytes); });
}

/* ---- errors ---------------------------------------------------------------------------------- */

cudaError_t cudaGetLastError(void)
{
    const cudaError_t error = last_error;
    last_error = broken;
    return error;
}

cudaError_t cudaPeekAtLastError(void)
{
    return last_error;
}

const char *cudaGetErrorName(cudaError_t error)
{
    switch (error) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInvalidConfiguration: return "cudaErrorInvalidConfiguration";
    case cudaErrorInvalidResourceHandle: return "cudaErrorInvalidResourceHandle";
    case cudaErrorIllegalAddress: return "cudaErrorIllegalAddress";
    case cudaErrorNotSupported: return "cudaErrorNotSupported";
    case cudaErrorNotReady: return "cudaErrorNotReady";
    case cudaErrorCooperativeLaunchTooLarge: return "cudaErrorCooperativeLaunchTooLarge";
    case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorStreamCaptureUnmatched: return "cudaErrorStreamCaptureUnmatched";
    }
    return "an unknown error";
}

const char *cudaGetErrorString(cudaError_t error)
{
    return cudaGetErrorName(error);
}
