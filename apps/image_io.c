/* image_io.c - opening by content, writing by extension, and the budgets.
 * SPDX-License-Identifier: Apache-2.0 */
#include "image_codec.h"

#include "atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* No image within the pixel budget needs a file as large as this. */
static const int64_t max_file_bytes = (int64_t)4 << 30;

typedef struct codec {
    const char *name;
    const char *extensions[2];
    ie_image_format format;
    int max_side, max_bits;
    bool alpha, grey;
    ie_status (*decode)(ie_image *out, const ie_encoded *file, ie_error *err);
    ie_status (*encode)(ie_image *image, FILE *stream, const ie_write_options *options,
                        const char *path, ie_error *err);
} codec;

static const codec codecs[] = {
    {"PNG",
     {".png", NULL},
     IE_FORMAT_PNG,
     IE_IMAGE_MAX_SIDE,
     16,
     true,
     true,
     ie_png_decode,
     ie_png_encode},
#ifdef IE_HAVE_JPEG
    {"JPEG",
     {".jpg", ".jpeg"},
     IE_FORMAT_JPEG,
     IE_IMAGE_MAX_SIDE,
     8,
     false,
     false,
     ie_jpeg_decode,
     ie_jpeg_encode},
#endif
#ifdef IE_HAVE_WEBP
    {"WebP",
     {".webp", NULL},
     IE_FORMAT_WEBP,
     16383,
     8,
     true,
     false,
     ie_webp_decode,
     ie_webp_encode},
#endif
};

enum { CODEC_COUNT = sizeof codecs / sizeof codecs[0] };

static const char *format_list(void)
{
#if defined(IE_HAVE_JPEG) && defined(IE_HAVE_WEBP)
    return ".png, .jpg, .jpeg, .webp";
#elif defined(IE_HAVE_JPEG)
    return ".png, .jpg, .jpeg";
#elif defined(IE_HAVE_WEBP)
    return ".png, .webp";
#else
    return ".png";
#endif
}

static const codec *codec_of(ie_image_format format)
{
    for (int i = 0; i < CODEC_COUNT; i++) {
        if (codecs[i].format == format) return &codecs[i];
    }
    return NULL;
}

/* ---- memory ---------------------------------------------------------------------------------- */

ie_status ie_image_check_size(uint64_t width, uint64_t height, const ie_encoded *file,
                              ie_error *err)
{
    if (width < 1 || height < 1 || width > IE_IMAGE_MAX_SIDE || height > IE_IMAGE_MAX_SIDE) {
        return ie_app_fail(err, IE_BAD_INPUT, "%s is %llu x %llu: legal is 1 to %d pixels a side",
                           file->name, (unsigned long long)width, (unsigned long long)height,
                           IE_IMAGE_MAX_SIDE);
    }
    if (width * height > file->max_pixels) {
        return ie_app_fail(err, IE_BAD_INPUT,
                           "%s has %llu x %llu pixels, over the budget of %.6g megapixels "
                           "(--max-pixels, at most %d)",
                           file->name, (unsigned long long)width, (unsigned long long)height,
                           (double)file->max_pixels / IE_IMAGE_MEGAPIXEL, IE_IMAGE_MAX_MEGAPIXELS);
    }
    return IE_OK;
}

ie_status ie_image_create(ie_image *out, int width, int height, int channels, int bits,
                          ie_error *err)
{
    *out = (ie_image){0};
    const size_t row_bytes = (size_t)width * (size_t)channels * (size_t)(bits / 8);
    void *data = calloc((size_t)height, row_bytes);
    if (!data) {
        return ie_app_fail(err, IE_NO_MEMORY, "no memory for an image of %d x %d pixels", width,
                           height);
    }
    out->pixels = (ie_pixels){data, width, height, channels, bits, row_bytes};
    return IE_OK;
}

ie_status ie_image_allocate(ie_image *image, uint64_t width, uint64_t height, int channels,
                            int bits, const ie_encoded *file, ie_error *err)
{
    IE_APP_TRY(ie_image_check_size(width, height, file, err));
    ie_image sized;
    IE_APP_TRY(ie_image_create(&sized, (int)width, (int)height, channels, bits, err));
    image->pixels = sized.pixels;
    return IE_OK;
}

