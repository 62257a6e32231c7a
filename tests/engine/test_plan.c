/* test_plan.c - the planning device: the full-size model opens at once without weights, has the
 * published numbers of parameters, and costs what its layers cost.
 *
 * The figures come from the reference on tensors without data: scripts/reference/full_config.py
 * (parameters) and full_flop.py (products of one lane). The engine adds the sums, activations and
 * updates it also counts, which are a small part of the products.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "toy.h"

#define NEED(call)                                            \
    do {                                                      \
        ie_error need_err_ = {0};                             \
        ie_error *const err = &need_err_;                     \
        if (call) fail_msg("%s (%s)", err->text, err->where); \
    } while (0)

static ie_engine *plan_of(const char *directory, ie_precision precision, int requests)
{
    ie_options o;
    ie_options_default(&o);
    o.device = "plan";
    o.precision = precision;
    for (int i = 0; i < IE_MAX_STAGES; i++) o.lanes[i] = 2 * requests;
    ie_engine *engine = NULL;
    NEED(ie_engine_open(&engine, directory, &o, err));
    return engine;
}

static const char full[] = IE_SOURCE_DIR "/examples/imagen-full";

typedef struct part {
    const char *name;
    uint64_t parameters;
    double published,
        tolerance; /* parameters in the papers, and how far their rounding lets us be */
    double flop;   /* of the products of one lane */
} part;

/* 2 B, and both super-resolution nets from one listing whose nominal 600 M and 400 M cannot both be
 * right (examples/imagen-full/README.md); T5-XXL's encoder is published as 4.6 B. */
static const part parts[] = {{"base-64", 2425660899, 2e9, 0.22, 1514468802560.0},
                             {"sr-256", 538328163, 600e6, 0.11, 611704373248.0},
                             {"sr-1024", 529842563, 400e6, 0.33, 9555554336768.0}};
static const part text = {"text encoder", 4762310656, 4.6e9, 0.04, 1191853424640.0};

static void check_part(const part *p, uint64_t parameters, double flop)
{
    const double off = ((double)parameters - p->published) / p->published;
    printf("     %-12s %10.1f M parameters, published %6.0f M (%+.1f %%); %.4g FLOP\n", p->name,
           (double)parameters / 1e6, p->published / 1e6, 100 * off, flop);
    assert_int_equal(parameters, p->parameters);
    assert_true(off < p->tolerance && off > -p->tolerance);
    assert_true(flop >= p->flop && flop <= 1.01 * p->flop);
}

