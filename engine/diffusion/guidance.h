/* guidance.h - the weight of classifier-free guidance at every step, from a constant, a list or an
 * oscillation.
 *
 * Imagen's convention: w = 1 is the plain conditional model and needs no unconditional pass.
 * Oscillation: `high` while step < hold * steps, then low, high, low, ... starting low; the last
 * step, and the last `tail` share of them, is low (MODEL.md section 2).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_DIFFUSION_GUIDANCE_H
#define IE_DIFFUSION_GUIDANCE_H

#include "error.h"

#include <stdbool.h>

#define IE_GUIDANCE_LIMIT 1000.0f /* weights are 0 .. this */

/* Finite weights in range, shares in [0, 1], a list of exactly `steps`; `what` names it in the
 * message. */
ie_status ie_guidance_check(const ie_guidance *g, int steps, const char *what, ie_error *err);

/* Weight of step i in 0 .. steps - 1; g is checked and not IE_GUIDANCE_DEFAULT. */
float ie_guidance_weight(const ie_guidance *g, int step, int steps);

/* Does this weight need the unconditional pass? Exactly 1 does not. */
static inline bool ie_guidance_needs_null(float weight)
{
    return weight != 1.0f;
}

/* Forward passes (lanes) of one request over all its steps. */
int ie_guidance_passes(const ie_guidance *g, int steps);

#endif
