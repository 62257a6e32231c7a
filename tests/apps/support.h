/* support.h - what the tests of the command share: cmocka, a folder that vanishes, images, files.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_TESTS_APPS_SUPPORT_H
#define IE_TESTS_APPS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "image_codec.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A new empty folder, removed with all its files by folder_remove. Both are cmocka fixtures that
 * keep its path in *state. */
int folder_make(void **state);
int folder_remove(void **state);
/* FOLDER/name, in one of four rotating buffers. */
const char *in_folder(void **state, const char *name);
int folder_entries(const char *folder); /* files and folders in it */

/* A growing file in memory. */
typedef struct bytes {
    uint8_t *data;
    size_t size;
} bytes;

void bytes_append(bytes *b, const void *data, size_t size);
void bytes_free(bytes *b);
bytes bytes_read(const char *path);
void bytes_write(const bytes *b, const char *path);

/* What an encoder writes, and an image read from memory; the test fails when it does not work. */
typedef ie_status (*encoder)(ie_image *image, FILE *stream, const ie_write_options *options,
                             const char *path, ie_error *err);
bytes encode(encoder encode_with, ie_image *image, const ie_write_options *options);
ie_image decode(const bytes *file);

/* An image of noise that is a function of the seed. */
ie_image noise_image(int width, int height, int channels, int bits, uint32_t seed);
uint32_t noise(uint32_t *state);
void assert_same_pixels(const ie_pixels *a, const ie_pixels *b);

/* A colour profile that libpng accepts: a header of 128 bytes and one tag of `bytes` - 144 bytes.
 * `space`: "RGB ". */
bytes make_icc(size_t size, const char *space);

/* Fails, printing the sentence, unless `status` is `wanted` and the sentence has the words. */
void assert_says(ie_status status, ie_status wanted, const ie_error *err, const char *says);

/* Every prefix of the file is refused as bad input. */
void assert_truncations_refused(const bytes *file);

#endif