static void the_full_model_has_the_published_size_and_the_cost_of_its_layers(void **state)
{
    (void)state;
    ie_engine_info info;
    ie_engine *engine = plan_of(full, IE_PRECISION_BF16, 1);
    ie_engine_describe(engine, &info);
    assert_int_equal(info.stage_count, 3);
    for (int i = 0; i < 3; i++) {
        assert_string_equal(info.stages[i].name, parts[i].name);
        check_part(&parts[i], info.stages[i].parameters, info.stages[i].forward_flop);
        /* Two bytes a weight; biases and norms are f32, and every layer starts on 64 bytes. */
        const double bytes = (double)info.stages[i].weight_bytes;
        assert_true(bytes > 2.0 * (double)parts[i].parameters);
        assert_true(bytes < 2.01 * (double)parts[i].parameters);
    }
    check_part(&text, info.text_parameters, info.text_flop);
    assert_int_equal(info.canvas, 1024);
    assert_int_equal(info.stages[0].default_passes,
                     256 + 26 + 114); /* 26 held, then every second but the last */
    assert_int_equal(info.stages[1].default_passes, 2 * 128);
    assert_int_equal(info.stages[2].default_passes, 64);
    assert_string_equal(info.model_hash, "");
    ie_engine_close(&engine);
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void the_full_model_opens_in_milliseconds(void **state)
{
    (void)state;
    double best = 1e9;
    for (int i = 0; i < 3; i++) {
        const double begin = cpu_seconds();
        ie_engine *engine = plan_of(full, IE_PRECISION_F32, 8);
        ie_engine_close(&engine);
        const double taken = cpu_seconds() - begin;
        if (taken < best) best = taken;
    }
    printf("     %.1f ms of processor time\n", 1e3 * best);
    assert_true(best < 0.25); /* a few ms; sanitizers take ten times as long */
}

static void a_lane_more_costs_workspace_and_no_weights(void **state)
{
    (void)state;
    ie_engine_info one, two, half;
    ie_engine *engine = plan_of(full, IE_PRECISION_F32, 1);
    ie_engine_describe(engine, &one);
    ie_engine_close(&engine);
    engine = plan_of(full, IE_PRECISION_F32, 2);
    ie_engine_describe(engine, &two);
    ie_engine_close(&engine);
    engine = plan_of(full, IE_PRECISION_BF16, 1);
    ie_engine_describe(engine, &half);
    ie_engine_close(&engine);
    assert_true(two.workspace_bytes > one.workspace_bytes);
    assert_true(two.workspace_bytes < 2 * one.workspace_bytes + 4096);
    assert_int_equal(two.weight_bytes, one.weight_bytes);
    assert_true((double)half.weight_bytes / (double)one.weight_bytes < 0.51);
    assert_true(half.workspace_bytes < one.workspace_bytes);
    for (int i = 0; i < 3; i++)
        assert_true(one.stages[i].forward_flop == two.stages[i].forward_flop);
}

/* Tensors of a plan are told apart by addresses that are nobody's: any number of lanes will do. */
static void the_full_model_opens_with_any_number_of_lanes(void **state)
{
    (void)state;
    uint64_t before = 0;
    for (int requests = 1; requests <= 12; requests++) {
        ie_engine_info info;
        ie_engine *engine = plan_of(full, IE_PRECISION_BF16, requests);
        ie_engine_describe(engine, &info);
        assert_int_equal(info.stages[2].lanes, 2 * requests);
        assert_true(info.workspace_bytes > before);
        before = info.workspace_bytes;
        ie_engine_close(&engine);
    }
}

/* ---- the toy -------------------------------------------------------------------------------- */

static void the_toy_has_the_reference_s_parameters_and_products(void **state)
{
    (void)state;
    static const uint64_t parameters[] = {55719, 38297, 27179};
    static const double products[] = {11130752, 16075264, 27271424};
    ie_engine_info info;
    ie_engine *engine = plan_of(golden_path("cascade"), IE_PRECISION_F32, 1);
    ie_engine_describe(engine, &info);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(info.stages[i].parameters, parameters[i]);
        assert_true(info.stages[i].forward_flop >= products[i]);
        assert_true(info.stages[i].forward_flop <= 1.01 * products[i]);
    }
    assert_int_equal(info.text_parameters, 7312);
    ie_engine_close(&engine);
}

static void a_plan_prices_but_does_not_edit(void **state)
{
    (void)state;
    static toy_edit edit;
    ie_price price;
    ie_error err = {0};
    ie_engine_info info;
    golden io = golden_open("cascade-io.safetensors");
    toy_fill(&edit, &io, 0);
    golden_close(&io);
    ie_engine *engine = plan_of(golden_path("cascade"), IE_PRECISION_F32, 1);
    if (ie_price_edit(engine, &edit.request, 1, &price, &err)) fail_msg("%s", err.text);
    ie_engine_describe(engine, &info);
    double flop = info.text_flop;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(price.passes[i], info.stages[i].default_passes);
        flop += price.passes[i] * info.stages[i].forward_flop;
    }
    assert_true(price.flop == flop);
    assert_int_equal(price.weight_bytes, info.weight_bytes);
    assert_int_equal(ie_edit(engine, &edit.request, 1, &err), IE_BAD_ARGUMENT);
    assert_non_null(strstr(err.text, "device 'plan' only prices"));
    ie_engine_close(&engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_full_model_has_the_published_size_and_the_cost_of_its_layers),
        cmocka_unit_test(the_full_model_opens_in_milliseconds),
        cmocka_unit_test(a_lane_more_costs_workspace_and_no_weights),
        cmocka_unit_test(the_full_model_opens_with_any_number_of_lanes),
        cmocka_unit_test(the_toy_has_the_reference_s_parameters_and_products),
        cmocka_unit_test(a_plan_prices_but_does_not_edit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
