/* Group norm, scale and shift, SiLU in one pass each way, for training on a CPU: see fast.py.
 *
 * Activations are f32, or bf16 with -DBF16, and channels-last: x[n][pixel][channel], `pixels` =
 * H * W. With group statistics over (pixels, channels of the group), all sums in f32:
 *
 *     xhat = (x - mean) * rstd,  u = (gamma * xhat + beta) * (1 + scale) + shift,  y = silu(u) or u
 *
 * scale and shift are [n][channel] f32 or NULL (then 0). fast.py binds and checks the arguments.
 * Formulas: engine/MODEL.md section 4; the gradient is derived at `backward_sample`.
 * SPDX-License-Identifier: Apache-2.0
 */
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct shape {
    int samples, pixels, channels, groups;
    int silu;    /* whether the activation follows */
    int threads; /* of the loop over the samples */
};

enum {
    VECTOR = 16,    /* floats of a 512-bit register */
    CHANNELS = 1024 /* at most, so that a sample's rows of coefficients fit the stack */
};

#ifdef BF16

typedef uint16_t element;

static inline float to_float(element x)
{
    union {
        uint32_t bits;
        float value;
    } u = {(uint32_t)x << 16};
    return u.value;
}

/* Round to nearest, ties to even; what is not finite ends the run by its loss. */
static inline element to_element(float x)
{
    union {
        float value;
        uint32_t bits;
    } u = {x};
    return (element)((u.bits + 0x7fff + (u.bits >> 16 & 1)) >> 16);
}

#else

typedef float element;

static inline float to_float(element x)
{
    return x;
}

static inline element to_element(float x)
{
    return x;
}

#endif

/* Clamped: -ffast-math divides by a refined reciprocal, where 1 / infinity is NaN. */
static inline float sigmoid(float u)
{
    return 1 / (1 + expf(u > -80 ? -u : 80));
}

/* Rows of pixels are taken together until their length is a multiple of a register: `period`
 * elements, whose coefficients repeat. */
static int rows_of(const struct shape *s)
{
    int rows = 1;
    while (rows * s->channels % VECTOR && s->pixels % (2 * rows) == 0) rows *= 2;
    return rows;
}

static void repeat(float *coefficient, int channels, int rows)
{
    for (int r = 1; r < rows; r++)
        memcpy(coefficient + (size_t)r * channels, coefficient, sizeof(float) * channels);
}

/* sum over the rows of a period, back to one value a channel */
static void fold(float *sum, int channels, int rows)
{
    for (int r = 1; r < rows; r++)
        for (int c = 0; c < channels; c++) sum[c] += sum[(size_t)r * channels + c];
}

enum { PERIOD = CHANNELS * VECTOR };

/* mean and rstd of each group of one sample. The difference of squares loses digits where a mean is
 * far from zero, which the activations of a trained network are not: test_train.py compares. */
static void statistics(const struct shape *s, const element *x, float eps, float *mean, float *rstd)
{
    static _Thread_local float sum[PERIOD], square[PERIOD];
    const int rows = rows_of(s), period = rows * s->channels, width = s->channels / s->groups;
    memset(sum, 0, sizeof(float) * period);
    memset(square, 0, sizeof(float) * period);
    for (int p = 0; p < s->pixels; p += rows) {
        const element *row = x + (size_t)p * s->channels;
        for (int i = 0; i < period; i++) {
            const float value = to_float(row[i]);
            sum[i] += value;
            square[i] += value * value;
        }
    }
    fold(sum, s->channels, rows);
    fold(square, s->channels, rows);
    for (int g = 0; g < s->groups; g++) {
        double total = 0, squares = 0;
        for (int c = g * width; c < (g + 1) * width; c++) total += sum[c], squares += square[c];
        const double count = (double)width * s->pixels, average = total / count;
        const double variance = squares / count - average * average;
        mean[g] = (float)average;
        rstd[g] = (float)(1 / sqrt((variance > 0 ? variance : 0) + (double)eps));
    }
}

/* u = a x + b, for every element of a period. */
static void coefficients(const struct shape *s, const float *gamma, const float *beta,
                         const float *scale, const float *shift, const float *mean,
                         const float *rstd, float *a, float *b)
{
    const int width = s->channels / s->groups, rows = rows_of(s);
    for (int c = 0; c < s->channels; c++) {
        const float k = scale ? 1 + scale[c] : 1, t = shift ? shift[c] : 0;
        a[c] = rstd[c / width] * gamma[c] * k;
        b[c] = beta[c] * k + t - mean[c / width] * a[c];
    }
    repeat(a, s->channels, rows);
    repeat(b, s->channels, rows);
}

static void forward_sample(const struct shape *s, const element *x, const float *gamma,
                           const float *beta, const float *scale, const float *shift,
                           const float *mean, const float *rstd, element *y)
{
    static _Thread_local float a[PERIOD], b[PERIOD];
    const int rows = rows_of(s), period = rows * s->channels;
    coefficients(s, gamma, beta, scale, shift, mean, rstd, a, b);
    for (int p = 0; p < s->pixels; p += rows) {
        const element *from = x + (size_t)p * s->channels;
        element *to = y + (size_t)p * s->channels;
        if (s->silu)
            for (int i = 0; i < period; i++) {
                const float u = to_float(from[i]) * a[i] + b[i];
                to[i] = to_element(u * sigmoid(u));
            }
        else
            for (int i = 0; i < period; i++) to[i] = to_element(to_float(from[i]) * a[i] + b[i]);
    }
}

