/* backend.c - from the name of a device to a backend, and the memory and copies all of them share.
 * SPDX-License-Identifier: Apache-2.0 */
#include "backend.h"

#include <string.h>

static ie_status open_cuda(ie_backend **out, const char *device, ie_precision precision,
                           int threads, ie_error *err)
{
#ifdef IE_HAVE_CUDA
    return ie_backend_open_cuda(out, device, precision, threads, err);
#else
    (void)out, (void)precision, (void)threads;
    return ie_fail(err, IE_DEVICE, "device '%s': this build has no CUDA backend; use cpu", device);
#endif
}

/* The precision in which a device of this kind works when none is asked for. */
static ie_precision made_for(ie_precision asked, ie_precision own)
{
    return asked == IE_PRECISION_AUTO ? own : asked;
}

/* The GPU, when this build and this machine have one that works and the precision is its own; else
 * the host. ie_backend.text says which. */
static ie_status open_auto(ie_backend **out, ie_precision precision, int threads, ie_error *err)
{
    if (precision != IE_PRECISION_F32) {
        const ie_status status = open_cuda(out, "auto", IE_PRECISION_BF16, threads, NULL);
        if (status != IE_DEVICE) return status;
    }
    precision = made_for(precision, IE_PRECISION_F32);
    return ie_backend_open_host(out, "auto", precision, threads, err);
}

ie_status ie_backend_open(ie_backend **out, const char *device, ie_precision precision, int threads,
                          ie_error *err)
{
    *out = NULL;
    if (threads < 0 || threads > 1024) {
        return ie_fail(err, IE_BAD_ARGUMENT, "threads %d is outside 0 .. 1024", threads);
    }
    if (precision != IE_PRECISION_F32 && precision != IE_PRECISION_BF16 &&
        precision != IE_PRECISION_AUTO) {
        return ie_fail(err, IE_BAD_ARGUMENT, "precision %d is none of f32, bf16, auto",
                       (int)precision);
    }
    const ie_precision on_gpu = made_for(precision, IE_PRECISION_BF16);
    const ie_precision on_host = made_for(precision, IE_PRECISION_F32);
    if (!strcmp(device, "plan")) return ie_backend_open_plan(out, NULL, on_host, err);
    const ie_device_model *model =
        strncmp(device, "cuda:", 5) ? NULL : ie_device_model_find(device + 5);
    if (model && on_gpu != IE_PRECISION_BF16) {
        return ie_fail(err, IE_BAD_ARGUMENT, "device '%s' is described for bf16 alone", device);
    }
    if (model) return ie_backend_open_plan(out, model, on_gpu, err);
    if (!strcmp(device, "cuda") || !strncmp(device, "cuda:", 5)) {
        return open_cuda(out, device, on_gpu, threads, err);
    }
    if (!strcmp(device, "auto")) return open_auto(out, precision, threads, err);
    if (!strcmp(device, "cpu") || !strcmp(device, "ref")) {
        return ie_backend_open_host(out, device, on_host, threads, err);
    }
    return ie_fail(err, IE_BAD_ARGUMENT,
                   "device '%s' is none of auto, cpu, ref, cuda, cuda:N, cuda:h200, plan", device);
}

void ie_backend_close(ie_backend **backend)
{
    if (!backend || !*backend) return;
    (*backend)->vtable->close(*backend);
    *backend = NULL;
}

ie_status ie_block_alloc(ie_block *out, ie_backend *backend, uint64_t bytes, const char *what,
                         ie_error *err)
{
    *out = (ie_block){.backend = backend, .bytes = bytes};
    if (backend->plan || bytes == 0) return IE_OK;
    const int code = backend->vtable->alloc(backend, &out->data, bytes);
    if (!code) return IE_OK;
    *out = (ie_block){0};
    if (code != backend->no_memory) return ie_backend_failed(backend, "getting memory", code, err);
    char need[IE_BYTES_TEXT], left[IE_BYTES_TEXT];
    const uint64_t available = backend->vtable->available ? backend->vtable->available(backend) : 0;
    ie_bytes_text(need, bytes);
    ie_bytes_text(left, available);
    if (available == 0) {
        return ie_fail(err, IE_NO_MEMORY, "not enough memory for the %s: %s on %s", what, need,
                       backend->text);
    }
    return ie_fail(err, IE_NO_MEMORY, "not enough memory for the %s: %s on %s, where %s are free",
                   what, need, backend->text, left);
}

void ie_block_free(ie_block *block)
{
    if (block->data) block->backend->vtable->free(block->backend, block->data, block->bytes);
    *block = (ie_block){0};
}

ie_status ie_upload(ie_backend *backend, ie_tensor to, const void *from, ie_error *err)
{
    assert(ie_contiguous(to));
    if (backend->plan) return IE_OK;
    const int code = backend->vtable->upload(backend, to.data, from, (uint64_t)ie_bytes(to));
    return code ? ie_backend_failed(backend, "copying to the device", code, err) : IE_OK;
}

static int upload(void *self, void *device, const void *host, uint64_t bytes)
{
    ie_backend *backend = self;
    return backend->vtable->upload(backend, device, host, bytes);
}

ie_uploader ie_backend_uploader(ie_backend *backend)
{
    return (ie_uploader){.copy = upload, .self = backend};
}

ie_status ie_download(ie_backend *backend, void *to, ie_tensor from, ie_error *err)
{
    assert(ie_contiguous(from));
    if (backend->plan) return IE_OK;
    const int code = backend->vtable->download(backend, to, from.data, (uint64_t)ie_bytes(from));
    return code ? ie_backend_failed(backend, "copying from the device", code, err) : IE_OK;
}

ie_status ie_backend_enter(ie_backend *backend, ie_error *err)
{
    const int code = backend->vtable->enter(backend);
    return code ? ie_backend_failed(backend, "taking the device", code, err) : IE_OK;
}

void ie_backend_leave(ie_backend *backend)
{
    backend->vtable->leave(backend);
}

ie_status ie_work_begin(ie_backend *backend, uint64_t key, bool *done, ie_error *err)
{
    *done = false;
    if (!backend->vtable->begin) return IE_OK;
    const int code = backend->vtable->begin(backend, key, done);
    return code ? ie_backend_failed(backend, "replaying a pass", code, err) : IE_OK;
}

ie_status ie_work_end(ie_backend *backend, uint64_t key, ie_status status, ie_error *err)
{
    if (!backend->vtable->end) return status;
    const int code = backend->vtable->end(backend, key, status != IE_OK);
    if (status) return status;
    return code ? ie_backend_failed(backend, "recording a pass", code, err) : IE_OK;
}

ie_status ie_backend_failed(ie_backend *backend, const char *what, int code, ie_error *err)
{
    const ie_status status = code == backend->no_memory ? IE_NO_MEMORY : IE_DEVICE;
    if (backend->vtable->explain) {
        return ie_fail_native(err, status, code, "%s failed on %s: %s", what, backend->text,
                              backend->vtable->explain(backend, code));
    }
    return ie_fail_native(err, status, code, "%s failed on %s with code %d", what, backend->text,
                          code);
}
