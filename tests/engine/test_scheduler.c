/* test_scheduler.c - decisions of the scheduler without engine or threads: passes are full and
 * never over-full, order and priorities are what scheduler.h says, and nobody starves.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "scheduler.h"

enum { STAGES = 3, MAX_ENTRIES = 400, MANY_PASSES = 1000000 };

static ie_scheduler scheduler;
static ie_entry entries[MAX_ENTRIES];
static int64_t submissions;

static uint64_t random_state = 1;

/* xorshift64*: below `limit`. */
static int below(int limit)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (int)((random_state * (uint64_t)0x2545f4914f6cdd1d >> 33) % (uint64_t)limit);
}

static void start(int lanes0, int lanes1, int lanes2)
{
    ie_scheduler_init(&scheduler, STAGES, (const int[]){lanes0, lanes1, lanes2});
    memset(entries, 0, sizeof entries);
    submissions = 0;
}

/* Entry `i` submitted now: `steps` in every stage, all with guidance `weight`. */
static ie_entry *submit(int i, int steps, float weight, int priority)
{
    ie_entry *e = &entries[i];
    for (int s = 0; s < STAGES; s++) {
        e->stages[s] = (ie_job_stage){.steps = steps,
                                      .guidance = {.kind = IE_GUIDANCE_CONSTANT, .high = weight}};
    }
    e->rank = ie_rank(submissions++, priority);
    e->priority = priority;
    ie_scheduler_wait(&scheduler, e);
    return e;
}

/* One pass as the engine does it; returns the stage, -1 when idle. *count entries in batch. */
static int pass(ie_entry **batch, int *count)
{
    *count = 0;
    const int stage = ie_scheduler_next(&scheduler);
    if (stage < 0) return -1;
    while (ie_scheduler_admit(&scheduler, stage)) {}
    *count = ie_scheduler_batch(&scheduler, stage, batch);
    int lanes = 0;
    for (int i = 0; i < *count; i++) {
        assert_int_equal(batch[i]->stage, stage);
        assert_ptr_equal(scheduler.stages[stage].slots[batch[i]->slot], batch[i]);
        if (i) assert_true(batch[i - 1]->rank < batch[i]->rank);
        lanes += ie_entry_lanes(batch[i]);
    }
    assert_true(*count > 0 && lanes <= scheduler.stages[stage].lanes);
    /* Nobody is left out who would have fitted. */
    for (const ie_entry *e = scheduler.stages[stage].running; e; e = e->next) {
        bool goes = false;
        for (int i = 0; i < *count; i++) goes |= batch[i] == e;
        if (!goes) assert_true(lanes + ie_entry_lanes(e) > scheduler.stages[stage].lanes);
    }
    return stage;
}

static void after(ie_entry **batch, int count)
{
    for (int i = 0; i < count; i++) {
        if (ie_scheduler_step(&scheduler, batch[i]) && batch[i]->stage < STAGES)
            ie_scheduler_wait(&scheduler, batch[i]);
    }
}

/* ---- one thing at a time --------------------------------------------------------------------- */

static void requests_without_guidance_share_what_one_with_guidance_takes(void **state)
{
    (void)state;
    ie_entry *batch[IE_MAX_LANES];
    int count;
    start(4, 2, 2);
    for (int i = 0; i < 4; i++) submit(i, 3, 1, 0);
    pass(batch, &count);
    assert_int_equal(count, 4);
    start(4, 2, 2);
    for (int i = 0; i < 4; i++) submit(i, 3, 5, 0);
    pass(batch, &count);
    assert_int_equal(count, 2);
}

static void a_lane_that_is_left_goes_to_the_next_who_needs_one(void **state)
{
    (void)state;
    ie_entry *batch[IE_MAX_LANES];
    int count;
    start(4, 2, 2);
    submit(0, 3, 5, 0);
    submit(1, 3, 1, 0);
    submit(2, 3, 5, 0); /* passed over: one lane is left */
    submit(3, 3, 1, 0);
    pass(batch, &count);
    assert_int_equal(count, 3);
    assert_ptr_equal(batch[2], &entries[3]);
}

static void who_needs_one_lane_gives_way_once_for_a_full_pass(void **state)
{
    (void)state;
    ie_entry *batch[IE_MAX_LANES];
    int count;
    start(4, 2, 2);
    submit(0, 9, 1, 0);
    for (int i = 1; i < 4; i++) submit(i, 9, 5, 0);
    for (int i = 0; i < 4; i++) {
        pass(batch, &count);
        assert_int_equal(count, 2);
        assert_ptr_equal(batch[0], &entries[i % 2 ? 0 : 1]);
        assert_ptr_equal(batch[1], &entries[i % 2 ? 1 : 2]);
        after(batch, count);
    }
}

static void a_level_of_priority_overtakes_so_many_and_no_more(void **state)
{
    (void)state;
    start(2, 2, 2);
    for (int i = 0; i < 100; i++) submit(i, 1, 1, 0);
    const ie_entry *urgent = submit(100, 1, 1, 1);
    int before = 0;
    for (const ie_entry *e = scheduler.stages[0].waiting; e != urgent; e = e->next) before++;
    assert_int_equal(before, 100 - IE_OVERTAKEN_BY_A_LEVEL);
}

