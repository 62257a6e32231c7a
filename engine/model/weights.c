/* weights.c - opening a set of weights and looking tensors up by name. What one file says is
 * checked in safetensors.c, an index and its shards are read in weights_index.c.
 * SPDX-License-Identifier: Apache-2.0 */
#include "weights.h"

#include "memory.h"
#include "weights_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* ---- opening --------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const ie_entry *)a)->name, ((const ie_entry *)b)->name);
}

ie_status ie_weights_sort(ie_weights *w, ie_error *err)
{
    if (w->count > 1) qsort(w->entries, w->count, sizeof *w->entries, by_name);
    for (uint64_t i = 1; i < w->count; i++) {
        char shown[IE_SHOWN_NAME];
        if (strcmp(w->entries[i - 1].name, w->entries[i].name) != 0) continue;
        return ie_fail(err, IE_BAD_MODEL, "tensor %s is in %s and in %s",
                       ie_printable(shown, sizeof shown, w->entries[i].name),
                       w->shards[w->entries[i - 1].shard].name,
                       w->shards[w->entries[i].shard].name);
    }
    return IE_OK;
}

static ie_status open_directory(ie_weights *w, const char *directory, ie_error *err)
{
    ie_status status = IE_OK;
    char *single = ie_path_join(directory, "model.safetensors");
    char *index = ie_path_join(directory, "model.safetensors.index.json");
    if (!single || !index) {
        status = ie_fail(err, IE_NO_MEMORY, "no memory to open %s", directory);
        goto done;
    }
    const bool sharded = ie_file_exists(index);
    if (sharded && ie_file_exists(single)) {
        status = ie_fail(err, IE_BAD_MODEL,
                         "%s has model.safetensors and model.safetensors.index.json: remove one",
                         directory);
        goto done;
    }
    w->name = ie_strdup(sharded ? index : single);
    if (!w->name) {
        status = ie_fail(err, IE_NO_MEMORY, "no memory to open %s", directory);
    } else if (sharded) {
        status = ie_weights_open_index(w, directory, index, err);
    } else {
        status = ie_weights_add_file(w, single, err);
    }

done:
    ie_free(index);
    ie_free(single);
    return status;
}

ie_status ie_weights_open(ie_weights **out, const char *directory, ie_error *err)
{
    *out = NULL;
    ie_weights *w = ie_alloc(1, sizeof *w);
    if (!w) return ie_fail(err, IE_NO_MEMORY, "no memory to open %s", directory);
    ie_status status = open_directory(w, directory, err);
    if (status == IE_OK) status = ie_weights_sort(w, err);
    if (status == IE_OK) {
        *out = w;
    } else {
        ie_weights_close(&w);
    }
    return status;
}

ie_status ie_weights_open_memory(ie_weights **out, const void *bytes, uint64_t size,
                                 const char *name, ie_error *err)
{
    *out = NULL;
    if ((uintptr_t)bytes % 8) {
        return ie_fail(err, IE_BAD_ARGUMENT, "%s: the memory must be aligned to 8 bytes", name);
    }
    ie_weights *w = ie_alloc(1, sizeof *w);
    if (!w) return ie_fail(err, IE_NO_MEMORY, "no memory to open %s", name);
    w->name = ie_strdup(name);
    ie_status status = w->name ? ie_weights_add_memory(w, bytes, size, name, err)
                               : ie_fail(err, IE_NO_MEMORY, "no memory to open %s", name);
    if (status == IE_OK) status = ie_weights_sort(w, err);
    if (status == IE_OK) {
        *out = w;
    } else {
        ie_weights_close(&w);
    }
    return status;
}

void ie_weights_close(ie_weights **w)
{
    if (!w || !*w) return;
    for (uint64_t i = 0; i < (*w)->count; i++) ie_free((*w)->entries[i].name);
    for (int i = 0; i < (*w)->shard_count; i++) {
        ie_file_close(&(*w)->shards[i].file);
        ie_free((*w)->shards[i].name);
    }
    ie_free((*w)->entries);
    ie_free((*w)->shards);
    ie_free((*w)->name);
    ie_free(*w);
    *w = NULL;
}