void ie_image_release(ie_image *image)
{
    free(image->pixels.data);
    free(image->colour.icc);
    *image = (ie_image){0};
}

ie_status ie_image_keep_icc(ie_image *image, const uint8_t *icc, size_t bytes, ie_error *err)
{
    enum { HEADER = 128, SPACE = 16, MAX_BYTES = 255 * 65519 }; /* what a JPEG can carry */
    if (bytes > MAX_BYTES) {
        (void)snprintf(image->note, sizeof image->note,
                       "its colour profile is larger than 16 MB and is left out");
        return IE_OK;
    }
    if (bytes < HEADER || memcmp(icc + SPACE, "RGB ", 4) != 0) {
        (void)snprintf(image->note, sizeof image->note,
                       "its colour profile is not one for RGB and is left out");
        return IE_OK;
    }
    image->colour.icc = malloc(bytes);
    if (!image->colour.icc) return ie_app_fail(err, IE_NO_MEMORY, "no memory for a colour profile");
    memcpy(image->colour.icc, icc, bytes);
    image->colour.icc_bytes = bytes;
    return IE_OK;
}

/* ---- reading --------------------------------------------------------------------------------- */

static const codec *sniff(const uint8_t *data, size_t bytes)
{
    if (bytes >= 8 && !memcmp(data, "\x89PNG\r\n\x1a\n", 8)) return codec_of(IE_FORMAT_PNG);
    if (bytes >= 3 && !memcmp(data, "\xff\xd8\xff", 3)) return codec_of(IE_FORMAT_JPEG);
    if (bytes >= 12 && !memcmp(data, "RIFF", 4) && !memcmp(data + 8, "WEBP", 4)) {
        return codec_of(IE_FORMAT_WEBP);
    }
    return NULL;
}

ie_status ie_image_decode(ie_image *out, const uint8_t *data, size_t bytes, const char *name,
                          uint64_t max_pixels, ie_error *err)
{
    *out = (ie_image){0};
    if (bytes == 0) return ie_app_fail(err, IE_BAD_INPUT, "%s is empty (zero bytes)", name);
    const codec *found = sniff(data, bytes);
    if (!found) {
        return ie_app_fail(err, IE_BAD_INPUT,
                           "%s is not an image this build can read (%s, told by content)", name,
                           format_list());
    }
    const ie_encoded file = {data, bytes, name, max_pixels};
    const ie_status status = found->decode(out, &file, err);
    if (status != IE_OK) ie_image_release(out);
    return status;
}

/* *out is malloc'ed; its size is *bytes. */
static ie_status read_descriptor(int descriptor, const char *path, uint8_t **out, size_t *bytes,
                                 ie_error *err)
{
    struct stat info;
    if (fstat(descriptor, &info)) goto unreadable;
    if (S_ISDIR(info.st_mode)) {
        return ie_app_fail(err, IE_BAD_INPUT, "%s is a folder, not an image", path);
    }
    if (!S_ISREG(info.st_mode)) {
        return ie_app_fail(err, IE_BAD_INPUT, "%s is not a regular file", path);
    }
    if (info.st_size > max_file_bytes) {
        return ie_app_fail(err, IE_BAD_INPUT, "%s is larger than %d GiB", path,
                           (int)(max_file_bytes >> 30));
    }
    const size_t size = (size_t)info.st_size;
    *out = malloc(size ? size : 1);
    if (!*out) return ie_app_fail(err, IE_NO_MEMORY, "no memory to read %s", path);
    for (*bytes = 0; *bytes < size;) {
        const ssize_t got = read(descriptor, *out + *bytes, size - *bytes);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) goto unreadable;
        if (got == 0) break; /* it shrank meanwhile: the decoder sees the truncation */
        *bytes += (size_t)got;
    }
    return IE_OK;
unreadable:
    return ie_app_fail(err, IE_BAD_INPUT, "cannot read %s: %s", path, strerror(errno));
}

