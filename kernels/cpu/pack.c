/* pack.c - see pack.h. One rounding to the type of the product; everything before it in f32.
 *
 *   cost  per element one load, one store and about 35 operations when there is an exponential in it
 * SPDX-License-Identifier: Apache-2.0 */
#include "pack.h"
#include "vec_math.h"

#include <math.h>

/* Where one packed pixel of one source comes from (`taps` of them, averaged) and goes to (twice when enlarged). */
typedef struct span {
    const void *tap[4];
    void *out;
    int64_t out_offset[2]; /* in elements */
    const float *norm;
    int64_t norm_stride;
} span;

IE_INLINE ie_v value(const ie_pack *p, const span *s, int tap, int64_t c, int64_t n, ie_dtype from)
{
    ie_v x = ie_v_get(s->tap[tap], c, n, from);
    if (s->norm) {
        const ie_v mean = ie_v_get(s->norm, c, n, IE_F32);
        const ie_v factor = ie_v_get(s->norm + s->norm_stride, c, n, IE_F32);
        const ie_v shift = ie_v_get(s->norm + 2 * s->norm_stride, c, n, IE_F32);
        x = (x - mean) * factor + shift;
    }
    return ie_v_activate(x, p->act);
}

IE_INLINE void pack_channels(const ie_pack *p, const span *s, int64_t c, int64_t n, ie_resample how,
                             ie_dtype from, ie_dtype to)
{
    ie_v u = value(p, s, 0, c, n, from);
    if (how == IE_DOWN2) {
        u = ((u + value(p, s, 1, c, n, from)) +
             (value(p, s, 2, c, n, from) + value(p, s, 3, c, n, from))) *
            0.25f;
    }
    ie_v_put(s->out, s->out_offset[0] + c, n, u, to);
    if (how == IE_UP2) ie_v_put(s->out, s->out_offset[1] + c, n, u, to);
}

IE_INLINE void pack_span(const ie_pack *p, const span *s, int64_t channels, ie_resample how,
                         ie_dtype from, ie_dtype to)
{
    int64_t c = 0;
    for (; c + IE_LANES <= channels; c += IE_LANES) pack_channels(p, s, c, IE_LANES, how, from, to);
    if (c < channels) pack_channels(p, s, c, channels - c, how, from, to);
}

/* `count` source pixels (pairs of them for IE_DOWN2) from `first`, a pixel index, to `out`. */
IE_INLINE void pack_run(const ie_pack *p, int64_t first, int64_t count, void *out, ie_resample how,
                        ie_dtype from, ie_dtype to)
{
    const int64_t joint = p->channels[0] + p->channels[1], step = how == IE_DOWN2 ? 2 : 1;
    int64_t base = 0;
    for (int i = 0; i < 2 && p->channels[i] > 0; i++) {
        const int64_t channels = p->channels[i], size = ie_dtype_size(from);
        for (int64_t k = 0; k < count; k++) {
            const char *x = (const char *)p->x[i] + (first + k * step) * channels * size;
            const int64_t o = (how == IE_UP2 ? 2 * k : k) * p->depth + base;
            const span s = {{x, x + channels * size, x + p->width * channels * size,
                             x + (p->width + 1) * channels * size},
                            out,
                            {o, o + p->depth},
                            p->norm ? p->norm + base : NULL,
                            joint};
            pack_span(p, &s, channels, how, from, to);
        }
        base += channels;
    }
}

static void pack_run_of_types(const ie_pack *p, int64_t first, int64_t count, void *out)
{
#define RUN(how, from, to) pack_run(p, first, count, out, how, from, to)
#define TYPES(how)                  \
    if (p->from == IE_F32) {        \
        RUN(how, IE_F32, IE_F32);   \
    } else if (p->to == IE_F32) {   \
        RUN(how, IE_BF16, IE_F32);  \
    } else {                        \
        RUN(how, IE_BF16, IE_BF16); \
    }
    switch (p->resample) {
    case IE_SAME: TYPES(IE_SAME) break;
    case IE_UP2: TYPES(IE_UP2) break;
    case IE_DOWN2: TYPES(IE_DOWN2) break;
    }
#undef TYPES
#undef RUN
}

