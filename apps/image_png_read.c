/* image_png_read.c - PNG files into pixels: every bit depth, colour type and interlacing.
 *
 * Palette becomes RGB, tRNS becomes alpha, 1, 2 and 4 bits become 8 exactly, grey becomes RGB; 16
 * bits stay. No sample is gamma-corrected: what the file says about its colours is carried along.
 * SPDX-License-Identifier: Apache-2.0 */
#include "image_png.h"

#include "exif.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_CHUNK_BYTES = 16 << 20, MAX_CHUNKS = 1000 };

typedef struct png_source {
    const ie_encoded *file;
    size_t at;
    ie_image *image;
    png_structp png;
    png_infop info;
    png_bytepp rows;
    ie_png_messages messages;
    ie_status status; /* of what is ours; libpng's own errors are in messages */
    ie_error *err;
    int orientation;
} png_source;

void ie_png_on_error(png_structp png, png_const_charp text)
{
    ie_png_messages *messages = png_get_error_ptr(png);
    (void)snprintf(messages->error, sizeof messages->error, "%s", text);
    png_longjmp(png, 1);
}

void ie_png_on_warning(png_structp png, png_const_charp text)
{
    ie_png_messages *messages = png_get_error_ptr(png);
    if (strstr(text, "iCCP") || strstr(text, "profile")) {
        (void)snprintf(messages->profile, sizeof messages->profile, "%s", text);
    }
}

static void read_bytes(png_structp png, png_bytep out, size_t bytes)
{
    png_source *s = png_get_io_ptr(png);
    if (bytes > s->file->bytes - s->at) png_error(png, "the file is truncated");
    memcpy(out, s->file->data + s->at, bytes);
    s->at += bytes;
}

static ie_status keep_colour(png_source *s)
{
    ie_colour *c = &s->image->colour;
    png_charp name;
    png_bytep icc;
    png_uint_32 icc_bytes;
    int compression;
    if (png_get_iCCP(s->png, s->info, &name, &compression, &icc, &icc_bytes)) {
        IE_APP_TRY(ie_image_keep_icc(s->image, icc, icc_bytes, s->err));
    } else if (s->messages.profile[0]) {
        (void)snprintf(s->image->note, sizeof s->image->note,
                       "its colour profile is damaged and is left out");
    }
    c->has_srgb = png_get_sRGB(s->png, s->info, &c->srgb_intent) != 0;
    c->has_gamma = png_get_gAMA_fixed(s->png, s->info, &c->gamma) != 0;
    int32_t *xy = c->chromaticities;
    c->has_chromaticities = png_get_cHRM_fixed(s->png, s->info, &xy[0], &xy[1], &xy[2], &xy[3],
                                               &xy[4], &xy[5], &xy[6], &xy[7]) != 0;
    return IE_OK;
}

/* Ask for 8 or 16 bits of RGB or RGBA in the machine's byte order. */
static void ask_for_rgb(png_structp png, png_infop info)
{
    const int type = png_get_color_type(png, info), bits = png_get_bit_depth(png, info);
    if (type == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png);
    if (type == PNG_COLOR_TYPE_GRAY && bits < 8) png_set_expand_gray_1_2_4_to_8(png);
    if (png_get_valid(png, info, PNG_INFO_tRNS)) png_set_tRNS_to_alpha(png);
    if (!(type & PNG_COLOR_MASK_COLOR)) png_set_gray_to_rgb(png);
    const uint16_t probe = 1;
    if (bits == 16 && *(const uint8_t *)&probe == 1) png_set_swap(png);
    (void)png_set_interlace_handling(png);
    png_read_update_info(png, info);
}

