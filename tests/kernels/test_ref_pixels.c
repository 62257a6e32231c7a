/* test_ref_pixels.c - the reference's pixel and token operations on cases worked out by hand.
 * SPDX-License-Identifier: Apache-2.0 */
#include "ops.h"
#include "rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static ie_tensor f32(float *data, int rank, const int64_t *dim)
{
    return ie_view(data, IE_F32, rank, dim);
}
#define DIM(...) ((const int64_t[]){__VA_ARGS__})

static void assert_floats(const float *got, const double *want, int count)
{
    for (int i = 0; i < count; i++) {
        if (!(fabs((double)got[i] - want[i]) <= 1e-6 * fmax(1, fabs(want[i])))) {
            fail_msg("element %d is %.9g, not %.9g", i, (double)got[i], want[i]);
        }
    }
}

static void sinusoids_are_accurate_at_large_angles(void **state)
{
    (void)state;
    float v[] = {1000, 0}, y[8];
    assert_int_equal(ie_ref_ops()->sinusoid(NULL, f32(y, 2, DIM(2, 4)), f32(v, 1, DIM(2)), 10000),
                     0);
    /* Frequencies 1 and 1/100: cos 1000, cos 10, sin 1000, sin 10. */
    const double want[] = {0.56237907629070294,
                           -0.83907152907645245,
                           0.82687954053200257,
                           -0.54402111088936981,
                           1,
                           1,
                           0,
                           0};
    assert_floats(y, want, 8);
}

static void gather_joins_slots_and_pads_with_zeros(void **state)
{
    (void)state;
    float a[] = {1, 2, 3, 4}, b[] = {5, 6}, y[2 * 4];
    int32_t first[] = {1, 0}, second[] = {0, 1};
    const ie_source sources[] = {{f32(a, 4, DIM(2, 1, 1, 2)), ie_view(first, IE_I32, 1, DIM(2))},
                                 {f32(b, 4, DIM(2, 1, 1, 1)), ie_view(second, IE_I32, 1, DIM(2))}};
    assert_int_equal(ie_ref_ops()->gather(NULL, f32(y, 4, DIM(2, 1, 1, 4)), sources, 2), 0);
    assert_floats(y, (const double[]){3, 4, 5, 0, 1, 2, 6, 0}, 8);
}

static void sums_look_ups_and_gates_follow_their_formulas(void **state)
{
    (void)state;
    const ie_ops *ops = ie_ref_ops();
    float x[] = {1, 2}, slots[] = {10, 20, 30, 40}, y[2];
    int32_t index[] = {1};
    const ie_tensor row = f32(y, 2, DIM(1, 2));
    assert_int_equal(ops->add_rows(NULL, row, f32(x, 2, DIM(1, 2)), f32(slots, 2, DIM(2, 2)),
                                   ie_view(index, IE_I32, 1, DIM(1))),
                     0);
    assert_floats(y, (const double[]){31, 42}, 2);
    const ie_tensor pixels = f32(y, 4, DIM(1, 1, 1, 2));
    assert_int_equal(
        ops->add(NULL, pixels, (ie_tensor){0}, f32(x, 4, DIM(1, 1, 1, 2)), pixels, 2, -1), 0);
    assert_floats(y, (const double[]){2 - 31, 4 - 42}, 2);
    assert_int_equal(ops->embed(NULL, f32(y, 3, DIM(1, 1, 2)), f32(slots, 2, DIM(2, 2)),
                                ie_view(index, IE_I32, 2, DIM(1, 1))),
                     0);
    assert_floats(y, (const double[]){30, 40}, 2);
}

static void masked_pixels_are_grey_and_marked(void **state)
{
    (void)state;
    uint8_t rgb[] = {0, 255, 51, 7, 8, 9}, mask[] = {0, 1};
    float y[8];
    assert_int_equal(ie_ref_ops()->mask_image(NULL, f32(y, 4, DIM(1, 1, 2, 4)),
                                              ie_view(rgb, IE_U8, 4, DIM(1, 1, 2, 3)),
                                              ie_view(mask, IE_U8, 4, DIM(1, 1, 2, 1))),
                     0);
    assert_floats(y, (const double[]){-1, 1, -0.6, 0, 0, 0, 0, 1}, 8);
}

static void enlarging_clips_and_weighs_pixel_centres(void **state)
{
    (void)state;
    float x[] = {0, 3}, y[2 * 4], noise[2 * 4];
    const ie_tensor slots = f32(y, 4, DIM(2, 1, 4, 1));
    memset(y, 0, sizeof y);
    assert_int_equal(ie_ref_ops()->augment(NULL, slots, 1, f32(x, 3, DIM(1, 2, 1)), 1, 0, 9, 1, 2),
                     0);
    assert_floats(y, (const double[]){0, 0, 0, 0, 0, 0.25, 0.75, 1}, 8);
    assert_int_equal(
        ie_ref_ops()->augment(NULL, slots, 1, f32(x, 3, DIM(1, 2, 1)), 0.5f, 2, 9, 1, 2), 0);
    assert_int_equal(ie_ref_ops()->noise(NULL, f32(noise, 4, DIM(2, 1, 4, 1)), 1, 9, 1, 2), 0);
    for (int i = 4; i < 8; i++) {
        const double up = (const double[]){0, 0.25, 0.75, 1}[i - 4];
        assert_floats(y + i, (const double[]){0.5 * up + 2 * (double)noise[i]}, 1);
    }
}

