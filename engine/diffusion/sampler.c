/* sampler.c - DDIM and the ancestral sampler. SPDX-License-Identifier: Apache-2.0 */
#include "sampler.h"

#include <math.h>

ie_sampler_step ie_sampler_at(const ie_schedule *schedule, ie_sampler sampler, double gamma,
                              double end, int step, int steps)
{
    ie_sampler_step r = {.t = 1.0 - (1.0 - end) * step / steps};
    r.lambda = ie_log_snr(schedule, r.t);
    r.alpha = ie_alpha(r.lambda);
    r.sigma = ie_sigma(r.lambda);
    if (step == steps - 1) {
        r.now = 1; /* to (alpha, sigma) = (1, 0): the clean image itself */
        return r;
    }
    const double next = ie_log_snr(schedule, 1.0 - (1.0 - end) * (step + 1) / steps);
    const double alpha = ie_alpha(next), sigma = ie_sigma(next);
    if (sampler == IE_SAMPLER_DDIM) {
        r.keep = sigma / r.sigma;
        r.now = alpha - r.keep * r.alpha;
        return r;
    }
    const double ratio = exp(r.lambda - next), rest = -expm1(r.lambda - next); /* r and 1 - r */
    r.keep = ratio * alpha / r.alpha;
    r.now = rest * alpha;
    /* Between the posterior's variance (gamma 0) and the forward one (gamma 1), in logs. */
    r.noise = sqrt(pow(rest * sigma * sigma, 1 - gamma) * pow(rest * r.sigma * r.sigma, gamma));
    return r;
}
