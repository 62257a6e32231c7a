/* test_mask_draw.c - shapes, growing and inverting, against their definitions.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "mask_draw.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { WIDTH = 40, HEIGHT = 30 };

static bool set_at(const ie_image *mask, int x, int y)
{
    const uint8_t value = ((uint8_t *)mask->pixels.data)[y * mask->pixels.width + x];
    assert_true(value == 0 || value == 255);
    return value == 255;
}

static ie_image draw(ie_shape_kind kind, const char *text)
{
    ie_image mask;
    ie_shape_list list = {0};
    ie_error err = {0};
    assert_int_equal(ie_image_create(&mask, WIDTH, HEIGHT, 1, 8, NULL), IE_OK);
    assert_says(ie_shape_add(&list, kind, text, &err), IE_OK, &err, "");
    assert_says(ie_mask_draw(&mask.pixels, &list.shapes[0], &err), IE_OK, &err, "");
    ie_shape_list_release(&list);
    return mask;
}

static void a_box_has_exactly_its_pixels(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int left, top, right, bottom; /* of what is inside the image */
    } cases[] = {
        {"3,4,10,5", 3, 4, 13, 9},
        {"0,0,40,30", 0, 0, 40, 30},
        {"-5,-5,8,7", 0, 0, 3, 2},
        {"39,29,100,100", 39, 29, 40, 30},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        ie_image mask = draw(IE_SHAPE_BOX, cases[i].text);
        for (int y = 0; y < HEIGHT; y++) {
            for (int x = 0; x < WIDTH; x++) {
                const bool inside = x >= cases[i].left && x < cases[i].right && y >= cases[i].top &&
                                    y < cases[i].bottom;
                assert_int_equal(set_at(&mask, x, y), inside);
            }
        }
        ie_image_release(&mask);
    }
}

static void an_ellipse_has_the_pixels_whose_centres_it_holds(void **state)
{
    (void)state;
    static const double e[][4] = {{20, 15, 9, 6},
                                  {20.5, 15.5, 3.25, 11},
                                  {0, 0, 12, 7},
                                  {39, 2, 30, 3},
                                  {5.5, 5.5, 0.4, 0.4}};
    for (size_t i = 0; i < COUNT(e); i++) {
        char text[64];
        (void)snprintf(text, sizeof text, "%g,%g,%g,%g", e[i][0], e[i][1], e[i][2], e[i][3]);
        ie_image mask = draw(IE_SHAPE_ELLIPSE, text);
        for (int y = 0; y < HEIGHT; y++) {
            for (int x = 0; x < WIDTH; x++) {
                const double dx = (x + 0.5 - e[i][0]) / e[i][2], dy = (y + 0.5 - e[i][1]) / e[i][3];
                assert_int_equal(set_at(&mask, x, y), dx * dx + dy * dy <= 1);
            }
        }
        ie_image_release(&mask);
    }
}

static void a_stroke_has_the_pixels_near_its_line(void **state)
{
    (void)state;
    ie_image dot = draw(IE_SHAPE_STROKE, "10,10:6");
    ie_image circle = draw(IE_SHAPE_ELLIPSE, "10,10,3,3");
    assert_same_pixels(&dot.pixels, &circle.pixels);

    /* A horizontal line of width 4 is a box of 4 rows with round ends. */
    ie_image line = draw(IE_SHAPE_STROKE, "8,12,30,12:4");
    for (int x = 8; x < 30; x++) {
        for (int y = 0; y < HEIGHT; y++) assert_int_equal(set_at(&line, x, y), y >= 10 && y < 14);
    }
    assert_true(set_at(&line, 6, 11) && !set_at(&line, 5, 11) && !set_at(&line, 6, 10));

    /* Along a bent line every point at 0.05 steps has its pixel, and none is farther than half the
     * width. */
    static const double p[][2] = {{3, 3}, {33, 9}, {12, 27}};
    ie_image bent = draw(IE_SHAPE_STROKE, "3,3,33,9,12,27:5");
    bool near[HEIGHT][WIDTH] = {{false}};
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i <= 2000; i++) {
            const double t = i / 2000.0;
            const double cx = p[k][0] + t * (p[k + 1][0] - p[k][0]);
            const double cy = p[k][1] + t * (p[k + 1][1] - p[k][1]);
            for (int y = 0; y < HEIGHT; y++) {
                for (int x = 0; x < WIDTH; x++) {
                    if (hypot(x + 0.5 - cx, y + 0.5 - cy) <= 2.5) near[y][x] = true;
                }
            }
        }
    }
    for (int y = 0; y < HEIGHT; y++) {
        for (int x = 0; x < WIDTH; x++) assert_int_equal(set_at(&bent, x, y), near[y][x]);
    }
    ie_image_release(&dot);
    ie_image_release(&circle);
    ie_image_release(&line);
    ie_image_release(&bent);
}

static void growing_adds_what_is_within_the_radius(void **state)
{
    (void)state;
    uint32_t seed = 9;
    static const int radii[] = {0, 1, 2, 3, 5, 8, 13, 60, 4096};
    for (size_t i = 0; i < COUNT(radii); i++) {
        const int r = radii[i];
        ie_image mask, grown;
        assert_int_equal(ie_image_create(&mask, WIDTH, HEIGHT, 1, 8, NULL), IE_OK);
        assert_int_equal(ie_image_create(&grown, WIDTH, HEIGHT, 1, 8, NULL), IE_OK);
        for (int k = 0; k < 4; k++) {
            ((uint8_t *)mask.pixels.data)[noise(&seed) % (WIDTH * HEIGHT)] = 255;
        }
        memcpy(grown.pixels.data, mask.pixels.data, WIDTH * HEIGHT);
        assert_int_equal(ie_mask_grow(&grown.pixels, r, NULL), IE_OK);
        for (int y = 0; y < HEIGHT; y++) {
            for (int x = 0; x < WIDTH; x++) {
                bool near = false;
                for (int v = 0; v < HEIGHT; v++) {
                    for (int u = 0; u < WIDTH; u++) {
                        const int d2 = (x - u) * (x - u) + (y - v) * (y - v);
                        near |= set_at(&mask, u, v) && d2 <= r * r;
                    }
                }
                assert_int_equal(set_at(&grown, x, y), near);
            }
        }
        ie_image_release(&mask);
        ie_image_release(&grown);
    }
}

