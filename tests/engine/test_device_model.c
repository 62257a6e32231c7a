/* test_device_model.c - predicted times: never below the roofline, as documented for the published
 * layers, and in the sums that an engine reports.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "device_model.h"
#include "imagen_editor.h"

static const ie_device_model *h200(void)
{
    const ie_device_model *d = ie_device_model_find("h200");
    assert_non_null(d);
    return d;
}

static double floor_of(const ie_device_model *d, double flop, double bytes)
{
    return fmax(flop / d->matrix, bytes / d->memory);
}

static void a_name_that_is_not_there_is_not_found(void **state)
{
    (void)state;
    assert_null(ie_device_model_find("h2000"));
    assert_null(ie_device_model_find(""));
}

/* The 3x3 convolutions of Imagen's base for one guided request: side, channels, and the share of
 * the matrix roof that was predicted from published kernels (low .. high), whose grids do not
 * overlap. */
/* 3x3, with as many outputs as channels. */
static ie_conv_spec conv_3x3(int64_t side, int64_t channels)
{
    return (ie_conv_spec){.dtype = IE_BF16,
                          .height = side,
                          .width = side,
                          .channels = {channels},
                          .outputs = channels,
                          .kernel = 3,
                          .stride = 1,
                          .pad = 1};
}

static void the_bases_convolutions_reach_the_predicted_shares(void **state)
{
    (void)state;
    static const struct {
        int64_t side, channels;
        double low, high;
    } layers[] = {{64, 512, 0.75, 0.86}, {32, 1024, 0.58, 0.72}, {16, 1536, 0.42, 0.58}};
    ie_device_model apart = *h200();
    const ie_device_model *d = &apart;
    apart.launch = 1.5e-6;
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        const int64_t side = layers[i].side, channels = layers[i].channels;
        const ie_conv_spec spec = conv_3x3(side, channels);
        const double values = 2.0 * (double)(side * side * channels);
        const double weights = 9.0 * (double)(channels * channels);
        const double flop = 2 * 9 * (double)channels * values;
        const double bytes = 2 * (2 * values + weights);
        const double seconds = ie_times_sum(ie_predict_conv(d, &spec, 2, bytes, false));
        const double share = flop / d->matrix / seconds;
        printf("     %3d^2 x %4d: %5.1f us, %.0f %% of the roof\n", (int)side, (int)channels,
               1e6 * seconds, 100 * share);
        assert_true(share >= layers[i].low && share <= layers[i].high);
    }
}

/* The cuts that test_conv90.cc demands of the launcher, counted here by hand: one wave of unsplit
 * sums of 144 steps in tiles of 128 columns; one of eighths of 288, which are then added. */
static void products_are_cut_as_they_are_launched(void **state)
{
    (void)state;
    const double rate = h200()->matrix / 132 / (2 * 128 * 64) * 4; /* four columns a clock */
    static const struct {
        int64_t side, channels;
        double clocks;
    } layers[] = {{32, 1024, 144 * 700 + 3500},
                  {8, 2048, 36 * 700 + 3500 + 3500 + 2 * 4.0 * 8 * 128 * 2048 / 3000}};
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        const ie_conv_spec spec = conv_3x3(layers[i].side, layers[i].channels);
        const ie_times t = ie_predict_conv(h200(), &spec, 2, 1, false);
        assert_true(fabs(t.matrix * rate / layers[i].clocks - 1) < 1e-9);
    }
}

static void nothing_is_faster_than_the_roofline(void **state)
{
    (void)state;
    const ie_device_model *d = h200();
    for (int64_t lanes = 1; lanes <= 16; lanes *= 2) {
        double before = 0;
        for (int64_t rows = 1; rows <= 1 << 16; rows *= 4) {
            for (int64_t width = 8; width <= 4096; width *= 8) {
                const double flop = 2.0 * (double)(lanes * rows * width) * (double)width;
                const double bytes = 2.0 * (double)(2 * lanes * rows * width + width * width);
                const ie_product p = {lanes, rows, width, width, bytes};
                assert_true(ie_times_sum(ie_predict_product(d, &p)) > floor_of(d, flop, bytes));
                const int64_t blocks = lanes * ((rows + 63) / 64);
                assert_true(ie_times_sum(ie_predict_attention(d, flop, bytes, blocks)) >
                            floor_of(d, flop, bytes));
            }
            const double stream = ie_times_sum(ie_predict_stream(d, (double)(lanes * rows)));
            assert_true(stream > (double)(lanes * rows) / d->memory && stream > before);
            before = stream;
        }
    }
}

