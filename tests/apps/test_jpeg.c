/* test_jpeg.c - JPEG: orientation, grey, CMYK, profiles, sampling, damage.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "exif.h"

#include <stdlib.h>
#include <string.h>

#include <jpeglib.h>

enum { WIDTH = 24, HEIGHT = 16 };

typedef struct jpeg_case {
    J_COLOR_SPACE space;
    int components;
    int orientation; /* 0: no EXIF */
    bool big_endian, progressive;
} jpeg_case;

/* EXIF data with a second entry before the orientation, as cameras write it. */
static size_t make_exif(uint8_t *out, int orientation, bool big_endian)
{
    static const uint8_t little[] = {
        'E', 'x', 'i', 'f', 0, 0, 'I',  'I', '*', 0, 8, 0, 0, 0, 2, 0, 0x0f, 1, 2, 0, 1, 0,
        0,   0,   'x', 0,   0, 0, 0x12, 1,   3,   0, 1, 0, 0, 0, 0, 0, 0,    0, 0, 0, 0, 0};
    static const uint8_t big[] = {'E', 'x', 'i',  'f', 0, 0, 'M', 'M', 0, '*', 0, 0, 0, 8, 0,
                                  2,   1,   0x0f, 0,   2, 0, 0,   0,   1, 'x', 0, 0, 0, 1, 0x12,
                                  0,   3,   0,    0,   0, 1, 0,   0,   0, 0,   0, 0, 0, 0};
    memcpy(out, big_endian ? big : little, sizeof little);
    out[big_endian ? 37 : 36] = (uint8_t)orientation;
    return sizeof little;
}

/* Blocks of 8 x 8 pixels of one colour each: every block survives the compression exactly enough to
 * be told apart. */
static bytes write_jpeg(const jpeg_case *c)
{
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned char *data = NULL;
    unsigned long size = 0;
    uint8_t row[WIDTH * 4], exif[64];
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &data, &size);
    jpeg.image_width = WIDTH;
    jpeg.image_height = HEIGHT;
    jpeg.input_components = c->components;
    jpeg.in_color_space = c->space;
    jpeg_set_defaults(&jpeg);
    jpeg_set_quality(&jpeg, 100, TRUE);
    for (int k = 0; k < c->components; k++) {
        jpeg.comp_info[k].h_samp_factor = jpeg.comp_info[k].v_samp_factor = 1;
    }
    if (c->progressive) jpeg_simple_progression(&jpeg);
    jpeg_start_compress(&jpeg, TRUE);
    if (c->orientation) {
        const size_t length = make_exif(exif, c->orientation, c->big_endian);
        jpeg_write_marker(&jpeg, JPEG_APP0 + 1, exif, (unsigned)length);
    }
    for (int y = 0; y < HEIGHT; y++) {
        for (int x = 0; x < WIDTH * c->components; x++) {
            const int block = y / 8 * (WIDTH / 8) + x / c->components / 8;
            row[x] = (uint8_t)(20 + 37 * block + 15 * (x % c->components));
        }
        JSAMPROW rows = row;
        (void)jpeg_write_scanlines(&jpeg, &rows, 1);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    return (bytes){data, size};
}

static const uint8_t *pixel(const ie_pixels *p, int x, int y)
{
    return (const uint8_t *)p->data + (size_t)y * p->row_bytes + (size_t)x * 3;
}

/* Where the upright pixel x, y is stored, from the words of the EXIF specification: which side of
 * the scene the stored rows and columns begin at. */
static void stored_at(int orientation, int x, int y, int *column, int *row)
{
    switch (orientation) {
    case 1: *row = y, *column = x; return;                          /* row top, column left */
    case 2: *row = y, *column = WIDTH - 1 - x; return;              /* top, right */
    case 3: *row = HEIGHT - 1 - y, *column = WIDTH - 1 - x; return; /* bottom, right */
    case 4: *row = HEIGHT - 1 - y, *column = x; return;             /* bottom, left */
    case 5: *row = x, *column = y; return;                          /* left, top */
    case 6: *row = HEIGHT - 1 - x, *column = y; return;             /* right, top */
    case 7: *row = HEIGHT - 1 - x, *column = WIDTH - 1 - y; return; /* right, bottom */
    default: *row = x, *column = WIDTH - 1 - y;                     /* left, bottom */
    }
}

