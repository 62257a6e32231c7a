/* test_submit.c - the life of a submitted request: queue, order, cancelling, deadlines, previews,
 * tickets. A gate in the progress callback holds the device, so that what waits does wait.
 * Arguments: device and precision. SPDX-License-Identifier: Apache-2.0 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "engine.h"
#include "toy.h"

static const char *device = "ref";
static bool bf16;

enum { MANY = 6, PIXELS = TOY_SIDE * TOY_SIDE * (3 + 1 + 3) };

#define NEED(call)                                            \
    do {                                                      \
        ie_error need_err_ = {0};                             \
        ie_error *const err = &need_err_;                     \
        if (call) fail_msg("%s (%s)", err->text, err->where); \
    } while (0)

/* ---- requests that are watched --------------------------------------------------------------- */

/* What happened to one request; its callbacks write it on the engine's threads, the test reads it
 * when the request has ended. */
typedef struct watched {
    toy_edit edit;
    ie_ticket *ticket;
    int steps, previews, ended, order;
    int stage_of_preview[3];
    ie_status status;
} watched;

static watched all[MANY];
static atomic_int ends;

static struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool shut, somebody;
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static int pass_gate(void *user, int stage, int step, int steps)
{
    watched *w = user;
    (void)stage, (void)step, (void)steps;
    w->steps++;
    pthread_mutex_lock(&gate.lock);
    gate.somebody = true;
    pthread_cond_broadcast(&gate.changed);
    while (gate.shut) pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
    return 0;
}

static void shut_gate(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.shut = true;
    gate.somebody = false;
    pthread_mutex_unlock(&gate.lock);
}

