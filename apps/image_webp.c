/* image_webp.c - WebP files, with libwebp: lossy and lossless in, lossless out.
 *
 * A WebP file is a RIFF list of chunks. libwebp handles the pixels; the colour profile (ICCP) and
 * the orientation (EXIF) are chunks of their own, found and written here.
 * SPDX-License-Identifier: Apache-2.0 */
#include "image_codec.h"

#include "exif.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <webp/decode.h>
#include <webp/encode.h>

enum { RIFF_HEADER = 12, CHUNK_HEADER = 8, VP8X_BYTES = 10, FLAG_ICC = 0x20, FLAG_ALPHA = 0x10 };

static uint32_t read_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put_u32(uint8_t *p, uint32_t value)
{
    for (int i = 0; i < 4; i++) p[i] = (uint8_t)(value >> (8 * i));
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Walk the chunks that stand beside the pixels. The file must be as long as its header says. */
static ie_status read_chunks(ie_image *image, const ie_encoded *file, int *orientation,
                             ie_error *err)
{
    const size_t end = (size_t)read_u32(file->data + 4) + CHUNK_HEADER;
    if (end > file->bytes) {
        return ie_app_fail(err, IE_BAD_INPUT, "%s is not a sound WebP: the file is truncated",
                           file->name);
    }
    for (size_t at = RIFF_HEADER; at < end && end - at >= CHUNK_HEADER;) {
        const uint8_t *chunk = file->data + at;
        const size_t bytes = read_u32(chunk + 4);
        at += CHUNK_HEADER;
        if (bytes > end - at) {
            return ie_app_fail(err, IE_BAD_INPUT,
                               "%s is not a sound WebP: a chunk reaches past the end", file->name);
        }
        if (!memcmp(chunk, "ICCP", 4) && !image->colour.icc) {
            IE_APP_TRY(ie_image_keep_icc(image, file->data + at, bytes, err));
        } else if (!memcmp(chunk, "EXIF", 4)) {
            *orientation = ie_exif_orientation(file->data + at, bytes);
        }
        at += bytes + (bytes & 1);
    }
    return IE_OK;
}

ie_status ie_webp_decode(ie_image *out, const ie_encoded *file, ie_error *err)
{
    WebPBitstreamFeatures features;
    int orientation = 1;
    if (WebPGetFeatures(file->data, file->bytes, &features) != VP8_STATUS_OK) {
        return ie_app_fail(err, IE_BAD_INPUT, "%s is not a sound WebP: damaged or truncated",
                           file->name);
    }
    if (features.has_animation) {
        return ie_app_fail(err, IE_BAD_INPUT, "%s is an animation: give one still image",
                           file->name);
    }
    IE_APP_TRY(ie_image_check_size((uint64_t)features.width, (uint64_t)features.height, file, err));
    IE_APP_TRY(read_chunks(out, file, &orientation, err));
    const int channels = features.has_alpha ? 4 : 3;
    IE_APP_TRY(ie_image_allocate(out, (uint64_t)features.width, (uint64_t)features.height, channels,
                                 8, file, err));
    const ie_pixels *p = &out->pixels;
    const size_t bytes = p->row_bytes * (size_t)p->height;
    const uint8_t *decoded =
        channels == 4
            ? WebPDecodeRGBAInto(file->data, file->bytes, p->data, bytes, (int)p->row_bytes)
            : WebPDecodeRGBInto(file->data, file->bytes, p->data, bytes, (int)p->row_bytes);
    if (!decoded) {
        return ie_app_fail(err, IE_BAD_INPUT, "%s is not a sound WebP: damaged or truncated",
                           file->name);
    }
    return ie_image_orient(out, orientation, err);
}

/* ---- writing --------------------------------------------------------------------------------- */

static bool put(FILE *stream, const void *data, size_t bytes)
{
    return fwrite(data, 1, bytes, stream) == bytes;
}

static bool put_chunk(FILE *stream, const char *name, const void *data, size_t bytes)
{
    uint8_t header[CHUNK_HEADER];
    memcpy(header, name, 4);
    put_u32(header + 4, (uint32_t)bytes);
    return put(stream, header, sizeof header) && put(stream, data, bytes) &&
           (bytes % 2 == 0 || put(stream, "", 1));
}

/* `file` is a plain WebP file of one chunk: the same pixels with a profile before them. */
static bool put_with_profile(FILE *stream, const ie_image *image, const WebPMemoryWriter *file)
{
    const ie_pixels *p = &image->pixels;
    const size_t icc_bytes = image->colour.icc_bytes;
    const size_t pixel_chunk = file->size - RIFF_HEADER;
    uint8_t header[RIFF_HEADER], extended[VP8X_BYTES] = {0};
    memcpy(header, "RIFF....WEBP", sizeof header);
    put_u32(header + 4, (uint32_t)(4 + CHUNK_HEADER + VP8X_BYTES + CHUNK_HEADER + icc_bytes +
                                   (icc_bytes & 1) + pixel_chunk));
    extended[0] = (uint8_t)(FLAG_ICC | (p->channels == 4 ? FLAG_ALPHA : 0));
    const uint32_t right = (uint32_t)p->width - 1, bottom = (uint32_t)p->height - 1; /* 24 bits */
    for (int i = 0; i < 3; i++) {
        extended[4 + i] = (uint8_t)(right >> (8 * i));
        extended[7 + i] = (uint8_t)(bottom >> (8 * i));
    }
    return put(stream, header, sizeof header) &&
           put_chunk(stream, "VP8X", extended, sizeof extended) &&
           put_chunk(stream, "ICCP", image->colour.icc, icc_bytes) &&
           put(stream, file->mem + RIFF_HEADER, pixel_chunk);
}

/* The lossless file in memory. */
static ie_status compress(const ie_pixels *p, WebPMemoryWriter *writer, const char *path,
                          ie_error *err)
{
    WebPConfig config;
    WebPPicture picture;
    if (!WebPConfigInit(&config) || !WebPPictureInit(&picture)) {
        return ie_app_fail(err, IE_IO, "cannot write %s: libwebp does not fit its header", path);
    }
    config.lossless = 1;
    config.exact = 1; /* keep colours under clear pixels: they may be unmasked */
    picture.use_argb = 1;
    picture.width = p->width;
    picture.height = p->height;
    picture.writer = WebPMemoryWrite;
    picture.custom_ptr = writer;
    const int imported = p->channels == 4
                             ? WebPPictureImportRGBA(&picture, p->data, (int)p->row_bytes)
                             : WebPPictureImportRGB(&picture, p->data, (int)p->row_bytes);
    const bool encoded = imported && WebPEncode(&config, &picture);
    const int code = picture.error_code;
    WebPPictureFree(&picture);
    if (encoded) return IE_OK;
    if (!imported || code == VP8_ENC_ERROR_OUT_OF_MEMORY ||
        code == VP8_ENC_ERROR_BITSTREAM_OUT_OF_MEMORY) {
        return ie_app_fail(err, IE_NO_MEMORY, "no memory to write %s", path);
    }
    return ie_app_fail(err, IE_IO, "cannot write %s: libwebp's error %d", path, code);
}

ie_status ie_webp_encode(ie_image *image, FILE *stream, const ie_write_options *options,
                         const char *path, ie_error *err)
{
    (void)options;
    WebPMemoryWriter writer;
    WebPMemoryWriterInit(&writer);
    ie_status status = compress(&image->pixels, &writer, path, err);
    if (status == IE_OK && !(image->colour.icc ? put_with_profile(stream, image, &writer)
                                               : put(stream, writer.mem, writer.size))) {
        status = ie_app_fail(err, IE_IO, "cannot write %s: %s", path, strerror(errno));
    }
    WebPMemoryWriterClear(&writer);
    return status;
}
