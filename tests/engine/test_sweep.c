/* test_sweep.c - every single allocation of opening a model and of an edit fails once: each time a
 * clean error, nothing left behind, and the next attempt works. Arguments: device and precision.
 *
 * One line of output says how many allocations were swept. Leaks inside libraries are
 * LeakSanitizer's business.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "memory.h"
#include "sweep_alloc.h"
#include "toy.h"

static const char *device = "ref";
static bool bf16;

/* The precisions share their places of allocation but for conversions, so every eighth does for
 * bf16. */
static int64_t stride(void)
{
    return bf16 ? 8 : 1;
}

enum { MAX_ALLOCATIONS = 100000 }; /* an endless sweep would be a bug of the test */

static ie_options options_for(const char *which)
{
    ie_options o;
    ie_options_default(&o);
    o.device = which;
    o.precision = bf16 ? IE_PRECISION_BF16 : IE_PRECISION_F32;
    o.threads = 1;
    for (int i = 0; i < IE_MAX_STAGES; i++) o.lanes[i] = 2 * TOY_EDITS;
    return o;
}

typedef struct marks {
    int64_t live, engine;
} marks;

static marks mark(void)
{
    return (marks){sweep_live(), ie_alloc_live()};
}

/* What every failure must look like. */
static void check_failure(int64_t n, ie_status status, const ie_error *err, marks before)
{
    const marks after = mark();
    if (status != IE_NO_MEMORY || err->status != status)
        fail_msg("allocation %lld failed: status %d, \"%s\" (%s)", (long long)n, (int)status,
                 err->text, err->where);
    if (!strstr(err->text, "memory"))
        fail_msg("allocation %lld failed: \"%s\"", (long long)n, err->text);
    if (after.live != before.live || after.engine != before.engine)
        fail_msg("allocation %lld failed and left %lld blocks behind: \"%s\" (%s)", (long long)n,
                 (long long)(after.live - before.live), err->text, err->where);
}

static void sweep_open(const char *which)
{
    const ie_options options = options_for(which);
    char path[1024];
    snprintf(path, sizeof path, "%s", golden_path("cascade"));
    const marks before = mark();
    ie_engine *engine = NULL;
    int64_t n = 0;
    for (;; n += stride()) {
        ie_error err = {0};
        assert_true(n < MAX_ALLOCATIONS);
        engine = (ie_engine *)&err; /* must be overwritten */
        sweep_arm(n);
        const ie_status status = ie_engine_open(&engine, path, &options, &err);
        if (!sweep_disarm()) {
            if (status) fail_msg("%s", err.text);
            break;
        }
        assert_null(engine);
        check_failure(n, status, &err, before);
    }
    ie_engine_close(&engine);
    const marks after = mark();
    assert_int_equal(after.live, before.live);
    assert_int_equal(after.engine, before.engine);
    printf("     %lld allocations of opening on %s\n", (long long)sweep_count(), which);
    assert_true(n > 10);
}

static void opening_survives_every_failing_allocation(void **state)
{
    (void)state;
    ie_engine *engine = toy_open(device, bf16, 1, 1); /* libraries warm up once */
    if (!engine) skip();
    ie_engine_close(&engine);
    sweep_open(device);
}

static void planning_survives_every_failing_allocation(void **state)
{
    (void)state;
    sweep_open("plan");
}

static void ignore_preview(void *user, int stage, const ie_pixels *image)
{
    (void)user, (void)stage, (void)image;
}

/* Two requests of one step a stage, at guidance that takes both lanes. */
static void short_edits(toy_edit *edits, ie_request *requests, const golden *io)
{
    for (int i = 0; i < TOY_EDITS; i++) {
        toy_fill(&edits[i], io, i);
        ie_request *r = &edits[i].request;
        for (int s = 0; s < 3; s++) {
            r->steps[s] = 1;
            r->guidance[s] = (ie_guidance){.kind = IE_GUIDANCE_CONSTANT, .high = 2};
        }
        r->stage_done = ignore_preview;
        r->feather = 2;
        requests[i] = *r;
    }
}

static void an_edit_survives_every_failing_allocation(void **state)
{
    (void)state;
    static toy_edit edits[TOY_EDITS];
    static uint8_t want[TOY_EDITS][sizeof edits[0].output];
    ie_request requests[TOY_EDITS];
    ie_error err = {0};
    ie_engine *engine = toy_open_kept(device, bf16, 1, TOY_EDITS); /* which allocates more */
    if (!engine) skip();
    golden io = golden_open("cascade-io.safetensors");
    short_edits(edits, requests, &io);
    golden_close(&io);
    if (ie_edit(engine, requests, TOY_EDITS, &err)) fail_msg("%s", err.text);
    for (int i = 0; i < TOY_EDITS; i++) memcpy(want[i], edits[i].output, sizeof want[i]);
    const marks before = mark();
    int64_t n = 0;
    for (;; n += stride()) {
        assert_true(n < MAX_ALLOCATIONS);
        err = (ie_error){0};
        sweep_arm(n);
        const ie_status status = ie_edit(engine, requests, TOY_EDITS, &err);
        if (!sweep_disarm()) {
            if (status) fail_msg("%s", err.text);
            break;
        }
        check_failure(n, status, &err, before);
    }
    for (int i = 0; i < TOY_EDITS; i++)
        assert_memory_equal(want[i], edits[i].output, sizeof want[i]);
    printf("     %lld allocations of an edit on %s\n", (long long)sweep_count(), device);
    assert_true(n > 10);
    ie_engine_close(&engine);
}

int main(int argc, char **argv)
{
    if (argc > 1) device = argv[1];
    bf16 = argc > 2 && !strcmp(argv[2], "bf16");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening_survives_every_failing_allocation),
        cmocka_unit_test(planning_survives_every_failing_allocation),
        cmocka_unit_test(an_edit_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