static void noise_is_counted_by_element_in_groups_of_four(void **state)
{
    (void)state;
    float z[2][9], block[4];
    assert_int_equal(ie_ref_ops()->noise(NULL, f32(z[0], 4, DIM(2, 1, 3, 3)), 1, 11, 2, 5), 0);
    for (int i = 0; i < 9; i++) {
        ie_normal4(block, 11, 2, 5, (uint32_t)i / 4);
        assert_true(z[1][i] == block[i % 4]);
    }
}

static void take_step(float *z, float *prediction, int64_t pixels, const ie_step *step)
{
    ie_sample_args a = {.z = f32(z, 4, DIM(1, 1, pixels, 1)),
                        .pred = f32(prediction, 4, DIM(2, 1, pixels, 2))};
    ie_step copy = *step;
    a.steps = ie_view(&copy, IE_U8, 2, DIM(1, sizeof copy));
    a.scratch = malloc(ie_ref_ops()->sample_scratch(&a));
    assert_int_equal(ie_ref_ops()->sample(NULL, &a), 0);
    free(a.scratch);
}

/* Every second value of the prediction is a learned variance, which nobody reads. */
static void sampler_guides_predicts_and_updates(void **state)
{
    (void)state;
    float z[] = {1, -1}, prediction[] = {0.5f, NAN, 1, NAN, 0.25f, NAN, 2, NAN};
    ie_step step = {.lane_cond = 0,
                    .lane_uncond = 1,
                    .guidance = 3,
                    .alpha = 0.8f,
                    .sigma = 0.6f,
                    .keep = 0.5f,
                    .now = 2};
    take_step(z, prediction, 2, &step);
    /* p = 3 * 0.5 - 2 * 0.25 = 1 and 3 - 4 = -1; x0 = 0.4 / 0.8 = 0.5 and -0.5 */
    assert_floats(z, (const double[]){0.5 + 1, -0.5 - 1}, 2);

    float v[] = {1, -1};
    step.prediction = IE_PREDICT_V;
    step.lane_uncond = -1;
    take_step(v, prediction, 2, &step); /* p = 0.5, 1; x0 = 0.8 - 0.3 and -0.8 - 0.6 */
    assert_floats(v, (const double[]){0.5 + 2 * 0.5, -0.5 + 2 * -1.4}, 2);
}

static void thresholds_clip_x0_and_rescale_it(void **state)
{
    (void)state;
    const float start[] = {0.5f, -2, 3, -4, 1};
    float z[5], prediction[20] = {0};
    ie_step step = {.lane_uncond = -1, .guidance = 1, .alpha = 1, .now = 1, .percentile = 0.625f};
    const struct {
        int32_t threshold;
        float cap;
        double want[5];
    } known[] = {
        {IE_THRESHOLD_NONE, 0, {0.5, -2, 3, -4, 1}},
        {IE_THRESHOLD_STATIC, 0, {0.5, -1, 1, -1, 1}},
        /* |x0| sorted: 0.5 1 2 3 4; position 2.5, so the limit is 2.5 */
        {IE_THRESHOLD_DYNAMIC, 0, {0.2, -0.8, 1, -1, 0.4}},
        {IE_THRESHOLD_DYNAMIC, 2, {0.25, -1, 1, -1, 0.5}},
    };
    for (int i = 0; i < 4; i++) {
        memcpy(z, start, sizeof z);
        step.threshold = known[i].threshold;
        step.cap = known[i].cap;
        take_step(z, prediction, 5, &step);
        assert_floats(z, known[i].want, 5);
    }
    step.percentile = 0; /* the quantile is 0.5, but the limit is never below 1 */
    step.cap = 0;
    memcpy(z, start, sizeof z);
    take_step(z, prediction, 5, &step);
    assert_floats(z, known[1].want, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sinusoids_are_accurate_at_large_angles),
        cmocka_unit_test(gather_joins_slots_and_pads_with_zeros),
        cmocka_unit_test(sums_look_ups_and_gates_follow_their_formulas),
        cmocka_unit_test(masked_pixels_are_grey_and_marked),
        cmocka_unit_test(enlarging_clips_and_weighs_pixel_centres),
        cmocka_unit_test(noise_is_counted_by_element_in_groups_of_four),
        cmocka_unit_test(sampler_guides_predicts_and_updates),
        cmocka_unit_test(thresholds_clip_x0_and_rescale_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