/* y [samples][pixels][channels]; mean, rstd [samples][groups], which backward needs. */
void norm_forward(const struct shape *s, const element *x, const float *gamma, const float *beta,
                  const float *scale, const float *shift, float eps, element *y, float *mean,
                  float *rstd)
{
    const size_t size = (size_t)s->pixels * s->channels;
#pragma omp parallel for num_threads(s->threads) schedule(static)
    for (int n = 0; n < s->samples; n++) {
        const float *k = scale ? scale + (size_t)n * s->channels : NULL;
        const float *t = shift ? shift + (size_t)n * s->channels : NULL;
        float *m = mean + (size_t)n * s->groups, *r = rstd + (size_t)n * s->groups;
        statistics(s, x + n * size, eps, m, r);
        forward_sample(s, x + n * size, gamma, beta, k, t, m, r, y + n * size);
    }
}

/* With du = dy silu'(u) and k = gamma (1 + scale):
 *     dx = rstd (k du - mean_g(k du) - xhat mean_g(k du xhat)),
 * mean_g over the group's pixels and channels. The sums S1 = sum du and S2 = sum du xhat over the
 * pixels also give every other gradient. du is kept in `work` between the two passes. */
static void backward_sample(const struct shape *s, const element *x, const element *dy,
                            const float *gamma, const float *beta, const float *scale,
                            const float *shift, const float *mean, const float *rstd, element *dx,
                            float *s1, float *s2, float *work)
{
    static _Thread_local float a[PERIOD], b[PERIOD], c1[PERIOD], c2[PERIOD], c3[PERIOD];
    const int rows = rows_of(s), period = rows * s->channels, width = s->channels / s->groups;
    coefficients(s, gamma, beta, scale, shift, mean, rstd, a, b);
    memset(c1, 0, sizeof(float) * period); /* here the sums of du */
    memset(c2, 0, sizeof(float) * period); /* and of du x */
    for (int p = 0; p < s->pixels; p += rows) {
        const size_t at = (size_t)p * s->channels;
        if (s->silu)
            for (int i = 0; i < period; i++) {
                const float value = to_float(x[at + i]), u = value * a[i] + b[i];
                const float gate = sigmoid(u);
                const float du = to_float(dy[at + i]) * gate * (1 + u * (1 - gate));
                work[at + i] = du;
                c1[i] += du;
                c2[i] += du * value;
            }
        else
            for (int i = 0; i < period; i++) {
                const float du = to_float(dy[at + i]);
                work[at + i] = du;
                c1[i] += du;
                c2[i] += du * to_float(x[at + i]);
            }
    }
    fold(c1, s->channels, rows);
    fold(c2, s->channels, rows);
    for (int c = 0; c < s->channels; c++) {
        const int g = c / width;
        s1[c] = c1[c];
        s2[c] = (c2[c] - mean[g] * c1[c]) * rstd[g];
    }
    /* dx = c1 du + c2 x + c3 */
    for (int g = 0; g < s->groups; g++) {
        double m1 = 0, m2 = 0;
        for (int c = g * width; c < (g + 1) * width; c++) {
            const double k = (double)gamma[c] * (scale ? 1 + scale[c] : 1);
            m1 += k * s1[c];
            m2 += k * s2[c];
        }
        const double count = (double)width * s->pixels;
        m1 /= count;
        m2 /= count;
        for (int c = g * width; c < (g + 1) * width; c++) {
            c1[c] = a[c];
            c2[c] = (float)(-m2 * rstd[g] * rstd[g]);
            c3[c] = (float)(rstd[g] * (m2 * mean[g] * rstd[g] - m1));
        }
    }
    repeat(c1, s->channels, rows);
    repeat(c2, s->channels, rows);
    repeat(c3, s->channels, rows);
    for (int p = 0; p < s->pixels; p += rows) {
        const size_t at = (size_t)p * s->channels;
        for (int i = 0; i < period; i++)
            dx[at + i] = to_element(c1[i] * work[at + i] + c2[i] * to_float(x[at + i]) + c3[i]);
    }
}

/* dx as x; s1, s2 [samples][channels]: sums of du and of du xhat. 0, or 1 without memory. */
int norm_backward(const struct shape *s, const element *x, const element *dy, const float *gamma,
                  const float *beta, const float *scale, const float *shift, const float *mean,
                  const float *rstd, element *dx, float *s1, float *s2)
{
    const size_t size = (size_t)s->pixels * s->channels;
    int failed = 0;
#pragma omp parallel num_threads(s->threads) reduction(| : failed)
    {
        float *work = malloc(sizeof(float) * size);
        failed |= work == NULL;
#pragma omp for schedule(static)
        for (int n = 0; n < s->samples; n++) {
            const size_t c = (size_t)n * s->channels, g = (size_t)n * s->groups;
            if (work)
                backward_sample(s, x + n * size, dy + n * size, gamma, beta,
                                scale ? scale + c : NULL, shift ? shift + c : NULL, mean + g,
                                rstd + g, dx + n * size, s1 + c, s2 + c, work);
        }
        free(work);
    }
    return failed;
}
