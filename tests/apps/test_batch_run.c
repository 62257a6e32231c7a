/* test_batch_run.c - a batch job on an engine that does as it is told: out of memory, out of order,
 * out of luck. SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "batch_run.h"
#include "beneath.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ITEMS = 24, SIDE = 8 };

/* The engine paints the seed. What it refuses is a function of the prompt and of how many edits are
 * under way. */
typedef struct fake_engine {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int active, most;
    int together; /* nobody begins before this many wait: 0, no matter */
    int first; /* of those that waited for each other, still going on: later ones wait for them */
    int capacity; /* more at once are out of memory; 0: no limit */
    int calls;
} fake_engine;

static void wait_for_others(fake_engine *e)
{
    (void)pthread_cond_broadcast(&e->changed);
    while (e->active < e->together) (void)pthread_cond_wait(&e->changed, &e->lock);
    if (e->together) e->most = 0; /* from here on */
    e->together = 0;
    (void)pthread_cond_broadcast(&e->changed);
}

static ie_status fake_edit(void *user, const ie_edit_job *job, ie_batch_edit *edit, ie_error *err)
{
    fake_engine *e = user;
    const char *prompt = job->values->prompt;
    (void)pthread_mutex_lock(&e->lock);
    e->calls++;
    const bool of_the_first = e->together > 0;
    if (of_the_first) e->first++;
    while (!of_the_first && e->first) (void)pthread_cond_wait(&e->changed, &e->lock);
    e->active++;
    if (e->active > e->most) e->most = e->active;
    const bool too_many = e->capacity && e->active > e->capacity;
    if (e->together) wait_for_others(e);
    (void)pthread_mutex_unlock(&e->lock);
    ie_status status = IE_OK;
    if (too_many || !strcmp(prompt, "heavy")) {
        status = ie_app_fail(err, IE_NO_MEMORY, "no memory");
    } else if (!strcmp(prompt, "broken device")) {
        status = ie_app_fail(err, IE_DEVICE, "the device is gone");
    } else if (!strcmp(prompt, "refused")) {
        status = ie_app_fail(err, IE_BAD_INPUT, "no such fish");
    } else if (edit->progress(edit->user, 0, 1, 1)) {
        status = ie_app_fail(err, IE_CANCELLED, "cancelled");
    } else {
        memset(job->result.pixels.data, (int)(edit->seed & 255),
               job->result.pixels.row_bytes * (size_t)job->result.pixels.height);
    }
    (void)usleep(1000);
    (void)pthread_mutex_lock(&e->lock);
    e->active--;
    if (of_the_first && --e->first == 0) (void)pthread_cond_broadcast(&e->changed);
    (void)pthread_mutex_unlock(&e->lock);
    return status;
}

static void fake_busy(void *user, double seconds[IE_MAX_STAGES])
{
    (void)user;
    memset(seconds, 0, IE_MAX_STAGES * sizeof seconds[0]);
}

/* ---- a job ----------------------------------------------------------------------------------- */

typedef struct fixture {
    fake_engine engine;
    ie_batch_values values;
    ie_manifest manifest;
    ie_ledger_state state;
    ie_plan plan;
    ie_ledger ledger;
    ie_batch_job job;
    ie_batch_progress progress;
    ie_item_defaults defaults;
    int root;
} fixture;

static void put_pictures(void **state)
{
    ie_image image = noise_image(SIDE, SIDE, 3, 8, 1), mask;
    const ie_write_options options = {.quality = 95};
    assert_int_equal(ie_image_create(&mask, SIDE, SIDE, 1, 8, NULL), IE_OK);
    memset(mask.pixels.data, 255, SIDE * 4);
    assert_int_equal(ie_image_write(&image, in_folder(state, "i.png"), &options, NULL), IE_OK);
    assert_int_equal(ie_image_write(&mask, in_folder(state, "m.png"), &options, NULL), IE_OK);
    ie_image_release(&image);
    ie_image_release(&mask);
}

