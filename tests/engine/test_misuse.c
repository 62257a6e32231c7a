/* test_misuse.c - whatever a caller gets wrong is refused with a status and a sentence that says
 * what is legal, and never by a crash. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "toy.h"

static toy_edit edit;
static ie_engine *planner; /* the planning device checks requests as every other does */

static int set_up(void **state)
{
    (void)state;
    planner = toy_open("plan", false, 0, 1);
    return planner ? 0 : 1;
}

static int tear_down(void **state)
{
    (void)state;
    ie_engine_close(&planner);
    return 0;
}

static ie_request valid(void)
{
    golden io = golden_open("cascade-io.safetensors");
    toy_fill(&edit, &io, 0);
    golden_close(&io);
    return edit.request;
}

/* One sentence, with its status and origin. */
static void says(const ie_error *err, ie_status got, ie_status want, const char *words)
{
    if (got != want || err->status != want)
        fail_msg("status %d, not %d: \"%s\"", (int)got, (int)want, err->text);
    if (!strstr(err->text, words)) fail_msg("\"%s\" does not say \"%s\"", err->text, words);
    assert_true(err->where[0] && !strchr(err->text, '\n'));
}

static void refused(const ie_request *r, ie_status status, const char *words)
{
    ie_price price;
    ie_error err = {0};
    says(&err, ie_price_edit(planner, r, 1, &price, &err), status, words);
    assert_int_equal(ie_price_edit(planner, r, 1, &price, NULL), status); /* err may be NULL */
}

/* A valid request `r` with one thing changed, and what is said about it. */
#define REFUSED(change, status, words)                 \
    do {                                               \
        ie_request request_ = valid(), *r = &request_; \
        change;                                        \
        refused(r, status, words);                     \
    } while (0)

/* ---- requests ------------------------------------------------------------------------------- */

static void the_valid_request_is_accepted(void **state)
{
    (void)state;
    ie_price price;
    ie_error err = {0};
    const ie_request r = valid();
    if (ie_price_edit(planner, &r, 1, &price, &err)) fail_msg("%s", err.text);
}

static void images_that_cannot_be_used_are_refused(void **state)
{
    (void)state;
    REFUSED(r->image.data = NULL, IE_BAD_ARGUMENT, "the image has no data");
    REFUSED(r->image.width = 0, IE_BAD_ARGUMENT,
            "the image is 0 x 64; legal are 1 .. 65500 a side");
    REFUSED(r->image.width = -3, IE_BAD_ARGUMENT, "the image is -3 x 64; legal are 1 .. 65500");
    REFUSED(r->image.height = 65501, IE_BAD_ARGUMENT, "the image is 64 x 65501; legal are");
    REFUSED(r->image.channels = 1, IE_BAD_ARGUMENT, "the image has 1 channels; legal are 3 and 4");
    REFUSED(r->image.channels = 5, IE_BAD_ARGUMENT, "the image has 5 channels; legal are 3 and 4");
    REFUSED(r->image.bits = 12, IE_BAD_ARGUMENT, "image has 12 bits a sample; legal are 8 and 16");
    REFUSED(r->image.row_bytes = 191, IE_BAD_ARGUMENT,
            "rows of the image are 191 bytes apart; they hold 192");
}

static void outputs_unlike_their_image_are_refused(void **state)
{
    (void)state;
    REFUSED(r->output.width = 63, IE_BAD_ARGUMENT,
            "the output is 63 x 64 with 3 channels of 8 bits, the image 64 x 64 with 3 of 8");
    REFUSED(r->output.height = 65, IE_BAD_ARGUMENT, "the output is 64 x 65 with 3 channels");
    REFUSED(r->output.channels = 4, IE_BAD_ARGUMENT, "the output is 64 x 64 with 4 channels");
    REFUSED(r->output.bits = 16, IE_BAD_ARGUMENT, "with 3 channels of 16 bits, the image");
    REFUSED(r->output.data = NULL, IE_BAD_ARGUMENT, "the output has no data");
    REFUSED(r->output.row_bytes = 0, IE_BAD_ARGUMENT,
            "rows of the output are 0 bytes apart; they hold 192");
}

