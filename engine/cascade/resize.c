/* resize.c - see resize.h. A band of output rows keeps the input rows under its filter, already
 * resampled along x, in a ring; bands run side by side. SPDX-License-Identifier: Apache-2.0 */
#include "resize.h"

#include "memory.h"

#include <math.h>
#include <string.h>

enum { CHANNELS = 3, BANDS = 8 };

static double catmull_rom(double x)
{
    x = fabs(x);
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
    return 0;
}

/* Weights of one axis: output i is the sum over k of weight[i * taps + k] * input[clamp(first[i] +
 * k)]. */
typedef struct axis {
    int64_t taps;
    int64_t *first;
    float *weight;
} axis;

static void axis_free(axis *a)
{
    ie_free(a->first);
    ie_free(a->weight);
    *a = (axis){0};
}

static ie_status axis_new(axis *a, int64_t to, int64_t from, ie_error *err)
{
    const double scale = (double)from / (double)to, stretch = fmax(scale, 1.0),
                 radius = 2 * stretch;
    a->taps = (int64_t)ceil(2 * radius) + 1;
    a->first = ie_alloc((uint64_t)to, sizeof *a->first);
    a->weight = ie_alloc((uint64_t)(to * a->taps), sizeof *a->weight);
    if (!a->first || !a->weight)
        return ie_fail(err, IE_NO_MEMORY, "no memory to resize to %lld", (long long)to);
    for (int64_t i = 0; i < to; i++) {
        const double centre = ((double)i + 0.5) * scale - 0.5;
        a->first[i] = (int64_t)ceil(centre - radius);
        double sum = 0;
        for (int64_t k = 0; k < a->taps; k++)
            sum += catmull_rom(((double)(a->first[i] + k) - centre) / stretch);
        for (int64_t k = 0; k < a->taps; k++) {
            a->weight[i * a->taps + k] =
                (float)(catmull_rom(((double)(a->first[i] + k) - centre) / stretch) / sum);
        }
    }
    return IE_OK;
}

static int64_t clamp(int64_t i, int64_t n)
{
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

/* out [inner] += weight * in [inner]; a weight of 0 adds nothing, not even a NaN. */
static void accumulate(float *out, const float *in, float weight, int64_t inner)
{
    if (weight == 0) return;
    for (int64_t c = 0; c < inner; c++) out[c] += weight * in[c];
}

/* A row [from, 3] to [to, 3]. */
static void resample_row(float *out, const axis *a, int64_t to, const float *row, int64_t from)
{
    memset(out, 0, (size_t)(to * CHANNELS) * sizeof *out);
    for (int64_t i = 0; i < to; i++) {
        for (int64_t k = 0; k < a->taps; k++) {
            const float *in = row + clamp(a->first[i] + k, from) * CHANNELS;
            accumulate(out + i * CHANNELS, in, a->weight[i * a->taps + k], CHANNELS);
        }
    }
}

/* Output rows begin .. end - 1. scratch: an input row, an output row, and the ring of `taps` rows:
 * input row y lies in place y % taps. */
static void run_band(const axis *a, int64_t to, int64_t from, const ie_resize_rows *rows,
                     int64_t begin, int64_t end, float *scratch)
{
    const int64_t wide = to * CHANNELS;
    float *input = scratch, *output = input + from * CHANNELS, *ring = output + wide;
    int64_t next = clamp(a->first[begin], from); /* the first input row that is not in the ring */
    for (int64_t i = begin; i < end; i++) {
        const int64_t last = clamp(a->first[i] + a->taps - 1, from);
        for (; next <= last; next++) {
            rows->read(rows->user, next, input);
            resample_row(ring + next % a->taps * wide, a, to, input, from);
        }
        memset(output, 0, (size_t)wide * sizeof *output);
        for (int64_t k = 0; k < a->taps; k++) {
            const int64_t y = clamp(a->first[i] + k, from);
            accumulate(output, ring + y % a->taps * wide, a->weight[i * a->taps + k], wide);
        }
        rows->write(rows->user, i, output);
    }
}

ie_status ie_resize(int64_t to, int64_t from, const ie_resize_rows *rows, ie_error *err)
{
    axis a = {0};
    float *scratch = NULL;
    ie_status status = axis_new(&a, to, from, err);
    if (status) goto done;
    const int64_t band = (from + (a.taps + 1) * to) * CHANNELS;
    scratch = ie_alloc(BANDS * (uint64_t)band, sizeof *scratch);
    if (!scratch) {
        status = ie_fail(err, IE_NO_MEMORY, "no memory to resize %lld to %lld", (long long)from,
                         (long long)to);
        goto done;
    }
#pragma omp parallel for schedule(dynamic)
    for (int64_t b = 0; b < BANDS; b++) {
        const int64_t begin = b * to / BANDS, end = (b + 1) * to / BANDS;
        if (begin < end) run_band(&a, to, from, rows, begin, end, scratch + b * band);
    }
done:
    ie_free(scratch);
    axis_free(&a);
    return status;
}
