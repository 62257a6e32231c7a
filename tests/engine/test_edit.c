/* test_edit.c - the top rung of the parity ladder and the promises of the public header, on the toy
 * cascade: results agree with the reference, with known pixels predicted or kept; pixels outside
 * the mask are untouched, and no result depends on neighbours, order or threads. Arguments: device
 * and precision.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
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

static toy_edit edits[4];

static ie_engine *open_or_skip(toy_opener *open, int threads, int requests)
{
    ie_engine *engine = open(device, bf16, threads, requests);
    if (!engine) skip();
    return engine;
}

static void run_alone(ie_engine *engine, toy_edit *e)
{
    NEED(ie_edit(engine, &e->request, 1, err));
}

/* ---- agreement ------------------------------------------------------------------------------- */

typedef struct previews {
    const golden *want;
    int index, seen, bad;
} previews;

/* A preview is bytes: a rounding of half a level on top of the f32 result's own bound. */
static void check_preview(void *user, int stage, const ie_pixels *image)
{
    previews *p = user;
    static const char *const stages[] = {"base", "sr", "final"};
    char name[64], spread_name[96];
    snprintf(name, sizeof name, "edit%d.%s.x0", p->index, stages[stage]);
    snprintf(spread_name, sizeof spread_name, "%s.spread_%s", name, bf16 ? "bf16" : "f32");
    const float *want = golden_get(p->want, name).data;
    const double bound = 6.0 * (double)golden_scalar(p->want, spread_name) * 127.5 + 0.5 + 1e-3;
    const uint8_t *got = image->data;
    double worst = 0;
    for (int i = 0; i < image->width * image->height * 3; i++) {
        const double level = (fmin(fmax((double)want[i], -1), 1) * 0.5 + 0.5) * 255;
        worst = fmax(worst, fabs(level - got[i]));
    }
    printf("     edit %d %-5s differs by at most %.3f of 255; bound %.3f\n", p->index,
           stages[stage], worst, bound);
    p->bad += worst > bound;
    p->seen++;
}

static void agree(toy_opener *open, const char *results)
{
    golden io = golden_open("cascade-io.safetensors"), want = golden_open(results);
    ie_engine *engine = open_or_skip(open, 0, 1);
    for (int i = 0; i < TOY_EDITS; i++) {
        previews p = {.want = &want, .index = i};
        toy_fill(&edits[i], &io, i);
        edits[i].request.stage_done = check_preview;
        edits[i].request.user = &p;
        run_alone(engine, &edits[i]);
        assert_int_equal(p.seen, 3);
        assert_int_equal(p.bad, 0);
    }
    ie_engine_close(&engine);
    golden_close(&want);
    golden_close(&io);
}

static void edits_agree_with_the_reference(void **state)
{
    (void)state;
    agree(toy_open, "cascade-io.safetensors");
}

static void edits_that_keep_known_pixels_agree_with_the_reference(void **state)
{
    (void)state;
    agree(toy_open_kept, "cascade-kept-io.safetensors");
}

/* Of the mean of a block with no masked pixel, halves rounded up; -1: another block. */
static int known_level(const toy_edit *e, int side, int pixel, int channel)
{
    const int scale = TOY_SIDE / side, area = scale * scale;
    int sum = 0;
    for (int i = 0; i < area; i++) {
        const int y = pixel / side * scale + i / scale, x = pixel % side * scale + i % scale;
        if (e->mask[y * TOY_SIDE + x]) return -1;
        sum += e->image[3 * (y * TOY_SIDE + x) + channel];
    }
    return (2 * sum + area) / (2 * area);
}

typedef struct known_levels {
    const toy_edit *edit;
    int count, wrong; /* of levels that are known */
} known_levels;

static void count_known(void *user, int stage, const ie_pixels *image)
{
    (void)stage;
    known_levels *k = user;
    const uint8_t *got = image->data;
    for (int i = 0; i < image->width * image->height * 3; i++) {
        const int want = known_level(k->edit, image->width, i / 3, i % 3);
        k->count += want >= 0;
        k->wrong += want >= 0 && got[i] != want;
    }
}

