/* image_png.h - how image_png_read.c and image_png_write.c live with libpng's error handling.
 *
 * libpng reports an error by calling back and expects never to return: the callback keeps the
 * sentence here and jumps to the setjmp of the one function that owns the structs. Everything that
 * must survive the jump lives in a struct of the caller's frame, never in a local of the function
 * that called setjmp. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_IMAGE_PNG_H
#define IE_APPS_IMAGE_PNG_H

#include "image_codec.h"

#include <png.h>

typedef struct ie_png_messages {
    char error[120];
    char profile[120]; /* libpng's complaint about a colour profile, "" if none */
} ie_png_messages;

/* For png_create_*_struct, with ie_png_messages as the pointer they hand back. */
PNG_NORETURN void ie_png_on_error(png_structp png, png_const_charp text);
void ie_png_on_warning(png_structp png, png_const_charp text);

#endif
