/* conv_input.c - u = resample(act(film(norm(x0 ++ x1)))): what a convolution reads, one row at a
 * time, in double. SPDX-License-Identifier: Apache-2.0 */
#include "numbers.h"
#include "ref.h"

static double moment(const ie_conv_args *a, const ie_conv_spec *spec, int64_t lane, int64_t c,
                     int which)
{
    const int second = c >= spec->channels[0];
    const ie_tensor m = a->moments[second];
    const int64_t i = lane * m.stride[0] + (c - second * spec->channels[0]) * m.stride[1] + which;
    return (double)((const float *)m.data)[i];
}

/* The variance of a group is the mean of its channels' variances plus the variance of their means.
 * */
void ie_ref_conv_norm(double *norm, const ie_conv_spec *spec, const ie_conv_args *a, int64_t lane)
{
    if (spec->groups <= 0) return;
    const int64_t size = (spec->channels[0] + spec->channels[1]) / spec->groups;
    for (int64_t first = 0; first < size * spec->groups; first += size) {
        double mean = 0, variance = 0;
        for (int64_t c = first; c < first + size; c++) mean += moment(a, spec, lane, c, 0);
        mean /= (double)size;
        for (int64_t c = first; c < first + size; c++) {
            const double d = moment(a, spec, lane, c, 0) - mean;
            variance += moment(a, spec, lane, c, 1) + d * d;
        }
        variance /= (double)size;
        for (int64_t c = first; c < first + size; c++) {
            norm[2 * c] = mean;
            norm[2 * c + 1] = 1 / sqrt(variance + (double)spec->eps);
        }
    }
}

/* act(film(norm(x))) of one pixel's channels, times `share`, added to u. */
static void add_pixel(double *u, const ie_conv_spec *spec, const ie_conv_args *a,
                      const double *norm, int64_t lane, int64_t pixel, double share)
{
    const int64_t channels = spec->channels[0] + spec->channels[1];
    const float *gamma = a->gamma.data, *beta = a->beta.data;
    const float *film = ie_present(a->film) ? ie_offset(a->film, lane * a->film.stride[0]) : NULL;
    const int64_t pixels = spec->height * spec->width;
    for (int64_t c = 0; c < channels; c++) {
        const int second = c >= spec->channels[0];
        const int64_t i =
            (lane * pixels + pixel) * spec->channels[second] + c - second * spec->channels[0];
        double v = ie_ref_load(a->x[second].data, spec->dtype, i);
        if (spec->groups > 0) {
            v = (v - norm[2 * c]) * norm[2 * c + 1] * (double)gamma[c] + (double)beta[c];
        }
        if (film) v = v * (1 + (double)film[c]) + (double)film[channels + c];
        u[c] += share * ie_ref_act(spec->act, v);
    }
}

void ie_ref_conv_row(double *u, const ie_conv_spec *spec, const ie_conv_args *a, const double *norm,
                     int64_t lane, int64_t row)
{
    const int64_t channels = spec->channels[0] + spec->channels[1];
    const int64_t width = ie_resampled(spec->width, spec->resample);
#pragma omp parallel for schedule(static)
    for (int64_t x = 0; x < width; x++) {
        double *pixel = u + x * channels;
        memset(pixel, 0, (size_t)channels * sizeof *pixel);
        if (spec->resample == IE_SAME) {
            add_pixel(pixel, spec, a, norm, lane, row * spec->width + x, 1);
        } else if (spec->resample == IE_UP2) {
            add_pixel(pixel, spec, a, norm, lane, row / 2 * spec->width + x / 2, 1);
        } else {
            for (int64_t k = 0; k < 4; k++) {
                const int64_t from = (2 * row + k / 2) * spec->width + 2 * x + k % 2;
                add_pixel(pixel, spec, a, norm, lane, from, 0.25);
            }
        }
    }
}