ie_status ie_image_read_open(ie_image *out, int descriptor, const char *name, uint64_t max_pixels,
                             ie_error *err)
{
    uint8_t *data = NULL;
    size_t bytes = 0;
    *out = (ie_image){0};
    ie_status status = read_descriptor(descriptor, name, &data, &bytes, err);
    if (status == IE_OK) status = ie_image_decode(out, data, bytes, name, max_pixels, err);
    free(data);
    return status;
}

ie_status ie_image_read(ie_image *out, const char *path, uint64_t max_pixels, ie_error *err)
{
    *out = (ie_image){0};
    /* O_NONBLOCK: a FIFO given by mistake is refused instead of waited for. */
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) {
        return ie_app_fail(err, IE_BAD_INPUT, "cannot read %s: %s", path, strerror(errno));
    }
    const ie_status status = ie_image_read_open(out, descriptor, path, max_pixels, err);
    (void)close(descriptor);
    return status;
}

/* ---- writing --------------------------------------------------------------------------------- */

ie_status ie_image_format_of(ie_image_format *out, const char *path, ie_error *err)
{
    const size_t length = strlen(path);
    for (int i = 0; i < CODEC_COUNT; i++) {
        for (int j = 0; j < 2 && codecs[i].extensions[j]; j++) {
            const char *extension = codecs[i].extensions[j];
            const size_t size = strlen(extension);
            if (length > size && path[length - size - 1] != '/' &&
                !strcasecmp(path + length - size, extension)) {
                *out = codecs[i].format;
                return IE_OK;
            }
        }
    }
    return ie_app_fail(err, IE_BAD_ARGUMENT,
                       "the extension of %s names no format to write: legal are %s", path,
                       format_list());
}

ie_status ie_image_check_format(ie_image_format format, const ie_pixels *pixels, const char *path,
                                ie_error *err)
{
    const codec *c = codec_of(format);
    if (pixels->channels == 4 && !c->alpha) {
        return ie_app_fail(err, IE_BAD_ARGUMENT,
                           "%s cannot hold the image's transparency: write .png or .webp", path);
    }
    if (pixels->bits > c->max_bits) {
        return ie_app_fail(err, IE_BAD_ARGUMENT,
                           "%s cannot hold the image's %d bits per sample: write .png", path,
                           pixels->bits);
    }
    if (pixels->channels == 1 && !c->grey) {
        return ie_app_fail(err, IE_BAD_ARGUMENT, "%s cannot hold a mask exactly: write .png", path);
    }
    if (pixels->width > c->max_side || pixels->height > c->max_side) {
        return ie_app_fail(err, IE_BAD_ARGUMENT,
                           "%s cannot hold %d x %d pixels (%s: at most %d a side): write .png",
                           path, pixels->width, pixels->height, c->name, c->max_side);
    }
    return IE_OK;
}

ie_status ie_image_encode(ie_image *image, const char *path, const ie_write_options *options,
                          char **data, size_t *bytes, ie_error *err)
{
    ie_image_format format;
    *data = NULL;
    IE_APP_TRY(ie_image_format_of(&format, path, err));
    IE_APP_TRY(ie_image_check_format(format, &image->pixels, path, err));
    FILE *stream = open_memstream(data, bytes);
    if (!stream) return ie_app_fail(err, IE_NO_MEMORY, "no memory to encode %s", path);
    ie_status status = codec_of(format)->encode(image, stream, options, path, err);
    if (fclose(stream) && status == IE_OK) {
        status = ie_app_fail(err, IE_NO_MEMORY, "no memory to encode %s", path);
    }
    if (status != IE_OK) {
        free(*data);
        *data = NULL;
    }
    return status;
}

ie_status ie_image_write(ie_image *image, const char *path, const ie_write_options *options,
                         ie_error *err)
{
    ie_image_format format;
    ie_atomic_file file;
    IE_APP_TRY(ie_image_format_of(&format, path, err));
    IE_APP_TRY(ie_image_check_format(format, &image->pixels, path, err));
    IE_APP_TRY(ie_atomic_open(&file, path, err));
    ie_status status = codec_of(format)->encode(image, file.stream, options, path, err);
    if (status == IE_OK) status = ie_atomic_commit(&file, err);
    ie_atomic_abandon(&file);
    return status;
}