static void all_eight_orientations_are_turned_upright(void **state)
{
    (void)state;
    const jpeg_case plain = {.space = JCS_RGB, .components = 3};
    bytes plain_file = write_jpeg(&plain);
    ie_image stored = decode(&plain_file);
    for (int orientation = 1; orientation <= 8; orientation++) {
        const jpeg_case c = {JCS_RGB, 3, orientation, orientation % 2, false};
        bytes file = write_jpeg(&c);
        ie_image image = decode(&file);
        const ie_pixels *p = &image.pixels;
        assert_int_equal(p->width, orientation < 5 ? WIDTH : HEIGHT);
        assert_int_equal(p->height, orientation < 5 ? HEIGHT : WIDTH);
        for (int y = 0; y < p->height; y++) {
            for (int x = 0; x < p->width; x++) {
                int column, row;
                stored_at(orientation, x, y, &column, &row);
                assert_memory_equal(pixel(p, x, y), pixel(&stored.pixels, column, row), 3);
            }
        }
        ie_image_release(&image);
        bytes_free(&file);
    }
    ie_image_release(&stored);
    bytes_free(&plain_file);
}

static void damaged_exif_data_means_upright(void **state)
{
    (void)state;
    for (int orientation = 0; orientation < 12; orientation++) {
        uint8_t exif[64];
        const size_t size = make_exif(exif, orientation, orientation % 2);
        const int legal = orientation >= 1 && orientation <= 8;
        assert_int_equal(ie_exif_orientation(exif, size), legal ? orientation : 1);
    }
    uint8_t exif[64];
    const size_t size = make_exif(exif, 6, false);
    for (size_t cut = 0; cut < size; cut++) { /* exact copies: a read past the end is seen */
        uint8_t *copy = malloc(cut ? cut : 1);
        memcpy(copy, exif, cut);
        assert_int_equal(ie_exif_orientation(copy, cut), cut < 38 ? 1 : 6);
        free(copy);
    }
    exif[10] = 0xff; /* the directory lies far beyond the end */
    exif[13] = 0xff;
    assert_int_equal(ie_exif_orientation(exif, size), 1);
}

static void grey_becomes_rgb_with_equal_samples(void **state)
{
    (void)state;
    const jpeg_case c = {.space = JCS_GRAYSCALE, .components = 1};
    bytes file = write_jpeg(&c);
    ie_image image = decode(&file);
    assert_int_equal(image.pixels.channels, 3);
    for (int x = 0; x < WIDTH; x++) {
        const uint8_t *p = pixel(&image.pixels, x, 9);
        assert_true(p[0] == p[1] && p[1] == p[2]);
    }
    assert_int_equal(pixel(&image.pixels, 20, 12)[0], 20 + 37 * 5);
    ie_image_release(&image);
    bytes_free(&file);
}

static void cmyk_is_refused_with_a_hint(void **state)
{
    (void)state;
    const jpeg_case c = {.space = JCS_CMYK, .components = 4};
    bytes file = write_jpeg(&c);
    ie_image image;
    ie_error err = {0};
    assert_says(ie_image_decode(&image, file.data, file.size, "print.jpg", 1 << 20, &err),
                IE_BAD_INPUT, &err, "print.jpg is a CMYK JPEG: convert it to RGB");
    bytes_free(&file);
}

static void a_profile_over_several_segments_survives(void **state)
{
    (void)state;
    const ie_write_options options = {.quality = 90};
    ie_image image = noise_image(16, 16, 3, 8, 1);
    bytes icc = make_icc(150000, "RGB "); /* a segment holds 65519 bytes: three of them */
    image.colour.icc = icc.data;
    image.colour.icc_bytes = icc.size;
    bytes file = encode(ie_jpeg_encode, &image, &options);
    ie_image back = decode(&file);
    assert_int_equal(back.colour.icc_bytes, icc.size);
    assert_memory_equal(back.colour.icc, icc.data, icc.size);
    assert_string_equal(back.note, "");

    /* The same profile in a PNG, and back. */
    bytes png = encode(ie_png_encode, &back, &options);
    ie_image again = decode(&png);
    assert_int_equal(again.colour.icc_bytes, icc.size);
    assert_memory_equal(again.colour.icc, icc.data, icc.size);

    /* A segment that says it is number 9 of 3: the profile is left out, and that is said. */
    uint8_t *segment = memmem(file.data, file.size, "ICC_PROFILE\0\1\3", 14);
    assert_non_null(segment);
    segment[12] = 9;
    ie_image damaged = decode(&file);
    assert_null(damaged.colour.icc);
    assert_non_null(strstr(damaged.note, "left out"));
    ie_image_release(&damaged);
    ie_image_release(&again);
    ie_image_release(&back);
    ie_image_release(&image);
    bytes_free(&png);
    bytes_free(&file);
}