static void masks_that_are_no_masks_are_refused(void **state)
{
    (void)state;
    REFUSED(r->mask.channels = 3, IE_BAD_ARGUMENT,
            "the mask has 3 channels of 8 bits; it must be 1 of 8");
    REFUSED(r->mask.bits = 16, IE_BAD_ARGUMENT, "the mask has 1 channels of 16 bits");
    REFUSED(r->mask.data = NULL, IE_BAD_ARGUMENT, "the mask has no data");
    REFUSED(r->mask.row_bytes = 63, IE_BAD_ARGUMENT,
            "rows of the mask are 63 bytes apart; they hold 64");
    REFUSED(r->mask.height = 65501, IE_BAD_ARGUMENT,
            "the mask is 64 x 65501; legal are 1 .. 65500");
    REFUSED(r->mask.width = 32, IE_BAD_INPUT, "the mask is 32 x 64 but the image is 64 x 64");
    REFUSED(edit.mask[2 * TOY_SIDE + 3] = 128, IE_BAD_INPUT,
            "the mask has the value 128 at (3, 2); legal are 0 (keep) and 255 (fill)");
    REFUSED(edit.mask[sizeof edit.mask - 1] = 1, IE_BAD_INPUT, "has the value 1 at (63, 63)");
    REFUSED(memset(edit.mask, 0, sizeof edit.mask), IE_BAD_INPUT,
            "the mask is empty: nothing to edit");
}

static void steps_out_of_range_are_refused(void **state)
{
    (void)state;
    REFUSED(r->steps[0] = -1, IE_BAD_ARGUMENT, "base: -1 steps; legal are 1 .. 4096");
    REFUSED(r->steps[2] = 4097, IE_BAD_ARGUMENT, "final: 4097 steps; legal are 1 .. 4096");
    REFUSED(r->steps[3] = 1, IE_BAD_ARGUMENT, "steps or guidance for stage 4 of a model with 3");
    REFUSED(
        r->steps[1] = 5, IE_BAD_ARGUMENT,
        "sr: the model's guidance is a list of 4 weights; 5 steps need a guidance of their own");
    REFUSED(r->sampler = (ie_sampler)3, IE_BAD_ARGUMENT, "unknown sampler 3");
    REFUSED(r->feather = -1, IE_BAD_ARGUMENT, "a feather of -1 pixels; legal are 0 .. 512");
    REFUSED(r->feather = 513, IE_BAD_ARGUMENT, "a feather of 513 pixels; legal are 0 .. 512");
    REFUSED(r->prompt = NULL, IE_BAD_ARGUMENT, "there is no prompt");
}

static void set_guidance(ie_request *r, ie_guidance_kind kind, float high, float low, float hold)
{
    r->guidance[0] = (ie_guidance){.kind = kind, .high = high, .low = low, .hold = hold};
}

static void set_list(ie_request *r, const float *weights, int count)
{
    r->guidance[0] = (ie_guidance){.kind = IE_GUIDANCE_LIST, .weights = weights, .count = count};
}

static void guidance_out_of_range_is_refused(void **state)
{
    (void)state;
    static const float weights[6] = {1, 2, -1, 1, 1, 1};
    REFUSED(set_guidance(r, IE_GUIDANCE_CONSTANT, -1, 0, 0), IE_BAD_ARGUMENT,
            "base: guidance weight -1 is outside 0 .. 1000");
    REFUSED(set_guidance(r, IE_GUIDANCE_CONSTANT, NAN, 0, 0), IE_BAD_ARGUMENT,
            "is outside 0 .. 1000");
    REFUSED(set_guidance(r, IE_GUIDANCE_OSCILLATE, 2, 2000, 0), IE_BAD_ARGUMENT,
            "base: guidance weight 2000 is outside 0 .. 1000");
    REFUSED(set_guidance(r, IE_GUIDANCE_OSCILLATE, 2, 1, 2), IE_BAD_ARGUMENT,
            "base: the share of steps held high, 2, is outside 0 .. 1");
    REFUSED(set_list(r, weights, 2), IE_BAD_ARGUMENT, "base: 2 guidance weights for 6 steps");
    REFUSED(set_list(r, NULL, 6), IE_BAD_ARGUMENT, "base: the list of guidance weights is missing");
    REFUSED(set_list(r, weights, 6), IE_BAD_ARGUMENT, "base: guidance weight -1 is outside");
    REFUSED(r->guidance[0].kind = (ie_guidance_kind)4, IE_BAD_ARGUMENT,
            "base: unknown kind of guidance 4");
    REFUSED(r->guidance[7].kind = IE_GUIDANCE_CONSTANT, IE_BAD_ARGUMENT,
            "steps or guidance for stage 8 of a model with 3");
}

