/* image_png_write.c - pixels into PNG files: grey, RGB or RGBA of 8 or 16 bits, with colour
 * information and texts. SPDX-License-Identifier: Apache-2.0 */
#include "image_png.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

typedef struct png_sink {
    FILE *stream;
    const ie_image *image;
    png_structp png;
    png_infop info;
    png_textp texts;
    const ie_write_options *options;
    ie_png_messages messages;
} png_sink;

static void write_bytes(png_structp png, png_bytep data, size_t bytes)
{
    png_sink *s = png_get_io_ptr(png);
    if (fwrite(data, 1, bytes, s->stream) != bytes) png_error(png, strerror(errno));
}

static void flush_bytes(png_structp png)
{
    (void)png; /* the caller flushes, and looks at the result */
}

static void write_colour(png_sink *s)
{
    const ie_colour *c = &s->image->colour;
    const int32_t *xy = c->chromaticities;
    if (c->has_gamma) png_set_gAMA_fixed(s->png, s->info, c->gamma);
    if (c->has_chromaticities) {
        png_set_cHRM_fixed(s->png, s->info, xy[0], xy[1], xy[2], xy[3], xy[4], xy[5], xy[6], xy[7]);
    }
    if (c->has_srgb) png_set_sRGB(s->png, s->info, c->srgb_intent);
    if (c->icc) {
        png_set_iCCP(s->png, s->info, "ICC profile", PNG_COMPRESSION_TYPE_BASE, c->icc,
                     (png_uint_32)c->icc_bytes);
    }
}

static void write_texts(png_sink *s)
{
    for (int i = 0; i < s->options->text_count; i++) {
        const ie_text_entry *entry = &s->options->text[i];
        s->texts[i] = (png_text){.compression = PNG_ITXT_COMPRESSION_NONE,
                                 .itxt_length = strlen(entry->text)};
        /* libpng's pointers lack the const: it copies what they point to. */
        memcpy(&s->texts[i].key, &entry->key, sizeof entry->key);
        memcpy(&s->texts[i].text, &entry->text, sizeof entry->text);
    }
    if (s->options->text_count) {
        png_set_text(s->png, s->info, s->texts, s->options->text_count);
    }
}

/* Everything that can jump. */
static void write_all(png_sink *s)
{
    static const int types[5] = {0, PNG_COLOR_TYPE_GRAY, 0, PNG_COLOR_TYPE_RGB,
                                 PNG_COLOR_TYPE_RGB_ALPHA};
    const ie_pixels *p = &s->image->pixels;
    png_set_write_fn(s->png, s, write_bytes, flush_bytes);
    png_set_benign_errors(s->png, 1); /* a profile libpng dislikes is left out, and announced */
    png_set_IHDR(s->png, s->info, (png_uint_32)p->width, (png_uint_32)p->height, p->bits,
                 types[p->channels], PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                 PNG_FILTER_TYPE_DEFAULT);
    write_colour(s);
    write_texts(s);
    png_write_info(s->png, s->info);
    const uint16_t probe = 1;
    if (p->bits == 16 && *(const uint8_t *)&probe == 1) png_set_swap(s->png);
    for (int y = 0; y < p->height; y++) {
        png_write_row(s->png, (png_const_bytep)p->data + (size_t)y * p->row_bytes);
    }
    png_write_end(s->png, s->info);
}

/* False when libpng jumped. Nothing of this frame changes after setjmp. */
static bool guarded_write(png_sink *s)
{
    if (setjmp(png_jmpbuf(s->png))) return false;
    write_all(s);
    return true;
}

ie_status ie_png_encode(ie_image *image, FILE *stream, const ie_write_options *options,
                        const char *path, ie_error *err)
{
    png_sink s = {.stream = stream, .image = image, .options = options};
    ie_status status = IE_OK;
    s.png = png_create_write_struct(PNG_LIBPNG_VER_STRING, &s.messages, ie_png_on_error,
                                    ie_png_on_warning);
    s.info = s.png ? png_create_info_struct(s.png) : NULL;
    s.texts = calloc((size_t)options->text_count + 1, sizeof *s.texts);
    if (!s.info || !s.texts) {
        status = ie_app_fail(err, IE_NO_MEMORY, "no memory to write %s", path);
    } else if (!guarded_write(&s)) {
        status = ie_app_fail(err, IE_IO, "cannot write %s: %s", path, s.messages.error);
    } else if (s.messages.profile[0]) {
        (void)snprintf(image->note, sizeof image->note,
                       "the colour profile is damaged and is left out");
    }
    png_destroy_write_struct(&s.png, &s.info);
    free(s.texts);
    return status;
}