static void kept_pixels_are_the_image_in_every_stage(void **state)
{
    (void)state;
    static const struct {
        toy_opener *open;
        bool kept;
    } models[] = {{toy_open_kept, true}, {toy_open, false}};
    golden io = golden_open("cascade-io.safetensors");
    for (int m = 0; m < 2; m++) {
        ie_engine *engine = open_or_skip(models[m].open, 0, 1);
        for (int i = 0; i < TOY_EDITS; i++) {
            known_levels k = {.edit = &edits[i]};
            toy_fill(&edits[i], &io, i);
            edits[i].request.stage_done = count_known;
            edits[i].request.user = &k;
            run_alone(engine, &edits[i]);
            assert_true(k.count > TOY_SIDE * TOY_SIDE);
            assert_true(models[m].kept ? k.wrong == 0 : k.wrong > k.count / 2);
        }
        ie_engine_close(&engine);
    }
    golden_close(&io);
}

static void pixels_outside_the_mask_are_untouched(void **state)
{
    (void)state;
    golden io = golden_open("cascade-io.safetensors");
    ie_engine *engine = open_or_skip(toy_open, 0, 1);
    toy_fill(&edits[0], &io, 0);
    run_alone(engine, &edits[0]);
    int changed = 0;
    for (size_t i = 0; i < sizeof edits[0].mask; i++) {
        const bool same = !memcmp(edits[0].image + 3 * i, edits[0].output + 3 * i, 3);
        if (!edits[0].mask[i]) assert_true(same);
        changed += !same;
    }
    assert_true(changed > 0);
    ie_engine_close(&engine);
    golden_close(&io);
}

/* ---- invariance ------------------------------------------------------------------------------ */

static void depends_on_nothing_but_its_request(toy_opener *open)
{
    golden io = golden_open("cascade-io.safetensors");
    static toy_edit alone[4];
    ie_engine *engine = open_or_skip(open, 1, 1);
    for (int i = 0; i < 4; i++) {
        toy_fill(&alone[i], &io, i % 2);
        alone[i].request.seed += (uint64_t)(i / 2);
        alone[i].request.steps[0] = 3 + i; /* so that they join and leave at different steps */
        alone[i].request.steps[2] = 4 - i % 3;
        run_alone(engine, &alone[i]);
    }
    ie_engine_close(&engine);
    const struct {
        int threads, at_once;
        bool backwards;
    } ways[] = {{1, 4, false}, {2, 3, true}, {3, 2, false}, {2, 1, true}};
    for (size_t w = 0; w < sizeof ways / sizeof ways[0]; w++) {
        ie_request requests[4];
        engine = open_or_skip(open, ways[w].threads, ways[w].at_once);
        for (int i = 0; i < 4; i++) {
            const int from = ways[w].backwards ? 3 - i : i;
            requests[i] = alone[from].request;
            requests[i].output.data = edits[from].output;
        }
        NEED(ie_edit(engine, requests, 4, err));
        for (int i = 0; i < 4; i++)
            assert_memory_equal(alone[i].output, edits[i].output, sizeof edits[i].output);
        ie_engine_close(&engine);
    }
    golden_close(&io);
}

static void a_result_depends_on_nothing_but_its_request(void **state)
{
    (void)state;
    depends_on_nothing_but_its_request(toy_open);
}

static void nor_does_one_that_keeps_known_pixels(void **state)
{
    (void)state;
    depends_on_nothing_but_its_request(toy_open_kept);
}

static int cancel_at_three(void *user, int stage, int step, int steps)
{
    (void)stage, (void)steps;
    return ++*(int *)user == 3 && step == 3;
}

