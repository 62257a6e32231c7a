/* backend_host.c - the two backends whose device is the host: `ref` to be trusted, `cpu` to be
 * fast. SPDX-License-Identifier: Apache-2.0 */
#include "backend.h"

#include <errno.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

static int host_alloc(ie_backend *self, void **memory, uint64_t bytes)
{
    *memory = ie_pages_alloc(bytes);
    return *memory ? 0 : self->no_memory;
}

static void host_free(ie_backend *self, void *memory, uint64_t bytes)
{
    (void)self;
    ie_pages_free(memory, bytes);
}

static int host_upload(ie_backend *self, void *device, const void *host, uint64_t bytes)
{
    (void)self;
    memcpy(device, host, bytes);
    return 0;
}

static int host_download(ie_backend *self, void *host, const void *device, uint64_t bytes)
{
    (void)self;
    memcpy(host, device, bytes);
    return 0;
}

static int host_enter(ie_backend *self)
{
    self->threads_outside = omp_get_max_threads();
    omp_set_num_threads(self->threads);
    return 0;
}

static void host_leave(ie_backend *self)
{
    omp_set_num_threads(self->threads_outside);
}

static void host_close(ie_backend *self)
{
    ie_free(self);
}

static const ie_backend_vtable host_vtable = {
    .alloc = host_alloc,
    .free = host_free,
    .upload = host_upload,
    .download = host_download,
    .enter = host_enter,
    .leave = host_leave,
    .close = host_close,
};

ie_status ie_backend_open_host(ie_backend **out, const char *device, ie_precision precision,
                               int threads, ie_error *err)
{
    *out = NULL;
    const bool ref = !strcmp(device, "ref");
#ifndef IE_HAVE_ONEDNN
    if (!ref) {
        return ie_fail(
            err, IE_DEVICE,
            "device '%s': this build has no oneDNN; use ref, or build with -DIE_ONEDNN=ON", device);
    }
#endif
    ie_backend *b = ie_alloc(1, sizeof *b);
    if (!b) return ie_fail(err, IE_NO_MEMORY, "no memory for the backend");
    b->vtable = &host_vtable;
    b->ops = ie_ref_ops();
#ifdef IE_HAVE_ONEDNN
    if (!ref) b->ops = ie_cpu_ops();
#endif
    b->act = precision == IE_PRECISION_BF16 ? IE_BF16 : IE_F32;
    b->no_memory = ENOMEM;
    b->threads = threads ? threads : omp_get_num_procs();
    snprintf(b->text, sizeof b->text, "%s, %d thread%s, %s", b->ops->name, b->threads,
             b->threads > 1 ? "s" : "", b->act == IE_BF16 ? "bf16" : "f32");
    *out = b;
    return IE_OK;
}