static double seconds_of(const ie_conv_spec *spec, double bytes, bool moments)
{
    return ie_times_sum(ie_predict_conv(h200(), spec, 2, bytes, moments));
}

static double stream_of(double bytes)
{
    return ie_times_sum(ie_predict_stream(h200(), bytes));
}

static void what_is_done_around_a_product_is_a_kernel_more(void **state)
{
    (void)state;
    const ie_conv_spec plain = {.dtype = IE_BF16,
                                .height = 64,
                                .width = 64,
                                .channels = {64, 64},
                                .outputs = 128,
                                .kernel = 3,
                                .stride = 1,
                                .pad = 1};
    ie_conv_spec normed = plain, doubled = plain;
    normed.groups = 32;
    doubled.resample = IE_UP2;
    const double moved = 2.0 * 2 * 64 * 64 * 128, one = seconds_of(&plain, 1e6, false);
    assert_true(fabs(seconds_of(&normed, 1e6, false) - one - stream_of(2 * moved)) < 1e-12);
    assert_true(seconds_of(&doubled, 1e6, false) > one + stream_of(5 * moved));
    const double partials = 2.0 * 3 * sizeof(float) * 2 * 64 * 128; /* of 32 tiles a lane: halves */
    assert_true(fabs(seconds_of(&plain, 1e6, true) - one - stream_of(partials)) < 1e-12);
    ie_conv_spec odd = plain; /* as many steps of 64 channels, and a copy */
    odd.channels[1] = 60;
    const double copied = 2.0 * 2 * 64 * 64 * (60 + 64);
    assert_true(fabs(seconds_of(&odd, 1e6, false) - one - stream_of(copied)) < 1e-12);
}

/* The outer levels of sr-1024: from the time of two kernels, the pass over memory is gone. */
static void norming_on_load_saves_the_pass(void **state)
{
    (void)state;
    static const struct {
        int64_t side, channels;
        double low, high; /* the pass, as a share of the product's time */
    } levels[] = {{1024, 128, 0.2, 0.3}, {512, 128, 0.2, 0.3}, {256, 256, 0.12, 0.2}};
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        const int64_t side = levels[i].side, channels = levels[i].channels;
        const ie_conv_spec plain = conv_3x3(side, channels);
        ie_conv_spec normed = plain, apart = plain;
        normed.groups = apart.groups = 32;
        normed.act = IE_ACT_SILU;
        apart.act = IE_ACT_GELU; /* has no kernel that norms on load */
        const double bytes = 8.0 * (double)(side * side * channels);
        const double product = seconds_of(&plain, bytes, false);
        const double together = seconds_of(&normed, bytes, false);
        const double two = seconds_of(&apart, bytes, false);
        printf("     %4d^2 x %3d, us: product %.0f, normed on load %.0f, by a pass %.0f\n",
               (int)side, (int)channels, 1e6 * product, 1e6 * together, 1e6 * two);
        assert_true(together > product && together < product + 2e-6);
        assert_true(two > product * (1 + levels[i].low) && two < product * (1 + levels[i].high));
    }
}

static const char full[] = IE_SOURCE_DIR "/examples/imagen-full";

