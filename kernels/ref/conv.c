/* conv.c - convolution by its definition: transformed input rows in a ring, double sums, one
 * rounding at the store.
 *
 * Rows of y are made in order, so every row of u is computed once and only `kernel` of them exist
 * at a time: the scratch does not grow with the image's height, the lanes or the threads.
 * SPDX-License-Identifier: Apache-2.0 */
#include "numbers.h"
#include "product.h"
#include "ref.h"

#include <errno.h>
#include <stdlib.h>

struct ie_conv {
    ie_conv_spec spec;
    float *weight; /* [ky][kx][c][o], rounded to spec.dtype */
    float *bias;   /* [o], zero when absent */
};

static int64_t joint_channels(const ie_conv_spec *spec)
{
    return spec->channels[0] + spec->channels[1];
}

static int64_t taps_of(const ie_conv_spec *spec)
{
    return (int64_t)spec->kernel * spec->kernel;
}

uint64_t ie_ref_conv_bytes(const ie_conv_spec *spec)
{
    const int64_t inputs = taps_of(spec) * joint_channels(spec);
    return (uint64_t)((inputs + 1) * spec->outputs) * sizeof(float);
}

static void pack(const ie_conv *conv, ie_tensor weight, ie_tensor bias)
{
    const int64_t taps = taps_of(&conv->spec);
    const int64_t channels = joint_channels(&conv->spec), outputs = conv->spec.outputs;
    for (int64_t i = 0; i < outputs * channels * taps; i++) {
        const int64_t o = i / (channels * taps), c = i / taps % channels, tap = i % taps;
        const double w = ie_ref_load(weight.data, weight.dtype, i);
        conv->weight[(tap * channels + c) * outputs + o] = (float)ie_ref_round(conv->spec.dtype, w);
    }
    for (int64_t o = 0; o < outputs; o++) {
        conv->bias[o] = ie_present(bias) ? (float)ie_ref_load(bias.data, bias.dtype, o) : 0;
    }
}

int ie_ref_conv_prepare(ie_conv **out, const ie_conv_spec *spec, void *memory, ie_tensor weight,
                        ie_tensor bias, const ie_uploader *up)
{
    (void)up;
    ie_conv *conv = calloc(1, sizeof *conv);
    *out = conv;
    if (!conv) return ENOMEM;
    conv->spec = *spec;
    if (!memory) return 0;
    conv->weight = memory;
    conv->bias = conv->weight + ie_ref_conv_bytes(spec) / sizeof(float) - spec->outputs;
    pack(conv, weight, bias);
    return 0;
}

void ie_ref_conv_release(ie_conv *conv)
{
    free(conv);
}

/* The parts of the scratch, all double. */
typedef struct conv_scratch {
    double *norm;   /* [C][2], ie_ref_conv_norm */
    double *u;      /* [kernel][Wr][C], row r in place r % kernel */
    double *y;      /* [Wo][O]: one row of the result before its rounding */
    double *mean;   /* [O] of the rows so far */
    double *square; /* [O] sums of squared deviations from it */
} conv_scratch;

enum { NORM, U, Y, MEAN, SQUARE, PARTS };

static void count_parts(int64_t count[PARTS], const ie_conv_spec *spec)
{
    const int64_t channels = joint_channels(spec);
    count[NORM] = 2 * channels;
    count[U] = spec->kernel * ie_resampled(spec->width, spec->resample) * channels;
    count[Y] = ie_conv_out(spec, spec->width) * spec->outputs;
    count[MEAN] = count[SQUARE] = spec->outputs;
}

static conv_scratch lay_out(const ie_conv_spec *spec, double *base)
{
    int64_t count[PARTS];
    count_parts(count, spec);
    conv_scratch s = {0};
    s.norm = base;
    s.u = s.norm + count[NORM];
    s.y = s.u + count[U];
    s.mean = s.y + count[Y];
    s.square = s.mean + count[MEAN];
    return s;
}

uint64_t ie_ref_conv_scratch(const ie_conv *conv, int64_t lanes)
{
    (void)lanes; /* they go one after another */
    int64_t count[PARTS], total = 0;
    count_parts(count, &conv->spec);
    for (int i = 0; i < PARTS; i++) total += count[i];
    return (uint64_t)total * sizeof(double);
}

static double residual_at(const ie_conv_args *a, int64_t lane, int64_t y, int64_t x, int64_t o)
{
    const ie_tensor r = a->residual;
    if (!ie_present(r)) return 0;
    const int64_t width = r.dim[2], outputs = r.dim[3];
    const int64_t image = lane * r.dim[1] * width;
    if (a->residual_resample == IE_SAME) {
        return ie_ref_load(r.data, r.dtype, (image + y * width + x) * outputs + o);
    }
    if (a->residual_resample == IE_UP2) {
        return ie_ref_load(r.data, r.dtype, (image + y / 2 * width + x / 2) * outputs + o);
    }
    double sum = 0;
    for (int64_t k = 0; k < 4; k++) {
        const int64_t pixel = image + (2 * y + k / 2) * width + 2 * x + k % 2;
        sum += ie_ref_load(r.data, r.dtype, pixel * outputs + o);
    }
    return sum / 4;
}

