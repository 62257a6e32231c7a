/* image_tool.c - images for cli_test.sh, and a look at the results. Not part of the program.
 *
 * image_tool make FOLDER                  the images the script edits, good and bad image_tool kept
 * IMAGE RESULT MASK       0: same size; equal where the mask is black, not all equal where it is
 * white image_tool texts FILE.png               the text chunks, "key: text"
 * SPDX-License-Identifier: Apache-2.0 */
#include "image_io.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 90, HEIGHT = 70 };

static const char *folder;

static void check(ie_status status, const ie_error *err)
{
    if (status == IE_OK) return;
    fprintf(stderr, "image_tool: %s\n", err->text);
    exit(1);
}

static ie_image create(int channels, int bits)
{
    ie_image image;
    ie_error err = {0};
    check(ie_image_create(&image, WIDTH, HEIGHT, channels, bits, &err), &err);
    return image;
}

static void save(ie_image *image, const char *name)
{
    char path[4096];
    ie_error err = {0};
    const ie_write_options options = {.quality = 95};
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    check(ie_image_write(image, path, &options, &err), &err);
}

static void save_bytes(const void *data, size_t size, const char *name)
{
    char path[4096];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(data, 1, size, file) != size || fclose(file)) exit(1);
}

/* Gradients; alpha, where there is one, opaque but for a clear box that is the mask's, and never
 * half. */
static bool in_box(int x, int y)
{
    return x >= 30 && x < 60 && y >= 20 && y < 50;
}

static void fill(ie_image *image)
{
    const ie_pixels *p = &image->pixels;
    for (int y = 0; y < p->height; y++) {
        for (int x = 0; x < p->width; x++) {
            for (int c = 0; c < p->channels; c++) {
                const unsigned gradient = (unsigned)(c == 0 ? x * 2 : c == 1 ? y * 3 : 120);
                const unsigned value = c == 3 ? (in_box(x, y) ? 0 : 255) : gradient;
                const size_t at = (size_t)(y * p->width + x) * (size_t)p->channels + (size_t)c;
                if (p->bits == 8) {
                    ((uint8_t *)p->data)[at] = (uint8_t)value;
                } else {
                    ((uint16_t *)p->data)[at] = (uint16_t)(value * 257 + (unsigned)(c < 3 ? y : 0));
                }
            }
        }
    }
}

/* White where the mask is the edit; `inside` and `outside` as given. */
static void save_mask(uint8_t inside, uint8_t outside, const char *name)
{
    ie_image mask = create(1, 8);
    for (int y = 0; y < HEIGHT; y++) {
        for (int x = 0; x < WIDTH; x++) {
            ((uint8_t *)mask.pixels.data)[y * WIDTH + x] = in_box(x, y) ? inside : outside;
        }
    }
    save(&mask, name);
    ie_image_release(&mask);
}

/* A PNG that claims a size; its pixels are missing. */
static void save_claim(uint32_t side, const char *name)
{
    uint8_t file[33 + 12] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR........\x08\2\0\0\0....\0\0\0\0IDAT";
    uint32_t crc = 0xffffffff;
    for (int k = 0; k < 4; k++) file[16 + k] = file[20 + k] = (uint8_t)(side >> (24 - 8 * k));
    for (int k = 12; k < 29; k++) {
        crc ^= file[k];
        for (int bit = 0; bit < 8; bit++) crc = crc & 1 ? crc >> 1 ^ 0xedb88320 : crc >> 1;
    }
    for (int k = 0; k < 4; k++) file[29 + k] = (uint8_t)(~crc >> (24 - 8 * k));
    memcpy(file + 41, "\x35\xaf\x06\x1e", 4); /* of the empty IDAT */
    save_bytes(file, sizeof file, name);
}

static int make(void)
{
    static const struct {
        int channels, bits;
        const char *name;
    } images[] = {
        {3, 8, "rgb.png"},   {3, 16, "rgb16.png"}, {4, 8, "rgba.png"}, {4, 16, "rgba16.png"},
#ifdef IE_HAVE_JPEG
        {3, 8, "photo.jpg"},
#endif
#ifdef IE_HAVE_WEBP
        {3, 8, "rgb.webp"},
#endif
    };
    for (size_t i = 0; i < sizeof images / sizeof images[0]; i++) {
        ie_image image = create(images[i].channels, images[i].bits);
        fill(&image);
        save(&image, images[i].name);
        ie_image_release(&image);
    }
    save_mask(255, 0, "mask.png");
    save_mask(0, 255, "black.png");
    save_mask(200, 90, "grey.png");
    save_mask(0, 0, "nothing.png");
    save_claim(15000, "large.png"); /* within the default budget */
    save_claim(60000, "bomb.png");
    save_bytes("", 0, "zero.png");
    save_bytes("no image\n", 9, "text.png");
    save_bytes("\x89PNG\r\n\x1a\n", 8, "cut.png");
    return 0;
}

static ie_image read_image(const char *path)
{
    ie_image image;
    ie_error err = {0};
    check(ie_image_read(&image, path, 1 << 24, &err), &err);
    return image;
}

static int kept(char **paths)
{
    ie_image image = read_image(paths[0]), result = read_image(paths[1]),
             mask = read_image(paths[2]);
    const ie_pixels *a = &image.pixels, *b = &result.pixels;
    long changed_inside = 0, changed_outside = 0;
    const bool alike = a->width == b->width && a->height == b->height && a->bits == b->bits &&
                       a->channels == b->channels;
    const size_t size = (size_t)a->channels * (size_t)a->bits / 8;
    for (int y = 0; alike && y < a->height; y++) {
        for (int x = 0; x < a->width; x++) {
            const size_t at = (size_t)y * a->row_bytes + (size_t)x * size;
            const bool changed =
                memcmp((const char *)a->data + at, (const char *)b->data + at, size) != 0;
            const bool white =
                ((uint8_t *)mask.pixels.data)[(size_t)y * mask.pixels.row_bytes + (size_t)x * 3];
            *(white ? &changed_inside : &changed_outside) += changed;
        }
    }
    if (!alike) fprintf(stderr, "sizes or kinds of pixels differ\n");
    if (changed_outside) fprintf(stderr, "%ld pixels outside the mask changed\n", changed_outside);
    if (!changed_inside) fprintf(stderr, "nothing inside the mask changed\n");
    ie_image_release(&image);
    ie_image_release(&result);
    ie_image_release(&mask);
    return !alike || changed_outside || !changed_inside;
}

static int texts(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) return 1;
    png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_textp entries;
    if (setjmp(png_jmpbuf(png))) return 1;
    png_init_io(png, file);
    png_read_info(png, info);
    const int count = png_get_text(png, info, &entries, NULL);
    for (int i = 0; i < count; i++) printf("%s: %s\n", entries[i].key, entries[i].text);
    png_destroy_read_struct(&png, &info, NULL);
    return fclose(file);
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "make")) {
        folder = argv[2];
        return make();
    }
    if (argc == 5 && !strcmp(argv[1], "kept")) return kept(argv + 2);
    if (argc == 3 && !strcmp(argv[1], "texts")) return texts(argv[2]);
    fprintf(stderr, "usage: image_tool make FOLDER | kept IMAGE RESULT MASK | texts FILE\n");
    return 2;
}