static void wait_at_gate(void)
{
    pthread_mutex_lock(&gate.lock);
    while (!gate.somebody) pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

static void open_gate(void)
{
    pthread_mutex_lock(&gate.lock);
    gate.shut = false;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

static void preview(void *user, int stage, const ie_pixels *image)
{
    watched *w = user;
    (void)image;
    w->stage_of_preview[w->previews++ % 3] = stage;
}

static void ended(void *user, ie_status status)
{
    watched *w = user;
    w->ended++;
    w->status = status;
    w->order = atomic_fetch_add(&ends, 1);
}

static ie_engine *open_engine(int queue_requests, uint64_t queue_bytes)
{
    ie_options options;
    ie_options_default(&options);
    options.device = device;
    options.precision = bf16 ? IE_PRECISION_BF16 : IE_PRECISION_F32;
    options.threads = 1;
    options.queue_requests = queue_requests;
    options.queue_bytes = queue_bytes;
    ie_engine *engine = NULL;
    ie_error err = {0};
    const ie_status status = ie_engine_open(&engine, golden_path("cascade"), &options, &err);
    if (status == IE_DEVICE) skip();
    if (status) fail_msg("%s", err.text);
    golden io = golden_open("cascade-io.safetensors");
    atomic_store(&ends, 0);
    for (int i = 0; i < MANY; i++) {
        all[i] = (watched){0};
        toy_fill(&all[i].edit, &io, i % TOY_EDITS);
        ie_request *r = &all[i].edit.request;
        r->progress = pass_gate;
        r->stage_done = preview;
        r->ended = ended;
        r->user = &all[i];
        for (int s = 0; s < 3; s++) {
            r->steps[s] = 2;
            r->guidance[s] = (ie_guidance){.kind = IE_GUIDANCE_CONSTANT, .high = 3};
        }
    }
    golden_close(&io);
    return engine;
}

static void submit(ie_engine *engine, int i)
{
    NEED(ie_submit(engine, &all[i].edit.request, -1, &all[i].ticket, err));
}

/* Number 0 is at the gate: whatever is submitted now waits behind it. */
static void hold_device(ie_engine *engine)
{
    shut_gate();
    submit(engine, 0);
    wait_at_gate();
}

/* Until `count` requests have been read and wait for the base. */
static void wait_for_line(ie_engine *engine, int count)
{
    int length = 0;
    while (length < count) {
        pthread_mutex_lock(&engine->worker.lock);
        length = ie_scheduler_length(engine->worker.scheduler.stages[0].waiting);
        pthread_mutex_unlock(&engine->worker.lock);
        sched_yield();
    }
}

static void ends_with(int i, ie_status status, const char *words)
{
    ie_error err = {0};
    ie_ticket_info info;
    assert_int_equal(ie_wait(all[i].ticket, -1, &err), status);
    assert_int_equal(err.status, status);
    if (!strstr(err.text, words)) fail_msg("\"%s\" does not say \"%s\"", err.text, words);
    assert_int_equal(ie_wait(all[i].ticket, 0, NULL), status); /* and says it again */
    ie_poll(all[i].ticket, &info);
    assert_int_equal(info.status, status);
    assert_int_equal(all[i].ended, 1);
    assert_int_equal(all[i].status, status);
    ie_ticket_release(&all[i].ticket);
    assert_null(all[i].ticket);
}

static void close_engine(ie_engine *engine)
{
    ie_activity activity;
    ie_engine_activity(engine, &activity);
    assert_int_equal(activity.requests, 0);
    assert_int_equal(activity.bytes, 0);
    ie_engine_close(&engine);
    assert_null(engine);
}

/* ---- the queue ------------------------------------------------------------------------------- */

static void a_full_queue_says_so_and_takes_more_when_it_has_room(void **state)
{
    (void)state;
    for (int by_bytes = 0; by_bytes < 2; by_bytes++) {
        ie_error err = {0};
        ie_activity activity;
        ie_engine *engine = by_bytes ? open_engine(0, 2 * PIXELS + PIXELS / 2) : open_engine(2, 0);
        hold_device(engine);
        submit(engine, 1);
        all[2].ticket = (ie_ticket *)&err; /* must be overwritten */
        assert_int_equal(ie_submit(engine, &all[2].edit.request, 0, &all[2].ticket, &err), IE_BUSY);
        assert_null(all[2].ticket);
        assert_non_null(strstr(err.text, "the queue is full: 2 requests"));
        assert_int_equal(ie_submit(engine, &all[2].edit.request, 0.01, &all[2].ticket, &err),
                         IE_BUSY);
        assert_int_equal(all[2].ended, 0);
        ie_engine_activity(engine, &activity);
        assert_int_equal(activity.requests, 2);
        assert_int_equal(activity.bytes, 2 * PIXELS);
        open_gate();
        submit(engine, 2); /* waits for room */
        for (int i = 0; i < 3; i++) ends_with(i, IE_OK, "");
        ie_engine_activity(engine, &activity);
        assert_int_equal(activity.ended, 3);
        for (int s = 0; s < 3; s++) assert_int_equal(activity.stages[s].lanes, 3 * 2 * 2);
        close_engine(engine);
    }
}

static void a_request_larger_than_the_queue_is_taken_when_it_is_empty(void **state)
{
    (void)state;
    ie_engine *engine = open_engine(0, 1);
    hold_device(engine);
    assert_int_equal(ie_submit(engine, &all[1].edit.request, 0, &all[1].ticket, NULL), IE_BUSY);
    open_gate();
    submit(engine, 1);
    ends_with(0, IE_OK, "");
    ends_with(1, IE_OK, "");
    close_engine(engine);
}

static void the_urgent_go_first(void **state)
{
    (void)state;
    ie_engine *engine = open_engine(0, 0);
    all[4].edit.request.priority = 1;
    all[5].edit.request.priority = 2;
    hold_device(engine);
    for (int i = 1; i < 3; i++) submit(engine, i);
    wait_for_line(engine, 2); /* no more are read now */
    for (int i = 3; i < MANY; i++) submit(engine, i);
    open_gate();
    for (int i = 0; i < MANY; i++) ends_with(i, IE_OK, "");
    assert_true(all[5].order < all[4].order && all[4].order < all[3].order);
    close_engine(engine);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void a_request_ends_once_after_its_steps_and_previews(void **state)
{
    (void)state;
    ie_ticket_info info;
    ie_engine *engine = open_engine(0, 0);
    hold_device(engine);
    ie_poll(all[0].ticket, &info);
    assert_int_equal(info.status, IE_UNFINISHED);
    assert_int_equal(ie_wait(all[0].ticket, 0, NULL), IE_UNFINISHED);
    assert_int_equal(ie_wait(all[0].ticket, 0.01, NULL), IE_UNFINISHED);
    open_gate();
    assert_int_equal(ie_wait(all[0].ticket, -1, NULL), IE_OK);
    ie_poll(all[0].ticket, &info);
    assert_int_equal(info.stage, 2);
    assert_int_equal(info.step, 2);
    assert_int_equal(info.steps, 2);
    assert_true(info.queued >= 0 && info.seconds >= info.queued + 0.01);
    assert_int_equal(all[0].steps, 3 * 2);
    assert_int_equal(all[0].previews, 3);
    for (int s = 0; s < 3; s++) assert_int_equal(all[0].stage_of_preview[s], s);
    ends_with(0, IE_OK, "");
    close_engine(engine);
}

static void cancelling_ends_what_waits_at_once_and_what_runs_after_its_step(void **state)
{
    (void)state;
    ie_engine *engine = open_engine(0, 0);
    hold_device(engine);
    submit(engine, 1);
    ie_cancel(all[1].ticket);
    ends_with(1, IE_CANCELLED, "cancelled before its first step"); /* the gate is still shut */
    ie_cancel(all[0].ticket);
    ie_cancel(all[0].ticket);
    assert_int_equal(ie_wait(all[0].ticket, 0.01, NULL), IE_UNFINISHED);
    open_gate();
    ends_with(0, IE_CANCELLED, "cancelled at step 1 of 2 of base");
    assert_int_equal(all[0].steps, 1);
    submit(engine, 2);
    ends_with(2, IE_OK, "");
    close_engine(engine);
}

static void a_deadline_ends_what_waits_and_what_runs(void **state)
{
    (void)state;
    ie_engine *engine = open_engine(0, 0);
    all[0].edit.request.deadline = 1e6;
    all[1].edit.request.deadline = 0.01;
    all[2].edit.request.deadline = 1e6;
    hold_device(engine);
    submit(engine, 1);
    submit(engine, 2);
    ends_with(1, IE_LATE, "not finished 0.01 seconds after it was submitted");
    pthread_mutex_lock(&engine->worker.lock);
    all[0].ticket->due = all[0].ticket->submitted; /* it may be late to the gate, not before */
    pthread_mutex_unlock(&engine->worker.lock);
    assert_int_equal(ie_wait(all[0].ticket, 0.01, NULL), IE_UNFINISHED); /* it is being computed */
    open_gate();
    ends_with(0, IE_LATE, "not finished 1e+06 seconds");
    assert_int_equal(all[0].steps, 1);
    ends_with(2, IE_OK, "");
    close_engine(engine);
}

static void releasing_or_closing_cancels(void **state)
{
    (void)state;
    ie_engine *engine = open_engine(0, 0);
    hold_device(engine);
    submit(engine, 1);
    ie_ticket_release(&all[1].ticket);
    assert_int_equal(all[1].status, IE_CANCELLED);
    submit(engine, 2);
    ie_cancel(
        all[0].ticket); /* else the open gate might let it end well before the engine closes */
    open_gate();
    ie_engine_close(&engine);
    assert_int_equal(all[0].ended + all[2].ended, 2);
    assert_int_equal(ie_wait(all[2].ticket, 0, NULL), all[2].status);
    ends_with(0, IE_CANCELLED, "cancelled at step 1 of 2 of base");
    ie_cancel(all[2].ticket);
    ie_ticket_release(&all[2].ticket);
}

/* ---- misuse ---------------------------------------------------------------------------------- */

static void nothing_wrong_gets_into_the_queue(void **state)
{
    (void)state;
    ie_error err = {0};
    ie_ticket *ticket = (ie_ticket *)&err;
    ie_engine *engine = open_engine(0, 0);
    ie_request r = all[0].edit.request;
    assert_int_equal(ie_submit(engine, &r, 0, NULL, &err), IE_BAD_ARGUMENT);
    assert_int_equal(ie_submit(NULL, &r, 0, &ticket, &err), IE_BAD_ARGUMENT);
    assert_null(ticket);
    assert_int_equal(ie_submit(engine, NULL, 0, &ticket, &err), IE_BAD_ARGUMENT);
    r.prompt = " ";
    assert_int_equal(ie_submit(engine, &r, 0, &ticket, &err), IE_BAD_INPUT);
    r = all[0].edit.request;
    r.priority = 101;
    assert_int_equal(ie_submit(engine, &r, 0, &ticket, &err), IE_BAD_ARGUMENT);
    assert_non_null(strstr(err.text, "priority 101 is outside -100 .. 100"));
    r.priority = 0;
    r.deadline = -1;
    assert_int_equal(ie_submit(engine, &r, 0, &ticket, &err), IE_BAD_ARGUMENT);
    assert_non_null(strstr(err.text, "a deadline of -1 seconds"));
    assert_null(ticket);
    assert_int_equal(all[0].ended, 0);
    assert_int_equal(ie_wait(NULL, 0, &err), IE_BAD_ARGUMENT);
    ie_cancel(NULL);
    ie_ticket_release(NULL);
    ie_ticket_release(&ticket);
    ie_poll(NULL, NULL);
    ie_engine_activity(NULL, NULL);
    close_engine(engine);
}

int main(int argc, char **argv)
{
    if (argc > 1) device = argv[1];
    bf16 = argc > 2 && !strcmp(argv[2], "bf16");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_queue_says_so_and_takes_more_when_it_has_room),
        cmocka_unit_test(a_request_larger_than_the_queue_is_taken_when_it_is_empty),
        cmocka_unit_test(the_urgent_go_first),
        cmocka_unit_test(a_request_ends_once_after_its_steps_and_previews),
        cmocka_unit_test(cancelling_ends_what_waits_at_once_and_what_runs_after_its_step),
        cmocka_unit_test(a_deadline_ends_what_waits_and_what_runs),
        cmocka_unit_test(releasing_or_closing_cancels),
        cmocka_unit_test(nothing_wrong_gets_into_the_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
