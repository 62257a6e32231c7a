/* test_ref_numbers.c - what everything stands on: Philox, roundings, activations, quantiles.
 * SPDX-License-Identifier: Apache-2.0 */
#include "ref/numbers.h"
#include "ref/ref.h"
#include "rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void assert_near(double got, double want, double allowed)
{
    if (!(fabs(got - want) <= allowed)) fail_msg("%.17g is not %.17g", got, want);
}

/* The known answers of the Random123 distribution, by the authors of the paper in rng.h. */
static void philox_gives_the_published_words(void **state)
{
    (void)state;
    static const struct {
        uint32_t key[2];
        ie_u32x4 counter, want;
    } known[] = {
        {{0, 0}, {{0, 0, 0, 0}}, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}},
        {{~0u, ~0u}, {{~0u, ~0u, ~0u, ~0u}}, {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}},
        {{0xa4093822, 0x299f31d0},
         {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}},
         {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}},
    };
    for (int i = 0; i < 3; i++) {
        const ie_u32x4 got = ie_philox(known[i].key[0], known[i].key[1], known[i].counter);
        assert_memory_equal(&got, &known[i].want, sizeof got);
    }
}

static void uniforms_stay_inside_the_open_interval(void **state)
{
    (void)state;
    assert_true(ie_unit(0) > 0 && ie_unit(~0u) < 1);
    assert_true(ie_unit(0) == 0x1p-24f && ie_unit(~0u) == 1 - 0x1p-24f);
}

/* Means of n normals are normal with deviation 1/sqrt(n), their squares' mean has sqrt(2/n): six
 * deviations are allowed, and the draw is always the same. */
static void normals_have_mean_zero_and_variance_one(void **state)
{
    (void)state;
    const int blocks = 50000;
    double mean = 0, square = 0, pairs = 0;
    for (int b = 0; b < blocks; b++) {
        float n[4];
        ie_normal4(n, 42, 1, 7, (uint32_t)b);
        for (int i = 0; i < 4; i++) {
            mean += (double)n[i];
            square += (double)n[i] * (double)n[i];
            pairs += (double)n[i] * (double)n[(i + 1) % 4];
        }
    }
    const double count = 4.0 * blocks;
    assert_near(mean / count, 0, 6 / sqrt(count));
    assert_near(square / count, 1, 6 * sqrt(2 / count));
    assert_near(pairs / count, 0, 6 * sqrt(2 / count));
}

static void seed_stage_step_and_block_each_change_the_noise(void **state)
{
    (void)state;
    float base[4], other[4];
    ie_normal4(base, 1, 2, 3, 4);
    const struct {
        uint64_t seed;
        uint32_t stage, step, block;
    } changed[] = {{0x100000001, 2, 3, 4}, {2, 2, 3, 4}, {1, 3, 3, 4}, {1, 2, 4, 4}, {1, 2, 3, 5}};
    for (int i = 0; i < 5; i++) {
        ie_normal4(other, changed[i].seed, changed[i].stage, changed[i].step, changed[i].block);
        for (int k = 0; k < 4; k++) assert_true(base[k] != other[k]);
    }
}

static void stores_round_once_to_nearest_even(void **state)
{
    (void)state;
    static const struct {
        double value, want;
    } known[] = {
        {1, 1},
        {1 + 0x1p-8, 1},                    /* a tie goes to the even neighbour, below */
        {1 + 0x3p-8, 1 + 0x1p-6},           /* and above */
        {1 + 0x1p-8 + 0x1p-40, 1 + 0x1p-7}, /* not a tie; it would be one after f32 */
        {1 + 0x3p-8 - 0x1p-40, 1 + 0x1p-7}, /* the same from above */
        {-1 - 0x1p-8 - 0x1p-40, -1 - 0x1p-7},
        {0x1.fep127, 0x1.fep127}, /* the largest */
        {0x1.fefp127, 0x1.fep127},
        {0x1.ffp127, INFINITY},
        {-1e300, -INFINITY},
        {INFINITY, INFINITY},
        {0x1p-133, 0x1p-133}, /* the smallest */
        {0x1p-134, 0},
        {0x1.8p-134, 0x1p-133},
        {1e-300, 0},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        uint16_t bits;
        ie_ref_store(&bits, IE_BF16, 0, known[i].value);
        assert_true(ie_ref_load(&bits, IE_BF16, 0) == known[i].want);
        assert_true(ie_ref_round(IE_BF16, known[i].value) == known[i].want);
    }
    uint16_t bits;
    ie_ref_store(&bits, IE_BF16, 0, NAN);
    assert_true(isnan(ie_ref_load(&bits, IE_BF16, 0)));
    assert_true(ie_ref_round(IE_F32, 1 + 0x1p-24) == 1);
    assert_true(ie_ref_round(IE_F32, 1 + 0x3p-24) == 1 + 0x1p-22);
}

