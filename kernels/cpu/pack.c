/* pack.c - see pack.h. One rounding to the type of the product; everything before it in f32.
 *
 *   cost  per element one load, one store and about 35 operations when there is an exponential in
 *         it
 * SPDX-License-Identifier: Apache-2.0 */
#include "pack.h"
#include "vec_math.h"

#include <math.h>

enum { BLOCK = 32 }; /* pixels whose channels are walked vector by vector: they stay in L1 */

/* Source pixels of one source: `count` of them (pairs for IE_DOWN2) from x, `channels` apart, to
 * out. */
typedef struct stretch {
    const void *x;
    void *out;
    int64_t channels, width, count; /* width: of a source row, in pixels */
    int64_t depth;                  /* between packed pixels */
    const float *norm;              /* [3, norm_stride]; NULL: none */
    int64_t norm_stride;
    ie_act act;
} stretch;

typedef struct factors {
    ie_v mean, factor, shift;
} factors;

IE_INLINE ie_v value(const stretch *r, const factors *f, int64_t pixel, int64_t c, int64_t n,
                     ie_act act, ie_dtype from)
{
    const ie_v x = ie_v_get(r->x, pixel * r->channels + c, n, from);
    return ie_v_activate(ie_v_fma(x - f->mean, f->factor, f->shift), act);
}

/* Channels [c, c + n) of every pixel of the run. */
IE_INLINE void column(const stretch *r, int64_t c, int64_t n, ie_act act, ie_resample how,
                      ie_dtype from, ie_dtype to)
{
    factors f = {ie_v_set(0.0f), ie_v_set(1.0f), ie_v_set(0.0f)};
    if (r->norm) {
        f.mean = ie_v_get(r->norm, c, n, IE_F32);
        f.factor = ie_v_get(r->norm + r->norm_stride, c, n, IE_F32);
        f.shift = ie_v_get(r->norm + 2 * r->norm_stride, c, n, IE_F32);
    }
    const int64_t corner[] = {0, 1, r->width, r->width + 1};
    for (int64_t k = 0; k < r->count; k++) {
        const int64_t from_pixel = how == IE_DOWN2 ? 2 * k : k;
        ie_v u = value(r, &f, from_pixel, c, n, act, from);
        if (how == IE_DOWN2) {
            for (int i = 1; i < 4; i++) u += value(r, &f, from_pixel + corner[i], c, n, act, from);
            u *= 0.25f;
        }
        ie_v_put(r->out, (how == IE_UP2 ? 2 * k : k) * r->depth + c, n, u, to);
        if (how == IE_UP2) ie_v_put(r->out, (2 * k + 1) * r->depth + c, n, u, to);
    }
}

/* The activation of nearly every layer is known to the compiler, as is a whole vector of channels;
 * the rest share code. */
IE_INLINE void run_of_types(const stretch *r, ie_resample how, ie_dtype from, ie_dtype to)
{
    int64_t c = 0;
    for (; c + IE_LANES <= r->channels; c += IE_LANES) {
        if (r->act == IE_ACT_SILU) {
            column(r, c, IE_LANES, IE_ACT_SILU, how, from, to);
        } else {
            column(r, c, IE_LANES, r->act, how, from, to);
        }
    }
    if (c < r->channels) column(r, c, r->channels - c, r->act, how, from, to);
}

IE_INLINE void run_resampled(const stretch *r, ie_resample how, ie_dtype from, ie_dtype to)
{
    if (from == IE_F32) {
        run_of_types(r, how, IE_F32, IE_F32);
    } else if (to == IE_F32) {
        run_of_types(r, how, IE_BF16, IE_F32);
    } else {
        run_of_types(r, how, IE_BF16, IE_BF16);
    }
}

/* `count` source pixels (pairs of them for IE_DOWN2) from `first`, a pixel index, of all sources,
 * to `out`. */
static void pack_run(const ie_pack *p, int64_t first, int64_t count, void *out)
{
    const int64_t joint = p->channels[0] + p->channels[1], read = p->resample == IE_DOWN2 ? 2 : 1;
    const int64_t written = p->resample == IE_UP2 ? 2 : 1;
    for (int64_t k = 0; k < count; k += BLOCK) {
        for (int i = 0; i < 2 && p->channels[i] > 0; i++) {
            const int64_t base = i * p->channels[0];
            const stretch r = {(const char *)p->x[i] +
                                   (first + k * read) * p->channels[i] * ie_dtype_size(p->from),
                               (char *)out + (k * written * p->depth + base) * ie_dtype_size(p->to),
                               p->channels[i],
                               p->width,
                               count - k < BLOCK ? count - k : BLOCK,
                               p->depth,
                               p->norm ? p->norm + base : NULL,
                               joint,
                               p->act};
            switch (p->resample) {
            case IE_SAME: run_resampled(&r, IE_SAME, p->from, p->to); break;
            case IE_UP2: run_resampled(&r, IE_UP2, p->from, p->to); break;
            case IE_DOWN2: run_resampled(&r, IE_DOWN2, p->from, p->to); break;
            }
        }
    }
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
    pack_run(p, first, count, out);
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
        pack_run(p, y / 2 * p->width, p->width, out);
    } else {
        pack_run(p, 2 * y * p->width, width, out);
    }
}

void ie_cpu_pack_rows(const ie_pack *p, int64_t first, int64_t rows, void *out)
{
    const int64_t height = ie_resampled(p->height, p->resample);
    const size_t bytes = (size_t)((ie_resampled(p->width, p->resample) + (int64_t)2 * p->pad) *
                                  p->depth * ie_dtype_size(p->to));
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