static void of_several_requests_the_bad_one_is_named(void **state)
{
    (void)state;
    ie_price price;
    ie_error err = {0};
    ie_request several[3] = {valid(), valid(), valid()};
    several[1].feather = -1;
    says(&err, ie_price_edit(planner, several, 3, &price, &err), IE_BAD_ARGUMENT,
         "request 1: a feather of -1 pixels");
    several[1].feather = 0;
    several[2].steps[0] = -1;
    says(&err, ie_price_edit(planner, several, 3, &price, &err), IE_BAD_ARGUMENT,
         "request 2: base: -1 steps");
}

/* ---- prompts -------------------------------------------------------------------------------- */

static void prompts_without_text_are_refused_and_nothing_is_written(void **state)
{
    (void)state;
    static const struct {
        const char *prompt, *words;
    } bad[] = {{"", "the prompt is empty"},
               {"  ", "the prompt is empty"},
               {"a \xff b", "the prompt is not UTF-8: byte 2 is 0xff"}};
    ie_engine *engine = toy_open("ref", false, 1, 1);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ie_error err = {0};
        ie_request r[2] = {valid(), valid()};
        memset(edit.output, 0x5a, sizeof edit.output);
        r[1].prompt = bad[i].prompt;
        says(&err, ie_edit(engine, r, 2, &err), IE_BAD_INPUT, bad[i].words);
        for (size_t k = 0; k < sizeof edit.output; k++) assert_int_equal(edit.output[k], 0x5a);
    }
    ie_engine_close(&engine);
}

/* ---- nothing at all ------------------------------------------------------------------------- */

static void null_is_refused_or_does_nothing(void **state)
{
    (void)state;
    ie_error err = {0};
    ie_price price;
    ie_engine *engine = NULL;
    ie_request r = valid();
    says(&err, ie_engine_open(NULL, "x", NULL, &err), IE_BAD_ARGUMENT, "out is NULL");
    says(&err, ie_engine_open(&engine, NULL, NULL, &err), IE_BAD_ARGUMENT, "model_dir is NULL");
    says(&err, ie_price_edit(NULL, &r, 1, &price, &err), IE_BAD_ARGUMENT, "engine is NULL");
    says(&err, ie_price_edit(planner, &r, 1, NULL, &err), IE_BAD_ARGUMENT, "price is NULL");
    says(&err, ie_price_edit(planner, NULL, 1, &price, &err), IE_BAD_ARGUMENT, "no requests");
    says(&err, ie_price_edit(planner, &r, 0, &price, &err), IE_BAD_ARGUMENT, "no requests");
    says(&err, ie_edit(NULL, &r, 1, &err), IE_BAD_ARGUMENT, "engine is NULL");
    says(&err, ie_edit(planner, NULL, 1, &err), IE_BAD_ARGUMENT, "no requests");
    says(&err, ie_edit(planner, &r, -1, &err), IE_BAD_ARGUMENT, "no requests");
    assert_int_equal(ie_edit(NULL, NULL, 0, NULL), IE_BAD_ARGUMENT);
    ie_engine_close(NULL);
    ie_engine_close(&engine);
    assert_null(engine);
    ie_options_default(NULL);
    ie_request_default(NULL);
    ie_engine_describe(planner, NULL);
    ie_engine_info info = {.canvas = 7};
    ie_engine_describe(NULL, &info);
    assert_int_equal(info.canvas + info.stage_count, 0);
}

