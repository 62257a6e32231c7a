/* cuda_staging.h - page-locked host memory through which everything goes to a CUDA device.
 *
 * A copy from page-locked memory is done by the device while the host goes on, which packs or reads
 * what comes next. There are two halves: one is filled while copies from the other are under way,
 * and before it is filled again the event behind its last copy is waited for.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CUDA_STAGING_H
#define IE_CUDA_STAGING_H

#include <stdint.h>

/* What cudaEvent_t and cudaStream_t point to: this header needs none of the toolkit's. */
struct CUevent_st;
struct CUstream_st;

/* Of a half: several pieces of packed weights, or the tables of thousands of passes. */
#define IE_CUDA_STAGING_BYTES ((uint64_t)4 << 20)

typedef struct ie_cuda_staging {
    char *memory;                 /* both halves */
    struct CUevent_st *copied[2]; /* behind the last copy from a half that is full */
    int half;                     /* that is being filled, */
    uint64_t used;                /* so far */
} ie_cuda_staging;

/* 0 or a cudaError_t. Zeroed before; ie_cuda_staging_close in any case. */
int ie_cuda_staging_open(ie_cuda_staging *s);
/* Waits for nothing: no copy may be under way. */
void ie_cuda_staging_close(ie_cuda_staging *s);

/* `bytes` of `host` to `device`, in the stream's order; `host` may be reused when it returns. */
int ie_cuda_staging_copy(ie_cuda_staging *s, void *device, const void *host, uint64_t bytes,
                         struct CUstream_st *stream);

#endif
