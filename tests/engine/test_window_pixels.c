/* test_window_pixels.c - reading the window onto the canvas, and writing exactly the masked pixels
 * back.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "window.h"

enum { CANVAS = 16, PADDING = 5, POISON = 0xa7 };

/* An image with padded rows, every byte of it different from its neighbours. */
typedef struct picture {
    ie_pixels p;
    size_t bytes;
} picture;

static picture picture_new(int width, int height, int channels, int bits)
{
    picture i = {.p = {NULL, width, height, channels, bits, 0}};
    /* 16-bit rows at odd addresses are legal. */
    i.p.row_bytes = (size_t)width * (size_t)channels * (size_t)bits / 8 + PADDING;
    i.bytes = i.p.row_bytes * (size_t)height;
    i.p.data = malloc(i.bytes);
    assert_non_null(i.p.data);
    uint8_t *bytes = i.p.data;
    for (size_t k = 0; k < i.bytes; k++) bytes[k] = (uint8_t)(k * 37 + k / 251);
    return i;
}

static void picture_free(picture *i)
{
    free(i->p.data);
    *i = (picture){0};
}

static uint8_t *row(const picture *i, int y)
{
    return (uint8_t *)i->p.data + (size_t)y * i->p.row_bytes;
}

static int sample(const picture *i, int x, int y, int c)
{
    const int at = x * i->p.channels + c;
    if (i->p.bits == 8) return row(i, y)[at];
    uint16_t v;
    memcpy(&v, row(i, y) + 2 * at, sizeof v);
    return v;
}

/* A mask with padded rows: 255 on the pixels `filled` says. */
static picture mask_new(int width, int height, bool (*filled)(int x, int y))
{
    picture m = picture_new(width, height, 1, 8);
    for (int y = 0; y < height; y++) {
        for (int x = 0; x < width; x++) row(&m, y)[x] = filled(x, y) ? 255 : 0;
    }
    return m;
}

static bool scattered(int x, int y)
{
    return (x * 7 + y * 13) % 11 == 0;
}

static bool right_half(int x, int y)
{
    (void)y;
    return x >= 8;
}

static bool lower_right(int x, int y)
{
    return x >= 5 && y >= 5;
}

static void must(ie_status status, const ie_error *err)
{
    if (status) fail_msg("%s", err->text);
}

/* ---- reading ------------------------------------------------------------------------------- */

static void an_image_of_the_canvas_size_is_read_as_it_is(void **state)
{
    (void)state;
    static uint8_t rgb[CANVAS * CANVAS * 3], fill[CANVAS * CANVAS];
    ie_error err;
    for (int channels = 3; channels <= 4; channels++) {
        picture image = picture_new(CANVAS, CANVAS, channels, 8);
        picture mask = mask_new(CANVAS, CANVAS, scattered);
        const ie_window w = ie_window_of(&mask.p, CANVAS);
        must(ie_window_read(&w, &image.p, &mask.p, CANVAS, rgb, fill, &err), &err);
        for (int i = 0; i < CANVAS * CANVAS; i++) {
            const int x = i % CANVAS, y = i / CANVAS;
            assert_int_equal(fill[i], scattered(x, y));
            for (int c = 0; c < 3; c++) assert_int_equal(rgb[3 * i + c], sample(&image, x, y, c));
        }
        picture_free(&mask);
        picture_free(&image);
    }
}

static void sixteen_bits_are_read_to_the_nearest_of_eight(void **state)
{
    (void)state;
    static uint8_t rgb[CANVAS * CANVAS * 3], fill[CANVAS * CANVAS];
    ie_error err;
    picture image = picture_new(CANVAS, CANVAS, 3, 16), mask = mask_new(CANVAS, CANVAS, scattered);
    const ie_window w = ie_window_of(&mask.p, CANVAS);
    must(ie_window_read(&w, &image.p, &mask.p, CANVAS, rgb, fill, &err), &err);
    for (int i = 0; i < CANVAS * CANVAS * 3; i++) {
        const double exact = sample(&image, i / 3 % CANVAS, i / 3 / CANVAS, i % 3) / 257.0;
        assert_true(fabs(rgb[i] - exact) <= 0.5 + 1e-4);
    }
    picture_free(&mask);
    picture_free(&image);
}

static bool known(const picture *mask, int64_t x, int64_t y)
{
    return x >= 0 && y >= 0 && x < mask->p.width && y < mask->p.height && !row(mask, (int)y)[x];
}