static bool plain_copy(const ie_pack *p)
{
    return !p->norm && p->act == IE_ACT_NONE && p->resample == IE_SAME && p->from == p->to &&
           p->channels[1] == 0 && p->depth == p->channels[0];
}

void ie_cpu_pack_pixels(const ie_pack *p, int64_t first, int64_t count, void *out)
{
    const size_t pixel = (size_t)(p->depth * ie_dtype_size(p->to));
    if (plain_copy(p)) {
        memcpy(out, (const char *)p->x[0] + (size_t)first * pixel, (size_t)count * pixel);
        return;
    }
    if (p->depth != p->channels[0] + p->channels[1]) memset(out, 0, (size_t)count * pixel);
    pack_run_of_types(p, first, count, out);
}

static void pack_row(const ie_pack *p, int64_t y, char *out)
{
    const size_t pixel = (size_t)(p->depth * ie_dtype_size(p->to));
    const int64_t width = ie_resampled(p->width, p->resample);
    const size_t side = (size_t)p->pad * pixel;
    memset(out, 0, side);
    memset(out + side + (size_t)width * pixel, 0, side);
    out += side;
    if (p->resample == IE_SAME) {
        ie_cpu_pack_pixels(p, y * p->width, width, out);
        return;
    }
    if (p->depth != p->channels[0] + p->channels[1]) memset(out, 0, (size_t)width * pixel);
    if (p->resample == IE_UP2) {
        pack_run_of_types(p, y / 2 * p->width, p->width, out);
    } else {
        pack_run_of_types(p, 2 * y * p->width, width, out);
    }
}

void ie_cpu_pack_rows(const ie_pack *p, int64_t first, int64_t rows, void *out)
{
    const int64_t height = ie_resampled(p->height, p->resample);
    const size_t bytes = (size_t)((ie_resampled(p->width, p->resample) + 2 * p->pad) * p->depth *
                                  ie_dtype_size(p->to));
    for (int64_t r = 0; r < rows; r++) {
        char *row = (char *)out + (size_t)r * bytes;
        const int64_t y = first + r - p->pad;
        if (y < 0 || y >= height) {
            memset(row, 0, bytes);
        } else if (p->resample == IE_UP2 && y % 2 == 1 && r > 0) {
            memcpy(row, row - bytes, bytes); /* the second copy of the same source row */
        } else {
            pack_row(p, y, row);
        }
    }
}

/* Mean and 1 / sqrt(var + eps) of group g; every channel has as many pixels as the others. */
static void group_norm(double out[2], const ie_conv_spec *spec, const float *const moments[2],
                       int64_t g)
{
    const int64_t run = (spec->channels[0] + spec->channels[1]) / spec->groups;
    double mean = 0, variance = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t c = g * run; c < (g + 1) * run; c++) {
            const int i = c >= spec->channels[0];
            const float *m = moments[i] + 2 * (c - (i ? spec->channels[0] : 0));
            const double off = (double)m[0] - mean;
            if (pass == 0) {
                mean += (double)m[0] / (double)run;
            } else {
                variance += ((double)m[1] + off * off) / (double)run;
            }
        }
    }
    out[0] = mean;
    out[1] = 1 / sqrt(variance + (double)spec->eps);
}

void ie_cpu_norm_factors(float *out, const ie_conv_spec *spec, const float *const moments[2],
                         const float *gamma, const float *beta, const float *film)
{
    const int64_t joint = spec->channels[0] + spec->channels[1];
    const int64_t groups = spec->groups > 0 ? spec->groups : 1;
    double norm[2] = {0, 1};
    for (int64_t c = 0; c < joint; c++) {
        if (spec->groups > 0 && c % (joint / groups) == 0) {
            group_norm(norm, spec, moments, c / (joint / groups));
        }
        const double scale = film ? 1 + (double)film[c] : 1;
        const double shift = film ? (double)film[joint + c] : 0;
        out[c] = (float)norm[0];
        out[joint + c] = (float)(norm[1] * (gamma ? (double)gamma[c] : 1) * scale);
        out[2 * joint + c] = (float)((beta ? (double)beta[c] : 0) * scale + shift);
    }
}
