/* test_png.c - PNG: every colour type, bit depth and interlacing, colour information, texts,
 * damage. SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 13, HEIGHT = 11, COLOURS = 16 };

typedef struct png_case {
    int type, bits;
    bool interlaced, clear; /* clear: with a tRNS chunk */
} png_case;

/* Samples as the file holds them, not packed; a palette; what tRNS says. */
typedef struct png_content {
    uint16_t samples[HEIGHT][WIDTH][4];
    png_color palette[COLOURS];
    uint8_t alpha[COLOURS];
    png_color_16 clear;
} png_content;

static void append(png_structp png, png_bytep data, size_t size)
{
    bytes_append(png_get_io_ptr(png), data, size);
}

static void no_flush(png_structp png)
{
    (void)png;
}

static png_content make_content(const png_case *c, int channels)
{
    png_content content = {0};
    uint32_t seed = (uint32_t)(c->type * 100 + c->bits);
    const unsigned count = c->type == PNG_COLOR_TYPE_PALETTE && c->bits == 8 ? COLOURS : 0;
    for (int y = 0; y < HEIGHT; y++) {
        for (int x = 0; x < WIDTH; x++) {
            for (int k = 0; k < channels; k++) {
                const unsigned range = count ? count : 1U << c->bits;
                content.samples[y][x][k] = (uint16_t)(noise(&seed) % range);
            }
        }
    }
    for (int i = 0; i < COLOURS; i++) {
        content.palette[i] =
            (png_color){(uint8_t)noise(&seed), (uint8_t)noise(&seed), (uint8_t)noise(&seed)};
        content.alpha[i] = (uint8_t)noise(&seed);
    }
    const uint16_t *first = content.samples[3][4]; /* a colour that occurs */
    content.clear =
        (png_color_16){.red = first[0], .green = first[1], .blue = first[2], .gray = first[0]};
    return content;
}

static bytes write_png(const png_case *c, png_content *content, int channels)
{
    bytes out = {0};
    uint8_t row[WIDTH * 8];
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    assert_non_null(info);
    if (setjmp(png_jmpbuf(png))) fail();
    png_set_write_fn(png, &out, append, no_flush);
    png_set_IHDR(png, info, WIDTH, HEIGHT, c->bits, c->type,
                 c->interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, 0, 0);
    if (c->type == PNG_COLOR_TYPE_PALETTE) {
        const int count = c->bits < 4 ? 1 << c->bits : COLOURS;
        png_set_PLTE(png, info, content->palette, count);
        if (c->clear) png_set_tRNS(png, info, content->alpha, count, NULL);
    } else if (c->clear) {
        png_set_tRNS(png, info, NULL, 0, &content->clear);
    }
    png_write_info(png, info);
    png_set_packing(png);
    const int passes = png_set_interlace_handling(png);
    for (int pass = 0; pass < passes; pass++) {
        for (int y = 0; y < HEIGHT; y++) {
            uint8_t *to = row;
            for (int x = 0; x < WIDTH; x++) {
                for (int k = 0; k < channels; k++) {
                    if (c->bits == 16) *to++ = (uint8_t)(content->samples[y][x][k] >> 8);
                    *to++ = (uint8_t)content->samples[y][x][k];
                }
            }
            png_write_row(png, row);
        }
    }
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    return out;
}

/* The pixel a viewer sees, from the PNG specification. */
static void expect_pixel(const png_case *c, const png_content *content, const uint16_t *s,
                         unsigned out[4])
{
    const unsigned top = c->bits == 16 ? 65535 : 255;
    const bool grey = !(c->type & PNG_COLOR_MASK_COLOR);
    out[3] = top;
    if (c->type == PNG_COLOR_TYPE_PALETTE) {
        const png_color *p = &content->palette[s[0]];
        out[0] = p->red;
        out[1] = p->green;
        out[2] = p->blue;
        if (c->clear) out[3] = content->alpha[s[0]];
        return;
    }
    for (int k = 0; k < 3; k++) {
        const unsigned value = s[grey ? 0 : k];
        out[k] = c->bits < 8 ? value * 255 / ((1U << c->bits) - 1) : value;
    }
    if (c->type & PNG_COLOR_MASK_ALPHA) out[3] = s[grey ? 1 : 3];
    if (c->clear && s[0] == content->clear.red &&
        (grey || (s[1] == content->clear.green && s[2] == content->clear.blue))) {
        out[3] = 0;
    }
}