static void colour_is_written_at_full_resolution(void **state)
{
    (void)state;
    ie_image image = noise_image(40, 24, 3, 8, 1);
    size_t sizes[2];
    for (int i = 0; i < 2; i++) {
        const ie_write_options options = {.quality = i ? 95 : 40};
        bytes file = encode(ie_jpeg_encode, &image, &options);
        const uint8_t *frame = memmem(file.data, file.size, "\xff\xc0", 2);
        assert_non_null(frame);
        for (int k = 0; k < 3; k++) assert_int_equal(frame[11 + 3 * k], 0x11); /* 1 x 1 each */
        ie_image back = decode(&file);
        assert_int_equal(back.pixels.width, 40);
        sizes[i] = file.size;
        ie_image_release(&back);
        bytes_free(&file);
    }
    assert_true(sizes[0] < sizes[1]);
    ie_image_release(&image);
}

static void a_truncated_jpeg_is_refused_wherever_it_ends(void **state)
{
    (void)state;
    for (int progressive = 0; progressive < 2; progressive++) {
        const jpeg_case c = {JCS_RGB, 3, 6, false, progressive};
        bytes file = write_jpeg(&c);
        assert_truncations_refused(&file);
        bytes_free(&file);
    }
}

static void a_jpeg_with_any_byte_changed_is_read_or_refused(void **state)
{
    (void)state;
    const jpeg_case c = {JCS_RGB, 3, 6, false, false};
    bytes file = write_jpeg(&c);
    int refused = 0;
    for (size_t i = 0; i < file.size; i++) {
        ie_image image;
        ie_error err = {0};
        file.data[i] ^= 0x55;
        const ie_status status =
            ie_image_decode(&image, file.data, file.size, "bad.jpg", 1 << 20, &err);
        file.data[i] ^= 0x55;
        if (status != IE_OK) assert_says(status, IE_BAD_INPUT, &err, "bad.jpg");
        refused += status != IE_OK;
        ie_image_release(&image);
    }
    assert_true(refused > 50); /* every byte of the markers; JPEG has no checksum for the rest */
    bytes_free(&file);
}

/* Each bit of each coefficient in a scan of its own is legal: 694 passes over the image. */
static void more_scans_than_any_camera_writes_are_refused(void **state)
{
    (void)state;
    enum { COEFFICIENTS = 63, BITS = 11 };
    static jpeg_scan_info scans[1 + COEFFICIENTS * BITS];
    struct jpeg_compress_struct jpeg;
    struct jpeg_error_mgr errors;
    unsigned char *data = NULL;
    unsigned long size = 0;
    JSAMPLE row[8] = {0, 200, 30, 77, 5, 255, 90, 130};
    JSAMPROW rows = row;
    scans[0] = (jpeg_scan_info){.comps_in_scan = 1};
    for (int i = 0; i < COEFFICIENTS * BITS; i++) {
        const int bit = BITS - 1 - i % BITS, k = 1 + i / BITS;
        scans[1 + i] = (jpeg_scan_info){
            .comps_in_scan = 1, .Ss = k, .Se = k, .Ah = bit < BITS - 1 ? bit + 1 : 0, .Al = bit};
    }
    jpeg.err = jpeg_std_error(&errors);
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &data, &size);
    jpeg.image_width = jpeg.image_height = 8;
    jpeg.input_components = 1;
    jpeg.in_color_space = JCS_GRAYSCALE;
    jpeg_set_defaults(&jpeg);
    jpeg.scan_info = scans;
    jpeg.num_scans = COUNT(scans);
    jpeg_start_compress(&jpeg, TRUE);
    for (int y = 0; y < 8; y++) (void)jpeg_write_scanlines(&jpeg, &rows, 1);
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    ie_image image;
    ie_error err = {0};
    assert_says(ie_image_decode(&image, data, size, "bomb.jpg", 1 << 20, &err), IE_BAD_INPUT, &err,
                "more than 500 scans");
    free(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_eight_orientations_are_turned_upright),
        cmocka_unit_test(damaged_exif_data_means_upright),
        cmocka_unit_test(grey_becomes_rgb_with_equal_samples),
        cmocka_unit_test(cmyk_is_refused_with_a_hint),
        cmocka_unit_test(a_profile_over_several_segments_survives),
        cmocka_unit_test(colour_is_written_at_full_resolution),
        cmocka_unit_test(a_truncated_jpeg_is_refused_wherever_it_ends),
        cmocka_unit_test(a_jpeg_with_any_byte_changed_is_read_or_refused),
        cmocka_unit_test(more_scans_than_any_camera_writes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
