/* test_schedules.c - a result does not depend on who shared its passes: random schedules, each of
 * several threads that submit, cancel, give deadlines and priorities to requests of many kinds, on
 * engines with random numbers of lanes and queues of random length. What ends well has the bits
 * that the request has alone; what may not end otherwise ends well.
 *
 * Arguments: device, precision, schedules on each engine, seed. The seed of a failing schedule is
 * printed. SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "toy.h"

static const char *device = "ref";
static bool bf16;
static int schedules; /* of each engine */
static uint64_t first_seed = 1;

enum { KINDS = 12, ENGINES = 8, THREADS = 3, MOST = 6 /* requests of a thread */ };

#define NEED(call)                                            \
    do {                                                      \
        ie_error need_err_ = {0};                             \
        ie_error *const err = &need_err_;                     \
        if (call) fail_msg("%s (%s)", err->text, err->where); \
    } while (0)

/* xorshift64*: below `limit`. */
static int below(uint64_t *random, int limit)
{
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    return (int)((*random * (uint64_t)0x2545f4914f6cdd1d >> 33) % (uint64_t)limit);
}

static uint64_t seed_of(uint64_t a, uint64_t b)
{
    return (a + 1) * (uint64_t)0x9e3779b97f4a7c15 ^ (b + 1) * (uint64_t)0xbf58476d1ce4e5b9;
}

/* ---- the kinds of requests, and what they come to alone -------------------------------------- */

static toy_edit kinds[KINDS];

static void make_kind(toy_edit *e, const golden *io, int kind)
{
    static const float list[] = {1, 4, 2};
    toy_fill(e, io, kind % TOY_EDITS);
    ie_request *r = &e->request;
    r->seed += (uint64_t)(kind / 2);
    r->sampler = kind % 3 == 0 ? IE_SAMPLER_DDIM : IE_SAMPLER_DEFAULT;
    for (int s = 0; s < 3; s++) {
        ie_guidance *g = &r->guidance[s];
        r->steps[s] = 1 + (kind + 2 * s) % 3;
        switch ((kind + s) % 4) {
        case 0: *g = (ie_guidance){.kind = IE_GUIDANCE_CONSTANT, .high = 1}; break;
        case 1: *g = (ie_guidance){.kind = IE_GUIDANCE_CONSTANT, .high = 5}; break;
        case 2:
            *g = (ie_guidance){.kind = IE_GUIDANCE_OSCILLATE, .high = 9, .low = 1, .hold = 0.4f};
            break;
        default:
            r->steps[s] = 3;
            *g = (ie_guidance){.kind = IE_GUIDANCE_LIST, .weights = list, .count = 3};
        }
    }
}

static ie_engine *open_engine(const int *lanes, int queue)
{
    ie_options options;
    ie_options_default(&options);
    options.device = device;
    options.precision = bf16 ? IE_PRECISION_BF16 : IE_PRECISION_F32;
    options.threads = 1;
    for (int s = 0; s < 3; s++) options.lanes[s] = lanes[s];
    options.queue_requests = queue;
    ie_engine *engine = NULL;
    ie_error err = {0};
    const ie_status status = ie_engine_open(&engine, golden_path("cascade"), &options, &err);
    if (status && status != IE_DEVICE) fail_msg("%s", err.text);
    return engine;
}

static int run_each_alone(void **state)
{
    (void)state;
    golden io = golden_open("cascade-io.safetensors");
    ie_engine *engine = open_engine((const int[]){2, 2, 2}, 1);
    for (int k = 0; k < KINDS; k++) {
        make_kind(&kinds[k], &io, k);
        if (engine) NEED(ie_edit(engine, &kinds[k].request, 1, err));
    }
    ie_engine_close(&engine);
    golden_close(&io);
    return 0;
}

/* ---- a thread that submits ------------------------------------------------------------------- */

typedef enum action { LET_IT_END, CANCEL_SOON, CANCEL_AT_STEP, DEADLINE, RELEASE, ACTIONS } action;

/* The device goes on after the first step only when so many requests have been submitted: else it
 * would be through with one before the next comes. */
