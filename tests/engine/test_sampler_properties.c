/* test_sampler_properties.c - guidance, thresholding and noise of one sampling step, by what they
 * must leave alone: all through ie_exec_sample. Arguments: device and precision (the sampler is f32
 * in both).
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "golden.h"

static const char *device = "ref";
static bool bf16;

enum { SIDE = 9, SLOTS = 3, LANES = 4, IMAGE = SIDE * SIDE * 3, WORKSPACE = 4 << 20 };

#define NEED(call)                                            \
    do {                                                      \
        ie_error need_err_ = {0};                             \
        ie_error *const err = &need_err_;                     \
        if (call) fail_msg("%s (%s)", err->text, err->where); \
    } while (0)

/* Values in about -scale .. scale, another sequence for every `salt`. */
static void waves(float *out, int count, float scale, int salt)
{
    for (int i = 0; i < count; i++)
        out[i] = scale * sinf((float)(i * 7 + salt * 1013) * 0.37f) * cosf((float)(i % 31 + salt));
}

/* All slots of z and all lanes of the prediction, in host memory, and what a call makes of z. */
typedef struct bench {
    rig r;
    float z[SLOTS * IMAGE], pred[LANES * IMAGE];
    float out[SLOTS * IMAGE];
} bench;

static bench b;

static void open_bench(float z_scale, float pred_scale)
{
    if (!rig_open(&b.r, device, bf16, WORKSPACE)) skip();
    waves(b.z, SLOTS * IMAGE, z_scale, 1);
    waves(b.pred, LANES * IMAGE, pred_scale, 2);
}

static void run(const ie_step *steps, int count)
{
    ie_step rows[SLOTS];
    memcpy(rows, steps, (size_t)count * sizeof *rows);
    ie_tensor z = rig_upload(&b.r, ie_view(b.z, IE_F32, 4, (int64_t[]){SLOTS, SIDE, SIDE, 3}));
    const ie_tensor pred =
        rig_upload(&b.r, ie_view(b.pred, IE_F32, 4, (int64_t[]){LANES, SIDE, SIDE, 3}));
    const ie_tensor table =
        rig_upload(&b.r, ie_view(rows, IE_U8, 2, (int64_t[]){count, sizeof *rows}));
    NEED(ie_exec_sample(&b.r.x, (ie_sample_args){.z = z, .pred = pred, .steps = table}, err));
    float *values = rig_values(&b.r, z);
    memcpy(b.out, values, sizeof b.out);
    free(values);
    ie_arena_give(&b.r.arena, table.data);
    ie_arena_give(&b.r.arena, pred.data);
    ie_arena_give(&b.r.arena, z.data);
}

/* A step that shows x0 itself: v prediction, keep 0, now 1. */
static ie_step show_x0(int slot)
{
    return (ie_step){.slot = slot,
                     .lane_cond = slot,
                     .lane_uncond = -1,
                     .guidance = 1,
                     .alpha = 0.8f,
                     .sigma = 0.6f,
                     .now = 1,
                     .percentile = 0.995f,
                     .prediction = IE_PREDICT_V};
}

static const float *image(int slot)
{
    return b.out + slot * IMAGE;
}

static float largest(const float *x)
{
    float m = 0;
    for (int i = 0; i < IMAGE; i++) m = fmaxf(m, fabsf(x[i]));
    return m;
}

/* ---- guidance ------------------------------------------------------------------------------- */

static void weight_one_beside_an_unconditional_lane_gives_the_same_bits_as_without(void **state)
{
    (void)state;
    static float alone[IMAGE];
    for (int prediction = IE_PREDICT_EPSILON; prediction <= IE_PREDICT_V; prediction++) {
        open_bench(1.5f, 1.5f);
        ie_step s = show_x0(0);
        s.prediction = prediction;
        s.keep = 0.3f;
        s.noise = 0.2f;
        run(&s, 1);
        memcpy(alone, image(0), sizeof alone);
        s.lane_uncond = 3;
        run(&s, 1);
        assert_memory_equal(alone, image(0), sizeof alone);
        s.guidance = 1.5f; /* and another weight is felt */
        run(&s, 1);
        assert_memory_not_equal(alone, image(0), sizeof alone);
        rig_close(&b.r);
    }
}

