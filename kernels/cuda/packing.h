/* packing.h - packed weights on their way to the device, a piece of some rows at a time: while one
 * is copied the next is packed, and no layer needs its own size of host memory once more.
 *
 *   packed to = packed_begin(up, device, row, tail);
 *   while rows are left: fill packed_rows(&to, row, &count), whose rows are zeroed
 *   fill packed_tail(&to, tail)
 *   code = packed_end(&to);
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CUDA_PACKING_H
#define IE_CUDA_PACKING_H

#include "ops.h"

#include <cuda_runtime.h>

#include <stdlib.h>
#include <string.h>

struct packed {
    const ie_uploader *up;
    char *device; /* where the piece goes */
    char *piece;
    size_t bytes, used; /* of the piece */
    int code;           /* the first failure */
};

enum { PACKED_BYTES = 1 << 20 }; /* of a piece, unless a row is longer */

/* Bytes of a row, and of what comes behind all rows. */
static inline packed packed_begin(const ie_uploader *up, void *device, size_t row, size_t tail)
{
    packed p = {up, static_cast<char *>(device), nullptr, PACKED_BYTES, 0, 0};
    if (row > p.bytes) p.bytes = row;
    if (tail > p.bytes) p.bytes = tail;
    p.piece = static_cast<char *>(malloc(p.bytes));
    if (!p.piece) p.code = cudaErrorMemoryAllocation;
    return p;
}

static inline void packed_send(packed *p)
{
    if (!p->code && p->used) p->code = p->up->copy(p->up->self, p->device, p->piece, p->used);
    p->device += p->used;
    p->used = 0;
}

/* The next rows, as many as a piece holds of the *count that are left; null after a failure. */
static inline char *packed_rows(packed *p, size_t row, int64_t *count)
{
    packed_send(p);
    if (p->code) return nullptr;
    const int64_t most = static_cast<int64_t>(p->bytes / row);
    if (*count > most) *count = most;
    p->used = static_cast<size_t>(*count) * row;
    memset(p->piece, 0, p->used);
    return p->piece;
}

static inline void *packed_tail(packed *p, size_t tail)
{
    int64_t one = 1;
    return packed_rows(p, tail, &one);
}

/* 0, or the error. */
static inline int packed_end(packed *p)
{
    packed_send(p);
    free(p->piece);
    return p->code;
}

#endif
