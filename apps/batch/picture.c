/* picture.c - from a path beneath a folder, or from a data: URL.
 * SPDX-License-Identifier: Apache-2.0 */
#include "picture.h"

#include "beneath.h"

#include <stdlib.h>
#include <unistd.h>

static ie_status read_inline(ie_image *out, const ie_picture_source *s, const ie_item *item,
                             bool mask, ie_error *err)
{
    uint8_t *data;
    size_t bytes;
    IE_APP_TRY(ie_manifest_inline(s->manifest, item, mask, &data, &bytes, err));
    const char *name = mask ? "the mask" : "the image";
    const ie_status status = ie_image_decode(out, data, bytes, name, s->max_pixels, err);
    free(data);
    return status;
}

ie_status ie_item_picture(ie_image *out, const ie_picture_source *s, const ie_item *item, bool mask,
                          ie_error *err)
{
    const bool from_image = !mask || item->mask_is_image;
    const char *path = from_image ? item->image : item->mask;
    int descriptor;
    *out = (ie_image){0};
    if (!path) return read_inline(out, s, item, !from_image, err);
    IE_APP_TRY(ie_beneath_open(&descriptor, from_image ? s->image_root : s->mask_root, path,
                               IE_BENEATH_KERNEL, err));
    const ie_status status = ie_image_read_open(out, descriptor, path, s->max_pixels, err);
    (void)close(descriptor);
    return status;
}
