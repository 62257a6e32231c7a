/* test_request.c - what a request says is what is done: its steps, guidance, sampler, feather and
 * size, its callbacks, and what the engine fills in. Arguments: device and precision.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "toy.h"

static const char *device = "ref";
static bool bf16;

#define NEED(call)                                            \
    do {                                                      \
        ie_error need_err_ = {0};                             \
        ie_error *const err = &need_err_;                     \
        if (call) fail_msg("%s (%s)", err->text, err->where); \
    } while (0)

static toy_edit edits[2];
static golden io;
static ie_engine *engine;

static int set_up(void **state)
{
    (void)state;
    io = golden_open("cascade-io.safetensors");
    engine = toy_open(device, bf16, 0, 1);
    toy_fill(&edits[0], &io, 0);
    if (engine) NEED(ie_edit(engine, &edits[0].request, 1, err));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    ie_engine_close(&engine);
    golden_close(&io);
    return 0;
}

/* Edit 0 once more, to be changed; edits[0] is what the model makes of it by its own values. */
static ie_request *another(void)
{
    if (!engine) skip();
    toy_fill(&edits[1], &io, 0);
    return &edits[1].request;
}

static bool same_result(void)
{
    NEED(ie_edit(engine, &edits[1].request, 1, err));
    return !memcmp(edits[0].output, edits[1].output, sizeof edits[0].output);
}

/* ---- steps, guidance, sampler --------------------------------------------------------------- */

static void the_model_s_own_values_spelled_out_change_nothing(void **state)
{
    (void)state;
    static const float list[] = {3, 2, 1, 1.5f};
    ie_request *r = another();
    r->steps[0] = 6;
    r->steps[1] = r->steps[2] = 4;
    r->guidance[0] =
        (ie_guidance){.kind = IE_GUIDANCE_OSCILLATE, .high = 8, .low = 1, .hold = 0.25f};
    r->guidance[1] = (ie_guidance){.kind = IE_GUIDANCE_LIST, .weights = list, .count = 4};
    r->guidance[2] = (ie_guidance){.kind = IE_GUIDANCE_CONSTANT, .high = 1};
    assert_true(same_result());
}

static void other_values_change_the_result(void **state)
{
    (void)state;
    for (int what = 0; what < 6; what++) {
        ie_request *r = another();
        if (what == 0) r->steps[0] = 5;
        if (what == 1) r->steps[2] = 3;
        if (what == 2) r->guidance[0] = (ie_guidance){.kind = IE_GUIDANCE_CONSTANT, .high = 2};
        if (what == 3) r->guidance[2] = (ie_guidance){.kind = IE_GUIDANCE_CONSTANT, .high = 4};
        if (what == 4) r->sampler = IE_SAMPLER_DDIM; /* stages 0 and 2 are not */
        if (what == 5) r->sampler = IE_SAMPLER_DDPM; /* stage 1 is not */
        if (same_result()) fail_msg("change %d was not felt", what);
    }
}

/* ---- callbacks ------------------------------------------------------------------------------ */

typedef struct calls {
    int last_stage, last_step, count;
    int sides[3];
    uint8_t final[TOY_SIDE * TOY_SIDE * 3];
} calls;

static int count_steps(void *user, int stage, int step, int steps)
{
    static const int want[] = {6, 4, 4};
    calls *c = user;
    assert_int_equal(steps, want[stage]);
    /* One after the other: the next step, or the first of the next stage after the last. */
    if (stage == c->last_stage) {
        assert_int_equal(step, c->last_step + 1);
    } else {
        assert_int_equal(stage, c->last_stage + 1);
        assert_int_equal(step, 1);
        assert_true(c->last_stage < 0 || c->last_step == want[c->last_stage]);
    }
    c->last_stage = stage;
    c->last_step = step;
    c->count++;
    return 0;
}

static void keep_image(void *user, int stage, const ie_pixels *image)
{
    calls *c = user;
    assert_int_equal(image->width, image->height);
    assert_int_equal(image->channels, 3);
    assert_int_equal(image->bits, 8);
    assert_int_equal(stage, c->last_stage);
    c->sides[stage] = image->width;
    if (stage == 2) memcpy(c->final, image->data, sizeof c->final);
}

