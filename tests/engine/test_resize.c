/* test_resize.c - what a resampling filter must keep: constants, lines, means, symmetry.
 *
 * Bounds: weights are rounded to f32 after they were normalised in double, and a sum of n products
 * in f32 is off by at most about n units of 2^-24 of the largest term; two axes follow each other.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "resize.h"

static const int pairs[][2] = {{8, 8},   {8, 16}, {8, 11}, {16, 8}, {60, 15},
                               {15, 60}, {33, 7}, {1, 9},  {9, 1},  {64, 63}};

enum { PAIRS = sizeof pairs / sizeof pairs[0] };

static float *image_new(int side)
{
    float *p = malloc(sizeof *p * (size_t)side * (size_t)side * 3);
    assert_non_null(p);
    return p;
}

typedef struct images {
    const float *from;
    float *to;
    size_t from_row, to_row; /* values */
} images;

static void read_row(void *user, int64_t y, float *row)
{
    const images *i = user;
    memcpy(row, i->from + (size_t)y * i->from_row, i->from_row * sizeof *row);
}

static void write_row(void *user, int64_t y, const float *row)
{
    const images *i = user;
    memcpy(i->to + (size_t)y * i->to_row, row, i->to_row * sizeof *row);
}

static float *resized(const float *image, int from, int to)
{
    ie_error err;
    float *out = image_new(to);
    memset(out, 0xff, sizeof *out * (size_t)to * (size_t)to * 3); /* NaN: a row left out is seen */
    images i = {image, out, (size_t)from * 3, (size_t)to * 3};
    if (ie_resize(to, from, &(ie_resize_rows){read_row, write_row, &i}, &err))
        fail_msg("%s", err.text);
    return out;
}

/* Weights of an axis: 4 times the shrinking factor, plus the ends; the errors of both axes add up.
 */
static double bound_of(int from, int to, double largest)
{
    const double stretch = fmax((double)from / to, 1);
    return 2 * (4 * stretch + 2) * 0x1p-24 * largest *
           1.5; /* the weights' sizes sum to at most 1.25 */
}

static void near(double got, double want, double bound, int from, int to)
{
    if (!(fabs(got - want) <= bound))
        fail_msg("%d to %d: %.9g is not %.9g within %.2g", from, to, got, want, bound);
}

static void at_its_own_size_an_image_stays_bit_for_bit(void **state)
{
    (void)state;
    for (int side = 1; side <= 33; side += 8) {
        float *image = image_new(side);
        for (int i = 0; i < side * side * 3; i++) image[i] = sinf((float)i) * 300;
        float *out = resized(image, side, side);
        assert_memory_equal(out, image, sizeof *image * (size_t)(side * side * 3));
        free(out);
        free(image);
    }
}

static void a_constant_stays_constant(void **state)
{
    (void)state;
    for (int p = 0; p < PAIRS; p++) {
        const int from = pairs[p][0], to = pairs[p][1];
        float *image = image_new(from);
        for (int i = 0; i < from * from * 3; i++) image[i] = (float)(100 + i % 3);
        float *out = resized(image, from, to);
        for (int i = 0; i < to * to * 3; i++)
            near((double)out[i], 100 + i % 3, bound_of(from, to, 102), from, to);
        free(out);
        free(image);
    }
}

/* Channel 0 rises along x, channel 1 along y, channel 2 along both. Enlarging keeps lines for any
 * factor, shrinking for integer ones, where the samples lie symmetrically about each centre. Edges
 * are clamped, so the interior alone. */
