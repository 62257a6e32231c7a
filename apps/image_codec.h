/* image_codec.h - what image_io.c asks of each file format, and what the formats share.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_IMAGE_CODEC_H
#define IE_APPS_IMAGE_CODEC_H

#include "image_io.h"

#include <stdio.h>

/* An encoded file in memory. */
typedef struct ie_encoded {
    const uint8_t *data;
    size_t bytes;
    const char *name;
    uint64_t max_pixels;
} ie_encoded;

/* Each fills a zeroed image; the caller releases it on failure. */
ie_status ie_png_decode(ie_image *out, const ie_encoded *file, ie_error *err);
ie_status ie_jpeg_decode(ie_image *out, const ie_encoded *file, ie_error *err);
ie_status ie_webp_decode(ie_image *out, const ie_encoded *file, ie_error *err);

/* Each writes to a stream and leaves flushing to the caller. `path` is for messages. */
ie_status ie_png_encode(ie_image *image, FILE *stream, const ie_write_options *options,
                        const char *path, ie_error *err);
ie_status ie_jpeg_encode(ie_image *image, FILE *stream, const ie_write_options *options,
                         const char *path, ie_error *err);
ie_status ie_webp_encode(ie_image *image, FILE *stream, const ie_write_options *options,
                         const char *path, ie_error *err);

/* The budgets, then zeroed pixels. The one place where memory for a file's pixels is taken. */
ie_status ie_image_allocate(ie_image *image, uint64_t width, uint64_t height, int channels,
                            int bits, const ie_encoded *file, ie_error *err);
ie_status ie_image_check_size(uint64_t width, uint64_t height, const ie_encoded *file,
                              ie_error *err);

/* Keep a copy of an ICC profile, if it is for RGB. Another one (of a grey image that became RGB),
 * or one that no JPEG could carry, is left out, and the image's note says so. */
ie_status ie_image_keep_icc(ie_image *image, const uint8_t *icc, size_t bytes, ie_error *err);

/* Turn the image upright: `orientation` as in exif.h. */
ie_status ie_image_orient(ie_image *image, int orientation, ie_error *err);

#endif
