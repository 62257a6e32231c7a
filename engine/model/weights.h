/* weights.h - safetensors files as named, checked tensor views.
 *
 * One file, or an index (model.safetensors.index.json, Hugging Face's form) and its shards. Files
 * are mapped read-only; a view stays valid until ie_weights_close. Everything the header says is
 * checked before any view exists: its length, its JSON, known types, shape times type equal to the
 * byte range, ranges in bounds, no overlap, no hole, no trailing bytes, no duplicate name (within a
 * file or between shards), at most 4 dimensions. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_MODEL_WEIGHTS_H
#define IE_MODEL_WEIGHTS_H

#include "error.h"
#include "tensor.h"

typedef struct ie_weights ie_weights;

/* Open `directory`: model.safetensors, or model.safetensors.index.json with its shards (an index
 * wins only when there is no single file; both present is refused). Missing or unreadable:
 * IE_BAD_MODEL naming the file. */
ie_status ie_weights_open(ie_weights **out, const char *directory, ie_error *err);
void ie_weights_close(ie_weights **w);

/* From memory, for the fuzzer and for tests: `bytes` is a whole file. Views point into it. */
ie_status ie_weights_open_memory(ie_weights **out, const void *bytes, uint64_t size,
                                 const char *name, ie_error *err);

/* The tensor `name` with exactly this shape, else IE_BAD_MODEL naming the tensor, the shape it has
 * and the shape it should have. Types F32, F16 and BF16 only. Marks the tensor as used. */
ie_status ie_weights_get(ie_weights *w, ie_tensor *out, const char *name, int rank,
                         const int64_t *dim, ie_error *err);
bool ie_weights_has(const ie_weights *w, const char *name);

/* A tensor nobody asked for, or NULL: a model must use all of its weights. */
const char *ie_weights_unused(const ie_weights *w);

/* Tell the kernel that the bytes of this view will not be read again (its pages may be dropped). */
void ie_weights_forget(const ie_weights *w, ie_tensor view);

/* Of all its files. */
uint64_t ie_weights_file_bytes(const ie_weights *w);

/* Who is told, after every layer, how many bytes of packed weights are there; a failure ends the
 * loading. `layer` NULL: nobody. */
typedef struct ie_load_watch {
    ie_status (*layer)(void *user, uint64_t bytes, ie_error *err);
    void *user;
} ie_load_watch;

uint64_t ie_weights_count(const ie_weights *w);
/* The i-th tensor in order of name: name and view (for inspection and hashing). */
const char *ie_weights_at(const ie_weights *w, uint64_t i, ie_tensor *out);

#endif
