/* cuda_staging.c - see cuda_staging.h. SPDX-License-Identifier: Apache-2.0 */
#include "cuda_staging.h"

#include <cuda_runtime_api.h>
#include <string.h>

enum { ALIGNMENT = 64 };

int ie_cuda_staging_open(ie_cuda_staging *s)
{
    cudaError_t code = cudaMallocHost((void **)&s->memory, 2 * IE_CUDA_STAGING_BYTES);
    for (int i = 0; i < 2 && code == cudaSuccess; i++) {
        code = cudaEventCreateWithFlags(&s->copied[i], cudaEventDisableTiming);
    }
    return (int)code;
}

void ie_cuda_staging_close(ie_cuda_staging *s)
{
    for (int i = 0; i < 2; i++) {
        if (s->copied[i]) (void)cudaEventDestroy(s->copied[i]);
    }
    if (s->memory) (void)cudaFreeHost(s->memory);
    *s = (ie_cuda_staging){0};
}

/* The half is full. An event that was never recorded is not waited for. */
static cudaError_t turn(ie_cuda_staging *s, cudaStream_t stream)
{
    const cudaError_t code = cudaEventRecord(s->copied[s->half], stream);
    s->half = 1 - s->half;
    s->used = 0;
    return code == cudaSuccess ? cudaEventSynchronize(s->copied[s->half]) : code;
}

int ie_cuda_staging_copy(ie_cuda_staging *s, void *device, const void *host, uint64_t bytes,
                         struct CUstream_st *stream)
{
    const char *from = host;
    char *to = device;
    while (bytes) {
        cudaError_t code = cudaSuccess;
        if (s->used >= IE_CUDA_STAGING_BYTES) code = turn(s, stream);
        if (code != cudaSuccess) return (int)code;
        const uint64_t room = IE_CUDA_STAGING_BYTES - s->used, n = bytes < room ? bytes : room;
        char *staged = s->memory + (uint64_t)s->half * IE_CUDA_STAGING_BYTES + s->used;
        memcpy(staged, from, n);
        code = cudaMemcpyAsync(to, staged, n, cudaMemcpyHostToDevice, stream);
        if (code != cudaSuccess) return (int)code;
        s->used += (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
        from += n;
        to += n;
        bytes -= n;
    }
    return 0;
}
