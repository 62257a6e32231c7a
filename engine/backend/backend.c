/* backend.c - from the name of a device to a backend, and the memory and copies all of them share.
 * SPDX-License-Identifier: Apache-2.0 */
#include "backend.h"

#include <string.h>

ie_status ie_backend_open(ie_backend **out, const char *device, ie_precision precision, int threads,
                          ie_error *err)
{
    *out = NULL;
    if (threads < 0 || threads > 1024) {
        return ie_fail(err, IE_BAD_ARGUMENT, "threads %d is outside 0 .. 1024", threads);
    }
    if (precision != IE_PRECISION_F32 && precision != IE_PRECISION_BF16) {
        return ie_fail(err, IE_BAD_ARGUMENT, "precision %d is neither f32 nor bf16",
                       (int)precision);
    }
    if (!strcmp(device, "plan")) return ie_backend_open_plan(out, NULL, precision, err);
    const ie_device_model *model =
        strncmp(device, "cuda:", 5) ? NULL : ie_device_model_find(device + 5);
    if (model && precision != IE_PRECISION_BF16) {
        return ie_fail(err, IE_BAD_ARGUMENT, "device '%s' is described for bf16 alone", device);
    }
    if (model) return ie_backend_open_plan(out, model, precision, err);
    if (!strcmp(device, "cuda") || !strncmp(device, "cuda:", 5)) {
        return ie_fail(err, IE_DEVICE, "device '%s': this build has no CUDA backend; use cpu",
                       device);
    }
    if (!strcmp(device, "auto") || !strcmp(device, "cpu") || !strcmp(device, "ref")) {
        return ie_backend_open_host(out, device, precision, threads, err);
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
    out->data = backend->vtable->alloc(backend, bytes);
    if (out->data) return IE_OK;
    *out = (ie_block){0};
    return ie_fail(err, IE_NO_MEMORY, "not enough memory for the %s: %.1f MiB on %s", what,
                   (double)bytes / 1048576.0, backend->text);
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
    if (code)
        return ie_fail_native(err, IE_DEVICE, code, "copying to %s failed (%d)", backend->text,
                              code);
    return IE_OK;
}

ie_status ie_download(ie_backend *backend, void *to, ie_tensor from, ie_error *err)
{
    assert(ie_contiguous(from));
    if (backend->plan) return IE_OK;
    const int code = backend->vtable->download(backend, to, from.data, (uint64_t)ie_bytes(from));
    if (code)
        return ie_fail_native(err, IE_DEVICE, code, "copying from %s failed (%d)", backend->text,
                              code);
    return IE_OK;
}