static void check_case(const png_case *c)
{
    static const int channel_count[7] = {1, 0, 3, 1, 2, 0, 4};
    const int channels = channel_count[c->type];
    png_content content = make_content(c, channels);
    bytes file = write_png(c, &content, channels);
    ie_image image = decode(&file);
    const ie_pixels *p = &image.pixels;
    const bool alpha = (c->type & PNG_COLOR_MASK_ALPHA) || c->clear;
    assert_int_equal(p->width, WIDTH);
    assert_int_equal(p->height, HEIGHT);
    assert_int_equal(p->bits, c->bits == 16 ? 16 : 8);
    assert_int_equal(p->channels, alpha ? 4 : 3);
    for (int y = 0; y < HEIGHT; y++) {
        const uint8_t *row = (const uint8_t *)p->data + (size_t)y * p->row_bytes;
        for (int x = 0; x < WIDTH; x++) {
            unsigned wanted[4];
            expect_pixel(c, &content, content.samples[y][x], wanted);
            for (int k = 0; k < p->channels; k++) {
                const int at = x * p->channels + k;
                const unsigned got =
                    p->bits == 16 ? ((const uint16_t *)(const void *)row)[at] : row[at];
                if (got != wanted[k]) {
                    print_error("type %d, %d bits, interlaced %d, tRNS %d, at %d,%d\n", c->type,
                                c->bits, c->interlaced, c->clear, x, y);
                }
                assert_int_equal(got, wanted[k]);
            }
        }
    }
    ie_image_release(&image);
    bytes_free(&file);
}

static void every_kind_of_png_is_read_exactly(void **state)
{
    static const int depths[7][6] = {{1, 2, 4, 8, 16}, {0}, {8, 16}, {1, 2, 4, 8},
                                     {8, 16},          {0}, {8, 16}};
    (void)state;
    int cases = 0;
    for (int type = 0; type < 7; type++) {
        for (const int *bits = depths[type]; *bits; bits++) {
            for (int variant = 0; variant < 4; variant++) {
                const png_case c = {type, *bits, variant & 1, variant & 2};
                if (c.clear && (type & PNG_COLOR_MASK_ALPHA)) continue; /* has no tRNS */
                check_case(&c);
                cases++;
            }
        }
    }
    assert_int_equal(cases, (5 + 2 + 4) * 4 + (2 + 2) * 2);
}

static void pixels_survive_writing_and_reading(void **state)
{
    (void)state;
    const ie_write_options options = {0};
    for (int variant = 0; variant < 4; variant++) {
        ie_image image = noise_image(37, 23, variant & 1 ? 4 : 3, variant & 2 ? 16 : 8, 3);
        bytes file = encode(ie_png_encode, &image, &options);
        ie_image back = decode(&file);
        assert_same_pixels(&image.pixels, &back.pixels);
        ie_image_release(&image);
        ie_image_release(&back);
        bytes_free(&file);
    }
}

static void a_mask_is_written_as_grey_of_8_bits(void **state)
{
    (void)state;
    const ie_write_options options = {0};
    ie_image image = noise_image(5, 4, 1, 8, 3);
    bytes file = encode(ie_png_encode, &image, &options);
    assert_int_equal(file.data[24], 8);                   /* bit depth */
    assert_int_equal(file.data[25], PNG_COLOR_TYPE_GRAY); /* colour type */
    ie_image back = decode(&file);
    for (int i = 0; i < 5 * 4 * 3; i++) {
        assert_int_equal(((uint8_t *)back.pixels.data)[i], ((uint8_t *)image.pixels.data)[i / 3]);
    }
    ie_image_release(&image);
    ie_image_release(&back);
    bytes_free(&file);
}

static void colour_information_is_carried_through(void **state)
{
    (void)state;
    const ie_write_options options = {0};
    ie_image image = noise_image(4, 4, 3, 8, 1);
    bytes icc = make_icc(3000, "RGB ");
    image.colour.icc = icc.data;
    image.colour.icc_bytes = icc.size;
    image.colour.has_gamma = image.colour.has_chromaticities = true;
    image.colour.gamma = 55555;
    const int32_t xy[8] = {31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000};
    memcpy(image.colour.chromaticities, xy, sizeof xy);
    bytes file = encode(ie_png_encode, &image, &options);
    ie_image back = decode(&file);
    assert_string_equal(back.note, "");
    assert_int_equal(back.colour.icc_bytes, icc.size);
    assert_memory_equal(back.colour.icc, icc.data, icc.size);
    ie_image_release(&back);
    bytes_free(&file);

    /* Without a profile the simpler chunks speak. */
    image.colour.icc = NULL;
    file = encode(ie_png_encode, &image, &options);
    back = decode(&file);
    assert_true(back.colour.has_gamma && back.colour.has_chromaticities && !back.colour.has_srgb);
    assert_int_equal(back.colour.gamma, 55555);
    assert_memory_equal(back.colour.chromaticities, xy, sizeof xy);
    ie_image_release(&back);
    bytes_free(&file);

    image.colour = (ie_colour){.has_srgb = true, .srgb_intent = 2};
    file = encode(ie_png_encode, &image, &options);
    back = decode(&file);
    assert_true(back.colour.has_srgb);
    assert_int_equal(back.colour.srgb_intent, 2);
    ie_image_release(&back);
    bytes_free(&file);
    ie_image_release(&image);
    bytes_free(&icc);
}