typedef struct crowd {
    int wanted;
    atomic_int there;
} crowd;

typedef struct submitted {
    ie_request request;
    crowd *crowd;
    ie_ticket *ticket;
    action action;
    int kind, steps_left;     /* until its progress says stop; negative: never */
    atomic_int ended, inside; /* callbacks that are running: at most one */
    int overlaps, steps, previews;
    ie_status status;
    uint8_t output[sizeof kinds[0].output];
} submitted;

typedef struct submitter {
    pthread_t thread;
    ie_engine *engine;
    crowd *crowd;
    uint64_t random;
    int count, refused; /* refused though it would have waited for room */
    int backward;       /* requests whose steps went backward */
    submitted requests[MOST];
} submitter;

static int on_step(void *user, int stage, int step, int steps)
{
    submitted *s = user;
    (void)stage, (void)step, (void)steps;
    s->overlaps += atomic_fetch_add(&s->inside, 1) != 0;
    s->steps++;
    while (atomic_load(&s->crowd->there) < s->crowd->wanted) sched_yield();
    const bool stop = s->steps_left >= 0 && s->steps_left-- == 0;
    atomic_fetch_sub(&s->inside, 1);
    return stop;
}

static void on_stage(void *user, int stage, const ie_pixels *image)
{
    submitted *s = user;
    (void)image;
    s->overlaps += atomic_fetch_add(&s->inside, 1) != 0 || stage != s->previews;
    s->previews++;
    atomic_fetch_sub(&s->inside, 1);
}

static void on_end(void *user, ie_status status)
{
    submitted *s = user;
    s->status = status;
    atomic_fetch_add(&s->ended, 1);
}

static void prepare(submitted *s, uint64_t *random)
{
    *s = (submitted){.kind = below(random, KINDS), .steps_left = -1};
    s->action = below(random, 2) ? LET_IT_END : (action)below(random, ACTIONS);
    ie_request *r = &s->request;
    *r = kinds[s->kind].request;
    r->output.data = s->output;
    r->priority = below(random, 5) - 2;
    r->progress = on_step;
    if (below(random, 3) == 0) r->stage_done = on_stage;
    r->ended = on_end;
    r->user = s;
    if (s->action == CANCEL_AT_STEP) s->steps_left = below(random, 6);
    if (s->action == DEADLINE) r->deadline = 1e-4 * (1 + below(random, 300));
}

/* Look at a request while it runs: it only goes forward. */
static bool goes_forward(const ie_ticket *ticket, int looks)
{
    ie_ticket_info before, now;
    bool good = true;
    ie_poll(ticket, &before);
    for (; looks > 0; looks--, before = now) {
        sched_yield();
        ie_poll(ticket, &now);
        good = good && now.step <= now.steps && now.seconds >= now.queued &&
               (now.stage > before.stage || (now.stage == before.stage && now.step >= before.step));
    }
    return good;
}

static void *submit_all(void *argument)
{
    submitter *t = argument;
    for (int i = 0; i < t->count; i++) {
        submitted *s = &t->requests[i];
        prepare(s, &t->random);
        s->crowd = t->crowd;
        t->refused += ie_submit(t->engine, &s->request, -1, &s->ticket, NULL) != IE_OK;
        atomic_fetch_add(&t->crowd->there, 1);
        if (below(&t->random, 4) == 0) {
            for (int pause = below(&t->random, 60); pause > 0; pause--) sched_yield();
        }
        if (s->action == CANCEL_SOON) ie_cancel(s->ticket);
    }
    for (int i = t->count - 1; i >= 0; i--) {
        t->backward += !goes_forward(t->requests[i].ticket, below(&t->random, 20));
        if (t->requests[i].action != RELEASE) ie_wait(t->requests[i].ticket, -1, NULL);
        ie_ticket_release(&t->requests[i].ticket);
    }
    return NULL;
}

/* ---- a schedule ------------------------------------------------------------------------------ */

