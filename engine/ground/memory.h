/* memory.h - host allocation through one door, checked arithmetic on sizes, and the bump arena.
 *
 * Every host allocation of the library goes through ie_alloc and ie_free, so a test can make the
 * n-th one fail and count what was not given back. Sizes that come from files are multiplied with
 * ie_mul. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_GROUND_MEMORY_H
#define IE_GROUND_MEMORY_H

#include "error.h"
#include "tensor.h"

/* Zeroed memory for count * size bytes, 64-byte aligned; NULL when there is none, count * size
 * overflows or is 0. */
void *ie_alloc(uint64_t count, uint64_t size);
void ie_free(void *p);             /* NULL is fine */
char *ie_strdup(const char *text); /* NULL when there is no memory */

/* For tests: the allocation after `allowed` further ones fails once (-1: none will). Live
 * allocations of the process. */
void ie_alloc_fail_after(int64_t allowed);
int64_t ie_alloc_live(void);

/* "9.8 GiB", for messages. */
enum { IE_BYTES_TEXT = 16 };
void ie_bytes_text(char out[IE_BYTES_TEXT], uint64_t bytes);

static inline bool ie_mul(uint64_t *out, uint64_t a, uint64_t b)
{
    return !__builtin_mul_overflow(a, b, out);
}
static inline bool ie_add(uint64_t *out, uint64_t a, uint64_t b)
{
    return !__builtin_add_overflow(a, b, out);
}

/* Whole zeroed pages for large blocks (lazily committed, huge pages where the system has them);
 * counted and failed like ie_alloc. bytes > 0. */
void *ie_pages_alloc(uint64_t bytes);
void ie_pages_free(void *p, uint64_t bytes); /* NULL is fine; the same bytes */

/* What the process keeps in memory, files left out (Linux; 0 where the system does not say). */
uint64_t ie_resident_bytes(void);

/* Activations and scratch, given out of one block by first fit and taken back in any order. The
 * same calls give the same places, so a forward pass run once over an arena without memory
 * (`measuring`) yields the exact peak: there is no second size formula to drift. Addresses of a
 * measuring arena are never touched. Alignment 64 bytes; owns nothing. */
enum { IE_ARENA_PIECES = 512 };

typedef struct ie_arena {
    char *base;
    uint64_t size; /* of the block */
    uint64_t peak; /* highest byte ever in use */
    bool measuring;
    int pieces; /* in use, in order of offset */
    struct {
        uint64_t begin, end;
    } piece[IE_ARENA_PIECES];
} ie_arena;

void ie_arena_measure(ie_arena *a);                           /* start measuring */
void ie_arena_over(ie_arena *a, void *memory, uint64_t size); /* start giving out `memory` */

/* Room for `bytes` (0 gives a distinct address too). IE_NO_MEMORY when the block is full. */
ie_status ie_arena_take(ie_arena *a, void **out, uint64_t bytes, ie_error *err);
/* A contiguous tensor. */
ie_status ie_arena_tensor(ie_arena *a, ie_tensor *out, ie_dtype dtype, int rank, const int64_t *dim,
                          ie_error *err);
/* Give a piece back, by its address; NULL is fine. */
void ie_arena_give(ie_arena *a, void *data);

#endif
