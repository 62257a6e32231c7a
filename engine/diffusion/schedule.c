/* schedule.c - the two schedules. SPDX-License-Identifier: Apache-2.0 */
#include "schedule.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

static double clamp(double lambda)
{
    return fmin(fmax(lambda, -IE_LAMBDA_LIMIT), IE_LAMBDA_LIMIT);
}

double ie_log_snr(const ie_schedule *schedule, double t)
{
    if (schedule->kind == IE_SCHEDULE_COSINE) {
        const double angle = pi / 2 * (t + schedule->s) / (1 + schedule->s);
        /* alpha^2 = cos^2, sigma^2 = sin^2; at t = 1 the tangent is huge, not infinite, and
         * clamped. */
        return clamp(-2 * log(tan(angle)));
    }
    const double first = schedule->steps * schedule->beta_first,
                 last = schedule->steps * schedule->beta_last;
    const double decay = first * t + (last - first) * t * t / 2; /* -log alpha^2 */
    return decay > 0 ? clamp(-log(expm1(decay))) : IE_LAMBDA_LIMIT;
}

double ie_alpha(double lambda)
{
    return sqrt(1 / (1 + exp(-lambda)));
}

double ie_sigma(double lambda)
{
    return sqrt(1 / (1 + exp(lambda)));
}

ie_augmentation ie_augmentation_at(double level)
{
    static const ie_schedule cosine = {.kind = IE_SCHEDULE_COSINE, .s = 0.008};
    if (level <= 0) return (ie_augmentation){.lambda = IE_LAMBDA_LIMIT, .alpha = 1, .sigma = 0};
    const double lambda = ie_log_snr(&cosine, level);
    return (ie_augmentation){
        .lambda = lambda, .alpha = ie_alpha(lambda), .sigma = ie_sigma(lambda)};
}
