/* memory.c - the host allocator with its failure switch, and the arena.
 * SPDX-License-Identifier: Apache-2.0 */
#include "memory.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ALIGNMENT = 64 };

/* The two counters are the library's only process-wide state; they exist for the allocation-failure
 * sweep. */
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
    if (!ie_mul(&bytes, count, size) || bytes == 0 || !ie_add(&padded, bytes, ALIGNMENT - 1))
        return NULL;
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

void ie_bytes_text(char out[IE_BYTES_TEXT], uint64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB"};
    double value = (double)bytes / 1024;
    int unit = 0;
    for (; value >= 1024 && unit < 2; unit++) value /= 1024;
    (void)snprintf(out, IE_BYTES_TEXT, "%.1f %s", value, units[unit]);
}

void *ie_pages_alloc(uint64_t bytes)
{
    if (bytes == 0 || must_fail()) return NULL;
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED) return NULL;
    (void)madvise(p, bytes, MADV_HUGEPAGE); /* fewer misses where it is granted; correct without */
    atomic_fetch_add(&live_allocations, 1);
    return p;
}

void ie_pages_free(void *p, uint64_t bytes)
{
    if (!p) return;
    atomic_fetch_sub(&live_allocations, 1);
    munmap(p, bytes);
}

uint64_t ie_resident_bytes(void)
{
    char line[128] = "", *at = line; /* pages: all, resident, of these from files, ... */
    FILE *f = fopen("/proc/self/statm", "r");
    if (!f) return 0;
    const bool read = fgets(line, sizeof line, f) != NULL;
    fclose(f);
    (void)strtoull(at, &at, 10);
    const uint64_t resident = strtoull(at, &at, 10), files = strtoull(at, &at, 10);
    const long page = sysconf(_SC_PAGESIZE);
    return read && resident > files && page > 0 ? (resident - files) * (uint64_t)page : 0;
}

void ie_arena_measure(ie_arena *a)
{
    /* Any aligned address will do, since nobody reads it; this one faults if somebody does. */
    *a = (ie_arena){.base = (char *)4096, .size = UINT64_MAX / 2, .measuring = true};
}

void ie_arena_over(ie_arena *a, void *memory, uint64_t size)
{
    *a = (ie_arena){.base = memory, .size = size};
}

ie_status ie_arena_take(ie_arena *a, void **out, uint64_t bytes, ie_error *err)
{
    *out = NULL;
    if (a->pieces == IE_ARENA_PIECES) {
        return ie_fail(err, IE_NO_MEMORY, "more than %d live tensors in the workspace",
                       IE_ARENA_PIECES);
    }
    if (bytes > a->size) {
        return ie_fail(err, IE_NO_MEMORY,
                       "a buffer of %llu bytes is larger than the workspace of %llu",
                       (unsigned long long)bytes, (unsigned long long)a->size);
    }
    const uint64_t need = bytes ? (bytes + ALIGNMENT - 1) & ~(uint64_t)(ALIGNMENT - 1) : ALIGNMENT;
    uint64_t begin = 0;
    int at = 0;
    while (at < a->pieces && a->piece[at].begin - begin < need) begin = a->piece[at++].end;
    if (begin + need > a->size) {
        return ie_fail(err, IE_NO_MEMORY, "the workspace of %llu bytes is %llu bytes too small",
                       (unsigned long long)a->size, (unsigned long long)(begin + need - a->size));
    }
    memmove(&a->piece[at + 1], &a->piece[at], (size_t)(a->pieces - at) * sizeof a->piece[0]);
    a->piece[at].begin = begin;
    a->piece[at].end = begin + need;
    a->pieces++;
    if (begin + need > a->peak) a->peak = begin + need;
    *out = a->base + begin;
    return IE_OK;
}

ie_status ie_arena_tensor(ie_arena *a, ie_tensor *out, ie_dtype dtype, int rank, const int64_t *dim,
                          ie_error *err)
{
    *out = (ie_tensor){0};
    uint64_t bytes = (uint64_t)ie_dtype_size(dtype);
    for (int i = 0; i < rank; i++) {
        if (dim[i] < 0 || !ie_mul(&bytes, bytes, (uint64_t)dim[i])) {
            return ie_fail(err, IE_NO_MEMORY, "a tensor's size overflows");
        }
    }
    void *data;
    IE_TRY(ie_arena_take(a, &data, bytes, err));
    *out = ie_view(data, dtype, rank, dim);
    return IE_OK;
}

void ie_arena_give(ie_arena *a, void *data)
{
    if (!data) return;
    const uint64_t begin = (uint64_t)((char *)data - a->base);
    for (int i = 0; i < a->pieces; i++) {
        if (a->piece[i].begin != begin) continue;
        a->pieces--;
        memmove(&a->piece[i], &a->piece[i + 1], (size_t)(a->pieces - i) * sizeof a->piece[0]);
        return;
    }
    assert(false && "given back twice, or not from this arena");
}