static void an_engine_predicts_on_a_described_device_alone(void **state)
{
    (void)state;
    ie_error err = {0};
    ie_options o;
    ie_options_default(&o);
    ie_engine *engine = NULL;
    ie_engine_info info;
    o.device = "cuda:h200";
    o.precision = IE_PRECISION_F32;
    assert_int_equal(ie_engine_open(&engine, full, &o, &err), IE_BAD_ARGUMENT);
    o.precision = IE_PRECISION_AUTO;
    assert_int_equal(ie_engine_open(&engine, full, &o, &err), IE_OK);
    ie_engine_describe(engine, &info);
    assert_int_equal(info.precision, IE_PRECISION_BF16);
    ie_engine_close(&engine);
    assert_true(info.text_seconds > info.text_flop / h200()->matrix);
    for (int i = 0; i < info.stage_count; i++) {
        const ie_stage_info *s = &info.stages[i];
        assert_true(s->forward_seconds[0] > s->forward_flop / h200()->matrix);
        assert_true(s->forward_seconds[1] > s->forward_seconds[0]);
        assert_true(s->forward_seconds[1] < 2 * s->forward_seconds[0]); /* weights read once */
    }
    o.device = "plan";
    assert_int_equal(ie_engine_open(&engine, full, &o, &err), IE_OK);
    ie_engine_describe(engine, &info);
    ie_engine_close(&engine);
    assert_int_equal(info.precision, IE_PRECISION_F32);
    assert_true(info.text_seconds == 0 && info.stages[0].forward_seconds[1] == 0);
}

static double flop_and_seconds(const ie_operation_info *o, int count, double *seconds)
{
    double flop = 0;
    *seconds = 0;
    for (int i = 0; i < count; i++) {
        flop += o[i].flop;
        *seconds += o[i].matrix_seconds + o[i].memory_seconds + o[i].launch_seconds;
    }
    return flop;
}

static void near(double a, double b)
{
    assert_true(b > 0 && fabs(a - b) < 1e-9 * b);
}

/* Every operation of a pass is in the table, whatever room it has. */
static void operations_add_up_to_the_pass(void **state)
{
    (void)state;
    ie_error err = {0};
    ie_options o;
    ie_options_default(&o);
    o.precision = IE_PRECISION_BF16;
    o.device = "cuda:h200";
    ie_engine *engine = NULL;
    ie_engine_info info;
    static ie_operation_info all[160];
    double seconds;
    int count = 160;
    assert_int_equal(ie_engine_open(&engine, full, &o, &err), IE_OK);
    ie_engine_describe(engine, &info);
    assert_int_equal(ie_engine_operations(engine, -1, 1, all, &count, &err), IE_OK);
    near(flop_and_seconds(all, count, &seconds), info.text_flop);
    near(seconds, info.text_seconds);
    for (int stage = 0; stage < info.stage_count; stage++) {
        const ie_stage_info *s = &info.stages[stage];
        count = 160;
        assert_int_equal(ie_engine_operations(engine, stage, 1, all, &count, &err), IE_OK);
        assert_in_range(count, 20, 159);
        near(flop_and_seconds(all, count, &seconds), s->forward_flop);
        near(seconds, s->forward_seconds[0]);
        count = 3;
        assert_int_equal(ie_engine_operations(engine, stage, 2, all, &count, &err), IE_OK);
        assert_int_equal(count, 3);
        assert_string_equal(all[2].name, "others");
        (void)flop_and_seconds(all, count, &seconds);
        near(seconds, s->forward_seconds[1]);
    }
    assert_int_equal(ie_engine_operations(engine, 0, 3, all, &count, &err), IE_BAD_ARGUMENT);
    assert_int_equal(ie_engine_operations(engine, 9, 1, all, &count, &err), IE_BAD_ARGUMENT);
    assert_int_equal(ie_engine_operations(NULL, 0, 1, all, &count, &err), IE_BAD_ARGUMENT);
    ie_engine_close(&engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_that_is_not_there_is_not_found),
        cmocka_unit_test(the_bases_convolutions_reach_the_predicted_shares),
        cmocka_unit_test(products_are_cut_as_they_are_launched),
        cmocka_unit_test(nothing_is_faster_than_the_roofline),
        cmocka_unit_test(what_is_done_around_a_product_is_a_kernel_more),
        cmocka_unit_test(norming_on_load_saves_the_pass),
        cmocka_unit_test(an_engine_predicts_on_a_described_device_alone),
        cmocka_unit_test(operations_add_up_to_the_pass),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
