/* backend_cuda.c - a CUDA device: memory, copies, one stream, and graphs of work that repeats.
 *
 * The stream is of the kind that the default stream does not wait for, and that does not wait for
 * it, so that engines of one process do not meet; every copy goes through it. Nothing here links
 * the driver's library: a machine without one gets a refusal in words.
 *
 * Work between `begin` and `end` under one key (backend.h) is done as it comes the first time,
 * which loads its kernels; recorded as a graph the second time; launched as a graph from then on.
 * SPDX-License-Identifier: Apache-2.0 */
#include "backend.h"

#include "cuda_ops.h"
#include "cuda_staging.h"

#include <cuda_runtime_api.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OLDEST_ARCH = 80 };

typedef struct work {
    uint64_t key;
    cudaGraphExec_t graph; /* NULL: seen once */
    struct work *next;
} work;

typedef struct cuda_backend {
    ie_backend base;
    int device, device_outside; /* the latter between enter and leave */
    cudaStream_t stream;
    ie_cuda_staging staging;
    work *works;
    char said[320]; /* the last answer of `explain` */
} cuda_backend;

static cuda_backend *of(ie_backend *self)
{
    return (cuda_backend *)self;
}

/* ---- memory and copies ----------------------------------------------------------------------- */

static int cuda_alloc(ie_backend *self, void **memory, uint64_t bytes)
{
    const cudaStream_t stream = of(self)->stream;
    *memory = NULL;
    cudaError_t code = cudaMalloc(memory, bytes);
    if (code == cudaSuccess) code = cudaMemsetAsync(*memory, 0, bytes, stream);
    if (code == cudaSuccess) code = cudaStreamSynchronize(stream);
    if (code == cudaSuccess) return 0;
    (void)cudaGetLastError();
    (void)cudaFree(*memory);
    *memory = NULL;
    return (int)code;
}

static void cuda_free(ie_backend *self, void *memory, uint64_t bytes)
{
    (void)self, (void)bytes;
    (void)cudaFree(memory);
}

static uint64_t cuda_available(ie_backend *self)
{
    size_t left = 0, total = 0;
    (void)self;
    return cudaMemGetInfo(&left, &total) == cudaSuccess ? left : 0;
}

static int cuda_upload(ie_backend *self, void *device, const void *host, uint64_t bytes)
{
    cuda_backend *b = of(self);
    return ie_cuda_staging_copy(&b->staging, device, host, bytes, b->stream);
}

static int cuda_download(ie_backend *self, void *host, const void *device, uint64_t bytes)
{
    const cudaStream_t stream = of(self)->stream;
    const cudaError_t code = cudaMemcpyAsync(host, device, bytes, cudaMemcpyDeviceToHost, stream);
    return (int)(code == cudaSuccess ? cudaStreamSynchronize(stream) : code);
}

/* A kernel that went wrong while it ran is told by whatever call comes next, the launch of another
 * kernel too, and by every call from then on: which kernel it was is known only where each launch
 * waits for its end. */
static const char *cuda_explain(ie_backend *self, int code)
{
    cuda_backend *b = of(self);
    const cudaError_t error = (cudaError_t)code;
    const char *const failed = ie_cuda_failed_kernel();
    const char *const latest = failed ? failed : ie_cuda_last_kernel();
    if (latest && cudaStreamQuery(b->stream) == error) {
        snprintf(b->said, sizeof b->said,
                 "%s, %s; it was %s or a kernel before it (CUDA_LAUNCH_BLOCKING=1 says which)",
                 cudaGetErrorName(error), cudaGetErrorString(error), latest);
        return b->said;
    }
    snprintf(b->said, sizeof b->said, "%s%s%s, %s", failed ? failed : "", failed ? ": " : "",
             cudaGetErrorName(error), cudaGetErrorString(error));
    return b->said;
}

/* ---- work that repeats ----------------------------------------------------------------------- */

