/* test_workspace.c - the dry run knows the memory of the real one: to the byte, in every stage, for
 * every number of lanes. The stages are driven by hand, for the scheduler to put requests together
 * as the test wants them. Arguments: device and precision. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "engine.h"
#include "toy.h"

static const char *device = "ref";
static bool bf16;

enum { CAPACITY = 2, LANES = 2 * CAPACITY, STAGES = 3 };

#define NEED(call)                                            \
    do {                                                      \
        ie_error need_err_ = {0};                             \
        ie_error *const err = &need_err_;                     \
        if (call) fail_msg("%s (%s)", err->text, err->where); \
    } while (0)

static toy_edit edits[LANES];

/* ---- the dry run ---------------------------------------------------------------------------- */

static uint64_t planned_stage(ie_engine *e, int stage, int lanes, int requests)
{
    ie_arena arena;
    ie_arena_measure(&arena);
    ie_exec x = {.backend = e->backend, .arena = &arena};
    NEED(ie_stage_measure(&e->stages[stage], lanes, requests, &x, err));
    assert_int_equal(arena.pieces, 0);
    return arena.peak;
}

static uint64_t planned_text(ie_engine *e)
{
    ie_arena arena;
    ie_arena_measure(&arena);
    ie_exec x = {.backend = e->backend, .arena = &arena};
    const int64_t dim[3] = {1, e->cascade.text_length, e->text_width};
    ie_tensor tokens;
    NEED(ie_arena_tensor(&arena, &tokens, IE_F32, 3, dim, err));
    NEED(ie_text_encoder_run(e->text, tokens, NULL, 1, &x, err));
    return arena.peak;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* ---- the real run --------------------------------------------------------------------------- */

typedef struct peaks {
    uint64_t of[STAGES]; /* of each stage; the first has the text encoder's as well */
} peaks;

static void begin(ie_engine *e, ie_job *job, int index, bool guided)
{
    ie_request *r = &edits[index].request;
    for (int s = 0; s < STAGES; s++) {
        r->steps[s] = 2;
        r->guidance[s] = (ie_guidance){.kind = IE_GUIDANCE_CONSTANT, .high = guided ? 3.0f : 1.0f};
    }
    NEED(ie_job_open(job, r, &e->cascade, e->tokenizer, err));
    NEED(ie_job_read(job, e->canvas, err));
    job->entry.slot = index;
}

/* Two steps of all jobs together. */
static uint64_t run_stage(ie_engine *e, ie_exec *x, ie_stage *stage, ie_job *jobs, int count)
{
    ie_entry *batch[LANES];
    x->arena->peak = 0;
    for (int i = 0; i < count; i++) {
        batch[i] = &jobs[i].entry;
        if (!jobs[i].tokens) {
            ie_tensor tokens;
            NEED(ie_engine_text(e, &tokens, &jobs[i], x, err));
            jobs[i].tokens = ie_alloc((uint64_t)ie_numel(tokens), sizeof(float));
            NEED(ie_download(e->backend, jobs[i].tokens, tokens, err));
            ie_arena_give(x->arena, tokens.data);
        }
        NEED(ie_stage_admit(stage, &jobs[i], x, err));
    }
    for (int step = 0; step < 2; step++) {
        for (int i = 0; i < count; i++) jobs[i].entry.step = step;
        NEED(ie_stage_pass(stage, batch, count, x, err));
    }
    for (int i = 0; i < count; i++) NEED(ie_stage_leave(stage, &jobs[i], x, err));
    assert_int_equal(x->arena->pieces, 0);
    return x->arena->peak;
}

/* `count` requests of two steps a stage, each with two lanes if guided, else one. */
static peaks run(ie_engine *e, int count, bool guided)
{
    peaks p;
    ie_job jobs[LANES];
    golden io = golden_open("cascade-io.safetensors");
    ie_exec x = {.backend = e->backend, .arena = &e->arena};
    assert_int_equal(ie_backend_enter(e->backend, NULL), IE_OK);
    for (int i = 0; i < count; i++) {
        toy_fill(&edits[i], &io, i % TOY_EDITS);
        begin(e, &jobs[i], i, guided);
    }
    for (int s = 0; s < STAGES; s++) p.of[s] = run_stage(e, &x, &e->stages[s], jobs, count);
    for (int i = 0; i < count; i++) ie_job_release(&jobs[i]);
    ie_backend_leave(e->backend);
    golden_close(&io);
    return p;
}

static ie_engine *open_or_skip(void)
{
    ie_engine *e = toy_open(device, bf16, 1, CAPACITY);
    if (!e) skip();
    return e;
}

static void every_stage_takes_exactly_the_memory_it_planned(void **state)
{
    (void)state;
    ie_engine *e = open_or_skip();
    const uint64_t text = planned_text(e);
    for (int count = 1; count <= CAPACITY; count++) {
        for (int guided = 0; guided < 2; guided++) {
            const peaks w = run(e, count, guided);
            for (int s = 0; s < STAGES; s++) {
                uint64_t want = planned_stage(e, s, guided ? 2 * count : count, count);
                if (s == 0) want = larger(want, text);
                if (w.of[s] != want) {
                    fail_msg("stage %d, %d requests%s: %llu bytes, planned %llu", s, count,
                             guided ? ", guided" : "", (unsigned long long)w.of[s],
                             (unsigned long long)want);
                }
            }
        }
    }
    ie_engine_close(&e);
}

/* A layout begins every tensor on 64 bytes, which these fill. */
static void kept_pixels_take_four_bytes_each_of_a_slot_and_no_workspace(void **state)
{
    (void)state;
    ie_engine *e = open_or_skip(), *kept = toy_open_kept(device, bf16, 1, CAPACITY);
    for (int s = 0; s < STAGES; s++) {
        const ie_unet_slots *with = &kept->stages[s].slots, *without = &e->stages[s].slots;
        assert_false(ie_present(without->known));
        assert_int_equal(with->bytes - without->bytes, ie_numel(with->z) / 3 * 4);
    }
    assert_int_equal(kept->workspace_bytes, e->workspace_bytes);
    ie_engine_close(&kept);
    ie_engine_close(&e);
}

static void the_workspace_is_what_the_largest_stage_takes_with_all_lanes(void **state)
{
    (void)state;
    ie_engine *e = open_or_skip();
    uint64_t all = planned_text(e), fewer = all;
    for (int s = 0; s < STAGES; s++) {
        for (int lanes = 1; lanes < LANES; lanes++)
            fewer = larger(fewer, planned_stage(e, s, lanes, lanes));
        all = larger(all, planned_stage(e, s, LANES, LANES));
    }
    assert_true(fewer < all); /* reached with all lanes and not before */
    assert_int_equal(e->workspace_bytes, all);
    assert_int_equal(e->workspace.bytes, all);
    const peaks w = run(e, LANES, false); /* a lane each: the sampler has most to do */
    assert_int_equal(larger(larger(w.of[0], w.of[1]), w.of[2]), all);
    ie_engine_info info;
    ie_engine_describe(e, &info);
    uint64_t slots = 0;
    for (int s = 0; s < STAGES; s++) slots += e->stages[s].slots.block.bytes;
    assert_int_equal(info.workspace_bytes, all + slots);
    ie_engine_close(&e);
}

static void nothing_is_left_in_the_workspace_between_edits(void **state)
{
    (void)state;
    ie_engine *e = open_or_skip();
    assert_int_equal(e->arena.pieces, 0);
    run(e, 1, true);
    assert_int_equal(e->arena.pieces, 0);
    ie_engine_close(&e);
}

int main(int argc, char **argv)
{
    if (argc > 1) device = argv[1];
    bf16 = argc > 2 && !strcmp(argv[2], "bf16");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_stage_takes_exactly_the_memory_it_planned),
        cmocka_unit_test(kept_pixels_take_four_bytes_each_of_a_slot_and_no_workspace),
        cmocka_unit_test(the_workspace_is_what_the_largest_stage_takes_with_all_lanes),
        cmocka_unit_test(nothing_is_left_in_the_workspace_between_edits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