static void an_engine_is_as_good_as_new_after_a_cancelled_edit(void **state)
{
    (void)state;
    golden io = golden_open("cascade-io.safetensors");
    ie_engine *engine = open_or_skip(toy_open, 0, 2);
    ie_error err = {0};
    int calls = 0;
    toy_fill(&edits[0], &io, 0);
    run_alone(engine, &edits[0]);
    toy_fill(&edits[1], &io, 0);
    edits[1].request.progress = cancel_at_three;
    edits[1].request.user = &calls;
    assert_int_equal(ie_edit(engine, &edits[1].request, 1, &err), IE_CANCELLED);
    assert_non_null(strstr(err.text, "step 3"));
    edits[1].request.progress = NULL;
    run_alone(engine, &edits[1]);
    assert_memory_equal(edits[0].output, edits[1].output, sizeof edits[0].output);
    ie_engine_close(&engine);
    golden_close(&io);
}

static void seeds_prompts_and_masks_matter(void **state)
{
    (void)state;
    golden io = golden_open("cascade-io.safetensors");
    ie_engine *engine = open_or_skip(toy_open, 0, 1);
    toy_fill(&edits[0], &io, 0);
    run_alone(engine, &edits[0]);
    for (int what = 0; what < 3; what++) {
        toy_fill(&edits[1], &io, 0);
        if (what == 0) edits[1].request.seed++;
        if (what == 1) snprintf(edits[1].prompt, sizeof edits[1].prompt, "a wooden cube");
        if (what == 2) {
            /* The first masked pixel becomes known to the model; the others must feel it. */
            uint8_t *first = memchr(edits[1].mask, 255, sizeof edits[1].mask);
            memset(first, 0, 8);
        }
        run_alone(engine, &edits[1]);
        int differing = 0;
        for (size_t i = 0; i < sizeof edits[1].mask; i++) {
            if (edits[1].mask[i])
                differing += memcmp(edits[0].output + 3 * i, edits[1].output + 3 * i, 3) != 0;
        }
        assert_true(differing > 0);
    }
    ie_engine_close(&engine);
    golden_close(&io);
}

/* ---- prices ---------------------------------------------------------------------------------- */

static void the_price_counts_no_unconditional_pass_at_weight_one(void **state)
{
    (void)state;
    golden io = golden_open("cascade-io.safetensors");
    ie_engine *engine = open_or_skip(toy_open, 0, 1);
    ie_price price;
    toy_fill(&edits[0], &io, 0);
    NEED(ie_price_edit(engine, &edits[0].request, 1, &price, err));
    /* base: 6 steps oscillating with 2 held high, then low high low low; sr: 3, 2, 1, 1.5; final: 4
     * at 1. */
    assert_int_equal(price.passes[0], 6 + 3);
    assert_int_equal(price.passes[1], 4 + 3);
    assert_int_equal(price.passes[2], 4);
    ie_engine_info info;
    ie_engine_describe(engine, &info);
    assert_true(price.flop > 0 && price.workspace_bytes == info.workspace_bytes &&
                info.weight_bytes > 0);
    assert_int_equal(strlen(info.model_hash), 64);
    ie_engine_close(&engine);
    golden_close(&io);
}

int main(int argc, char **argv)
{
    if (argc > 1) device = argv[1];
    bf16 = argc > 2 && !strcmp(argv[2], "bf16");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edits_agree_with_the_reference),
        cmocka_unit_test(edits_that_keep_known_pixels_agree_with_the_reference),
        cmocka_unit_test(kept_pixels_are_the_image_in_every_stage),
        cmocka_unit_test(pixels_outside_the_mask_are_untouched),
        cmocka_unit_test(a_result_depends_on_nothing_but_its_request),
        cmocka_unit_test(nor_does_one_that_keeps_known_pixels),
        cmocka_unit_test(an_engine_is_as_good_as_new_after_a_cancelled_edit),
        cmocka_unit_test(seeds_prompts_and_masks_matter),
        cmocka_unit_test(the_price_counts_no_unconditional_pass_at_weight_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
