/* onednn.h - one oneDNN convolution of a fixed small shape, run by many threads on their own data:
 * a brick.
 *
 * The primitive is made as if there were one thread, so its blocking, and with it every sum,
 * depends on the brick's shape alone; the caller cuts the work into bricks and spreads them. All
 * functions return 0 or a dnnl_status_t.
 *
 * Limits   one caller at a time: the memory objects of a thread are re-pointed at every run.
 *          oneDNN itself takes a few hundred bytes from malloc while it executes; this engine takes
 *          none.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CPU_ONEDNN_H
#define IE_CPU_ONEDNN_H

#include "ops.h"

/* source [in_height, in_width, in_channels] of `type`, weights [out_channels, in_channels, kernel,
 * kernel], no padding, result [out_height, out_width, out_channels] f32; all dense. */
typedef struct ie_brick_shape {
    ie_dtype type; /* f32 or bf16 */
    int64_t in_channels, in_height, in_width;
    int64_t out_channels, out_height, out_width;
    int kernel, stride;
} ie_brick_shape;

typedef struct ie_brick ie_brick;

/* Whether products of bf16 run at the CPU's full rate; where not, the backend multiplies in f32. */
bool ie_brick_has_bf16(void);

/* Choose the kernel; nothing is compiled yet. *out is NULL on failure. */
int ie_brick_create(ie_brick **out, const ie_brick_shape *shape);
void ie_brick_release(ie_brick *b); /* NULL is fine */

uint64_t
ie_brick_weight_bytes(const ie_brick *b); /* of one packed set of weights, a multiple of 64 */
uint64_t ie_brick_scratch_bytes(const ie_brick *b); /* of one thread, a multiple of 64 */

/* Compile, and pack `sets` sets of weights, f32 [sets * out_channels, in_channels, k, k], into
 * memory; both stay valid while the brick lives. */
int ie_brick_bind(ie_brick *b, const float *weights, int sets, void *memory, int threads);

int ie_brick_run(const ie_brick *b, int thread, int set, const void *source, float *result,
                 void *scratch);

#endif
