/* schedule.h - log-SNR over continuous time, and the signal and noise it stands for (MODEL.md
 * section 2). SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_DIFFUSION_SCHEDULE_H
#define IE_DIFFUSION_SCHEDULE_H

#include "config.h"

#define IE_LAMBDA_LIMIT 20.0 /* lambda is clamped to this: t = 1 is finite */

/* lambda(t) = log(alpha^2 / sigma^2), t in [0, 1]; falling in t. */
double ie_log_snr(const ie_schedule *schedule, double t);

/* alpha^2 + sigma^2 = 1. */
double ie_alpha(double lambda);
double ie_sigma(double lambda);

/* The schedule of noise-conditioning augmentation: cosine with s = 0.008; level 0 adds nothing
 * (alpha 1, sigma 0). */
typedef struct ie_augmentation {
    double lambda, alpha, sigma;
} ie_augmentation;
ie_augmentation ie_augmentation_at(double level);

#endif