/* ITEMS items; those in `special` (prompts by index, NULL: an ordinary one). */
static void set_up(void **state, fixture *f, const char *const special[ITEMS])
{
    char text[4096] = "id,image,mask,prompt,seed,count\n", line[128];
    *f = (fixture){
        .engine = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER},
        .values = {.in_flight = 8, .max_megapixels = 1, .quiet = true},
        .defaults = {0, ".png", ""}};
    put_pictures(state);
    for (int i = 0; i < ITEMS; i++) {
        (void)snprintf(line, sizeof line, "%d,i.png,m.png,%s,%d,%d\n", i,
                       special[i] ? special[i] : "a fish", i, i == 1 ? 2 : 1);
        strcat(text, line);
    }
    bytes file = {0};
    bytes_append(&file, text, strlen(text));
    bytes_write(&file, in_folder(state, "m.csv"));
    bytes_free(&file);
    const ie_manifest_source source = {.file = in_folder(state, "m.csv")};
    assert_int_equal(ie_manifest_read(&f->manifest, &source, &f->defaults, NULL), IE_OK);
    assert_int_equal(f->manifest.error_count, 0);
    assert_int_equal(ie_beneath_root(&f->root, *state, "root", NULL), IE_OK);
}

static ie_status run_job(fixture *f, ie_error *err)
{
    const ie_shard whole = {0, 1};
    const ie_plan_options options = {.retry_failed = false};
    ie_ledger_state_release(&f->state); /* of an earlier run */
    assert_int_equal(ie_ledger_state_read(&f->state, f->root, NULL), IE_OK);
    assert_int_equal(
        ie_plan_make(&f->plan, &f->manifest, &f->state, whole, f->root, &options, NULL), IE_OK);
    assert_int_equal(ie_ledger_open(&f->ledger, f->root, whole, NULL), IE_OK);
    f->job = (ie_batch_job){.values = &f->values,
                            .manifest = &f->manifest,
                            .plan = &f->plan,
                            .ledger = &f->ledger,
                            .pictures = {"m.csv", f->root, f->root, 1000000},
                            .output_root = f->root,
                            .info = {.stage_count = 3},
                            .engine = {&f->engine, fake_edit, fake_busy}};
    ie_batch_progress_begin(&f->progress, &f->values, &f->plan, &f->job.info, 0);
    const ie_status status = ie_batch_run(&f->job, &f->progress, err);
    ie_ledger_close(&f->ledger);
    ie_plan_release(&f->plan);
    ie_ledger_state_release(&f->state);
    assert_int_equal(ie_ledger_state_read(&f->state, f->root, NULL), IE_OK);
    return status;
}

static void tear_down(fixture *f)
{
    ie_ledger_state_release(&f->state);
    ie_manifest_release(&f->manifest);
    (void)close(f->root);
}