static ie_status allocate(png_source *s)
{
    const uint32_t width = png_get_image_width(s->png, s->info);
    const uint32_t height = png_get_image_height(s->png, s->info);
    const int channels = png_get_channels(s->png, s->info);
    const int bits = png_get_bit_depth(s->png, s->info);
    IE_APP_TRY(ie_image_allocate(s->image, width, height, channels, bits, s->file, s->err));
    const ie_pixels *pixels = &s->image->pixels;
    if ((channels != 3 && channels != 4) ||
        png_get_rowbytes(s->png, s->info) != pixels->row_bytes) {
        return ie_app_fail(s->err, IE_BAD_INPUT, "%s: a PNG of an unknown kind", s->file->name);
    }
    s->rows = malloc(height * sizeof *s->rows);
    if (!s->rows) return ie_app_fail(s->err, IE_NO_MEMORY, "no memory to read %s", s->file->name);
    for (uint32_t y = 0; y < height; y++) {
        s->rows[y] = (png_bytep)pixels->data + y * pixels->row_bytes;
    }
    return IE_OK;
}

/* What png_orientation finds after the pixels counts too: eXIf may stand on either side of them. */
static int png_orientation(png_structp png, png_infop info)
{
    int orientation = 1;
#ifdef PNG_eXIf_SUPPORTED
    png_uint_32 bytes = 0;
    png_bytep exif = NULL;
    if (png_get_eXIf_1(png, info, &bytes, &exif)) orientation = ie_exif_orientation(exif, bytes);
#else
    (void)png;
    (void)info;
#endif
    return orientation;
}

/* Everything that can jump. */
static void read_all(png_source *s)
{
    png_read_info(s->png, s->info);
    /* Before anything that grows with the size; also libpng's own row buffers. */
    s->status = ie_image_check_size(png_get_image_width(s->png, s->info),
                                    png_get_image_height(s->png, s->info), s->file, s->err);
    if (s->status == IE_OK) s->status = keep_colour(s);
    if (s->status != IE_OK) return;
    ask_for_rgb(s->png, s->info);
    s->status = allocate(s);
    if (s->status != IE_OK) return;
    png_read_image(s->png, s->rows);
    png_read_end(s->png, s->info);
    s->orientation = png_orientation(s->png, s->info);
}

/* False when libpng jumped. Nothing of this frame changes after setjmp. */
static bool guarded_read(png_source *s)
{
    if (setjmp(png_jmpbuf(s->png))) return false;
    png_set_read_fn(s->png, s, read_bytes);
    png_set_user_limits(s->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* ours are checked, and said */
    png_set_chunk_malloc_max(s->png, MAX_CHUNK_BYTES);
    png_set_chunk_cache_max(s->png, MAX_CHUNKS);
    /* A checksum that does not fit is damage, in whichever chunk. */
    png_set_crc_action(s->png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    /* Texts are not used: none is decompressed. */
    png_set_keep_unknown_chunks(s->png, PNG_HANDLE_CHUNK_NEVER,
                                (png_const_bytep) "tEXt\0zTXt\0iTXt\0sPLT\0hIST", 5);
    read_all(s);
    return true;
}

ie_status ie_png_decode(ie_image *out, const ie_encoded *file, ie_error *err)
{
    png_source s = {.file = file, .image = out, .err = err, .orientation = 1};
    s.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &s.messages, ie_png_on_error,
                                   ie_png_on_warning);
    s.info = s.png ? png_create_info_struct(s.png) : NULL;
    if (!s.info) {
        s.status = ie_app_fail(err, IE_NO_MEMORY, "no memory to read %s", file->name);
    } else if (!guarded_read(&s)) {
        const bool memory = strcmp(s.messages.error, "Out of memory") == 0;
        s.status = ie_app_fail(err, memory ? IE_NO_MEMORY : IE_BAD_INPUT,
                               "%s is not a sound PNG: %s", file->name, s.messages.error);
    }
    png_destroy_read_struct(&s.png, &s.info, NULL);
    free(s.rows);
    if (s.status == IE_OK) s.status = ie_image_orient(out, s.orientation, err);
    return s.status;
}