static void a_ramp_stays_a_ramp_in_the_interior(void **state)
{
    (void)state;
    static const int ramps[][2] = {{8, 16},  {8, 11},  {15, 60}, {30, 31},
                                   {48, 16}, {60, 15}, {40, 20}};
    for (size_t p = 0; p < sizeof ramps / sizeof ramps[0]; p++) {
        const int from = ramps[p][0], to = ramps[p][1];
        const double scale = (double)from / to, reach = 2 * fmax(scale, 1);
        float *image = image_new(from);
        for (int i = 0; i < from * from; i++) {
            image[3 * i] = (float)(i % from);
            image[3 * i + 1] = (float)(i / from);
            image[3 * i + 2] = (float)(i % from - 2 * (i / from));
        }
        float *out = resized(image, from, to);
        int seen = 0;
        for (int i = 0; i < to * to; i++) {
            const double x = (i % to + 0.5) * scale - 0.5, y = (i / to + 0.5) * scale - 0.5;
            if (fmin(x, y) < reach || fmax(x, y) > from - 1 - reach) continue;
            const double want[3] = {x, y, x - 2 * y}, bound = bound_of(from, to, 2.0 * from);
            for (int c = 0; c < 3; c++) near((double)out[3 * i + c], want[c], bound, from, to);
            seen++;
        }
        assert_true(seen > 0);
        free(out);
        free(image);
    }
}

/* Every input pixel far enough from the border has the same weight in the whole output. */
static void shrinking_by_an_integer_keeps_the_mean(void **state)
{
    (void)state;
    for (int factor = 2; factor <= 5; factor++) {
        const int to = 12, from = to * factor, margin = 2 * factor;
        float *image = image_new(from);
        double sum = 0, sum_out = 0;
        for (int i = 0; i < from * from * 3; i++) {
            const int x = i / 3 % from, y = i / 3 / from;
            const int edge = fmin(fmin(x, y), from - 1 - fmax(x, y)) < margin;
            image[i] = edge ? 0 : sinf((float)(i * i % 1009)) * 100;
            sum += (double)image[i];
        }
        float *out = resized(image, from, to);
        for (int i = 0; i < to * to * 3; i++) sum_out += (double)out[i];
        near(sum_out / (to * to * 3), sum / (from * from * 3), bound_of(from, to, 100), from, to);
        assert_true(fabs(sum) > 100);
        free(out);
        free(image);
    }
}

static void both_axes_are_treated_alike(void **state)
{
    (void)state;
    for (int p = 0; p < PAIRS; p++) {
        const int from = pairs[p][0], to = pairs[p][1];
        float *image = image_new(from), *turned = image_new(from);
        for (int i = 0; i < from * from * 3; i++) {
            const int x = i / 3 % from, y = i / 3 / from;
            image[i] = sinf((float)(i * i % 997)) * 100;
            turned[3 * (x * from + y) + i % 3] = image[i];
        }
        float *out = resized(image, from, to), *turned_out = resized(turned, from, to);
        for (int i = 0; i < to * to * 3; i++) {
            const int x = i / 3 % to, y = i / 3 / to;
            near((double)out[i], (double)turned_out[3 * (x * to + y) + i % 3],
                 2 * bound_of(from, to, 100 * 1.6), from, to);
        }
        free(turned_out);
        free(out);
        free(turned);
        free(image);
    }
}

/* Keys' kernel with a = -1/2, half-way between samples: (-1, 9, 9, -1) / 16. */
static void the_kernel_is_catmull_rom(void **state)
{
    (void)state;
    enum { FROM = 9, TO = 27 };
    float *image = image_new(FROM);
    memset(image, 0, sizeof *image * FROM * FROM * 3);
    for (int y = 0; y < FROM; y++) image[(y * FROM + 4) * 3] = 1; /* a column of ones */
    float *out = resized(image, FROM, TO);
    for (int x = 0; x < TO; x++) {
        const double d = fabs((x + 0.5) / 3 - 0.5 - 4);
        const double want = d < 1   ? (1.5 * d - 2.5) * d * d + 1
                            : d < 2 ? ((-0.5 * d + 2.5) * d - 4) * d + 2
                                    : 0;
        near((double)out[(13 * TO + x) * 3], want, bound_of(FROM, TO, 1), FROM, TO);
    }
    free(out);
    free(image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_its_own_size_an_image_stays_bit_for_bit),
        cmocka_unit_test(a_constant_stays_constant),
        cmocka_unit_test(a_ramp_stays_a_ramp_in_the_interior),
        cmocka_unit_test(shrinking_by_an_integer_keeps_the_mean),
        cmocka_unit_test(both_axes_are_treated_alike),
        cmocka_unit_test(the_kernel_is_catmull_rom),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
