/* device_model.c - predicted times of the CUDA backend's kernels.
 * SPDX-License-Identifier: Apache-2.0 */
#include "device_model.h"

#include "cuda/normed_load.h"

#include <math.h>
#include <string.h>

static const ie_device_model models[] = {
    {"h200", "NVIDIA H200 (measured: 788 TFLOP/s bf16, 4.3 TB/s)", 788e12, 4.3e12, 132, 0.8e-6},
};

/* Shares of the two roofs that the kernels are predicted to reach. */
static const double stream_share = 0.87;  /* of memory: norms, samplers, copies */
static const double weights_share = 0.75; /* of memory: products that wait for their weights */
static const double attention_share = 0.35;

enum {
    TILE_ROWS = 128,
    TILE_INPUTS = 64, /* of one turn of a product's main loop */
    MOST_SPLITS = 16, /* of a sum, where there are fewer tiles than processors */
    LEAST_TURNS = 4,  /* that a part of a split sum should keep */
    CHANNELS = 8      /* that are copied at once */
};

const ie_device_model *ie_device_model_find(const char *name)
{
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        if (!strcmp(models[i].name, name)) return &models[i];
    }
    return NULL;
}

static int64_t whole(int64_t n, int64_t part)
{
    return (n + part - 1) / part;
}

/* The tile's width, and the share of the matrix roof that its main loop reaches: a narrow tile
 * reads shared memory more often for the same work. */
static int64_t tile_columns(int64_t outputs, double *share)
{
    *share = outputs > 128 ? 0.84 : outputs > 64 ? 0.65 : 0.45;
    return outputs > 128 ? 256 : outputs > 64 ? 128 : 64;
}

/* A kernel takes as long as the slower of the two. */
static ie_times bound_by(double matrix, double memory, double launches)
{
    return matrix >= memory ? (ie_times){.matrix = matrix, .launch = launches}
                            : (ie_times){.memory = memory, .launch = launches};
}

static ie_times one_after_other(ie_times a, ie_times b)
{
    return (ie_times){a.matrix + b.matrix, a.memory + b.memory, a.launch + b.launch};
}

ie_times ie_predict_product(const ie_device_model *d, const ie_product *p)
{
    double share;
    const int64_t columns = tile_columns(p->outputs, &share);
    const int64_t tiles = p->lanes * whole(p->rows, TILE_ROWS) * whole(p->outputs, columns);
    const int64_t turns = whole(p->inputs, TILE_INPUTS);
    int64_t splits = d->processors / tiles;
    if (splits > turns / LEAST_TURNS) splits = turns / LEAST_TURNS;
    if (splits > MOST_SPLITS) splits = MOST_SPLITS;
    if (splits < 1) splits = 1;
    const double waves = (double)whole(tiles * splits, d->processors);
    const double flop = 2.0 * TILE_ROWS * (double)(columns * whole(turns, splits) * TILE_INPUTS);
    /* The parts of a split sum are written and read again. */
    const double losses = share / (1 + 0.1 * (double)(splits - 1));
    const double compute = waves * flop / (d->matrix / d->processors * losses);
    const double memory = p->bytes / (d->memory * weights_share);
    return bound_by(compute, memory, d->launch * (splits > 1 ? 2 : 1));
}

/* What is done to the sources before the product. */
static ie_times predict_sources(const ie_device_model *d, const ie_conv_spec *spec, int64_t lanes)
{
    const int64_t channels = spec->channels[0] + spec->channels[1];
    const double pixels = (double)(lanes * spec->height * spec->width);
    const double size = (double)ie_dtype_size(spec->dtype);
    if (ie_cuda_normed_load(spec)) { /* by a kernel that folds moments and film */
        return ie_predict_stream(d, 5.0 * sizeof(float) * (double)(lanes * channels));
    }
    ie_times all = {0};
    if (spec->groups || spec->act != IE_ACT_NONE || spec->resample != IE_SAME) {
        const double read = pixels * (double)channels;
        const double written = (double)(lanes * ie_resampled(spec->height, spec->resample) *
                                        ie_resampled(spec->width, spec->resample) * channels);
        all = ie_predict_stream(d, (read + written) * size);
    }
    for (int i = 0; i < 2; i++) {
        const int64_t own = spec->channels[i];
        if (own % CHANNELS == 0) continue;
        const double copied = pixels * (double)(own + whole(own, CHANNELS) * CHANNELS) * size;
        all = one_after_other(all, ie_predict_stream(d, copied));
    }
    return all;
}

ie_times ie_predict_conv(const ie_device_model *d, const ie_conv_spec *spec, int64_t lanes,
                         double bytes, bool moments)
{
    const int64_t channels = spec->channels[0] + spec->channels[1];
    const ie_product p = {
        .lanes = lanes,
        .rows = ie_conv_out(spec, spec->height) * ie_conv_out(spec, spec->width),
        .inputs = channels * spec->kernel * spec->kernel,
        .outputs = spec->outputs,
        .bytes = bytes,
    };
    const ie_times all =
        one_after_other(predict_sources(d, spec, lanes), ie_predict_product(d, &p));
    if (!moments) return all;
    /* A mean, a sum of squares and a count of every tile and output, written and read again. */
    const int64_t tiles = lanes * whole(p.rows, TILE_ROWS);
    const double partials = 3.0 * sizeof(float) * (double)(tiles * spec->outputs);
    return one_after_other(all, ie_predict_stream(d, 2 * partials));
}

ie_times ie_predict_attention(const ie_device_model *d, double flop, double bytes, int64_t blocks)
{
    /* Two blocks of 64 queries share a processor. */
    const int64_t places = 2 * (int64_t)d->processors;
    const double filled = (double)blocks / (double)(whole(blocks, places) * places);
    const double compute = flop / (d->matrix * attention_share * filled);
    return bound_by(compute, bytes / (d->memory * stream_share), d->launch);
}

ie_times ie_predict_stream(const ie_device_model *d, double bytes)
{
    return bound_by(0, bytes / (d->memory * stream_share), d->launch);
}
