/* launch.h - how a launcher starts its kernel: by cudaLaunchKernelEx, which the simulator has too,
 * and with the name of a kernel that failed kept for whoever reports it.
 *
 * On compute capability 9.0 and later a kernel may begin while the one before it in its stream ends
 * (programmatic stream serialisation), which hides some of the gap between them. Every kernel here
 * is launched so, and every thread of it calls wait_for_last_grid before it reads or writes what
 * any kernel writes. It has to be every kernel: one that ended without having waited would let the
 * next one go on while the one before still runs (tests/cuda/check_executed.py, and the simulator).
 * And no parameter is __restrict__: a load that the compiler takes for one of constants
 * (ld.global.nc) may be moved before the wait, or find what lay there (tests/cuda/check_ptx.py).
 *
 * What is kept belongs to the calling thread and is read right after the failure
 * (engine/backend/backend_cuda.c). SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CUDA_LAUNCH_H
#define IE_CUDA_LAUNCH_H

#include "ops.h"
#include "ptx.h"

#include <cuda_runtime.h>

/* What a kernel begins with; only constants (weights, parameters) may be touched before it. The
 * next grid's blocks are let in as soon as there is room for them: they wait in turn. */
PTX_INLINE void wait_for_last_grid()
{
    grid_dependency_wait();
    grid_dependency_launch();
}

static inline cudaStream_t stream_of(ie_stream *s)
{
    return reinterpret_cast<cudaStream_t>(s);
}

/* Of this thread: the kernel whose launch failed last, and the one that was launched last. */
inline thread_local const void *failed_kernel = nullptr, *last_kernel = nullptr;

/* `code` ended the launch of the kernel, or what was needed for it: its name is kept. Returns the
 * code. */
template <class... P> int launch_failed(void (*kernel)(P...), int code)
{
    failed_kernel = reinterpret_cast<const void *>(kernel);
    (void)cudaGetLastError(); /* told once: the next launch starts clean */
    return code;
}

/* 80, 89, 90, 100, 120, ...: the compute capability of the current device; 0 with a cudaError,
 * which is returned. */
inline int device_arch(int *arch)
{
    static thread_local int known_device = -1, known_arch = 0;
    int device = 0, major = 0, minor = 0;
    *arch = 0;
    cudaError_t code = cudaGetDevice(&device);
    if (code == cudaSuccess && device != known_device) {
        code = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
        if (code == cudaSuccess) {
            code = cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device);
        }
        if (code == cudaSuccess) {
            known_device = device;
            known_arch = 10 * major + minor;
        }
    }
    if (code == cudaSuccess) *arch = known_arch;
    return static_cast<int>(code);
}

/* 48 KB of dynamic shared memory are a kernel's without asking. The blocks of a cluster are
 * neighbours in the grid, which is a whole number of clusters; 1 1 1 is no cluster. */
template <class... P, class... A>
int launch_cluster(void (*kernel)(P...), dim3 grid, dim3 block, dim3 cluster, size_t shared,
                   ie_stream *s, A... args)
{
    cudaLaunchAttribute attributes[2] = {};
    unsigned count = 0;
    int arch = 0;
    const int unknown = device_arch(&arch);
    if (unknown) return launch_failed(kernel, unknown);
    if (arch >= 90) {
        attributes[count].id = cudaLaunchAttributeProgrammaticStreamSerialization;
        attributes[count++].val.programmaticStreamSerializationAllowed = 1;
    }
    if (cluster.x * cluster.y * cluster.z > 1) {
        attributes[count].id = cudaLaunchAttributeClusterDimension;
        attributes[count].val.clusterDim.x = cluster.x;
        attributes[count].val.clusterDim.y = cluster.y;
        attributes[count++].val.clusterDim.z = cluster.z;
    }
    cudaLaunchConfig_t config = {};
    config.gridDim = grid;
    config.blockDim = block;
    config.dynamicSmemBytes = shared;
    config.stream = stream_of(s);
    config.attrs = attributes;
    config.numAttrs = count;
    cudaError_t code = cudaSuccess;
    if (shared > 48 << 10) {
        code = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    static_cast<int>(shared));
    }
    if (code == cudaSuccess) code = cudaLaunchKernelEx(&config, kernel, static_cast<P>(args)...);
    if (code != cudaSuccess) return launch_failed(kernel, static_cast<int>(code));
    last_kernel = reinterpret_cast<const void *>(kernel);
    return 0;
}

template <class... P, class... A>
int launch(void (*kernel)(P...), dim3 grid, dim3 block, size_t shared, ie_stream *s, A... args)
{
    return launch_cluster(kernel, grid, block, dim3(1, 1, 1), shared, s, args...);
}

#endif
