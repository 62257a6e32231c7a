/* test_guidance.c - guidance schedules step by step, the passes they cost, and what is refused in
 * which words.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "guidance.h"

static ie_guidance oscillation(float hold)
{
    return (ie_guidance){.kind = IE_GUIDANCE_OSCILLATE, .high = 30, .low = 1, .hold = hold};
}

/* `weights` as letters: h high, l low. */
static void follows(ie_guidance g, const char *letters)
{
    const int steps = (int)strlen(letters);
    for (int i = 0; i < steps; i++) {
        const float want = letters[i] == 'h' ? g.high : g.low;
        const float got = ie_guidance_weight(&g, i, steps);
        if (got != want)
            fail_msg("hold %g: step %d of %s is %g", (double)g.hold, i, letters, (double)got);
    }
}

static void oscillation_holds_then_alternates_from_low_and_ends_low(void **state)
{
    (void)state;
    follows(oscillation(0.25f),
            "hhlhll"); /* ceil(1.5) = 2; the last turn is high's, and low all the same */
    follows(oscillation(0.25f), "hhlhlhll");
    follows(oscillation(0.5f), "hhhlhl");
    follows(oscillation(0), "lhlhl");
    follows(oscillation(0), "lhll");
    follows(oscillation(1), "hhhhl");
    follows(oscillation(0.5f), "l");
    follows(oscillation(1), "l");
}

static void the_tail_of_an_oscillation_is_low(void **state)
{
    (void)state;
    ie_guidance g = oscillation(0.25f);
    g.tail = 0.5f;
    follows(g, "hhlhllll");
    follows(g, "hhllll"); /* ceil(1.5) = 2, ceil(3) = 3 */
    follows(g, "hhlll");  /* ceil(2.5) = 3, where the held two end before */
    g.tail = 0.1f;        /* its product with 30 is above 3 */
    follows(g, "hhhhhhhhlhlhlhlhlhlhlhlhlhllll");
    g.hold = 1, g.tail = 0.75f; /* the end is low, whatever is held */
    follows(g, "hlll");
    g.tail = 1;
    follows(g, "llll");
    assert_int_equal(ie_guidance_passes(&g, 4), 4);
}

static void a_share_is_not_rounded_up_by_its_own_rounding(void **state)
{
    (void)state;
    /* 0.1f is above 0.1, and its product with 30 above 3. */
    follows(oscillation(0.1f), "hhhlhlhlhlhlhlhlhlhlhlhlhlhlhl");
    int held = 0;
    const ie_guidance g = oscillation(0.1f);
    while (ie_guidance_weight(&g, held, 256) == 30) held++;
    assert_int_equal(held, 26); /* ceil(25.6) */
}

static void constants_and_lists_are_taken_as_they_are(void **state)
{
    (void)state;
    const float weights[] = {0, 1, 2.5f, 1000};
    const ie_guidance constant = {.kind = IE_GUIDANCE_CONSTANT, .high = 7.5f, .low = 3};
    const ie_guidance list = {.kind = IE_GUIDANCE_LIST, .weights = weights, .count = 4};
    for (int i = 0; i < 4; i++) {
        assert_true(ie_guidance_weight(&constant, i, 4) == 7.5f);
        assert_true(ie_guidance_weight(&list, i, 4) == weights[i]);
    }
}

static void only_a_weight_of_exactly_one_saves_a_pass(void **state)
{
    (void)state;
    assert_false(ie_guidance_needs_null(1.0f));
    assert_true(ie_guidance_needs_null(nextafterf(1.0f, 2.0f)));
    assert_true(ie_guidance_needs_null(nextafterf(1.0f, 0.0f)));
    assert_true(ie_guidance_needs_null(0.0f));
    const ie_guidance oscillate = oscillation(0.25f);
    assert_int_equal(ie_guidance_passes(&oscillate, 6), 6 + 3); /* hhlhll */
    const ie_guidance plain = {.kind = IE_GUIDANCE_CONSTANT, .high = 1};
    assert_int_equal(ie_guidance_passes(&plain, 64), 64);
    const ie_guidance strong = {.kind = IE_GUIDANCE_CONSTANT, .high = 5};
    assert_int_equal(ie_guidance_passes(&strong, 128), 256);
    const float weights[] = {3, 1, 0, 1};
    const ie_guidance list = {.kind = IE_GUIDANCE_LIST, .weights = weights, .count = 4};
    assert_int_equal(ie_guidance_passes(&list, 4), 6);
    const ie_guidance both_high = {.kind = IE_GUIDANCE_OSCILLATE, .high = 30, .low = 2, .hold = 0};
    assert_int_equal(ie_guidance_passes(&both_high, 10), 20);
}