static void a_full_later_stage_goes_first_else_the_oldest(void **state)
{
    (void)state;
    start(4, 4, 4);
    ie_entry *old = submit(0, 2, 1, 0);
    ie_scheduler_remove(&scheduler, old);
    old->stage = 2; /* it got there before the others came */
    ie_scheduler_wait(&scheduler, old);
    submit(1, 2, 1, 0);
    assert_int_equal(ie_scheduler_next(&scheduler), 2); /* neither is full: the oldest */
    for (int i = 2; i < 5; i++) submit(i, 2, 1, 0);
    assert_int_equal(ie_scheduler_next(&scheduler), 0); /* the base is full */
    for (int i = 5; i < 7; i++) {
        ie_entry *e = submit(i, 2, 5, 0);
        ie_scheduler_remove(&scheduler, e);
        e->stage = 1;
        ie_scheduler_wait(&scheduler, e);
    }
    assert_int_equal(ie_scheduler_next(&scheduler), 1); /* full too, and later */
    ie_scheduler_remove(&scheduler, old);
    old->priority = 1;
    ie_scheduler_wait(&scheduler, old);
    assert_int_equal(ie_scheduler_next(&scheduler), 2); /* where the urgent one is */
    ie_scheduler_remove(&scheduler, old);
    for (int i = 1; i < 7; i++) ie_scheduler_remove(&scheduler, &entries[i]);
    assert_int_equal(ie_scheduler_next(&scheduler), -1);
}

/* ---- all together ---------------------------------------------------------------------------- */

static void random_crowds_all_arrive(void **state)
{
    (void)state;
    for (int round = 0; round < 200; round++) {
        ie_entry *batch[IE_MAX_LANES];
        int count, submitted = 0, steps[MAX_ENTRIES] = {0}, cancelled = 0, passes = 0;
        random_state = (uint64_t)round * 7919 + 1;
        start(2 + below(7), 2 + below(7), 2 + below(7));
        const int crowd = 1 + below(60);
        bool gone[MAX_ENTRIES] = {false};
        for (;; passes++) {
            assert_true(passes < MANY_PASSES);
            while (submitted < crowd && below(3) == 0) {
                ie_entry *e = submit(submitted, 1 + below(6), below(2) ? 1 : 3, below(5) - 2);
                e->stages[0].guidance =
                    (ie_guidance){.kind = IE_GUIDANCE_OSCILLATE, .high = 9, .low = 1, .hold = 0.3f};
                submitted++;
            }
            if (submitted && below(20) == 0) {
                const int i = below(submitted);
                if (!gone[i] && entries[i].stage < STAGES) {
                    ie_scheduler_remove(&scheduler, &entries[i]);
                    gone[i] = true;
                    cancelled++;
                }
            }
            if (pass(batch, &count) < 0 && submitted == crowd) break;
            for (int i = 0; i < count; i++) steps[batch[i] - entries]++;
            after(batch, count);
        }
        for (int i = 0; i < crowd; i++) {
            if (!gone[i]) assert_int_equal(entries[i].stage, STAGES);
            if (!gone[i]) assert_int_equal(steps[i], 3 * entries[i].stages[0].steps);
        }
        for (int s = 0; s < STAGES; s++) {
            for (int i = 0; i < IE_MAX_LANES; i++) assert_null(scheduler.stages[s].slots[i]);
        }
        assert_true(cancelled <= crowd);
    }
}

/* Requests keep coming, of other kinds and more urgent ones, so that the base is always full. */
static void nobody_starves_beside_an_endless_stream(void **state)
{
    (void)state;
    for (int urgent = 0; urgent < 2; urgent++) {
        ie_entry *batch[IE_MAX_LANES];
        int count, next = 1, passes = 0;
        start(4, 4, 4);
        const ie_entry *patient = submit(0, 4, 5, -1);
        while (patient->stage < STAGES) {
            assert_true(++passes < 2000);
            while (ie_scheduler_length(scheduler.stages[0].waiting) < 4) {
                /* Take the place of one that is through. */
                for (next = 1; entries[next].stages[0].steps && entries[next].stage < STAGES;)
                    next++;
                entries[next] = (ie_entry){0};
                submit(next, 4, next % 2 ? 5 : 1, urgent);
            }
            pass(batch, &count);
            after(batch, count);
        }
        printf("     through after %d passes\n", passes);
    }
}

static void full_stages_stay_full(void **state)
{
    (void)state;
    ie_entry *batch[IE_MAX_LANES];
    int lanes[STAGES] = {0}, passes[STAGES] = {0}, count, stage;
    start(8, 8, 8);
    for (int i = 0; i < MAX_ENTRIES; i++) {
        ie_entry *e = submit(i, 16, 5, 0);
        e->stages[0].guidance =
            (ie_guidance){.kind = IE_GUIDANCE_OSCILLATE, .high = 9, .low = 1, .hold = 0.25f};
    }
    while ((stage = pass(batch, &count)) >= 0) {
        passes[stage]++;
        for (int i = 0; i < count; i++) lanes[stage] += ie_entry_lanes(batch[i]);
        after(batch, count);
    }
    for (int s = 0; s < STAGES; s++) {
        const double share = (double)lanes[s] / (8.0 * passes[s]);
        printf("     stage %d: %.1f %% of the lanes\n", s, 100 * share);
        assert_true(share > 0.95);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_without_guidance_share_what_one_with_guidance_takes),
        cmocka_unit_test(a_lane_that_is_left_goes_to_the_next_who_needs_one),
        cmocka_unit_test(who_needs_one_lane_gives_way_once_for_a_full_pass),
        cmocka_unit_test(a_level_of_priority_overtakes_so_many_and_no_more),
        cmocka_unit_test(a_full_later_stage_goes_first_else_the_oldest),
        cmocka_unit_test(random_crowds_all_arrive),
        cmocka_unit_test(nobody_starves_beside_an_endless_stream),
        cmocka_unit_test(full_stages_stay_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
