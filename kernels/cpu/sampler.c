/* sampler.c - one step of the sampler: guidance, x0, threshold, known pixels, the update, noise.
 *
 *   numerics  f32, each operation rounded; the quantile is exact
 *   cost      dynamic threshold: x0 is written once and read five times (three digits, the
 *             neighbour, the update)
 *   mapping   requests one after another, runs of 64 elements over threads
 * SPDX-License-Identifier: Apache-2.0 */
#include "sampler.h"
#include "half.h"
#include "threads.h"

#include <math.h>
#include <string.h>

enum { RUN = IE_NOISE_RUN };

typedef struct request {
    ie_step step;
    float *z;
    const void *cond, *uncond; /* rows of the prediction; uncond may be NULL */
    ie_dtype type;
    const uint8_t *known;            /* [pixels, channels + 1] of ops.h, or NULL */
    int64_t channels, stride, count; /* of z, of the prediction, elements of z */
    float *x0;                       /* [count]: dynamic threshold only */
} request;

/* Elements [first, first + n) of a row of the prediction. */
static void fetch(float *p, const request *r, const void *row, int64_t first, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const int64_t e = first + i;
        const int64_t at =
            r->stride == r->channels ? e : e / r->channels * r->stride + e % r->channels;
        p[i] = r->type == IE_F32 ? ((const float *)row)[at]
                                 : ie_f32_from_bf16(((const uint16_t *)row)[at]);
    }
}

static void predict_x0(float *x0, const request *r, int64_t first, int64_t n)
{
    float p[RUN], u[RUN];
    const ie_step *s = &r->step;
    fetch(p, r, r->cond, first, n);
    if (r->uncond) {
        fetch(u, r, r->uncond, first, n);
        for (int64_t i = 0; i < n; i++) p[i] = s->guidance * p[i] + (1 - s->guidance) * u[i];
    }
    const float *z = r->z + first;
    if (s->prediction == IE_PREDICT_V) {
        for (int64_t i = 0; i < n; i++) x0[i] = s->alpha * z[i] - s->sigma * p[i];
    } else {
        for (int64_t i = 0; i < n; i++) x0[i] = (z[i] - s->sigma * p[i]) / s->alpha;
    }
}

static int64_t run_length(const request *r, int64_t first)
{
    return r->count - first < RUN ? r->count - first : RUN;
}

/* What x0 is clipped to: infinity when it is not. */
static float find_limit(const request *r, void *histograms)
{
    const ie_step *s = &r->step;
    if (s->threshold == IE_THRESHOLD_NONE) return INFINITY;
    if (s->threshold == IE_THRESHOLD_STATIC) return 1;
#pragma omp parallel for num_threads(ie_cpu_thread_count()) schedule(static)
    for (int64_t i = 0; i < r->count; i += RUN) predict_x0(r->x0 + i, r, i, run_length(r, i));
    const float limit = fmaxf(1, ie_cpu_quantile(r->x0, r->count, s->percentile, histograms));
    return s->cap > 0 ? fminf(limit, s->cap) : limit;
}

/* What is known of elements [first, first + n), in place of what was predicted. */
static void put_known(float *x0, const request *r, int64_t first, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        const int64_t e = first + i, c = e % r->channels;
        const uint8_t *pixel = r->known + e / r->channels * (r->channels + 1);
        /* The numerator is exact, so there is one rounding. */
        if (!pixel[r->channels]) x0[i] = (float)(2 * pixel[c] - 255) / 255;
    }
}

static void update(const request *r, float limit, int64_t first)
{
    const ie_step *s = &r->step;
    const int64_t n = run_length(r, first);
    const float divisor = s->threshold == IE_THRESHOLD_DYNAMIC ? limit : 1;
    float x0[RUN], noise[RUN] = {0};
    if (s->threshold == IE_THRESHOLD_DYNAMIC) {
        memcpy(x0, r->x0 + first, (size_t)n * sizeof *x0);
    } else {
        predict_x0(x0, r, first, n);
    }
    if (s->noise != 0) {
        const ie_noise_key key = {(uint64_t)s->seed_high << 32 | s->seed_low, s->stage,
                                  (uint32_t)s->step};
        ie_cpu_normals(noise, key, first);
    }
    for (int64_t i = 0; i < n; i++) {
        const float x = x0[i] > limit    ? limit
                        : x0[i] < -limit ? -limit
                                         : x0[i]; /* a NaN stays one */
        x0[i] = x / divisor;
    }
    if (r->known) put_known(x0, r, first, n);
    float *z = r->z + first;
    for (int64_t i = 0; i < n; i++) {
        z[i] = s->keep * z[i] + s->now * x0[i] + s->noise * noise[i];
    }
}

static void run_request(const request *r, void *histograms)
{
    const float limit = find_limit(r, histograms);
#pragma omp parallel for num_threads(ie_cpu_thread_count()) schedule(static)
    for (int64_t i = 0; i < r->count; i += RUN) update(r, limit, i);
}

static int64_t elements(ie_tensor z)
{
    return z.dim[1] * z.dim[2] * z.dim[3];
}

uint64_t ie_cpu_sample_scratch(const ie_sample_args *a)
{
    return ie_cpu_aligned((uint64_t)elements(a->z) * sizeof(float)) + ie_cpu_quantile_bytes();
}

int ie_cpu_sample(ie_stream *s, const ie_sample_args *a)
{
    (void)s;
    const int64_t count = elements(a->z);
    void *histograms = (char *)a->scratch + ie_cpu_aligned((uint64_t)count * sizeof(float));
    for (int64_t i = 0; i < a->steps.dim[0]; i++) {
        request r = {.type = a->pred.dtype,
                     .channels = a->z.dim[3],
                     .stride = a->pred.dim[3],
                     .count = count};
        memcpy(&r.step, ie_offset(a->steps, i * a->steps.stride[0]), sizeof r.step);
        r.z = ie_offset(a->z, r.step.slot * a->z.stride[0]);
        r.cond = ie_offset(a->pred, r.step.lane_cond * a->pred.stride[0]);
        if (r.step.lane_uncond >= 0)
            r.uncond = ie_offset(a->pred, r.step.lane_uncond * a->pred.stride[0]);
        if (ie_present(a->known)) r.known = ie_offset(a->known, r.step.slot * a->known.stride[0]);
        r.x0 = a->scratch;
        run_request(&r, histograms);
    }
    return 0;
}
