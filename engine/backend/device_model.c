/* device_model.c - predicted times of the CUDA backend's kernels.
 * SPDX-License-Identifier: Apache-2.0 */
#include "device_model.h"

#include "cuda/conv90_plan.h"
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
/* Of the matrix units: products that conv90 does not run, of few outputs or few pixels. */
static const double narrow_share = 0.45;

enum {
    NARROW_ROWS = 128, /* of a tile of these */
    NARROW_COLUMNS = 16,
    NARROW_INPUTS = 32, /* of a step */
    STEP_CLOCKS = 1024, /* of conv90's widest step, by wgmma alone */
    CHANNELS = 8        /* that are copied at once */
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

/* As the launcher cuts it; a clock is so long that wgmma alone would make `matrix`. */
static double seconds_on_conv90(const ie_device_model *d, const conv90_shape *s, int lanes)
{
    const double step = 2.0 * CONV90_PIXELS * CONV90_DEPTH * 256;
    const double clock = d->matrix / d->processors * STEP_CLOCKS / step;
    const conv90_plan plan = conv90_choose_plan(s);
    return conv90_clocks(s, &plan, lanes, d->processors) / clock;
}

static double seconds_on_conv80(const ie_device_model *d, const conv90_shape *s, int lanes)
{
    const int64_t pixels = (int64_t)s->out_height * s->out_width;
    const int64_t tiles = lanes * whole(pixels, NARROW_ROWS) * whole(s->outputs, NARROW_COLUMNS);
    const int64_t inputs = (int64_t)s->kernel * s->kernel * (s->channels[0] + s->channels[1]);
    const double flop = 2.0 * NARROW_ROWS * NARROW_COLUMNS * NARROW_INPUTS *
                        (double)(whole(inputs, NARROW_INPUTS) * whole(tiles, d->processors));
    return flop / (d->matrix / d->processors * narrow_share);
}

static ie_times predict_shape(const ie_device_model *d, const conv90_shape *s, int64_t lanes,
                              double bytes)
{
    const double compute = conv90_fits_shape(s) ? seconds_on_conv90(d, s, (int)lanes)
                                                : seconds_on_conv80(d, s, (int)lanes);
    return bound_by(compute, bytes / (d->memory * weights_share), d->launch);
}

static int padded(int64_t channels)
{
    return (int)(whole(channels, CHANNELS) * CHANNELS);
}

ie_times ie_predict_product(const ie_device_model *d, const ie_product *p)
{
    const conv90_shape s = {.channels = {padded(p->inputs)},
                            .out_height = 1,
                            .out_width = (int)p->rows,
                            .outputs = (int)p->outputs,
                            .kernel = 1,
                            .stride = 1};
    return predict_shape(d, &s, p->lanes, p->bytes);
}

/* A kernel of its own makes the product's source of both, but where they are normed on load. */
static bool is_made(const ie_conv_spec *spec)
{
    return spec->groups || spec->act != IE_ACT_NONE || spec->resample != IE_SAME;
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
    if (is_made(spec)) {
        const double read = pixels * (double)channels;
        const double written = (double)(lanes * ie_resampled(spec->height, spec->resample) *
                                        ie_resampled(spec->width, spec->resample) * channels);
        all = ie_predict_stream(d, (read + written) * size);
    }
    for (int i = 0; i < 2; i++) {
        const int64_t own = spec->channels[i];
        if (own % CHANNELS == 0) continue;
        const double copied = pixels * (double)(own + padded(own)) * size;
        all = one_after_other(all, ie_predict_stream(d, copied));
    }
    return all;
}

/* What conv.cu makes of it. */
static conv90_shape shape_of(const ie_conv_spec *spec)
{
    conv90_shape s = {.channels = {padded(spec->channels[0]), padded(spec->channels[1])},
                      .out_height = (int)ie_conv_out(spec, spec->height),
                      .out_width = (int)ie_conv_out(spec, spec->width),
                      .outputs = (int)spec->outputs,
                      .kernel = spec->kernel,
                      .stride = spec->stride,
                      .normed = ie_cuda_normed_load(spec)};
    if (s.normed && conv90_fits_shape(&s)) return s;
    s.normed = false;
    if (!is_made(spec)) return s;
    s.channels[0] = padded(spec->channels[0] + spec->channels[1]);
    s.channels[1] = 0;
    return s;
}

ie_times ie_predict_conv(const ie_device_model *d, const ie_conv_spec *spec, int64_t lanes,
                         double bytes, bool moments)
{
    const conv90_shape s = shape_of(spec);
    const ie_times all =
        one_after_other(predict_sources(d, spec, lanes), predict_shape(d, &s, lanes, bytes));
    if (!moments) return all;
    /* A mean, a sum of squares and a count of every part and output, written and read again. */
    const conv90_plan plan = conv90_choose_plan(&s);
    const double parts = (double)(lanes * conv90_partials(&s, &plan));
    return one_after_other(
        all, ie_predict_stream(d, 2 * 3.0 * sizeof(float) * parts * (double)spec->outputs));
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