static work *find(cuda_backend *b, uint64_t key)
{
    work *w = b->works;
    while (w && w->key != key) w = w->next;
    return w;
}

static int cuda_begin(ie_backend *self, uint64_t key, bool *done)
{
    cuda_backend *b = of(self);
    const work *w = find(b, key);
    *done = false;
    if (!w) return 0;
    if (!w->graph) return (int)cudaStreamBeginCapture(b->stream, cudaStreamCaptureModeThreadLocal);
    *done = true;
    return (int)cudaGraphLaunch(w->graph, b->stream);
}

static int remember(cuda_backend *b, uint64_t key)
{
    work *w = ie_alloc(1, sizeof *w);
    if (!w) return (int)cudaErrorMemoryAllocation;
    *w = (work){.key = key, .next = b->works};
    b->works = w;
    return 0;
}

/* The capture is closed on every path. */
static int cuda_end(ie_backend *self, uint64_t key, bool failed)
{
    cuda_backend *b = of(self);
    work *w = find(b, key);
    if (!w) return failed ? 0 : remember(b, key);
    cudaGraph_t graph = NULL;
    cudaError_t code = cudaStreamEndCapture(b->stream, &graph);
    if (!failed && code == cudaSuccess) code = cudaGraphInstantiate(&w->graph, graph, 0);
    if (graph) (void)cudaGraphDestroy(graph);
    if (!failed && code == cudaSuccess) code = cudaGraphLaunch(w->graph, b->stream);
    if (code != cudaSuccess) (void)cudaGetLastError();
    return failed ? 0 : (int)code;
}

/* ---- the calling thread ---------------------------------------------------------------------- */

static int cuda_enter(ie_backend *self)
{
    cuda_backend *b = of(self);
    cudaError_t code = cudaGetDevice(&b->device_outside);
    if (code == cudaSuccess) code = cudaSetDevice(b->device);
    if (code != cudaSuccess) {
        (void)cudaGetLastError();
        return (int)code;
    }
    b->base.threads_outside = omp_get_max_threads();
    omp_set_num_threads(b->base.threads);
    return 0;
}

/* The work is done, well or not; a device that the thread cannot go back to fails in its caller's
 * next call. */
static void cuda_leave(ie_backend *self)
{
    const cuda_backend *b = of(self);
    omp_set_num_threads(b->base.threads_outside);
    (void)cudaSetDevice(b->device_outside);
}

static void cuda_close(ie_backend *self)
{
    cuda_backend *b = of(self);
    if (b->stream) (void)cudaStreamSynchronize(b->stream);
    while (b->works) {
        work *w = b->works;
        b->works = w->next;
        if (w->graph) (void)cudaGraphExecDestroy(w->graph);
        ie_free(w);
    }
    ie_cuda_staging_close(&b->staging);
    if (b->stream) (void)cudaStreamDestroy(b->stream);
    ie_free(b);
}

static const ie_backend_vtable cuda_vtable = {
    .alloc = cuda_alloc,
    .free = cuda_free,
    .available = cuda_available,
    .upload = cuda_upload,
    .download = cuda_download,
    .explain = cuda_explain,
    .begin = cuda_begin,
    .end = cuda_end,
    .enter = cuda_enter,
    .leave = cuda_leave,
    .close = cuda_close,
};

/* ---- opening --------------------------------------------------------------------------------- */

/* "cuda" is device 0, "cuda:N" device N; "auto" is the first one. */
static ie_status device_number(int *out, const char *device, ie_error *err)
{
    *out = 0;
    if (strncmp(device, "cuda:", 5) != 0) return IE_OK;
    const char *digits = device + 5;
    const size_t length = strlen(digits);
    if (length == 0 || length > 4 || strspn(digits, "0123456789") != length) {
        return ie_fail(err, IE_BAD_ARGUMENT, "device '%s': N of cuda:N is a number", device);
    }
    *out = (int)strtol(digits, NULL, 10);
    return IE_OK;
}

