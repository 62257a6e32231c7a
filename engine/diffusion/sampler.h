/* sampler.h - the update rule of every step as a row of coefficients (MODEL.md section 2); pixels
 * are kernels' work. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_DIFFUSION_SAMPLER_H
#define IE_DIFFUSION_SAMPLER_H

#include "schedule.h"

typedef struct ie_sampler_step {
    double t, lambda;        /* what the network is told */
    double alpha, sigma;     /* of z at t */
    double keep, now, noise; /* z' = keep z + now x0 + noise n */
} ie_sampler_step;

/* Step `step` of `steps` on the uniform grid t_i = 1 - (1 - end) i / steps, end in [0, 1); the last
 * one goes to the clean image. sampler: DDPM (ancestral, gamma in [0, 1]) or DDIM. */
ie_sampler_step ie_sampler_at(const ie_schedule *schedule, ie_sampler sampler, double gamma,
                              double end, int step, int steps);

#endif