/* A canvas pixel covers [i side / canvas, (i + 1) side / canvas) of the window: it is to be filled
 * exactly if something it covers, in whole or in part, is masked or outside the image. */
static bool must_fill(const picture *mask, const ie_window *w, int x, int y)
{
    for (int64_t j = y * w->side / CANVAS; j * CANVAS < (y + 1) * w->side; j++) {
        for (int64_t i = x * w->side / CANVAS; i * CANVAS < (x + 1) * w->side; i++) {
            if (!known(mask, w->x + i, w->y + j)) return true;
        }
    }
    return false;
}

static void a_scaled_mask_covers_every_masked_pixel_and_nothing_else(void **state)
{
    (void)state;
    static const int sizes[][2] = {{16, 16}, {17, 17}, {7, 6},  {20, 16},
                                   {40, 23}, {9, 50},  {1, 30}, {48, 48}};
    static uint8_t rgb[CANVAS * CANVAS * 3], fill[CANVAS * CANVAS];
    ie_error err;
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        picture image = picture_new(sizes[s][0], sizes[s][1], 3, 8);
        picture mask = mask_new(sizes[s][0], sizes[s][1], scattered);
        const ie_window w = ie_window_of(&mask.p, CANVAS);
        must(ie_window_read(&w, &image.p, &mask.p, CANVAS, rgb, fill, &err), &err);
        for (int i = 0; i < CANVAS * CANVAS; i++)
            assert_int_equal(fill[i], must_fill(&mask, &w, i % CANVAS, i / CANVAS));
        picture_free(&mask);
        picture_free(&image);
    }
}

/* ---- writing -------------------------------------------------------------------------------- */

/* A result whose samples are the bytes' own values, so that they come back exact at scale 1. */
static float *result_new(void)
{
    float *r = malloc(sizeof *r * CANVAS * CANVAS * 3);
    assert_non_null(r);
    for (int i = 0; i < CANVAS * CANVAS * 3; i++) r[i] = (float)(i * 29 % 256) / 127.5f - 1.0f;
    return r;
}

static void at_the_canvas_size_the_result_comes_back_exactly(void **state)
{
    (void)state;
    ie_error err;
    picture image = picture_new(CANVAS, CANVAS, 3, 8), out = picture_new(CANVAS, CANVAS, 3, 8);
    picture mask = mask_new(CANVAS, CANVAS, scattered);
    float *result = result_new();
    const ie_window_result made = {result, CANVAS, 0};
    const ie_window w = ie_window_of(&mask.p, CANVAS);
    must(ie_window_write(&w, &made, &image.p, &mask.p, &out.p, &err), &err);
    for (int i = 0; i < CANVAS * CANVAS * 3; i++) {
        const int x = i / 3 % CANVAS, y = i / 3 / CANVAS;
        const int want = scattered(x, y) ? i * 29 % 256 : sample(&image, x, y, i % 3);
        assert_int_equal(sample(&out, x, y, i % 3), want);
    }
    free(result);
    picture_free(&mask);
    picture_free(&out);
    picture_free(&image);
}

typedef struct shape {
    int width, height, channels, bits;
} shape;

/* Every sample outside the mask, alpha everywhere, and the bytes between rows; some masked sample
 * must have changed. */
static void check_kept(const picture *before, const picture *out, const picture *mask, uint8_t gap)
{
    const ie_pixels *p = &out->p;
    int changed = 0;
    for (int y = 0; y < p->height; y++) {
        for (int x = 0; x < p->width; x++) {
            for (int c = 0; c < p->channels; c++) {
                const bool same = sample(out, x, y, c) == sample(before, x, y, c);
                if (!row(mask, y)[x] || c == 3) assert_true(same);
                changed += !same;
            }
        }
        for (size_t k = p->row_bytes - PADDING; k < p->row_bytes; k++)
            assert_int_equal(row(out, y)[k], gap ? gap : row(before, y)[k]);
    }
    assert_true(changed > 0);
}