static void a_profile_that_cannot_be_kept_is_announced(void **state)
{
    (void)state;
    ie_image image = noise_image(4, 4, 3, 8, 1);
    bytes grey = make_icc(200, "GRAY");
    assert_int_equal(ie_image_keep_icc(&image, grey.data, grey.size, NULL), IE_OK);
    assert_null(image.colour.icc);
    assert_non_null(strstr(image.note, "left out"));

    bytes huge = make_icc(255 * 65519 + 1, "RGB ");
    assert_int_equal(ie_image_keep_icc(&image, huge.data, huge.size, NULL), IE_OK);
    assert_null(image.colour.icc);
    assert_non_null(strstr(image.note, "larger than 16 MB"));
    bytes_free(&huge);

    /* libpng refuses a profile whose size field is wrong: it must be said, not dropped. */
    bytes broken = make_icc(200, "RGB ");
    broken.data[3]++;
    image.note[0] = '\0';
    image.colour.icc = broken.data;
    image.colour.icc_bytes = broken.size;
    const ie_write_options options = {0};
    bytes file = encode(ie_png_encode, &image, &options);
    assert_non_null(strstr(image.note, "left out"));
    ie_image back = decode(&file);
    assert_null(back.colour.icc);
    ie_image_release(&back);
    ie_image_release(&image);
    bytes_free(&file);
    bytes_free(&grey);
}

static void texts_are_written_as_utf8(void **state)
{
    (void)state;
    static const ie_text_entry texts[] = {{"Prompt", "a fish \xe9\xad\x9a in a bowl"},
                                          {"Seed", "18446744073709551615"}};
    const ie_write_options options = {.text = texts, .text_count = 2};
    ie_image image = noise_image(3, 3, 3, 8, 1);
    bytes file = encode(ie_png_encode, &image, &options);
    bytes seen = {0};
    bytes_append(&seen, file.data, file.size);
    const char *prompt = memmem(file.data, file.size, "iTXtPrompt", 10);
    assert_non_null(prompt);
    /* keyword, 0, not compressed, method 0, no language 0, no translation 0, text */
    assert_memory_equal(prompt + 4, "Prompt\0\0\0\0\0a fish \xe9\xad\x9a in a bowl", 31);
    assert_non_null(memmem(file.data, file.size, "18446744073709551615", 20));
    ie_image back = decode(&file);
    assert_same_pixels(&image.pixels, &back.pixels);
    ie_image_release(&back);
    ie_image_release(&image);
    bytes_free(&file);
    bytes_free(&seen);
}

static void a_truncated_png_is_refused_wherever_it_ends(void **state)
{
    (void)state;
    const ie_write_options options = {0};
    ie_image image = noise_image(9, 7, 3, 8, 1);
    bytes file = encode(ie_png_encode, &image, &options);
    assert_truncations_refused(&file);
    ie_image_release(&image);
    bytes_free(&file);
}

static void a_png_with_any_byte_changed_is_refused(void **state)
{
    (void)state;
    static const ie_text_entry text = {"Prompt", "a fish"};
    const ie_write_options options = {.text = &text, .text_count = 1};
    ie_image image = noise_image(9, 7, 4, 8, 1);
    bytes icc = make_icc(200, "RGB "); /* chunks that are not critical count too */
    image.colour.icc = icc.data;
    image.colour.icc_bytes = icc.size;
    bytes file = encode(ie_png_encode, &image, &options);
    for (size_t i = 0; i < file.size; i++) {
        ie_image back;
        ie_error err = {0};
        file.data[i] ^= 0x55;
        const ie_status status =
            ie_image_decode(&back, file.data, file.size, "bad.png", 1 << 20, &err);
        if (status == IE_OK) print_error("byte %zu may be changed\n", i);
        assert_says(status, IE_BAD_INPUT, &err, "bad.png");
        file.data[i] ^= 0x55;
    }
    ie_image_release(&image);
    bytes_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_png_is_read_exactly),
        cmocka_unit_test(pixels_survive_writing_and_reading),
        cmocka_unit_test(a_mask_is_written_as_grey_of_8_bits),
        cmocka_unit_test(colour_information_is_carried_through),
        cmocka_unit_test(a_profile_that_cannot_be_kept_is_announced),
        cmocka_unit_test(texts_are_written_as_utf8),
        cmocka_unit_test(a_truncated_png_is_refused_wherever_it_ends),
        cmocka_unit_test(a_png_with_any_byte_changed_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
