/* device_model.h - a device described by a few rates, and the time the CUDA backend's kernels are
 * predicted to take on it.
 *
 * A prediction is a roofline with the losses that are known beforehand: tiles that do not fill the
 * last wave of processors, tiles that hang over the tensor's edge, the share of the roof that each
 * kind of kernel reaches, and the gap from one kernel of a graph to the next. The shares are
 * predictions until a device has measured them (tests/VERIFIED says which are).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_DEVICE_MODEL_H
#define IE_DEVICE_MODEL_H

#include "ops.h"

typedef struct ie_device_model {
    const char *name;  /* as in "cuda:h200" */
    const char *words; /* for people */
    double matrix;     /* FLOP per second of large bf16 products, measured */
    double memory;     /* bytes per second of a large copy, measured */
    int processors;
    double launch; /* seconds from one kernel of a graph to the next, which begins while it ends */
} ie_device_model;

/* The model called so, or NULL. */
const ie_device_model *ie_device_model_find(const char *name);

/* A matrix product, or a convolution as one: `lanes` times [rows, inputs] x [inputs, outputs]. */
typedef struct ie_product {
    int64_t lanes, rows; /* rows of one lane: pixels or tokens */
    int64_t inputs;      /* of one output: channels times taps */
    int64_t outputs;
    double bytes; /* moved at least: operands and results once */
} ie_product;

/* Seconds of an operation's kernels, by what bounds each of them: the matrix units, memory; and of
 * the gaps before them. */
typedef struct ie_times {
    double matrix, memory, launch;
} ie_times;

static inline double ie_times_sum(ie_times t)
{
    return t.matrix + t.memory + t.launch;
}

ie_times ie_predict_product(const ie_device_model *d, const ie_product *p);
/* A convolution: where its sources are normed, activated or resampled, or their channels are no
 * multiple of 8, a kernel of its own does that first, but for the shapes of normed_load.h; where
 * moments are wanted, one after it merges those of the tiles. `bytes` as in ie_product. */
ie_times ie_predict_conv(const ie_device_model *d, const ie_conv_spec *spec, int64_t lanes,
                         double bytes, bool moments);
/* `blocks`: of 64 queries of one head. */
ie_times ie_predict_attention(const ie_device_model *d, double flop, double bytes, int64_t blocks);
/* What only moves data. */
ie_times ie_predict_stream(const ie_device_model *d, double bytes);

#endif