static void check_write(shape s, int feather)
{
    ie_error err;
    picture image = picture_new(s.width, s.height, s.channels, s.bits);
    picture before = picture_new(s.width, s.height, s.channels, s.bits);
    picture out = picture_new(s.width, s.height, s.channels, s.bits);
    picture mask = mask_new(s.width, s.height, scattered);
    float *result = result_new();
    const ie_window_result made = {result, CANVAS, feather};
    const ie_window w = ie_window_of(&mask.p, CANVAS);
    memset(out.p.data, POISON, out.bytes);
    must(ie_window_write(&w, &made, &image.p, &mask.p, &out.p, &err), &err);
    assert_memory_equal(image.p.data, before.p.data, image.bytes);
    check_kept(&before, &out, &mask, POISON);
    /* In place: the same pixels. */
    must(ie_window_write(&w, &made, &image.p, &mask.p, &image.p, &err), &err);
    check_kept(&before, &image, &mask, 0);
    for (int y = 0; y < s.height; y++)
        assert_memory_equal(row(&image, y), row(&out, y), image.p.row_bytes - PADDING);
    free(result);
    picture_free(&mask);
    picture_free(&out);
    picture_free(&before);
    picture_free(&image);
}

static void writing_touches_masked_pixels_alone(void **state)
{
    (void)state;
    static const int sizes[][2] = {{16, 16}, {40, 23}, {7, 6}, {20, 16}, {9, 50}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        for (int channels = 3; channels <= 4; channels++) {
            for (int bits = 8; bits <= 16; bits += 8) {
                check_write((shape){sizes[i][0], sizes[i][1], channels, bits}, 0);
                check_write((shape){sizes[i][0], sizes[i][1], channels, bits}, 3);
            }
        }
    }
}

/* ---- the feather ---------------------------------------------------------------------------- */

/* Black image, white result: the written sample is the weight. 16 bits, so that the ramp shows. */
static void ramp(bool (*filled)(int x, int y), int feather, picture *out)
{
    ie_error err;
    picture image = picture_new(CANVAS, CANVAS, 3, 16), mask = mask_new(CANVAS, CANVAS, filled);
    float *result = result_new();
    const ie_window_result made = {result, CANVAS, feather};
    for (int i = 0; i < CANVAS * CANVAS * 3; i++) result[i] = 1.0f;
    memset(image.p.data, 0, image.bytes);
    *out = picture_new(CANVAS, CANVAS, 3, 16);
    const ie_window w = ie_window_of(&mask.p, CANVAS);
    must(ie_window_write(&w, &made, &image.p, &mask.p, &out->p, &err), &err);
    free(result);
    picture_free(&mask);
    picture_free(&image);
}

static void is_share(const picture *out, int x, int y, double share)
{
    if (abs(sample(out, x, y, 1) - (int)lrint(share * 65535)) > 1)
        fail_msg("(%d, %d) is %d, not %.4f of 65535", x, y, sample(out, x, y, 1), share);
}

static void a_feather_fades_in_by_the_distance_to_the_kept_pixels(void **state)
{
    (void)state;
    picture out;
    ramp(right_half, 3, &out);
    for (int y = 0; y < CANVAS; y++) {
        is_share(&out, 7, y, 0);
        for (int i = 0; i < 8; i++) is_share(&out, 8 + i, y, fmin((i + 1) / 4.0, 1));
    }
    picture_free(&out);
    ramp(right_half, 0, &out);
    is_share(&out, 7, 0, 0);
    is_share(&out, 8, 0, 1);
    picture_free(&out);
    /* At a corner the distance is Euclidean: to (4, 4 + k) and (4 + k, 4) it is straight. */
    ramp(lower_right, 7, &out);
    for (int y = 5; y < CANVAS; y++) {
        for (int x = 5; x < CANVAS; x++) {
            const int near = x < y ? x - 4 : y - 4; /* the border of the image keeps nothing */
            is_share(&out, x, y, fmin(near / 8.0, 1));
        }
    }
    picture_free(&out);
}

static bool but_one(int x, int y)
{
    return x != 8 || y != 6;
}

static void the_feather_is_round(void **state)
{
    (void)state;
    picture out;
    ramp(but_one, 9, &out);
    for (int y = 0; y < CANVAS; y++) {
        for (int x = 0; x < CANVAS; x++) is_share(&out, x, y, fmin(hypot(x - 8, y - 6) / 10, 1));
    }
    picture_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_of_the_canvas_size_is_read_as_it_is),
        cmocka_unit_test(sixteen_bits_are_read_to_the_nearest_of_eight),
        cmocka_unit_test(a_scaled_mask_covers_every_masked_pixel_and_nothing_else),
        cmocka_unit_test(at_the_canvas_size_the_result_comes_back_exactly),
        cmocka_unit_test(writing_touches_masked_pixels_alone),
        cmocka_unit_test(a_feather_fades_in_by_the_distance_to_the_kept_pixels),
        cmocka_unit_test(the_feather_is_round),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
