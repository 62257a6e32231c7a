/* check_sample.c - steps of the sampler: guidance, both predictions, thresholds, known pixels,
 * noise, slots.
 * SPDX-License-Identifier: Apache-2.0 */
#include "check_image.h"

#include <stdlib.h>

enum { REQUESTS = 3, SLOTS = 4 };

typedef struct sample_problem {
    ie_sample_args args;
    ie_step steps[REQUESTS];
} sample_problem;

static int run(check *t, const void *self, int64_t begin, int64_t end)
{
    ie_sample_args a = ((const sample_problem *)self)->args;
    a.steps = ie_slice(a.steps, 0, begin, end);
    a.scratch = check_scratch(t, t->ops->sample_scratch(&a));
    return t->ops->sample(NULL, &a);
}

static approx predict(const ie_sample_args *a, const ie_step *s, int64_t i)
{
    const int64_t channels = a->z.dim[3], stride = a->pred.dim[3], pixel = i / channels;
    const int64_t at = pixel * stride + i % channels;
    const double z = check_load(a->z, s->slot * a->z.stride[0] + i);
    const double alpha = (double)s->alpha, sigma = (double)s->sigma, w = (double)s->guidance;
    const double cond = check_load(a->pred, s->lane_cond * a->pred.stride[0] + at);
    approx p = {cond, 0};
    if (s->lane_uncond >= 0) {
        const double uncond = check_load(a->pred, s->lane_uncond * a->pred.stride[0] + at);
        p.v = w * cond + (1 - w) * uncond;
        p.e = 3 * CHECK_U * (fabs(w * cond) + fabs((1 - w) * uncond));
    }
    const double size = fabs(z) + fabs(sigma * p.v);
    const bool v = s->prediction == IE_PREDICT_V;
    if (v) return (approx){alpha * z - sigma * p.v, sigma * p.e + 3 * CHECK_U * size};
    const double x0 = (z - sigma * p.v) / alpha;
    return (approx){x0, (sigma * p.e + 2 * CHECK_U * size) / alpha + 2 * CHECK_U * fabs(x0)};
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The dynamic limit. Order statistics move by at most as much as any of the values; a position
 * in f32 is off by U of itself, and the limit by as much of the gap there. */
static approx find_limit(const ie_step *s, const approx *x0, int64_t count)
{
    double *sizes = malloc((size_t)count * sizeof *sizes);
    if (!sizes) abort();
    double error = 0;
    for (int64_t i = 0; i < count; i++) {
        sizes[i] = fabs(x0[i].v);
        error = fmax(error, x0[i].e);
    }
    qsort(sizes, (size_t)count, sizeof *sizes, compare);
    const double position = (double)s->percentile * (double)(count - 1);
    const int64_t k = (int64_t)floor(position), next = k + 1 < count ? k + 1 : k;
    const int64_t last = k + 2 < count ? k + 2 : count - 1, before = k > 0 ? k - 1 : 0;
    approx limit = {sizes[k] + (position - (double)k) * (sizes[next] - sizes[k]), 0};
    limit.e = error + CHECK_U * position * (sizes[last] - sizes[before]) + 4 * CHECK_U * limit.v;
    free(sizes);
    limit.v = fmax(limit.v, 1);
    if (s->cap > 0) limit.v = fmin(limit.v, (double)s->cap);
    return limit;
}

static approx thresholded(const ie_step *s, approx x0, approx limit)
{
    if (s->threshold == IE_THRESHOLD_NONE) return x0;
    const double clipped = fmin(fmax(x0.v, -limit.v), limit.v);
    if (s->threshold == IE_THRESHOLD_STATIC) return (approx){clipped, x0.e};
    const double v = clipped / limit.v;
    return (approx){v, (x0.e + fabs(v) * limit.e) / limit.v + 2 * CHECK_U * fabs(v)};
}

/* What is known of element i of the step's slot, where it is. */
static bool find_known(const ie_sample_args *a, const ie_step *s, int64_t i, approx *x0)
{
    if (!ie_present(a->known)) return false;
    const int64_t channels = a->z.dim[3], pixel = i / channels;
    const int64_t at = s->slot * a->known.stride[0] + pixel * (channels + 1);
    if (check_load(a->known, at + channels) != 0) return false;
    /* As in the conditioning image: check_mask_image. */
    *x0 = (approx){2 * check_load(a->known, at + i % channels) / 255 - 1, 4 * CHECK_U};
    return true;
}

static void oracle(const ie_sample_args *a, const ie_step *s, check_output *out)
{
    const int64_t count = a->z.stride[0];
    const uint64_t seed = (uint64_t)s->seed_high << 32 | s->seed_low;
    approx *x0 = malloc((size_t)count * sizeof *x0);
    if (!x0) abort();
    for (int64_t i = 0; i < count; i++) x0[i] = predict(a, s, i);
    approx limit = {1, 0};
    if (s->threshold == IE_THRESHOLD_DYNAMIC) limit = find_limit(s, x0, count);
    for (int64_t i = 0; i < count; i++) {
        approx x = thresholded(s, x0[i], limit);
        (void)find_known(a, s, i, &x);
        const approx n = check_normal(seed, s->stage, (uint32_t)s->step, i);
        const double keep = (double)s->keep * check_load(a->z, s->slot * count + i);
        const double now = (double)s->now * x.v, noise = (double)s->noise * n.v;
        const double size = fabs(keep) + fabs(now) + fabs(noise);
        const double error = fabs((double)s->now) * x.e + fabs((double)s->noise) * n.e;
        check_expect(out, s->slot * count + i,
                     (approx){keep + now + noise, error + 3 * CHECK_U * size});
    }
    free(x0);
}

static ie_step draw_step(check *t, int variant)
{
    ie_step s = {.step = (int32_t)check_below(t, 1000), .stage = (uint32_t)check_below(t, 3)};
    const double angle = 0.7 + 0.6 * check_uniform(t);
    s.alpha = (float)cos(angle);
    s.sigma = (float)sin(angle);
    s.guidance = (float)(8 + 7 * check_uniform(t));
    s.keep = (float)(0.5 * check_uniform(t));
    s.now = (float)check_uniform(t);
    s.noise = variant % 2 ? 0.3f : 0;
    s.prediction = variant / 2 % 2 ? IE_PREDICT_V : IE_PREDICT_EPSILON;
    s.threshold = variant / 4 % 3;
    s.percentile = variant % 5 == 0 ? 0.995f : variant % 5 == 1 ? 1 : variant % 5 == 2 ? 0 : 0.9f;
    s.cap = variant % 3 == 0 ? 1.5f : 0;
    s.seed_low = (uint32_t)check_below(t, UINT32_MAX);
    s.seed_high = (uint32_t)check_below(t, UINT32_MAX);
    return s;
}

/* Random colours, some of which are known. */
static ie_tensor draw_known(check *t, const int64_t *size)
{
    const int64_t dim[4] = {SLOTS, size[0], size[1], size[2] + 1};
    const int64_t bytes = dim[0] * dim[1] * dim[2] * dim[3];
    uint8_t *known = malloc((size_t)bytes);
    if (!known) abort();
    for (int64_t i = 0; i < bytes; i++)
        known[i] = (uint8_t)check_below(t, i % dim[3] == size[2] ? 2 : 256);
    const ie_tensor rows = check_bytes(t, known, SLOTS, bytes / SLOTS);
    free(known);
    return ie_reshape(rows, 4, dim);
}

/* `dtype`: of the prediction. Of 24 variants the second dozen knows some of the pixels. */
static void one_case(check *t, const int64_t *size, ie_dtype dtype, check_pattern pattern,
                     int variant)
{
    /* Slot 1 belongs to nobody; the second request has no unconditional pass. */
    static const int64_t lane[SLOTS] = {1, -1, 0, 2};
    static const int32_t slot[REQUESTS] = {2, 0, 3};
    static const int32_t cond[REQUESTS] = {4, 1, 0}, uncond[REQUESTS] = {3, -1, 2};
    sample_problem p = {0};
    check_label(t, "%lldx%lld of %s, variant %d, %s", (long long)size[0], (long long)size[1],
                dtype == IE_F32 ? "f32" : "bf16", variant, check_pattern_name(pattern));
    for (int r = 0; r < REQUESTS; r++) {
        p.steps[r] = draw_step(t, variant + r);
        p.steps[r].slot = slot[r];
        p.steps[r].lane_cond = cond[r];
        p.steps[r].lane_uncond = uncond[r];
        if (uncond[r] < 0) p.steps[r].guidance = 1;
    }
    p.steps[2].sigma = 1;
    p.steps[2].alpha = variant / 2 % 2 ? 1e-3f : 4.5e-5f; /* as at t = 1 */
    p.args.steps = check_bytes(t, p.steps, REQUESTS, sizeof(ie_step));
    p.args.pred =
        check_input(t, dtype, 4, (const int64_t[]){5, size[0], size[1], size[3]}, pattern);
    p.args.z = check_both(t, IE_F32, 4, (const int64_t[]){SLOTS, size[0], size[1], size[2]},
                          pattern == CHECK_ZEROS ? CHECK_ZEROS : CHECK_UNIFORM);
    if (variant / 12 % 2) p.args.known = draw_known(t, size);
    check_output *z = check_in_place(t, p.args.z);
    z->lane = lane;
    for (int r = 0; r < REQUESTS; r++) oracle(&p.args, &p.steps[r], z);
    check_case(t, run, &p, REQUESTS);
}

void check_sample(check *t)
{
    /* height, width, channels of z and of the prediction */
    static const int64_t sizes[][4] = {
        {1, 1, 1, 1}, {7, 5, 3, 3}, {16, 16, 3, 6}, {33, 9, 3, 4}, {64, 64, 3, 3}};
    for (int i = 0; i < 4 * 24; i++) one_case(t, sizes[i / 24], t->act, CHECK_UNIFORM, i % 24);
    for (int i = 0; i < CHECK_PATTERNS * 6; i++) {
        one_case(t, sizes[1 + i % 3], t->act, (check_pattern)(i % CHECK_PATTERNS), 2 * i);
    }
    /* So many values that neighbours agree in all but their last bits. */
    for (int i = 0; i < CHECK_PATTERNS; i++) {
        one_case(t, sizes[4], t->act, (check_pattern)i, 8 + i % 2 + i / 2 % 2 * 12);
    }
    /* What the engine's networks predict: f32, whatever their activations are. */
    for (int i = 0; i < 24; i++) one_case(t, sizes[1 + i % 3], IE_F32, CHECK_UNIFORM, i);
    one_case(t, sizes[4], IE_F32, CHECK_UNIFORM, 9);
}