static void callbacks_come_in_order_and_change_nothing(void **state)
{
    (void)state;
    static calls c = {.last_stage = -1};
    ie_request *r = another();
    r->progress = count_steps;
    r->stage_done = keep_image;
    r->user = &c;
    assert_true(same_result());
    assert_int_equal(c.count, 6 + 4 + 4);
    assert_int_equal(c.sides[0], 16);
    assert_int_equal(c.sides[1], 32);
    assert_int_equal(c.sides[2], TOY_SIDE);
    /* At the canvas's size the edit is the last stage's image where the mask is, and the input
     * elsewhere. */
    for (size_t i = 0; i < sizeof edits[1].mask; i++) {
        const uint8_t *from = edits[1].mask[i] ? c.final : edits[1].image;
        assert_memory_equal(edits[1].output + 3 * i, from + 3 * i, 3);
    }
}

/* ---- prompts -------------------------------------------------------------------------------- */

static void the_request_learns_how_many_tokens_its_prompt_has(void **state)
{
    (void)state;
    static char endless[4096];
    ie_request *r = another();
    const int32_t length = ((const int32_t *)golden_get(&io, "edit0.length").data)[0];
    assert_int_equal(edits[0].request.prompt_tokens, length);
    assert_int_equal(edits[0].request.prompt_cut, 0);
    for (size_t i = 0; i + 4 < sizeof endless; i += 4) memcpy(endless + i, "red ", 5);
    ie_engine_info info;
    ie_engine_describe(engine, &info);
    r->prompt = endless;
    NEED(ie_edit(engine, r, 1, err));
    assert_true(r->prompt_cut > 900);
    assert_int_equal(r->prompt_tokens - r->prompt_cut, info.text_length);
}

/* ---- other sizes and formats ---------------------------------------------------------------- */

enum { WIDE = 150, HIGH = 100 };

static void any_size_and_format_is_edited_in_its_window(void **state)
{
    (void)state;
    if (!engine) skip();
    static uint16_t image[HIGH * WIDE * 4], output[HIGH * WIDE * 4];
    static uint8_t mask[HIGH * WIDE];
    for (int i = 0; i < HIGH * WIDE * 4; i++) image[i] = (uint16_t)(i * 977);
    for (int y = 70; y < 95; y++) memset(mask + y * WIDE + 100, 255, 45);
    ie_request r;
    ie_request_default(&r);
    r.prompt = "a red cube";
    r.image = (ie_pixels){image, WIDE, HIGH, 4, 16, WIDE * 4 * sizeof *image};
    r.output = r.image;
    r.output.data = output;
    r.mask = (ie_pixels){mask, WIDE, HIGH, 1, 8, WIDE};
    NEED(ie_edit(engine, &r, 1, err));
    int changed = 0;
    for (int i = 0; i < HIGH * WIDE; i++) {
        const bool same = !memcmp(image + 4 * i, output + 4 * i, 3 * sizeof *image);
        assert_int_equal(image[4 * i + 3], output[4 * i + 3]);
        if (!mask[i]) assert_true(same);
        changed += !same;
    }
    assert_true(changed > 45 * 25 * 9 / 10); /* a pixel may stay as it is by chance */
    r.output = r.image;                      /* in place */
    NEED(ie_edit(engine, &r, 1, err));
    assert_memory_equal(image, output, sizeof image);
}

static void a_feather_softens_the_edge_alone(void **state)
{
    (void)state;
    ie_request *r = another();
    r->feather = 2;
    assert_false(same_result());
    /* Three pixels inside the edge the result is what it was. */
    for (int y = 3; y + 3 < TOY_SIDE; y++) {
        for (int x = 3; x + 3 < TOY_SIDE; x++) {
            bool deep = true;
            for (int j = -3; j <= 3; j++) {
                for (int i = -3; i <= 3; i++)
                    deep = deep && edits[0].mask[(y + j) * TOY_SIDE + x + i];
            }
            const size_t at = 3 * (size_t)(y * TOY_SIDE + x);
            if (deep) assert_memory_equal(edits[0].output + at, edits[1].output + at, 3);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc > 1) device = argv[1];
    bf16 = argc > 2 && !strcmp(argv[2], "bf16");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_model_s_own_values_spelled_out_change_nothing),
        cmocka_unit_test(other_values_change_the_result),
        cmocka_unit_test(callbacks_come_in_order_and_change_nothing),
        cmocka_unit_test(the_request_learns_how_many_tokens_its_prompt_has),
        cmocka_unit_test(any_size_and_format_is_edited_in_its_window),
        cmocka_unit_test(a_feather_softens_the_edge_alone),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
