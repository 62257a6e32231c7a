/* exif.h - the orientation a camera wrote into EXIF data, and nothing else of it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_EXIF_H
#define IE_APPS_EXIF_H

#include <stddef.h>
#include <stdint.h>

/* `tiff` is the TIFF structure inside EXIF data ("II*" or "MM*" first; a leading "Exif\0\0" is
 * skipped). 1 .. 8 as EXIF defines it; 1, upright, when there is none or the data is damaged: then
 * every viewer shows the image as stored. */
int ie_exif_orientation(const uint8_t *tiff, size_t bytes);

#endif
