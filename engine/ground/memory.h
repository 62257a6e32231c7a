/* memory.h - host allocation through one door, checked arithmetic on sizes, and the bump arena.
 *
 * Every host allocation of the library goes through ie_alloc and ie_free, so a test can make the n-th one fail and count
 * what was not given back. Sizes that come from files are multiplied with ie_mul. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_GROUND_MEMORY_H
#define IE_GROUND_MEMORY_H

#include "error.h"
#include "tensor.h"

/* Zeroed memory for count * size bytes, 64-byte aligned; NULL when there is none, count * size overflows or is 0. */
void *ie_alloc(uint64_t count, uint64_t size);
void ie_free(void *p);            /* NULL is fine */
char *ie_strdup(const char *text); /* NULL when there is no memory */

/* For tests: the allocation after `allowed` further ones fails once (-1: none will). Live allocations of the process. */
void ie_alloc_fail_after(int64_t allowed);
int64_t ie_alloc_live(void);

static inline bool ie_mul(uint64_t *out, uint64_t a, uint64_t b)
{
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool ie_add(uint64_t *out, uint64_t a, uint64_t b)
{
    return !__builtin_add_overflow(a, b, out);
}

/* Scratch and activations, carved from one block. With base == NULL it only counts: the forward pass run once over such
 * an arena gives the exact peak, so no second size formula exists. Alignment 64 bytes. Owns nothing. */
typedef struct ie_arena {
    char *base; /* host or device memory; NULL: measure */
    uint64_t size, used, peak;
} ie_arena;

typedef uint64_t ie_mark;

static inline ie_mark ie_arena_mark(const ie_arena *a)
{
    return a->used;
}
static inline void ie_arena_reset(ie_arena *a, ie_mark mark)
{
    a->used = mark;
}

/* Room for `bytes`; *out is NULL while measuring. IE_NO_MEMORY when the arena is full: nothing is written. */
ie_status ie_arena_bytes(ie_arena *a, void **out, uint64_t bytes, ie_error *err);

/* A contiguous tensor in the arena. */
ie_status ie_arena_tensor(ie_arena *a, ie_tensor *out, ie_dtype dtype, int rank, const int64_t *dim, ie_error *err);

#endif
