/* oracle_conv.c - convolution as six nested loops in double, and the error analysis beside it.
 * SPDX-License-Identifier: Apache-2.0 */
#include "oracle_conv.h"
#include "bounds.h"

#include <stdlib.h>

/* What one lane of the convolution reads. */
typedef struct lane_input {
    approx *mean, *inverse; /* [C] of each channel's group */
    double *u, *e;          /* [Hr, Wr, C] transformed input and its error */
    double *w;              /* [O, k, k, C] as the backend packs it: rounded */
} lane_input;

static int64_t joint_channels(const conv_problem *p)
{
    return p->spec.channels[0] + p->spec.channels[1];
}

static double *room(int64_t count)
{
    double *memory = calloc((size_t)count + 1, sizeof *memory);
    if (!memory) abort();
    return memory;
}

/* Element [lane, pixel, c] of the joint sources (`each` values per channel: 1 for x, 2 for
 * moments). */
static double joint(const conv_problem *p, const ie_tensor *pair, int64_t row, int64_t c,
                    int64_t each)
{
    const int second = c >= p->spec.channels[0];
    const int64_t channel = c - second * p->spec.channels[0];
    return check_load(pair[second], (row * p->spec.channels[second] + channel) * each);
}

static double joint_var(const conv_problem *p, int64_t lane, int64_t c)
{
    const int second = c >= p->spec.channels[0];
    const int64_t channel = c - second * p->spec.channels[0];
    return check_load(p->args.moments[second], (lane * p->spec.channels[second] + channel) * 2 + 1);
}

static void group_statistics(const conv_problem *p, lane_input *in, int64_t lane)
{
    const int64_t channels = joint_channels(p), size = channels / p->spec.groups;
    for (int64_t c = 0; c < channels; c++) {
        const int64_t first = c / size * size;
        double mean = 0, absolute = 0, var = 0;
        for (int64_t k = first; k < first + size; k++) {
            mean += joint(p, p->args.moments, lane, k, 2) / (double)size;
            absolute += fabs(joint(p, p->args.moments, lane, k, 2)) / (double)size;
        }
        for (int64_t k = first; k < first + size; k++) {
            const double d = joint(p, p->args.moments, lane, k, 2) - mean;
            var += (joint_var(p, lane, k) + d * d) / (double)size;
        }
        in->mean[c] = (approx){mean, check_statistic_error(size) * absolute};
        const double off = in->mean[c].e; /* deviations from a mean off by d add d^2 */
        const double e = (check_statistic_error(size) + 4 * CHECK_U) * var + off * off;
        in->inverse[c] = check_inverse_root((approx){var, e}, (double)p->spec.eps);
    }
}

/* act(film(norm(x))). Backends may fold norm and film into a x + b, so the rounding errors are
 * relative to `size`, the sum of the sizes of a x and of the parts of b. */
static approx transformed(const conv_problem *p, const lane_input *in, int64_t lane, int64_t pixel,
                          int64_t c)
{
    const int64_t channels = joint_channels(p), pixels = p->spec.height * p->spec.width;
    const double x = joint(p, p->args.x, lane * pixels + pixel, c, 1);
    approx u = {x, 0};
    double size = fabs(x);
    if (p->spec.groups > 0) {
        const double gamma = check_load(p->args.gamma, c), beta = check_load(p->args.beta, c);
        const approx mean = in->mean[c], inverse = in->inverse[c];
        const double a = fabs(gamma) * inverse.v;
        size = a * (fabs(x) + fabs(mean.v)) + fabs(beta);
        u.v = (x - mean.v) * inverse.v * gamma + beta;
        u.e = a * mean.e + fabs(gamma * (x - mean.v)) * inverse.e + 3 * CHECK_U * size;
    }
    if (ie_present(p->args.film)) {
        const float *film = ie_offset(p->args.film, lane * p->args.film.stride[0]);
        const double scale = 1 + (double)film[c], shift = (double)film[channels + c];
        u.v = u.v * scale + shift;
        u.e = fabs(scale) * (u.e + 3 * CHECK_U * size) + 2 * CHECK_U * fabs(shift);
    }
    return check_act(p->spec.act, u);
}

static approx resampled(const conv_problem *p, const lane_input *in, int64_t lane, int64_t y,
                        int64_t x, int64_t c)
{
    const int64_t width = p->spec.width;
    if (p->spec.resample == IE_SAME) return transformed(p, in, lane, y * width + x, c);
    if (p->spec.resample == IE_UP2) return transformed(p, in, lane, y / 2 * width + x / 2, c);
    approx sum = {0, 0};
    double size = 0;
    for (int64_t dy = 0; dy < 2; dy++) {
        for (int64_t dx = 0; dx < 2; dx++) {
            const approx u = transformed(p, in, lane, (2 * y + dy) * width + 2 * x + dx, c);
            sum.v += u.v / 4;
            sum.e += u.e / 4;
            size += fabs(u.v) / 4;
        }
    }
    sum.e += 3 * CHECK_U * size;
    return sum;
}

static void fill_input(const conv_problem *p, lane_input *in, int64_t lane)
{
    const ie_conv_spec *s = &p->spec;
    const int64_t channels = joint_channels(p), width = ie_resampled(s->width, s->resample);
    const int64_t count = ie_resampled(s->height, s->resample) * width * channels;
    const bool changed = s->groups > 0 || s->act != IE_ACT_NONE || s->resample == IE_DOWN2 ||
                         ie_present(p->args.film);
    if (s->groups > 0) group_statistics(p, in, lane);
    for (int64_t i = 0; i < count; i++) {
        const int64_t pixel = i / channels;
        approx u = resampled(p, in, lane, pixel / width, pixel % width, i % channels);
        if (changed) u = check_stored(u, s->dtype); /* the one rounding ops.h allows */
        in->u[i] = u.v;
        in->e[i] = u.e;
    }
}