static void f16_weights_load_exactly(void **state)
{
    (void)state;
    static const struct {
        uint16_t bits;
        double want;
    } known[] = {{0x3c00, 1},         {0xc000, -2},         {0x7bff, 65504},    {0x0400, 0x1p-14},
                 {0x0001, 0x1p-24},   {0x83ff, -0x3ffp-24}, {0x7c00, INFINITY}, {0x0000, 0},
                 {0xfc00, -INFINITY}, {0x3555, 0x1.554p-2}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        assert_true(ie_ref_load(&known[i].bits, IE_F16, 0) == known[i].want);
    }
    const uint16_t nan = 0x7e00;
    assert_true(isnan(ie_ref_load(&nan, IE_F16, 0)));
}

/* Values from an arbitrary-precision evaluation of the definitions. */
static void activations_have_their_known_values(void **state)
{
    (void)state;
    assert_near(ie_ref_act(IE_ACT_SILU, 1), 0.73105857863000488, 1e-15);
    assert_near(ie_ref_act(IE_ACT_GELU, 1), 0.84134474606854293, 1e-15);
    assert_near(ie_ref_act(IE_ACT_GELU_TANH, 1), 0.84119199060827670, 1e-15);
    assert_near(ie_ref_act(IE_ACT_SILU, -2), -0.23840584404423515, 1e-15);
    assert_near(ie_ref_act(IE_ACT_GELU, -2), -0.04550026389635842, 1e-15);
    assert_near(ie_ref_act(IE_ACT_GELU_TANH, -2), -0.04540230591222544, 1e-15);
    assert_true(ie_ref_act(IE_ACT_NONE, -2) == -2);
    for (int act = IE_ACT_SILU; act <= IE_ACT_GELU_TANH; act++) { /* no overflow at either end */
        assert_near(ie_ref_act((ie_act)act, 1e4), 1e4, 1e-9);
        assert_near(ie_ref_act((ie_act)act, -1e4), 0, 1e-9);
    }
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void quantile_is_that_of_the_sorted_values(void **state)
{
    (void)state;
    static const double q[] = {0, 0.1, 0.5, 0.995, 0.9999, 1};
    double values[300], sorted[300];
    uint32_t random = 12345;
    for (int count = 1; count <= 300; count += 1 + count / 7) {
        const uint32_t kinds =
            count % 3 == 0 ? 4 : 1u << 20; /* every third has many equal values */
        for (int k = 0; k < 6; k++) {
            for (int i = 0; i < count; i++) {
                random = random * 1664525u + 1013904223u;
                values[i] = sorted[i] = (double)((random >> 8) % kinds) / 1024;
            }
            qsort(sorted, (size_t)count, sizeof *sorted, compare);
            const double at = q[k] * (count - 1);
            const int low = (int)at, high = low + 1 < count ? low + 1 : low;
            const double want = sorted[low] + (at - low) * (sorted[high] - sorted[low]);
            assert_near(ie_ref_quantile(values, count, q[k]), want, 1e-12);
        }
    }
}

static void quantile_of_ordered_and_infinite_values_is_right(void **state)
{
    (void)state;
    double up[101], down[101], infinite[] = {INFINITY, 1, INFINITY, 2};
    for (int i = 0; i <= 100; i++) up[i] = i, down[i] = 100 - i;
    assert_near(ie_ref_quantile(up, 101, 0.995), 99.5, 1e-12);
    assert_near(ie_ref_quantile(down, 101, 0.995), 99.5, 1e-12);
    assert_true(ie_ref_quantile(infinite, 4, 1) == INFINITY);
    assert_true(ie_ref_quantile(infinite, 4, 0.9) == INFINITY);
    assert_true(ie_ref_quantile(infinite, 4, 0) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(philox_gives_the_published_words),
        cmocka_unit_test(uniforms_stay_inside_the_open_interval),
        cmocka_unit_test(normals_have_mean_zero_and_variance_one),
        cmocka_unit_test(seed_stage_step_and_block_each_change_the_noise),
        cmocka_unit_test(stores_round_once_to_nearest_even),
        cmocka_unit_test(f16_weights_load_exactly),
        cmocka_unit_test(activations_have_their_known_values),
        cmocka_unit_test(quantile_is_that_of_the_sorted_values),
        cmocka_unit_test(quantile_of_ordered_and_infinite_values_is_right),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
