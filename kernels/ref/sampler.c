/* sampler.c - one step of the sampler for every request: guidance, x0, threshold, known pixels, the
 * affine update, noise.
 *
 * The requests go one after another and share the scratch: |x0| of one image, for the quantile.
 * SPDX-License-Identifier: Apache-2.0 */
#include "numbers.h"
#include "ref.h"
#include "rng.h"

/* One request: its step, its image and its two rows of the prediction (NULL: no unconditional one).
 * */
typedef struct request {
    ie_step step;
    ie_dtype dtype;
    float *z;
    const void *cond, *uncond;
    const uint8_t *known;     /* [pixels, channels + 1] of ops.h, or NULL */
    int64_t channels, stride; /* of z, of the prediction: what lies past `channels` is ignored */
} request;

static double predict_x0(const request *r, int64_t i)
{
    const int64_t at = i / r->channels * r->stride + i % r->channels;
    const double w = (double)r->step.guidance, z = (double)r->z[i];
    double p = ie_ref_load(r->cond, r->dtype, at);
    if (r->uncond) p = w * p + (1 - w) * ie_ref_load(r->uncond, r->dtype, at);
    const double alpha = (double)r->step.alpha, sigma = (double)r->step.sigma;
    return r->step.prediction == IE_PREDICT_V ? alpha * z - sigma * p : (z - sigma * p) / alpha;
}

/* The size x0 is clipped to. A NaN counts as infinitely large, so that ordering stays defined; it
 * still reaches z. */
static double find_limit(const request *r, double *sizes, int64_t count)
{
    if (r->step.threshold == IE_THRESHOLD_NONE) return INFINITY;
    if (r->step.threshold == IE_THRESHOLD_STATIC) return 1;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < count; i++) {
        const double size = fabs(predict_x0(r, i));
        sizes[i] = isnan(size) ? INFINITY : size;
    }
    const double s = fmax(1, ie_ref_quantile(sizes, count, (double)r->step.percentile));
    return r->step.cap > 0 ? fmin(s, (double)r->step.cap) : s;
}

static double clip(double x, double limit)
{
    return x > limit ? limit : x < -limit ? -limit : x;
}

static double x0_of(const request *r, int64_t i, double limit)
{
    const double divisor = r->step.threshold == IE_THRESHOLD_DYNAMIC ? limit : 1;
    if (r->known) {
        const uint8_t *pixel = r->known + i / r->channels * (r->channels + 1);
        if (!pixel[r->channels]) return 2.0 * pixel[i % r->channels] / 255.0 - 1;
    }
    return clip(predict_x0(r, i), limit) / divisor;
}

static void run_request(const request *r, double *sizes, int64_t count)
{
    const ie_step *step = &r->step;
    const uint64_t seed = (uint64_t)step->seed_high << 32 | step->seed_low;
    const double limit = find_limit(r, sizes, count);
#pragma omp parallel for schedule(static)
    for (int64_t block = 0; block < (count + 3) / 4; block++) {
        float normal[4] = {0};
        if (step->noise != 0) {
            ie_normal4(normal, seed, step->stage, (uint32_t)step->step, (uint32_t)block);
        }
        for (int64_t i = 4 * block; i < 4 * block + 4 && i < count; i++) {
            const double x0 = x0_of(r, i, limit);
            r->z[i] = (float)((double)step->keep * (double)r->z[i] + (double)step->now * x0 +
                              (double)step->noise * (double)normal[i % 4]);
        }
    }
}

uint64_t ie_ref_sample_scratch(const ie_sample_args *a)
{
    return (uint64_t)(a->z.dim[1] * a->z.dim[2] * a->z.dim[3]) * sizeof(double);
}

int ie_ref_sample(ie_stream *s, const ie_sample_args *a)
{
    (void)s;
    const ie_tensor z = a->z, pred = a->pred;
    for (int64_t i = 0; i < a->steps.dim[0]; i++) {
        request r = {.dtype = pred.dtype, .channels = z.dim[3], .stride = pred.dim[3]};
        memcpy(&r.step, ie_offset(a->steps, i * a->steps.stride[0]), sizeof r.step);
        r.z = ie_offset(z, r.step.slot * z.stride[0]);
        r.cond = ie_offset(pred, r.step.lane_cond * pred.stride[0]);
        if (r.step.lane_uncond >= 0)
            r.uncond = ie_offset(pred, r.step.lane_uncond * pred.stride[0]);
        if (ie_present(a->known)) r.known = ie_offset(a->known, r.step.slot * a->known.stride[0]);
        run_request(&r, a->scratch, z.dim[1] * z.dim[2] * z.dim[3]);
    }
    return 0;
}