static void inverting_twice_changes_nothing(void **state)
{
    (void)state;
    ie_image mask = draw(IE_SHAPE_BOX, "3,4,10,5"), once = draw(IE_SHAPE_BOX, "3,4,10,5");
    ie_mask_invert(&once.pixels);
    assert_true(!set_at(&once, 3, 4) && set_at(&once, 2, 4));
    ie_mask_invert(&once.pixels);
    assert_same_pixels(&mask.pixels, &once.pixels);
    ie_image_release(&mask);
    ie_image_release(&once);
}

static void shapes_outside_the_image_are_refused(void **state)
{
    (void)state;
    static const struct {
        ie_shape_kind kind;
        const char *text;
    } cases[] = {
        {IE_SHAPE_BOX, "40,0,5,5"},
        {IE_SHAPE_BOX, "0,30,5,5"},
        {IE_SHAPE_BOX, "-5,0,5,5"},
        {IE_SHAPE_BOX, "-1000000,-1000000,1,1"},
        {IE_SHAPE_ELLIPSE, "60,10,10,9"},
        {IE_SHAPE_STROKE, "-50,-50,-40,90:10"},
        {IE_SHAPE_STROKE, "1000000,1000000:1000000"},
    };
    ie_image mask;
    assert_int_equal(ie_image_create(&mask, WIDTH, HEIGHT, 1, 8, NULL), IE_OK);
    for (size_t i = 0; i < COUNT(cases); i++) {
        ie_shape_list list = {0};
        ie_error err = {0};
        assert_says(ie_shape_add(&list, cases[i].kind, cases[i].text, &err), IE_OK, &err, "");
        assert_says(ie_mask_draw(&mask.pixels, &list.shapes[0], &err), IE_BAD_ARGUMENT, &err,
                    "covers no pixel of an image of 40 x 30");
        ie_shape_list_release(&list);
    }
    ie_image_release(&mask);
}

static void shapes_that_make_no_sense_are_refused_with_the_legal_form(void **state)
{
    (void)state;
    static const struct {
        ie_shape_kind kind;
        const char *text, *says;
    } cases[] = {
        {IE_SHAPE_BOX, "", "legal is x,y,w,h"},
        {IE_SHAPE_BOX, "1,2,3", "legal is x,y,w,h"},
        {IE_SHAPE_BOX, "1,2,3,4,5", "legal is x,y,w,h"},
        {IE_SHAPE_BOX, "1,2,0,4", "w and h at least 1"},
        {IE_SHAPE_BOX, "1,2,3,-4", "w and h at least 1"},
        {IE_SHAPE_BOX, "1,2,3,4.5", "whole pixels"},
        {IE_SHAPE_BOX, "1,2,3,x", "legal is x,y,w,h"},
        {IE_SHAPE_BOX, "1,2,3,1e9", "legal is x,y,w,h"},
        {IE_SHAPE_BOX, "nan,2,3,4", "legal is x,y,w,h"},
        {IE_SHAPE_ELLIPSE, "1,2,inf,4", "legal is cx,cy,rx,ry"},
        {IE_SHAPE_ELLIPSE, "1,2,0,4", "radii over 0"},
        {IE_SHAPE_STROKE, "1,2,3,4", "legal is x0,y0,x1,y1,...:width"},
        {IE_SHAPE_STROKE, "1,2,3:4", "legal is x0,y0"},
        {IE_SHAPE_STROKE, "1,2:0", "width over 0"},
        {IE_SHAPE_STROKE, "1,2:", "legal is"},
        {IE_SHAPE_STROKE, ":3", "legal is"},
        {IE_SHAPE_STROKE, "1,2:3:4", "legal is"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        ie_shape_list list = {0};
        ie_error err = {0};
        assert_says(ie_shape_add(&list, cases[i].kind, cases[i].text, &err), IE_BAD_ARGUMENT, &err,
                    cases[i].says);
        assert_int_equal(list.count, 0);
    }
    /* 1025 points */
    char text[1025 * 4 + 3] = "";
    for (int i = 0; i < 1025; i++) memcpy(text + 4 * i, i < 1024 ? "1,1," : "1,1:", 4);
    strcpy(text + 1025 * 4, "2");
    ie_shape_list list = {0};
    ie_error err = {0};
    assert_says(ie_shape_add(&list, IE_SHAPE_STROKE, text, &err), IE_BAD_ARGUMENT, &err,
                "--stroke");
    assert_says(ie_shape_add(&list, IE_SHAPE_STROKE, text + 4, &err), IE_OK, &err, "");
    ie_shape_list_release(&list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_box_has_exactly_its_pixels),
        cmocka_unit_test(an_ellipse_has_the_pixels_whose_centres_it_holds),
        cmocka_unit_test(a_stroke_has_the_pixels_near_its_line),
        cmocka_unit_test(growing_adds_what_is_within_the_radius),
        cmocka_unit_test(inverting_twice_changes_nothing),
        cmocka_unit_test(shapes_outside_the_image_are_refused),
        cmocka_unit_test(shapes_that_make_no_sense_are_refused_with_the_legal_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
