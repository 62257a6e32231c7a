/* image_io.h - image files in and out: PNG, JPEG, WebP.
 *
 * What is read is kept: 16-bit samples stay 16-bit, alpha stays, the colour profile is carried to
 * the file written. The content decides the format of a file that is read, the extension that of a
 * file to write. Sizes are checked against the budgets before anything is allocated for pixels. A
 * damaged or truncated file is refused, never shown in part. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_IMAGE_IO_H
#define IE_APPS_IMAGE_IO_H

#include "fail.h"

#include <stdbool.h>

enum {
    IE_IMAGE_MAX_SIDE = 65500,     /* libjpeg's limit, the smallest of those that reach this far */
    IE_IMAGE_MAX_MEGAPIXELS = 512, /* --max-pixels cannot exceed it */
    IE_IMAGE_MEGAPIXELS = 256,     /* default of --max-pixels */
    IE_IMAGE_MEGAPIXEL = 1000000,
    IE_JPEG_QUALITY = 95,
};

typedef enum ie_image_format { IE_FORMAT_PNG, IE_FORMAT_JPEG, IE_FORMAT_WEBP } ie_image_format;

/* What a file says about its colours: carried along, never interpreted. */
typedef struct ie_colour {
    uint8_t *icc; /* an RGB profile, owned; NULL: none */
    size_t icc_bytes;
    bool has_srgb, has_gamma, has_chromaticities;
    int srgb_intent;
    int32_t gamma;             /* times 100000, as in PNG's gAMA */
    int32_t chromaticities[8]; /* white, red, green, blue x and y, times 100000, as in cHRM */
} ie_colour;

typedef struct ie_image {
    ie_pixels pixels; /* data owned; 3 or 4 channels when read; 1 of 8 bits can be written as PNG */
    ie_colour colour;
    char note[160]; /* what could not be kept, a sentence to announce; "" when all was */
} ie_image;

/* The upright image. Grey becomes RGB with three equal samples; samples of 1, 2 and 4 bits become 8
 * exactly. Refused (IE_BAD_INPUT): what cannot be read, is damaged, or has more than max_pixels
 * pixels. */
ie_status ie_image_read(ie_image *out, const char *path, uint64_t max_pixels, ie_error *err);
/* The same from an open file, which stays open; `name` stands for it in messages. */
ie_status ie_image_read_open(ie_image *out, int descriptor, const char *name, uint64_t max_pixels,
                             ie_error *err);
/* The same from memory; `name` stands for the file in messages. */
ie_status ie_image_decode(ie_image *out, const uint8_t *data, size_t bytes, const char *name,
                          uint64_t max_pixels, ie_error *err);
/* Pixels of a given size, zeroed, in an image without colour information. */
ie_status ie_image_create(ie_image *out, int width, int height, int channels, int bits,
                          ie_error *err);
/* Release and zero; fine on a zeroed image. */
void ie_image_release(ie_image *image);

/* Format by extension; IE_BAD_ARGUMENT with the list for another one. */
ie_status ie_image_format_of(ie_image_format *out, const char *path, ie_error *err);
/* Can the format hold these pixels? IE_BAD_ARGUMENT with a hint. To be asked before the work
 * starts. */
ie_status ie_image_check_format(ie_image_format format, const ie_pixels *pixels, const char *path,
                                ie_error *err);

typedef struct ie_text_entry {
    const char *key;  /* ASCII, 1 to 79 characters */
    const char *text; /* UTF-8 */
} ie_text_entry;

typedef struct ie_write_options {
    int quality;               /* of JPEG, 1 .. 100 */
    const ie_text_entry *text; /* PNG only: written as iTXt */
    int text_count;
} ie_write_options;

/* The bytes of the file that ie_image_write would write under that name; *data is malloc'ed. */
ie_status ie_image_encode(ie_image *image, const char *path, const ie_write_options *options,
                          char **data, size_t *bytes, ie_error *err);

/* Write atomically (atomic_file.h), format by extension. image->note says what could not be
 * kept. */
ie_status ie_image_write(ie_image *image, const char *path, const ie_write_options *options,
                         ie_error *err);

#endif