/* ---- refusals ------------------------------------------------------------------------------- */

static const float good[] = {1, 2, 3}, bad[] = {1, -2, 3};

static const struct {
    ie_guidance g;
    const char *text;
} refused[] = {
    {{.kind = IE_GUIDANCE_CONSTANT, .high = -0.5f},
     "it: guidance weight -0.5 is outside 0 .. 1000"},
    {{.kind = IE_GUIDANCE_CONSTANT, .high = 1000.5f},
     "it: guidance weight 1000.5 is outside 0 .. 1000"},
    {{.kind = IE_GUIDANCE_CONSTANT, .high = NAN}, "is outside 0 .. 1000"},
    {{.kind = IE_GUIDANCE_CONSTANT, .high = INFINITY},
     "it: guidance weight inf is outside 0 .. 1000"},
    {{.kind = IE_GUIDANCE_OSCILLATE, .high = -1, .low = 1}, "it: guidance weight -1 is outside"},
    {{.kind = IE_GUIDANCE_OSCILLATE, .high = 1, .low = 1001},
     "it: guidance weight 1001 is outside"},
    {{.kind = IE_GUIDANCE_OSCILLATE, .high = 1, .low = 1, .hold = -0.125f},
     "it: the share of steps held high, -0.125, is outside 0 .. 1"},
    {{.kind = IE_GUIDANCE_OSCILLATE, .high = 1, .low = 1, .hold = 1.5f},
     "held high, 1.5, is outside"},
    {{.kind = IE_GUIDANCE_OSCILLATE, .high = 1, .low = 1, .hold = NAN}, "is outside 0 .. 1"},
    {{.kind = IE_GUIDANCE_OSCILLATE, .high = 1, .low = 1, .tail = -0.125f},
     "it: the share of steps held low at the end, -0.125, is outside 0 .. 1"},
    {{.kind = IE_GUIDANCE_OSCILLATE, .high = 1, .low = 1, .tail = 1.5f},
     "low at the end, 1.5, is outside"},
    {{.kind = IE_GUIDANCE_OSCILLATE, .high = 1, .low = 1, .tail = NAN}, "is outside 0 .. 1"},
    {{.kind = IE_GUIDANCE_LIST, .weights = good, .count = 2}, "it: 2 guidance weights for 3 steps"},
    {{.kind = IE_GUIDANCE_LIST, .count = 3}, "it: the list of guidance weights is missing"},
    {{.kind = IE_GUIDANCE_LIST, .weights = bad, .count = 3}, "it: guidance weight -2 is outside"},
    {{.kind = (ie_guidance_kind)9}, "it: unknown kind of guidance 9"},
};

static void weights_out_of_range_are_refused_with_the_range(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        ie_error err = {0};
        assert_int_equal(ie_guidance_check(&refused[i].g, 3, "it", &err), IE_BAD_ARGUMENT);
        if (!strstr(err.text, refused[i].text))
            fail_msg("\"%s\" does not say \"%s\"", err.text, refused[i].text);
    }
}

static void the_ends_of_every_range_are_accepted(void **state)
{
    (void)state;
    const ie_guidance accepted[] = {
        {.kind = IE_GUIDANCE_DEFAULT},
        {.kind = IE_GUIDANCE_CONSTANT, .high = 0},
        {.kind = IE_GUIDANCE_CONSTANT, .high = 1000},
        {.kind = IE_GUIDANCE_OSCILLATE, .high = 1000, .low = 0, .hold = 0},
        {.kind = IE_GUIDANCE_OSCILLATE, .high = 0, .low = 1000, .hold = 1, .tail = 1},
        {.kind = IE_GUIDANCE_LIST, .weights = good, .count = 3},
    };
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
        ie_error err = {0};
        if (ie_guidance_check(&accepted[i], 3, "it", &err)) fail_msg("%s", err.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(oscillation_holds_then_alternates_from_low_and_ends_low),
        cmocka_unit_test(the_tail_of_an_oscillation_is_low),
        cmocka_unit_test(a_share_is_not_rounded_up_by_its_own_rounding),
        cmocka_unit_test(constants_and_lists_are_taken_as_they_are),
        cmocka_unit_test(only_a_weight_of_exactly_one_saves_a_pass),
        cmocka_unit_test(weights_out_of_range_are_refused_with_the_range),
        cmocka_unit_test(the_ends_of_every_range_are_accepted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