static void fill_weight(const conv_problem *p, lane_input *in)
{
    const int64_t channels = joint_channels(p), taps = (int64_t)p->spec.kernel * p->spec.kernel;
    for (int64_t i = 0; i < p->spec.outputs * channels * taps; i++) {
        const int64_t o = i / (channels * taps), c = i / taps % channels, tap = i % taps;
        const double w = check_round(p->spec.dtype, check_load(p->weight, i));
        in->w[(o * taps + tap) * channels + c] = w;
    }
}

/* The residual at an output position; *size is the sum of the sizes of its terms. */
static double residual(const conv_problem *p, int64_t lane, int64_t y, int64_t x, int64_t o,
                       double *size)
{
    const ie_tensor r = p->args.residual;
    double sum = 0;
    *size = 0;
    if (!ie_present(r)) return 0;
    const ie_resample how = p->args.residual_resample;
    const int64_t terms = how == IE_DOWN2 ? 2 : 1;
    for (int64_t dy = 0; dy < terms; dy++) {
        for (int64_t dx = 0; dx < terms; dx++) {
            const int64_t ry = how == IE_UP2 ? y / 2 : y * terms + dy;
            const int64_t rx = how == IE_UP2 ? x / 2 : x * terms + dx;
            const int64_t at = lane * r.stride[0] + ry * r.stride[1] + rx * r.stride[2] + o;
            const double v = check_load(r, at) / (double)(terms * terms);
            sum += v;
            *size += fabs(v);
        }
    }
    return sum;
}

/* y before its rounding, and its error. */
static approx output_at(const conv_problem *p, const lane_input *in, int64_t lane, int64_t y,
                        int64_t x, int64_t o)
{
    const ie_conv_spec *s = &p->spec;
    const int64_t channels = joint_channels(p);
    const int64_t height = ie_resampled(s->height, s->resample);
    const int64_t width = ie_resampled(s->width, s->resample);
    double sum = 0, size = 0, error = 0, r_size;
    for (int64_t ky = 0; ky < s->kernel; ky++) {
        for (int64_t kx = 0; kx < s->kernel; kx++) {
            const int64_t uy = y * s->stride + ky - s->pad, ux = x * s->stride + kx - s->pad;
            if (uy < 0 || uy >= height || ux < 0 || ux >= width) continue;
            const double *w = in->w + ((o * s->kernel + ky) * s->kernel + kx) * channels;
            const int64_t at = (uy * width + ux) * channels;
            for (int64_t c = 0; c < channels; c++) {
                sum += w[c] * in->u[at + c];
                size += fabs(w[c] * in->u[at + c]);
                error += fabs(w[c]) * in->e[at + c];
            }
        }
    }
    const double bias = ie_present(p->bias) ? check_load(p->bias, o) : 0;
    sum += bias + residual(p, lane, y, x, o, &r_size);
    size += fabs(bias) + r_size;
    /* bias, residual, its mean of four and the scale: six operations more than the products. */
    error += check_sum_error(s->kernel * channels * s->kernel + 6) * (size + error);
    const double scale = (double)p->args.scale;
    return (approx){scale * sum, fabs(scale) * error};
}

static void lane_outputs(const conv_problem *p, const lane_input *in, int64_t lane, check_output *y,
                         check_output *moments)
{
    const int64_t pixels = y->t.dim[1] * y->t.dim[2], width = y->t.dim[2], outputs = y->t.dim[3];
    approx *column = calloc((size_t)pixels, sizeof *column);
    if (!column) abort();
    for (int64_t o = 0; o < outputs; o++) {
        check_spread spread = {0};
        for (int64_t i = 0; i < pixels; i++) {
            const int64_t at = (lane * pixels + i) * outputs + o;
            column[i] = output_at(p, in, lane, i / width, i % width, o);
            check_expect(y, at, column[i]);
            check_spread_mean(&spread, column[i]);
        }
        if (!moments) continue;
        for (int64_t i = 0; i < pixels; i++) check_spread_var(&spread, column[i]);
        check_expect_moments(moments, lane * outputs + o, &spread);
    }
    free(column);
}

void oracle_conv(const conv_problem *p, check_output *y, check_output *moments)
{
    const ie_conv_spec *s = &p->spec;
    const int64_t channels = joint_channels(p);
    const int64_t count =
        ie_resampled(s->height, s->resample) * ie_resampled(s->width, s->resample) * channels;
    lane_input in = {.u = room(count), .e = room(count)};
    in.w = room(s->outputs * s->kernel * s->kernel * channels);
    in.mean = calloc((size_t)channels, sizeof *in.mean);
    in.inverse = calloc((size_t)channels, sizeof *in.inverse);
    if (!in.mean || !in.inverse) abort();
    fill_weight(p, &in);
    for (int64_t lane = 0; lane < y->t.dim[0]; lane++) {
        fill_input(p, &in, lane);
        lane_outputs(p, &in, lane, y, moments);
    }
    free(in.u);
    free(in.e);
    free(in.w);
    free(in.mean);
    free(in.inverse);
}
