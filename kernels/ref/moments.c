/* moments.c - mean and variance per lane and channel, and the sum that knows its own.
 *
 * Both read alpha a + beta b; `moments` is the case 1 a. Two passes: the mean, then the squared
 * deviations from it. SPDX-License-Identifier: Apache-2.0 */
#include "numbers.h"
#include "ref.h"

enum { BLOCK = 64 }; /* channels summed at once, side by side in memory */

typedef struct sum_of {
    ie_tensor a, b;
    double alpha, beta;
} sum_of;

static double value_at(const sum_of *f, int64_t i)
{
    const double value = f->alpha * ie_ref_load(f->a.data, f->a.dtype, i);
    return ie_present(f->b) ? value + f->beta * ie_ref_load(f->b.data, f->b.dtype, i) : value;
}

/* m[c][0 .. 1] of channels first .. first + count, of the image that begins at element `image`. */
static void block_moments(float *m, const sum_of *f, int64_t image, int64_t first, int64_t count)
{
    const int64_t pixels = f->a.dim[1] * f->a.dim[2], channels = f->a.dim[3];
    double mean[BLOCK] = {0}, square[BLOCK] = {0};
    for (int64_t p = 0; p < pixels; p++) {
        const int64_t i = image + p * channels + first;
        for (int64_t c = 0; c < count; c++) mean[c] += value_at(f, i + c);
    }
    for (int64_t c = 0; c < count; c++) mean[c] /= (double)pixels;
    for (int64_t p = 0; p < pixels; p++) {
        const int64_t i = image + p * channels + first;
        for (int64_t c = 0; c < count; c++) {
            const double d = value_at(f, i + c) - mean[c];
            square[c] += d * d;
        }
    }
    for (int64_t c = 0; c < count; c++) {
        m[2 * (first + c)] = (float)mean[c];
        m[2 * (first + c) + 1] = (float)(square[c] / (double)pixels);
    }
}

static void all_moments(ie_tensor m, const sum_of *f)
{
    const int64_t lanes = f->a.dim[0], channels = f->a.dim[3];
    const int64_t image = f->a.dim[1] * f->a.dim[2] * channels;
#pragma omp parallel for collapse(2) schedule(static)
    for (int64_t n = 0; n < lanes; n++) {
        for (int64_t c = 0; c < channels; c += BLOCK) {
            const int64_t count = channels - c < BLOCK ? channels - c : BLOCK;
            block_moments((float *)m.data + n * channels * 2, f, n * image, c, count);
        }
    }
}

int ie_ref_moments(ie_stream *s, ie_tensor m, ie_tensor x)
{
    (void)s;
    all_moments(m, &(sum_of){.a = x, .alpha = 1});
    return 0;
}

/* The moments are of the sum before its rounding, and y may be a or b: so they come first. */
int ie_ref_add(ie_stream *s, ie_tensor y, ie_tensor y_moments, ie_tensor a, ie_tensor b,
               float alpha, float beta)
{
    (void)s;
    const sum_of f = {.a = a, .b = b, .alpha = (double)alpha, .beta = (double)beta};
    if (ie_present(y_moments)) all_moments(y_moments, &f);
    const int64_t count = ie_numel(y);
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < count; i++) ie_ref_store(y.data, y.dtype, i, value_at(&f, i));
    return 0;
}