/* ---- opening -------------------------------------------------------------------------------- */

static void not_opened(const char *directory, ie_options o, ie_status status, const char *words)
{
    ie_error err = {0};
    ie_engine *engine = (ie_engine *)&err; /* must be overwritten */
    says(&err, ie_engine_open(&engine, directory, &o, &err), status, words);
    assert_null(engine);
}

static ie_options with(const char *device, int threads, int lanes)
{
    ie_options o;
    ie_options_default(&o);
    o.device = device;
    o.threads = threads;
    o.lanes[1] = lanes;
    return o;
}

static void options_out_of_range_are_refused(void **state)
{
    (void)state;
    char toy[1024];
    snprintf(toy, sizeof toy, "%s", golden_path("cascade"));
    not_opened(toy, with("gpu", 0, 0), IE_BAD_ARGUMENT,
               "device 'gpu' is none of auto, cpu, ref, cuda, cuda:N, cuda:h200, plan");
    not_opened(toy, with("", 0, 0), IE_BAD_ARGUMENT, "device '' is none of");
    not_opened(toy, with("CPU", 0, 0), IE_BAD_ARGUMENT, "device 'CPU' is none of");
    not_opened(toy, with("ref", -1, 0), IE_BAD_ARGUMENT, "threads -1 is outside 0 .. 1024");
    not_opened(toy, with("ref", 1025, 0), IE_BAD_ARGUMENT, "threads 1025 is outside 0 .. 1024");
    not_opened(toy, with("ref", 0, 1), IE_BAD_ARGUMENT, "lanes 1 of stage 2: legal are 2 .. 512");
    not_opened(toy, with("ref", 0, 513), IE_BAD_ARGUMENT, "lanes 513 of stage 2");
    ie_options o = with("ref", 0, 0);
    o.precision = (ie_precision)3;
    not_opened(toy, o, IE_BAD_ARGUMENT, "precision 3 is none of f32, bf16, auto");
    for (int i = 0; i < 2; i++) {
        o = with("ref", 0, 0);
        o.queue_requests = i ? 65537 : -1;
        not_opened(toy, o, IE_BAD_ARGUMENT, "is outside 1 .. 65536");
    }
}

static void what_is_no_model_directory_is_refused(void **state)
{
    (void)state;
    static char endless[70000];
    memset(endless, 'a', sizeof endless - 1);
    static const char *const devices[] = {"ref", "plan"};
    for (int i = 0; i < 2; i++) {
        const ie_options o = with(devices[i], 0, 0);
        not_opened("/nonexistent/model", o, IE_BAD_MODEL, "/nonexistent/model/cascade.json");
        not_opened(IE_SOURCE_DIR "/LICENSE", o, IE_BAD_MODEL, "/LICENSE/cascade.json");
        not_opened(IE_SOURCE_DIR "/tests", o, IE_BAD_MODEL, "/tests/cascade.json");
        not_opened("", o, IE_BAD_MODEL, "cascade.json");
        not_opened(endless, o, IE_BAD_ARGUMENT, "too long");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_valid_request_is_accepted),
        cmocka_unit_test(images_that_cannot_be_used_are_refused),
        cmocka_unit_test(outputs_unlike_their_image_are_refused),
        cmocka_unit_test(masks_that_are_no_masks_are_refused),
        cmocka_unit_test(steps_out_of_range_are_refused),
        cmocka_unit_test(guidance_out_of_range_is_refused),
        cmocka_unit_test(of_several_requests_the_bad_one_is_named),
        cmocka_unit_test(prompts_without_text_are_refused_and_nothing_is_written),
        cmocka_unit_test(null_is_refused_or_does_nothing),
        cmocka_unit_test(options_out_of_range_are_refused),
        cmocka_unit_test(what_is_no_model_directory_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
