/* thumbnail.h - small copies of images, and sheets of them. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_THUMBNAIL_H
#define IE_APPS_THUMBNAIL_H

#include "image_io.h"

/* RGB of 8 bits, the longer side at most `side`: each pixel the mean of those it stands for, over
 * white where they are transparent. A smaller image keeps its size. */
ie_status ie_thumbnail(ie_image *out, const ie_pixels *pixels, int side, ie_error *err);

/* Copy an RGB image of 8 bits into another one, its top left corner at x, y; it must fit. */
void ie_thumbnail_paste(const ie_pixels *sheet, const ie_pixels *picture, int x, int y);

#endif
