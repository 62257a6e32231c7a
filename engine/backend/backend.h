/* backend.h - resources of a device: memory, copies, order. The mathematics is its table of
 * operations (kernels/ops.h).
 *
 * `ref` and `cpu` (backend_host.c), `cuda` (backend_cuda.c, in builds that have it), and `plan`
 * (backend_plan.c), which has no data at all: it counts. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_BACKEND_H
#define IE_BACKEND_H

#include "device_model.h"
#include "error.h"
#include "memory.h"
#include "ops.h"

typedef struct ie_backend ie_backend;

typedef struct ie_backend_vtable {
    /* Device memory, zeroed, 64-byte aligned, or NULL. `bytes` > 0. 0 or a native code. */
    int (*alloc)(ie_backend *self, void **memory, uint64_t bytes);
    void (*free)(ie_backend *self, void *memory, uint64_t bytes); /* NULL is fine */
    /* Optional: bytes that `alloc` may still find, 0 when nobody knows; what a native code means,
     * in words that hold until the next call. */
    uint64_t (*available)(ie_backend *self);
    const char *(*explain)(ie_backend *self, int code);
    /* Copies in the stream's order; the host memory may be reused when they return. 0 or a native
     * code. */
    int (*upload)(ie_backend *self, void *device, const void *host, uint64_t bytes);
    int (*download)(ie_backend *self, void *host, const void *device, uint64_t bytes);
    /* Optional, both or neither: around work that is the same whenever it has this key: the same
     * operations on the same memory, and no copies from or to the host. After *done the work is on
     * its way, and neither it nor `end` is left to do; otherwise the caller does it, and ends it
     * whether it failed or not. */
    int (*begin)(ie_backend *self, uint64_t key, bool *done);
    int (*end)(ie_backend *self, uint64_t key, bool failed);
    /* Around every piece of work: the calling thread becomes the device's (its number of threads,
     * its device), and goes back to what it was. `enter` returns 0 or a native code, after which
     * there is nothing to leave. */
    int (*enter)(ie_backend *self);
    void (*leave)(ie_backend *self);
    void (*close)(ie_backend *self);
} ie_backend_vtable;

struct ie_backend {
    const ie_backend_vtable *vtable;
    const ie_ops *ops;
    ie_stream *stream;
    ie_dtype act; /* of activations and packed weights: f32 or bf16 */
    bool plan;    /* nothing is computed: every arena measures */
    /* what a planning backend predicts for; NULL: nothing is predicted */
    const ie_device_model *model;
    int no_memory;       /* the native code that means so */
    int threads;         /* of the host, while this backend works */
    int threads_outside; /* the caller's number, between enter and leave */
    char text[128];      /* what runs it, in words */
};

/* device: "auto", "ref", "cpu", "plan", "cuda[:N]", or "cuda:NAME" of a described device, which
 * plans and predicts. IE_DEVICE when this build or this machine has none such, IE_BAD_ARGUMENT for
 * another word. threads 0: as many as the process may use. */
ie_status ie_backend_open(ie_backend **out, const char *device, ie_precision precision, int threads,
                          ie_error *err);
void ie_backend_close(ie_backend **backend);

/* One block of device memory, owned. */
typedef struct ie_block {
    ie_backend *backend;
    void *data;
    uint64_t bytes;
} ie_block;

/* bytes 0, or a planning backend: an empty block. `what` stands in the message of a failure. */
ie_status ie_block_alloc(ie_block *out, ie_backend *backend, uint64_t bytes, const char *what,
                         ie_error *err);
void ie_block_free(ie_block *block);

/* Host bytes to a contiguous device tensor and back; nothing on a planning backend. */
ie_status ie_upload(ie_backend *backend, ie_tensor to, const void *from, ie_error *err);
ie_status ie_download(ie_backend *backend, void *to, ie_tensor from, ie_error *err);

/* The same for weights that a kernel packs: ie_ops.conv_prepare. */
ie_uploader ie_backend_uploader(ie_backend *backend);

/* As `enter` and `leave` above. */
ie_status ie_backend_enter(ie_backend *backend, ie_error *err);
void ie_backend_leave(ie_backend *backend);

/* Work of a key, as `begin` and `end` above; on a device without them *done is false. ie_work_end
 * returns `status` when that is a failure. */
ie_status ie_work_begin(ie_backend *backend, uint64_t key, bool *done, ie_error *err);
ie_status ie_work_end(ie_backend *backend, uint64_t key, ie_status status, ie_error *err);

/* `what` failed with a device's code: its status, and its sentence. */
ie_status ie_backend_failed(ie_backend *backend, const char *what, int code, ie_error *err);

/* Constructors, one per file. */
ie_status ie_backend_open_host(ie_backend **out, const char *device, ie_precision precision,
                               int threads, ie_error *err);
ie_status ie_backend_open_cuda(ie_backend **out, const char *device, ie_precision precision,
                               int threads, ie_error *err);
/* model NULL: nothing is predicted. */
ie_status ie_backend_open_plan(ie_backend **out, const ie_device_model *model,
                               ie_precision precision, ie_error *err);

#endif
