/* picture.h - the image or the mask of an item, wherever the item says it is.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_PICTURE_H
#define IE_APPS_PICTURE_H

#include "manifest.h"

typedef struct ie_picture_source {
    const char *manifest; /* the file, for pictures inside it */
    int image_root, mask_root;
    uint64_t max_pixels;
} ie_picture_source;

ie_status ie_item_picture(ie_image *out, const ie_picture_source *source, const ie_item *item,
                          bool mask, ie_error *err);

#endif