/* sum[0 .. count) = sum_{ky,kx,c} w[o,c,ky,kx] u[...] for outputs first .. first + count of pixel
 * (y, x). */
static void sum_taps(double *sum, const ie_conv *conv, const double *u, int64_t y, int64_t x,
                     int64_t first)
{
    const ie_conv_spec *spec = &conv->spec;
    const int64_t channels = joint_channels(spec), count = ie_ref_block(first, spec->outputs);
    const int64_t height = ie_resampled(spec->height, spec->resample);
    const int64_t width = ie_resampled(spec->width, spec->resample);
    for (int64_t o = 0; o < count; o++) sum[o] = 0;
    for (int64_t tap = 0; tap < taps_of(spec); tap++) {
        const int64_t uy = y * spec->stride + tap / spec->kernel - spec->pad;
        const int64_t ux = x * spec->stride + tap % spec->kernel - spec->pad;
        if (uy < 0 || uy >= height || ux < 0 || ux >= width) continue;
        const double *pixel = u + (uy % spec->kernel * width + ux) * channels;
        const float *weight = conv->weight + tap * channels * spec->outputs + first;
        for (int64_t c = 0; c < channels; c++) {
            ie_ref_axpy(sum, pixel[c], weight + c * spec->outputs, count);
        }
    }
}

static void make_row(const ie_conv *conv, const ie_conv_args *a, const conv_scratch *s,
                     int64_t lane, int64_t y)
{
    const int64_t width = ie_conv_out(&conv->spec, conv->spec.width);
    const int64_t height = ie_conv_out(&conv->spec, conv->spec.height);
    const int64_t outputs = conv->spec.outputs;
    const int64_t at = (lane * height + y) * width * outputs;
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t x = 0; x < width; x++) {
        for (int64_t first = 0; first < outputs; first += IE_REF_BLOCK) {
            double sum[IE_REF_BLOCK];
            sum_taps(sum, conv, s->u, y, x, first);
            for (int64_t o = first; o < first + ie_ref_block(first, outputs); o++) {
                const double value = sum[o - first] + (double)conv->bias[o];
                const int64_t i = x * outputs + o;
                s->y[i] = (double)a->scale * (value + residual_at(a, lane, y, x, o));
                ie_ref_store(a->y.data, a->y.dtype, at + i, s->y[i]);
            }
        }
    }
}

/* Welford's update, in double, pixel by pixel: never the difference of two large sums. */
static void add_moments(const conv_scratch *s, int64_t before, int64_t width, int64_t outputs)
{
#pragma omp parallel for schedule(static)
    for (int64_t o = 0; o < outputs; o++) {
        for (int64_t x = 0; x < width; x++) {
            const double value = s->y[x * outputs + o], d = value - s->mean[o];
            s->mean[o] += d / (double)(before + x + 1);
            s->square[o] += d * (value - s->mean[o]);
        }
    }
}

static void run_lane(const ie_conv *conv, const ie_conv_args *a, const conv_scratch *s,
                     int64_t lane)
{
    const ie_conv_spec *spec = &conv->spec;
    const int64_t height = ie_conv_out(spec, spec->height), width = ie_conv_out(spec, spec->width);
    const int64_t row = ie_resampled(spec->width, spec->resample) * joint_channels(spec);
    const int64_t rows = ie_resampled(spec->height, spec->resample);
    int64_t next = 0; /* the first row of u not made yet */
    ie_ref_conv_norm(s->norm, spec, a, lane);
    memset(s->mean, 0, (size_t)spec->outputs * 2 * sizeof(double));
    for (int64_t y = 0; y < height; y++) {
        const int64_t first = y * spec->stride - spec->pad;
        if (next < first) next = first;
        for (; next < first + spec->kernel && next < rows; next++) {
            ie_ref_conv_row(s->u + next % spec->kernel * row, spec, a, s->norm, lane, next);
        }
        make_row(conv, a, s, lane, y);
        if (ie_present(a->y_moments)) add_moments(s, y * width, width, spec->outputs);
    }
}

int ie_ref_conv(ie_stream *s, const ie_conv *conv, const ie_conv_args *a)
{
    (void)s;
    const conv_scratch scratch = lay_out(&conv->spec, a->scratch);
    const int64_t outputs = conv->spec.outputs;
    const double pixels = (double)(a->y.dim[1] * a->y.dim[2]);
    for (int64_t lane = 0; lane < a->y.dim[0]; lane++) {
        run_lane(conv, a, &scratch, lane);
        if (!ie_present(a->y_moments)) continue;
        float *moments = ie_offset(a->y_moments, lane * outputs * 2);
        for (int64_t o = 0; o < outputs; o++) {
            moments[2 * o] = (float)scratch.mean[o];
            moments[2 * o + 1] = (float)(scratch.square[o] / pixels);
        }
    }
    return 0;
}
