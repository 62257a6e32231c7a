/* check_image.h - the normal numbers of rng.h in double, with the error f32 functions may have.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CHECK_IMAGE_H
#define IE_CHECK_IMAGE_H

#include "bounds.h"
#include "rng.h"

/* Normal number `i`. The radius passes through a logarithm, a product and a root, each within two
 * units; the angle, up to 2 pi, is off by 2 U of itself, and so are its sine and cosine. */
static inline approx check_normal(uint64_t seed, uint32_t stage, uint32_t step, int64_t i)
{
    const ie_u32x4 counter = {{(uint32_t)(i / 4), 0, step, stage}};
    const ie_u32x4 r = ie_philox((uint32_t)seed, (uint32_t)(seed >> 32), counter);
    const int64_t pair = i % 4 / 2;
    const double radius = sqrt(-2 * log((double)ie_unit(r.w[2 * pair])));
    const double angle = 2 * M_PI * (double)ie_unit(r.w[2 * pair + 1]);
    const double wave = i % 2 ? sin(angle) : cos(angle);
    return (approx){radius * wave, radius * CHECK_U * (2 * angle + 8)};
}

#endif