static int count_done(const fixture *f)
{
    int done = 0;
    for (size_t i = 0; i < f->state.count; i++) done += f->state.items[i].done;
    return done;
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void items_run_together_and_are_all_done(void **state)
{
    static const char *const none[ITEMS] = {NULL};
    fixture f;
    ie_error err = {0};
    set_up(state, &f, none);
    f.engine.together = 8; /* or this waits for ever */
    assert_says(run_job(&f, &err), IE_OK, &err, "");
    assert_int_equal(count_done(&f), ITEMS);
    assert_int_equal(f.engine.calls, ITEMS + 1); /* one of them twice */
    assert_int_equal(ie_ledger_state_of(&f.state, "1")->output_count, 2);
    assert_int_equal(ie_ledger_state_of(&f.state, "1")->outputs[1].seed, 2);
    assert_string_equal(ie_ledger_state_of(&f.state, "1")->outputs[1].output, "1-2.png");
    tear_down(&f);
}

static void a_bad_item_fails_alone(void **state)
{
    static const char *const some[ITEMS] = {[2] = "refused", [5] = "", [21] = "refused"};
    fixture f;
    ie_error err = {0};
    set_up(state, &f, some);
    assert_says(run_job(&f, &err), IE_OK, &err, "");
    assert_int_equal(count_done(&f), ITEMS - 3);
    assert_string_equal(ie_ledger_state_of(&f.state, "2")->reason, "no such fish");
    assert_string_equal(ie_ledger_state_of(&f.state, "2")->kind, "input");
    assert_non_null(strstr(ie_ledger_state_of(&f.state, "5")->reason, "the prompt is empty"));
    const int calls = f.engine.calls;
    assert_int_equal(run_job(&f, &err), IE_OK); /* and is not tried again */
    assert_int_equal(f.engine.calls, calls);
    tear_down(&f);
}

static void out_of_memory_means_fewer_at_once(void **state)
{
    static const char *const none[ITEMS] = {NULL};
    fixture f;
    ie_error err = {0};
    set_up(state, &f, none);
    f.engine.together = 8;
    f.engine.capacity = 2;
    assert_says(run_job(&f, &err), IE_OK, &err, "");
    assert_int_equal(count_done(&f), ITEMS);
    assert_true(f.engine.calls >= ITEMS + 1 + 6); /* six of the first eight were refused */
    assert_true(f.engine.most <= 4);
    tear_down(&f);
}

static void an_item_that_is_too_large_alone_fails(void **state)
{
    static const char *const some[ITEMS] = {[3] = "heavy"};
    fixture f;
    ie_error err = {0};
    set_up(state, &f, some);
    assert_says(run_job(&f, &err), IE_OK, &err, "");
    assert_int_equal(count_done(&f), ITEMS - 1);
    assert_string_equal(ie_ledger_state_of(&f.state, "3")->kind, "memory");
    tear_down(&f);
}

static void too_many_failures_end_the_job(void **state)
{
    static const char *const some[ITEMS] = {"refused", "refused", "refused",
                                            "refused", "refused", "refused"};
    fixture f;
    ie_error err = {0};
    set_up(state, &f, some);
    f.values.in_flight = 1;
    f.values.max_failures = (ie_failure_limit){.given = true, .percent = true, .value = 20};
    assert_says(run_job(&f, &err), IE_BAD_ARGUMENT, &err,
                "5 of 24 items have failed: more than --max-failures");
    assert_int_equal(count_done(&f), 0);
    tear_down(&f);
}

static void a_broken_device_ends_the_job_and_blames_nobody(void **state)
{
    static const char *const some[ITEMS] = {[4] = "broken device"};
    fixture f;
    ie_error err = {0};
    set_up(state, &f, some);
    assert_says(run_job(&f, &err), IE_DEVICE, &err, "the device is gone");
    for (size_t i = 0; i < f.state.count; i++) {
        assert_false(f.state.items[i].failed);
        assert_int_equal(f.state.items[i].strikes, 0);
    }
    assert_true(ie_ledger_state_of(&f.state, "4")->open_in); /* runs alone next time */
    tear_down(&f);
}

static void suspects_run_alone_and_last(void **state)
{
    static const char *const none[ITEMS] = {NULL};
    fixture f;
    ie_error err = {0};
    ie_ledger before;
    set_up(state, &f, none);
    assert_int_equal(ie_ledger_open(&before, f.root, (ie_shard){0, 1}, NULL), IE_OK);
    for (int i = 0; i < ITEMS; i++) { /* an attempt that was killed with all of them in flight */
        assert_int_equal(ie_ledger_begin(&before, &f.manifest.items[i], NULL), IE_OK);
    }
    ie_ledger_close(&before);
    assert_says(run_job(&f, &err), IE_OK, &err, "");
    assert_int_equal(count_done(&f), ITEMS);
    assert_int_equal(f.engine.most, 1);
    tear_down(&f);
}

static void outputs_of_others_are_not_touched(void **state)
{
    static const char *const none[ITEMS] = {NULL};
    fixture f;
    ie_error err = {0};
    struct stat info;
    set_up(state, &f, none);
    bytes file = {0};
    bytes_append(&file, "mine", 4);
    bytes_write(&file, in_folder(state, "3.png"));
    bytes_free(&file);
    assert_int_equal(mkdir(in_folder(state, "4.png"), 0700), 0);
    assert_says(run_job(&f, &err), IE_OK, &err, "");
    assert_int_equal(count_done(&f), ITEMS - 2);
    assert_string_equal(ie_ledger_state_of(&f.state, "3")->kind, "output");
    assert_non_null(strstr(ie_ledger_state_of(&f.state, "3")->reason, "not this job's"));
    assert_int_equal(stat(in_folder(state, "3.png"), &info), 0);
    assert_int_equal(info.st_size, 4);
    tear_down(&f);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_make, folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(items_run_together_and_are_all_done),
        IN_FOLDER(a_bad_item_fails_alone),
        IN_FOLDER(out_of_memory_means_fewer_at_once),
        IN_FOLDER(an_item_that_is_too_large_alone_fails),
        IN_FOLDER(too_many_failures_end_the_job),
        IN_FOLDER(a_broken_device_ends_the_job_and_blames_nobody),
        IN_FOLDER(suspects_run_alone_and_last),
        IN_FOLDER(outputs_of_others_are_not_touched),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
