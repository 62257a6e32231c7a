/* test_known.c - the canvas at a stage's resolution: means, their rounding, and blocks that are to
 * be filled in part. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "known.h"

enum { CANVAS = 12 };

static uint8_t rgb[CANVAS * CANVAS * 3], fill[CANVAS * CANVAS], known[CANVAS * CANVAS * 4];

static void paint(int edge)
{
    for (int i = 0; i < CANVAS * CANVAS * 3; i++) rgb[i] = (uint8_t)(i * i * 7 + i / 5);
    memset(fill, 0, sizeof fill);
    for (int y = edge; y < CANVAS; y++) memset(fill + (ptrdiff_t)y * CANVAS + edge, 1, 3);
    memset(known, 0xaa, sizeof known);
}

/* In double, one output at a time. */
static void check_pixel(int side, int x, int y)
{
    const int scale = CANVAS / side;
    const uint8_t *got = known + (ptrdiff_t)(y * side + x) * 4;
    double sum[3] = {0};
    int filled = 0;
    for (int j = y * scale; j < (y + 1) * scale; j++) {
        for (int i = x * scale; i < (x + 1) * scale; i++) {
            filled += fill[j * CANVAS + i];
            for (int c = 0; c < 3; c++) sum[c] += rgb[(j * CANVAS + i) * 3 + c];
        }
    }
    assert_int_equal(got[3], filled > 0);
    for (int c = 0; c < 3; c++)
        assert_int_equal(got[c], filled ? 0 : (int)(sum[c] / (scale * scale) + 0.5));
}

static void a_pixel_is_the_mean_of_a_block_that_the_mask_does_not_touch(void **state)
{
    (void)state;
    static const int sides[] = {12, 6, 4, 3, 2, 1};
    for (int i = 0; i < 6; i++) {
        for (int edge = 0; edge < 9; edge++) {
            paint(edge);
            ie_known_pixels(known, sides[i], rgb, fill, CANVAS);
            for (int p = 0; p < sides[i] * sides[i]; p++)
                check_pixel(sides[i], p % sides[i], p / sides[i]);
        }
    }
}

static void a_mean_is_rounded_half_up(void **state)
{
    (void)state;
    static const uint8_t levels[][5] = {
        {0, 0, 0, 1, 0}, {0, 0, 1, 1, 1}, {7, 8, 7, 8, 8}, {254, 254, 255, 255, 255}};
    memset(fill, 0, sizeof fill);
    for (int i = 0; i < 4; i++) {
        for (int p = 0; p < 4; p++) memset(rgb + (ptrdiff_t)p * 3, levels[i][p], 3);
        ie_known_pixels(known, 1, rgb, fill, 2);
        for (int c = 0; c < 3; c++) assert_int_equal(known[c], levels[i][4]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pixel_is_the_mean_of_a_block_that_the_mask_does_not_touch),
        cmocka_unit_test(a_mean_is_rounded_half_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