static void guidance_extrapolates_away_from_the_unconditional_prediction(void **state)
{
    (void)state;
    static const float weights[] = {0, 0.5f, 2, 30};
    for (size_t k = 0; k < sizeof weights / sizeof weights[0]; k++) {
        open_bench(1, 1);
        ie_step s = show_x0(0);
        s.lane_uncond = 3;
        s.guidance = weights[k];
        run(&s, 1);
        for (int i = 0; i < IMAGE; i++) {
            const double w = (double)weights[k], c = (double)b.pred[i],
                         u = (double)b.pred[3 * IMAGE + i];
            const double p = u + w * (c - u);
            const double want = (double)s.alpha * (double)b.z[i] - (double)s.sigma * p;
            /* Three products and two sums in f32, of terms no larger than this. */
            const double bound = 0x1p-23 * 3 * (fabs(w * c) + fabs((1 - w) * u) + 1);
            if (fabs((double)image(0)[i] - want) > bound)
                fail_msg("w %g: %.9g, not %.9g", w, (double)image(0)[i], want);
        }
        rig_close(&b.r);
    }
}

/* ---- thresholds ----------------------------------------------------------------------------- */

static void dynamic_thresholding_changes_no_image_that_lies_within_one(void **state)
{
    (void)state;
    static float plain[IMAGE];
    open_bench(0.7f, 0.7f);
    ie_step s = show_x0(1);
    run(&s, 1);
    memcpy(plain, image(1), sizeof plain);
    assert_true(largest(plain) <= 1 && largest(plain) > 0.3f);
    s.threshold = IE_THRESHOLD_DYNAMIC;
    for (int i = 0; i <= 4; i++) {
        s.percentile = (float)i / 4;
        run(&s, 1);
        assert_memory_equal(plain, image(1), sizeof plain);
    }
    rig_close(&b.r);
}

static void static_thresholding_is_a_clip_to_one(void **state)
{
    (void)state;
    static float plain[IMAGE];
    open_bench(3, 3);
    ie_step s = show_x0(1);
    run(&s, 1);
    memcpy(plain, image(1), sizeof plain);
    s.threshold = IE_THRESHOLD_STATIC;
    run(&s, 1);
    int clipped = 0;
    for (int i = 0; i < IMAGE; i++) {
        assert_true(image(1)[i] == fminf(fmaxf(plain[i], -1), 1));
        clipped += fabsf(plain[i]) > 1;
    }
    assert_true(clipped > IMAGE / 10 && clipped < IMAGE);
    rig_close(&b.r);
}

static int by_size(const void *a, const void *c)
{
    const float x = *(const float *)a, y = *(const float *)c;
    return (x > y) - (x < y);
}

/* Quantile by sorting: linear between the order statistics around percentile * (n - 1). */
static double quantile_of(const float *x, double percentile)
{
    static float sorted[IMAGE];
    for (int i = 0; i < IMAGE; i++) sorted[i] = fabsf(x[i]);
    qsort(sorted, IMAGE, sizeof *sorted, by_size);
    const double at = percentile * (IMAGE - 1);
    const int below = (int)at;
    if (below == IMAGE - 1) return (double)sorted[below];
    return (double)sorted[below] +
           (at - below) * ((double)sorted[below + 1] - (double)sorted[below]);
}

static void check_divisor(const float *plain, double s)
{
    for (int i = 0; i < IMAGE; i++) {
        const double want = fmin(fmax((double)plain[i], -s), s) / s;
        /* The quotient, and a divisor that is off by a few of its last places. */
        if (fabs((double)image(1)[i] - want) > 4 * 0x1p-23 * fmax(fabs(want), 1e-30))
            fail_msg("s %.6g: %.9g, not %.9g", s, (double)image(1)[i], want);
    }
}