/* ---- looking up ------------------------------------------------------------------------------ */

static ie_entry *find(const ie_weights *w, const char *name)
{
    uint64_t low = 0, high = w->count;
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        const int order = strcmp(name, w->entries[middle].name);
        if (order == 0) return &w->entries[middle];
        if (order < 0) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return NULL;
}

bool ie_weights_has(const ie_weights *w, const char *name)
{
    return find(w, name) != NULL;
}

/* "[512, 4, 3, 3]" */
static const char *shape_text(char *out, size_t size, int rank, const int64_t *dim)
{
    size_t used = (size_t)snprintf(out, size, "[");
    for (int i = 0; i < rank && used < size; i++) {
        used +=
            (size_t)snprintf(out + used, size - used, "%s%lld", i ? ", " : "", (long long)dim[i]);
    }
    if (used < size) snprintf(out + used, size - used, "]");
    return out;
}

ie_status ie_weights_get(ie_weights *w, ie_tensor *out, const char *name, int rank,
                         const int64_t *dim, ie_error *err)
{
    char has[96], wanted[96];
    *out = (ie_tensor){0};
    ie_entry *e = find(w, name);
    shape_text(wanted, sizeof wanted, rank, dim);
    if (!e) {
        return ie_fail(err, IE_BAD_MODEL, "%s: tensor %s %s is missing", w->name, name, wanted);
    }
    const char *file = w->shards[e->shard].name;
    bool same = e->rank == rank;
    for (int i = 0; same && i < rank; i++) same = e->dim[i] == dim[i];
    if (!same) {
        return ie_fail(err, IE_BAD_MODEL, "%s: tensor %s has shape %s, but must have %s", file,
                       name, shape_text(has, sizeof has, e->rank, e->dim), wanted);
    }
    if (e->dtype != IE_F32 && e->dtype != IE_F16 && e->dtype != IE_BF16) {
        return ie_fail(err, IE_BAD_MODEL,
                       "%s: tensor %s has type %s, but must have F32, F16 or BF16", file, name,
                       e->dtype_text);
    }
    e->used = true;
    *out = ie_view((void *)e->data, e->dtype, rank, dim);
    return IE_OK;
}

const char *ie_weights_unused(const ie_weights *w)
{
    for (uint64_t i = 0; i < w->count; i++) {
        if (!w->entries[i].used) return w->entries[i].name;
    }
    return NULL;
}

uint64_t ie_weights_file_bytes(const ie_weights *w)
{
    uint64_t bytes = 0;
    for (int i = 0; i < w->shard_count; i++) bytes += w->shards[i].file.size;
    return bytes;
}

uint64_t ie_weights_count(const ie_weights *w)
{
    return w->count;
}

const char *ie_weights_at(const ie_weights *w, uint64_t i, ie_tensor *out)
{
    const ie_entry *e = &w->entries[i];
    *out = (ie_tensor){0};
    if (e->rank > 0 && e->dtype != IE_DTYPE_COUNT) {
        *out = ie_view((void *)e->data, e->dtype, e->rank, e->dim);
    }
    return e->name;
}

/* ---- giving pages back ----------------------------------------------------------------------- */

void ie_weights_forget(const ie_weights *w, ie_tensor view)
{
    /* Whole pages inside the view: what shares a page with a neighbour stays. */
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), bytes = (uintptr_t)ie_bytes(view);
    const uintptr_t skip = (page - (uintptr_t)view.data % page) % page;
    if (bytes < skip + page) return;
    char *begin = (char *)view.data + skip;
    const uintptr_t size = (bytes - skip) / page * page;
    for (int i = 0; i < w->shard_count; i++) {
        const ie_file *f = &w->shards[i].file;
        const uintptr_t data = (uintptr_t)f->data, first = (uintptr_t)begin;
        const bool ours = f->data && first >= data && first - data + size <= f->size;
        if (ours) madvise(begin, size, MADV_DONTNEED);
    }
}
