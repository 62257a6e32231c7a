/* mask.h - from an image file to the engine's mask: one channel, 255 = edit, 0 = keep. The polarity
 * is never guessed. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_MASK_H
#define IE_APPS_MASK_H

#include "image_io.h"

/* Which pixels are the edit. Order of ie_mask_edit_names. */
typedef enum ie_mask_edit {
    IE_MASK_EDIT_UNSAID, /* white, as long as no pixel is transparent */
    IE_MASK_EDIT_WHITE,
    IE_MASK_EDIT_BLACK,
    IE_MASK_EDIT_TRANSPARENT,
} ie_mask_edit;

/* What --mask-edit takes, without "unsaid": white, black, transparent, NULL. */
extern const char *const ie_mask_edit_names[];

typedef struct ie_mask_rules {
    ie_mask_edit edit;
    bool threshold;   /* grey (or half-clear) counts from 50 %; otherwise it is refused */
    const char *name; /* of the mask's file, for messages */
} ie_mask_rules;

/* Refused with a hint (IE_BAD_INPUT): transparency that --mask-edit does not ask for, no
 * transparency where it does, colours, grey values without `threshold`, a mask that selects
 * nothing. *mask gets its own pixels. */
ie_status ie_mask_from_image(ie_image *mask, const ie_image *file, const ie_mask_rules *rules,
                             ie_error *err);

/* IE_BAD_INPUT with both sizes when they differ. */
ie_status ie_mask_check_size(const ie_pixels *mask, const char *mask_name, const ie_pixels *image,
                             const char *image_name, ie_error *err);

/* Pixels that are 255. */
uint64_t ie_mask_count(const ie_pixels *mask);

#endif