/* NULL when all is well with it. */
static const char *complaint(const submitted *s)
{
    if (atomic_load(&s->ended) != 1) return "it did not end once";
    if (s->overlaps) return "its callbacks overlapped or came in the wrong order";
    if (s->status == IE_OK) {
        if (memcmp(s->output, kinds[s->kind].output, sizeof s->output) != 0)
            return "the result is not the one it has alone";
        return NULL;
    }
    if (s->action == LET_IT_END) return "it should have ended well";
    if (s->status != (s->action == DEADLINE ? IE_LATE : IE_CANCELLED)) return "it ended otherwise";
    return NULL;
}

typedef struct sums {
    int well, otherwise;
    uint64_t steps; /* of all requests */
} sums;

static void run_schedule(ie_engine *engine, int queue, uint64_t seed, sums *sum)
{
    static submitter threads[THREADS];
    ie_activity activity;
    uint64_t random = seed;
    crowd come = {0};
    const int count = 1 + below(&random, THREADS);
    int requests = 0;
    for (int i = 0; i < count; i++) {
        submitter *t = &threads[i];
        *t = (submitter){.engine = engine, .crowd = &come, .random = seed_of(seed, (uint64_t)i)};
        requests += t->count = 1 + below(&random, MOST);
    }
    come.wanted = below(&random, (queue < requests ? queue : requests) + 1);
    for (int i = 0; i < count; i++) {
        submitter *t = &threads[i];
        assert_int_equal(pthread_create(&t->thread, NULL, submit_all, t), 0);
    }
    for (int i = 0; i < count; i++) pthread_join(threads[i].thread, NULL);
    for (int i = 0; i < count; i++) {
        assert_int_equal(threads[i].refused, 0);
        assert_int_equal(threads[i].backward, 0);
        for (int k = 0; k < threads[i].count; k++) {
            const submitted *s = &threads[i].requests[k];
            const char *wrong = complaint(s);
            if (wrong)
                fail_msg("seed %llu, kind %d, action %d, status %d: %s", (unsigned long long)seed,
                         s->kind, (int)s->action, (int)s->status, wrong);
            sum->well += s->status == IE_OK;
            sum->otherwise += s->status != IE_OK;
            sum->steps += (uint64_t)s->steps;
        }
    }
    ie_engine_activity(engine, &activity);
    assert_int_equal(activity.requests, 0);
    for (int s = 0; s < 3; s++)
        assert_int_equal(activity.stages[s].waiting + activity.stages[s].running, 0);
}

static void whatever_shared_its_passes_a_result_is_the_same(void **state)
{
    (void)state;
    sums sum = {0};
    uint64_t passes = 0;
    for (int e = 0; e < ENGINES; e++) {
        uint64_t random = seed_of(first_seed, (uint64_t)e);
        int lanes[3];
        for (int s = 0; s < 3; s++) lanes[s] = 2 + below(&random, 6);
        ie_activity activity;
        const int queue = 2 + below(&random, 16);
        ie_engine *engine = open_engine(lanes, queue);
        if (!engine) skip();
        for (int i = 0; i < schedules; i++)
            run_schedule(engine, queue, seed_of(random, (uint64_t)i), &sum);
        ie_engine_activity(engine, &activity);
        for (int s = 0; s < 3; s++) passes += activity.stages[s].passes;
        ie_engine_close(&engine);
    }
    printf("     %d schedules: %d requests ended well, %d were cancelled or late; %.2f requests a "
           "pass\n",
           ENGINES * schedules, sum.well, sum.otherwise, (double)sum.steps / (double)passes);
    assert_true(sum.well > sum.otherwise && sum.otherwise > 0);
    assert_true(10 * sum.steps > 11 * passes); /* else they had hardly anything to share */
}

int main(int argc, char **argv)
{
    if (argc > 1) device = argv[1];
    bf16 = argc > 2 && !strcmp(argv[2], "bf16");
    schedules = !strcmp(device, "cpu") && !bf16 ? 25 : 1; /* the slow ones take their share */
    if (argc > 3) schedules = (int)strtol(argv[3], NULL, 10);
    if (argc > 4) first_seed = strtoull(argv[4], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_shared_its_passes_a_result_is_the_same),
    };
    return cmocka_run_group_tests(tests, run_each_alone, NULL);
}