static ie_status refuse(const char *device, const char *what, cudaError_t code, ie_error *err)
{
    (void)cudaGetLastError();
    return ie_fail_native(err, IE_DEVICE, (int)code, "device '%s': %s (%s)", device, what,
                          cudaGetErrorString(code));
}

/* The device is current when this is called. */
static ie_status open_device(cuda_backend *b, const char *device, ie_error *err)
{
    struct cudaDeviceProp properties;
    cudaError_t code = cudaGetDeviceProperties(&properties, b->device);
    if (code != cudaSuccess) return refuse(device, "it does not say what it is", code, err);
    int arch = 0;
    code = (cudaError_t)ie_cuda_arch(&arch);
    if (code != cudaSuccess) return refuse(device, "it does not say what it is", code, err);
    if (arch < OLDEST_ARCH) {
        return ie_fail(err, IE_DEVICE, "device '%s': %s has compute capability %d.%d, needed is %d",
                       device, properties.name, arch / 10, arch % 10, OLDEST_ARCH / 10);
    }
    code = (cudaError_t)ie_cuda_probe();
    if (code != cudaSuccess) {
        return refuse(device, "it does not run the kernels of this build", code, err);
    }
    code = cudaStreamCreateWithFlags(&b->stream, cudaStreamNonBlocking);
    if (code != cudaSuccess) return refuse(device, "no stream", code, err);
    b->base.stream = (ie_stream *)b->stream;
    code = (cudaError_t)ie_cuda_staging_open(&b->staging);
    if (code != cudaSuccess) {
        (void)cudaGetLastError();
        return ie_fail_native(
            err, code == cudaErrorMemoryAllocation ? IE_NO_MEMORY : IE_DEVICE, (int)code,
            "device '%s': %.1f MiB of page-locked host memory are needed (%s)", device,
            (double)(2 * IE_CUDA_STAGING_BYTES) / 1048576.0, cudaGetErrorString(code));
    }
    snprintf(b->base.text, sizeof b->base.text, "cuda:%d, %.80s, sm_%d, bf16", b->device,
             properties.name, arch);
    return IE_OK;
}

static ie_status open_current(ie_backend **out, const char *device, int number, int threads,
                              ie_error *err)
{
    cuda_backend *b = ie_alloc(1, sizeof *b);
    if (!b) return ie_fail(err, IE_NO_MEMORY, "no memory for the backend");
    b->device = number;
    b->base.vtable = &cuda_vtable;
    b->base.ops = ie_cuda_ops();
    b->base.act = IE_BF16;
    b->base.no_memory = cudaErrorMemoryAllocation;
    b->base.threads = threads ? threads : omp_get_num_procs();
    const ie_status status = open_device(b, device, err);
    if (status) {
        cuda_close(&b->base);
        return status;
    }
    *out = &b->base;
    return IE_OK;
}

ie_status ie_backend_open_cuda(ie_backend **out, const char *device, ie_precision precision,
                               int threads, ie_error *err)
{
    *out = NULL;
    int number = 0, count = 0, outside = 0;
    IE_TRY(device_number(&number, device, err));
    cudaError_t code = cudaGetDeviceCount(&count);
    if (code != cudaSuccess) return refuse(device, "no CUDA device", code, err);
    if (number >= count) {
        return ie_fail(err, IE_DEVICE, "device '%s': this machine has %d CUDA device%s", device,
                       count, count == 1 ? "" : "s");
    }
    if (precision != IE_PRECISION_BF16) {
        return ie_fail(err, IE_BAD_ARGUMENT, "device '%s' computes in bf16 alone: ask for it",
                       device);
    }
    code = cudaGetDevice(&outside);
    if (code == cudaSuccess) code = cudaSetDevice(number);
    if (code != cudaSuccess) return refuse(device, "it cannot be used", code, err);
    const ie_status status = open_current(out, device, number, threads, err);
    (void)cudaSetDevice(outside); /* as in cuda_leave */
    return status;
}