static void dynamic_thresholding_divides_by_the_quantile_up_to_its_cap(void **state)
{
    (void)state;
    static float plain[IMAGE];
    static const float percentiles[] = {0.5f, 0.9f, 0.995f, 1};
    open_bench(3, 3);
    ie_step s = show_x0(1);
    run(&s, 1);
    memcpy(plain, image(1), sizeof plain);
    s.threshold = IE_THRESHOLD_DYNAMIC;
    for (size_t k = 0; k < sizeof percentiles / sizeof percentiles[0]; k++) {
        const double q = quantile_of(plain, (double)percentiles[k]);
        s.percentile = percentiles[k];
        s.cap = 0;
        run(&s, 1);
        check_divisor(plain, fmax(q, 1));
        s.cap = 1.25f;
        run(&s, 1);
        check_divisor(plain, fmin(fmax(q, 1), 1.25));
        s.cap = 100;
        run(&s, 1);
        check_divisor(plain, fmax(q, 1));
    }
    assert_true(quantile_of(plain, 0.9) > 1.3); /* the cap bit */
    rig_close(&b.r);
}

/* ---- noise and neighbours ------------------------------------------------------------------- */

static void noise_belongs_to_its_seed_stage_and_step(void **state)
{
    (void)state;
    static float first[IMAGE];
    open_bench(1, 1);
    ie_step s = show_x0(2);
    s.noise = 0.5f;
    s.step = 4;
    run(&s, 1);
    memcpy(first, image(2), sizeof first);
    run(&s, 1);
    assert_memory_equal(first, image(2), sizeof first);
    for (int what = 0; what < 4; what++) {
        ie_step other = s;
        if (what == 0) other.seed_low++;
        if (what == 1) other.seed_high++;
        if (what == 2) other.stage++;
        if (what == 3) other.step++;
        run(&other, 1);
        assert_memory_not_equal(first, image(2), sizeof first);
    }
    rig_close(&b.r);
}

static void requests_of_one_call_do_not_feel_each_other(void **state)
{
    (void)state;
    static float alone[SLOTS][IMAGE];
    open_bench(2, 2);
    ie_step s[SLOTS];
    for (int i = 0; i < SLOTS; i++) {
        s[i] = show_x0(i);
        s[i].threshold = i;
        s[i].noise = 0.1f * (float)i;
        s[i].keep = 0.2f;
        s[i].lane_uncond = i == 1 ? 3 : -1;
        s[i].guidance = i == 1 ? 7.5f : 1;
        run(&s[i], 1);
        memcpy(alone[i], image(i), sizeof alone[i]);
        for (int k = 0; k < SLOTS; k++) {
            if (k != i) assert_memory_equal(image(k), b.z + k * IMAGE, sizeof alone[i]);
        }
    }
    const ie_step backwards[] = {s[2], s[1], s[0]};
    run(s, SLOTS);
    for (int i = 0; i < SLOTS; i++) assert_memory_equal(alone[i], image(i), sizeof alone[i]);
    run(backwards, SLOTS);
    for (int i = 0; i < SLOTS; i++) assert_memory_equal(alone[i], image(i), sizeof alone[i]);
    rig_close(&b.r);
}

int main(int argc, char **argv)
{
    if (argc > 1) device = argv[1];
    bf16 = argc > 2 && !strcmp(argv[2], "bf16");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(weight_one_beside_an_unconditional_lane_gives_the_same_bits_as_without),
        cmocka_unit_test(guidance_extrapolates_away_from_the_unconditional_prediction),
        cmocka_unit_test(dynamic_thresholding_changes_no_image_that_lies_within_one),
        cmocka_unit_test(static_thresholding_is_a_clip_to_one),
        cmocka_unit_test(dynamic_thresholding_divides_by_the_quantile_up_to_its_cap),
        cmocka_unit_test(noise_belongs_to_its_seed_stage_and_step),
        cmocka_unit_test(requests_of_one_call_do_not_feel_each_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
