/* image_orient.c - mirrored and rotated pixels. SPDX-License-Identifier: Apache-2.0 */
#include "image_codec.h"

#include <stdlib.h>
#include <string.h>

/* Where the upright pixel (0, 0) is stored, and how far one pixel to the right and one down lie
 * from it. Index: EXIF orientation - 1. `right` and `bottom`: start at the last column, the last
 * row. `swap`: rows are stored as columns. */
static const struct {
    bool right, bottom, swap;
} orientations[8] = {
    {false, false, false}, {true, false, false}, {true, true, false}, {false, true, false},
    {false, false, true},  {false, true, true},  {true, true, true},  {true, false, true},
};

ie_status ie_image_orient(ie_image *image, int orientation, ie_error *err)
{
    if (orientation <= 1 || orientation > 8) return IE_OK;
    const ie_pixels stored = image->pixels;
    const bool right = orientations[orientation - 1].right;
    const bool bottom = orientations[orientation - 1].bottom;
    const bool swap = orientations[orientation - 1].swap;

    ie_image upright;
    IE_APP_TRY(ie_image_create(&upright, swap ? stored.height : stored.width,
                               swap ? stored.width : stored.height, stored.channels, stored.bits,
                               err));
    const size_t size = (size_t)stored.channels * (size_t)(stored.bits / 8);
    const ptrdiff_t column = right ? -(ptrdiff_t)size : (ptrdiff_t)size;
    const ptrdiff_t row = bottom ? -(ptrdiff_t)stored.row_bytes : (ptrdiff_t)stored.row_bytes;
    const ptrdiff_t step_x = swap ? row : column, step_y = swap ? column : row;
    const uint8_t *origin = (const uint8_t *)stored.data +
                            (right ? (size_t)(stored.width - 1) * size : 0) +
                            (bottom ? (size_t)(stored.height - 1) * stored.row_bytes : 0);
    for (int y = 0; y < upright.pixels.height; y++) {
        uint8_t *to = (uint8_t *)upright.pixels.data + (size_t)y * upright.pixels.row_bytes;
        for (int x = 0; x < upright.pixels.width; x++, to += size) {
            memcpy(to, origin + x * step_x + y * step_y, size);
        }
    }
    free(stored.data);
    image->pixels = upright.pixels;
    return IE_OK;
}
