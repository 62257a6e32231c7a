/* guidance_spec.h - the values of --guidance and --steps, one per stage of the cascade.
 *
 * Stages are separated by '/' in --guidance and ',' in --steps, in the order they run. Fewer than
 * the model has: the first ones. Empty (and 0 for steps): the model's default.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_GUIDANCE_SPEC_H
#define IE_APPS_GUIDANCE_SPEC_H

#include "fail.h"

typedef struct ie_guidance_spec {
    const char *text; /* as given */
    int count;        /* stages mentioned */
    ie_guidance stages[IE_MAX_STAGES];
    float *lists[IE_MAX_STAGES]; /* what stages[].weights point to; owned */
} ie_guidance_spec;

/* Each stage: "W" constant, "HIGH~LOW@HOLD@TAIL" oscillating ("@TAIL", or both shares, may be left
 * out: 0.1 and 0), "W1,W2,..." one per step. Weights 0 .. 1000, shares 0 .. 1. IE_BAD_ARGUMENT
 * otherwise; then *out holds nothing to release. */
ie_status ie_guidance_spec_parse(ie_guidance_spec *out, const char *text, ie_error *err);
void ie_guidance_spec_release(ie_guidance_spec *spec);

typedef struct ie_steps_spec {
    int count;                /* stages mentioned */
    int steps[IE_MAX_STAGES]; /* 0: the model's default */
} ie_steps_spec;

ie_status ie_steps_spec_parse(ie_steps_spec *out, const char *text, ie_error *err);

#endif
