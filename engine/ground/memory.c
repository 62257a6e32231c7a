/* memory.c - the host allocator with its failure switch, and the arena. SPDX-License-Identifier: Apache-2.0 */
#include "memory.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { ALIGNMENT = 64 };

/* The two counters are the library's only process-wide state; they exist for the allocation-failure sweep. */
static atomic_llong allowed_allocations = -1;
static atomic_llong live_allocations;

void ie_alloc_fail_after(int64_t allowed)
{
    atomic_store(&allowed_allocations, allowed);
}

int64_t ie_alloc_live(void)
{
    return atomic_load(&live_allocations);
}

/* True once, when the count of allowed allocations has run out. */
static bool must_fail(void)
{
    if (atomic_load(&allowed_allocations) < 0) return false;
    return atomic_fetch_sub(&allowed_allocations, 1) == 0;
}

void *ie_alloc(uint64_t count, uint64_t size)
{
    uint64_t bytes, padded;
    if (!ie_mul(&bytes, count, size) || bytes == 0 || !ie_add(&padded, bytes, ALIGNMENT - 1)) return NULL;
    if (must_fail()) return NULL;
    padded &= ~(uint64_t)(ALIGNMENT - 1);
    void *p = aligned_alloc(ALIGNMENT, padded);
    if (!p) return NULL;
    memset(p, 0, padded);
    atomic_fetch_add(&live_allocations, 1);
    return p;
}

void ie_free(void *p)
{
    if (!p) return;
    atomic_fetch_sub(&live_allocations, 1);
    free(p);
}

char *ie_strdup(const char *text)
{
    const size_t bytes = strlen(text) + 1;
    char *copy = ie_alloc(bytes, 1);
    if (copy) memcpy(copy, text, bytes);
    return copy;
}

ie_status ie_arena_bytes(ie_arena *a, void **out, uint64_t bytes, ie_error *err)
{
    *out = NULL;
    uint64_t padded, end;
    if (!ie_add(&padded, bytes, ALIGNMENT - 1) ||
        !ie_add(&end, a->used, padded & ~(uint64_t)(ALIGNMENT - 1))) {
        return ie_fail(err, IE_NO_MEMORY, "a buffer of %llu bytes is too large", (unsigned long long)bytes);
    }
    if (a->base && end > a->size) {
        return ie_fail(err, IE_NO_MEMORY, "the workspace of %llu bytes is %llu bytes too small",
                       (unsigned long long)a->size, (unsigned long long)(end - a->size));
    }
    if (a->base) *out = a->base + a->used;
    a->used = end;
    if (a->used > a->peak) a->peak = a->used;
    return IE_OK;
}

ie_status ie_arena_tensor(ie_arena *a, ie_tensor *out, ie_dtype dtype, int rank, const int64_t *dim, ie_error *err)
{
    *out = (ie_tensor){0};
    uint64_t bytes = (uint64_t)ie_dtype_size(dtype);
    for (int i = 0; i < rank; i++) {
        if (dim[i] < 0 || !ie_mul(&bytes, bytes, (uint64_t)dim[i])) {
            return ie_fail(err, IE_NO_MEMORY, "a tensor's size overflows");
        }
    }
    void *data;
    IE_TRY(ie_arena_bytes(a, &data, bytes, err));
    *out = ie_view(data, dtype, rank, dim);
    return IE_OK;
}
