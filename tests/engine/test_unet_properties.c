/* test_unet_properties.c - what a forward pass must not depend on: its neighbours in the batch,
 * their order, what lies in other slots, and what lies behind the end of a text. Arguments: device
 * and precision.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "unet_rig.h"

static const char *device = "ref";
static bool bf16;

static const char *const networks[] = {"unet-adm", "unet-adm-options", "unet-efficient-self",
                                       "unet-efficient-text", "unet-efficient-concat"};

enum { NETWORKS = sizeof networks / sizeof networks[0] };

typedef void property(unet_rig *u, const char *name, const float *batch);

/* `batch` are the predictions of the golden's three lanes in order. */
static void for_each_network(property *check)
{
    for (int i = 0; i < NETWORKS; i++) {
        unet_rig u;
        if (!unet_rig_open(&u, networks[i], device, bf16)) skip();
        const ie_unet_lanes lanes = unet_rig_lanes(&u, NULL, UNET_RIG_LANES);
        float *batch = unet_rig_forward(&u, &lanes);
        check(&u, networks[i], batch);
        free(batch);
        unet_rig_close(&u);
    }
}

/* Run lanes `order` and say which of them differ in any bit from the batch, as a bit mask over
 * positions. */
static unsigned differing(unet_rig *u, const float *batch, const int *order, int count)
{
    const int64_t n = unet_rig_prediction(u);
    const ie_unet_lanes lanes = unet_rig_lanes(u, order, count);
    float *got = unet_rig_forward(u, &lanes);
    unsigned result = 0;
    for (int i = 0; i < count; i++) {
        const bool same = !memcmp(got + i * n, batch + order[i] * n, (size_t)n * sizeof *got);
        result |= (unsigned)!same << i;
    }
    free(got);
    return result;
}

static const int all[] = {0, 1, 2};

static void expect(unsigned got, unsigned want, const char *name, const char *what)
{
    if (got != want) fail_msg("%s: %s: lanes %#x differ, not %#x", name, what, got, want);
}

/* ---- lanes ---------------------------------------------------------------------------------- */

static void check_lanes(unet_rig *u, const char *name, const float *batch)
{
    static const int orders[][5] = {{2, 0, 1}, {1, 2, 0}, {2, 1, 0}, {1, 1, 2, 0, 1}};
    static const int counts[] = {3, 3, 3, 5};
    for (int i = 0; i < 4; i++) expect(differing(u, batch, orders[i], counts[i]), 0, name, "order");
    for (int i = 0; i < UNET_RIG_LANES; i++)
        expect(differing(u, batch, &all[i], 1), 0, name, "alone");
}

static void a_lane_gives_the_same_bits_alone_and_beside_others_in_any_order(void **state)
{
    (void)state;
    for_each_network(check_lanes);
}

static void check_lanes_differ(unet_rig *u, const char *name, const float *batch)
{
    const int64_t n = unet_rig_prediction(u);
    for (int i = 0; i < UNET_RIG_LANES; i++) {
        const float *a = batch + i * n, *b = batch + (i + 1) % UNET_RIG_LANES * n;
        if (!memcmp(a, b, (size_t)n * sizeof *a)) fail_msg("%s: lanes %d and next agree", name, i);
    }
}

static void different_inputs_give_different_predictions(void **state)
{
    (void)state;
    for_each_network(check_lanes_differ);
}

/* ---- text ----------------------------------------------------------------------------------- */

/* Text 1 is the short one, and lane 0 reads it. */
static void check_padding(unet_rig *u, const char *name, const float *batch)
{
    const ie_tensor tokens = ie_slice(golden_get(&u->io, "text.tokens"), 0, 1, 2);
    const int32_t length = ((const int32_t *)golden_get(&u->io, "text.length").data)[1];
    const int64_t width = tokens.dim[2], n = ie_numel(tokens);
    float *garbage = malloc((size_t)n * sizeof *garbage);
    assert_non_null(garbage);
    assert_true(length < tokens.dim[1]);
    memcpy(garbage, tokens.data, (size_t)n * sizeof *garbage);
    for (int64_t i = length * width; i < n; i++) garbage[i] = (float)(i % 7 - 3) * 40;
    unet_rig_set_text(u, 1, ie_view(garbage, IE_F32, 3, tokens.dim), length);
    expect(differing(u, batch, all, 3), 0, name, "garbage behind the text");
    /* The last real row matters, so the comparison above can fail. */
    garbage[(length - 1) * width] += 1;
    unet_rig_set_text(u, 1, ie_view(garbage, IE_F32, 3, tokens.dim), length);
    expect(differing(u, batch, all, 3), 1, name, "another last token");
    free(garbage);
}

static void what_lies_behind_the_end_of_a_text_does_not_matter(void **state)
{
    (void)state;
    for_each_network(check_padding);
}

/* ---- slots ---------------------------------------------------------------------------------- */

static void flip_canvas(unet_rig *u, int slot, int from)
{
    unet_rig_set_canvas(u, slot, ie_slice(golden_get(&u->io, "canvas.rgb"), 0, from, from + 1),
                        ie_slice(golden_get(&u->io, "canvas.mask"), 0, from, from + 1));
}

static void check_slots(unet_rig *u, const char *name, const float *batch)
{
    for (int slot = 0; slot < UNET_RIG_LANES; slot++) {
        flip_canvas(u, slot, (slot + 1) % UNET_RIG_LANES);
        expect(differing(u, batch, all, 3), 1u << slot, name, "another canvas");
        flip_canvas(u, slot, slot); /* a slot may be used again, and forgets what was there */
        expect(differing(u, batch, all, 3), 0, name, "the old canvas again");
    }
}

static void a_slot_concerns_the_lanes_that_read_it_alone(void **state)
{
    (void)state;
    for_each_network(check_slots);
}

int main(int argc, char **argv)
{
    if (argc > 1) device = argv[1];
    bf16 = argc > 2 && !strcmp(argv[2], "bf16");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lane_gives_the_same_bits_alone_and_beside_others_in_any_order),
        cmocka_unit_test(different_inputs_give_different_predictions),
        cmocka_unit_test(what_lies_behind_the_end_of_a_text_does_not_matter),
        cmocka_unit_test(a_slot_concerns_the_lanes_that_read_it_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
