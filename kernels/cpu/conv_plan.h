/* conv_plan.h - how a convolution is cut: a pure function of the layer, so that results are too.
 *
 * A strip is `rows` rows of output, whole width, computed by one brick; a chunk is a run of output
 * channels.
 *
 *   stream   a task packs its strips one after the other into its thread's cache and computes all
 *            channels of each. Rows that two strips share are moved, not transformed again. For
 *            large maps.
 *   shared   the whole transformed operand of a lane is packed once by all threads, then strips x
 *            chunks read it. For maps with few rows, and where many outputs
 *            make the trip through memory cheap.
 *   in place nothing to transform and nothing to pad: strips x chunks read the source. (Film
 *            without a norm is known only when it comes; then each task packs its strip.)
 *
 * A 1x1 convolution of stride 1 has no rows: its strips are runs of pixels ("flat"; out_width is
 * then 1). SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CPU_CONV_PLAN_H
#define IE_CPU_CONV_PLAN_H

#include "isa.h"
#include "onednn.h"

typedef enum ie_conv_way { IE_WAY_STREAM, IE_WAY_SHARED, IE_WAY_IN_PLACE } ie_conv_way;

typedef struct ie_conv_plan {
    ie_conv_way way;
    bool flat;
    ie_dtype type;               /* of the product: the layer's, or f32 where the CPU has no bf16 */
    int64_t depth;               /* channels of a packed pixel; even for bf16 */
    int64_t in_height, in_width; /* of the packed map: resampled, padded */
    int64_t out_height, out_width; /* of the result */
    int64_t rows,
        in_rows; /* of a strip: output, and the input under it; the last strip is moved up to fit */
    int64_t strips, strips_per_task, tasks;
    int64_t chunk, chunks;
    int64_t lanes;      /* at most so many share one packed pass (bounds the shared scratch) */
    uint64_t row_bytes; /* of the packed map */
    uint64_t strip_bytes, sums_bytes,
        shared_bytes; /* per thread, per thread, per lane; multiples of 64 */
} ie_conv_plan;

ie_conv_plan ie_cpu_plan_conv(const ie_conv_spec *spec);

/* The brick that computes one strip of one chunk. */
static inline ie_brick_shape ie_cpu_brick_shape(const ie_conv_plan *p, const ie_conv_spec *spec)
{
    const ie_brick_shape s = {p->type,
                              p->depth,
                              p->flat ? 1 : p->in_rows,
                              p->flat ? p->rows : p->in_width,
                              p->chunk,
                              p->flat ? 1 : p->rows,
                              p->flat ? p->rows : p->out_width,
                              spec->kernel,
                              spec->stride};
    return s;
}

#endif
