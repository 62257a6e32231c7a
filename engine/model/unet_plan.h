/* unet_plan.h - a U-Net's configuration as the list of things its forward pass does, in order.
 *
 * Both layouts (MODEL.md section 4) become the same few kinds of steps, so loading and running are
 * one loop each. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_MODEL_UNET_PLAN_H
#define IE_MODEL_UNET_PLAN_H

#include "config.h"
#include "layers.h"

typedef enum ie_unet_step_kind {
    IE_UNET_BLOCK, /* residual block on the current map (and the joined skip, if one is pending) */
    IE_UNET_ATTENTION, /* attention on the current map */
    IE_UNET_CONV,      /* the plain 3x3 convolution that resamples in the efficient layout */
    IE_UNET_KEEP,      /* the current map is also a skip from now on */
    IE_UNET_JOIN,      /* take the latest skip: added now, or the second source of the next block */
} ie_unet_step_kind;

typedef struct ie_unet_step {
    ie_unet_step_kind kind;
    ie_name name;     /* prefix of its weights: "down.0.blocks.1" */
    int side;         /* height and width of the map it receives */
    int inputs, skip; /* channels of the current map and of a pending skip (0: none) */
    int outputs;
    ie_resample resample; /* of a block, or UP2 before a convolution */
    int stride;           /* of a convolution */
    ie_attention_config attention;
} ie_unet_step;

enum { IE_UNET_MAX_SKIPS = 256 };

/* The steps between stem and head; *steps is owned by the caller (ie_free). IE_BAD_MODEL for
 * configurations no layout can mean (an ADM level that does not halve, an identity shortcut over
 * two sources). */
ie_status ie_unet_plan(ie_unet_step **steps, int *count, const ie_unet_config *config,
                       ie_error *err);

/* Does this block have a 1x1 convolution as its shortcut? */
bool ie_unet_has_shortcut(const ie_unet_config *config, const ie_unet_step *step);

#endif
