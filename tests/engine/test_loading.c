/* test_loading.c - what is told while a model is loaded: every byte, in order, and that it can be
 * given up at any word. SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "memory.h"
#include "toy.h"

static const char *device = "ref";
static bool bf16;

typedef struct listener {
    int calls, stop_at; /* 0: never */
    ie_loading last;
    bool wrong;
    uint64_t total[2];
} listener;

static int listen(void *user, const ie_loading *now)
{
    listener *l = user;
    const bool same = l->calls && now->work == l->last.work;
    const bool begins = now->done == 0 && (l->calls == 0 || l->last.done == l->last.total);
    l->wrong |= strcmp(now->model_name, "golden") != 0;
    l->wrong |= now->done > now->total;
    l->wrong |= same ? now->done < l->last.done || now->total != l->last.total : !begins;
    l->last = *now;
    l->total[now->work] = now->total;
    return ++l->calls == l->stop_at;
}

static ie_status open_toy(ie_engine **engine, listener *l, ie_error *err)
{
    ie_options options;
    ie_options_default(&options);
    options.device = device;
    options.precision = bf16 ? IE_PRECISION_BF16 : IE_PRECISION_F32;
    options.threads = 1;
    options.loading = listen;
    options.loading_user = l;
    return ie_engine_open(engine, golden_path("cascade"), &options, err);
}

static void every_byte_is_told(void **state)
{
    (void)state;
    listener l = {0};
    ie_engine *engine;
    ie_engine_info info;
    ie_error err = {0};
    const ie_status status = open_toy(&engine, &l, &err);
    if (status == IE_DEVICE) skip();
    if (status) fail_msg("%s", err.text);
    ie_engine_describe(engine, &info);
    assert_false(l.wrong);
    assert_int_equal(l.last.work, IE_LOADING_HASH);
    assert_int_equal(l.last.done, l.last.total);
    assert_int_equal(l.total[IE_LOADING_WEIGHTS], info.weight_bytes);
    assert_true(l.total[IE_LOADING_HASH] > 100000); /* of the files */
    assert_true(l.calls > 100);
    ie_engine_close(&engine);
}

static void it_can_be_given_up(void **state)
{
    (void)state;
    ie_engine *engine;
    ie_error err = {0};
    listener all = {0};
    const ie_status status = open_toy(&engine, &all, &err);
    if (status == IE_DEVICE) skip();
    assert_int_equal(status, IE_OK);
    ie_engine_close(&engine);
    const int64_t live = ie_alloc_live();
    const int at[] = {1, 2, all.calls / 2, all.calls};
    for (size_t i = 0; i < sizeof at / sizeof at[0]; i++) {
        listener l = {.stop_at = at[i]};
        assert_int_equal(open_toy(&engine, &l, &err), IE_CANCELLED);
        assert_null(engine);
        assert_non_null(strstr(err.text, "cancelled while the model was loaded"));
        assert_int_equal(l.calls, at[i]);
        assert_int_equal(ie_alloc_live(), live);
    }
}

static void a_plan_loads_nothing(void **state)
{
    (void)state;
    listener l = {0};
    ie_engine *engine;
    ie_options options;
    ie_options_default(&options);
    options.device = "plan";
    options.loading = listen;
    options.loading_user = &l;
    assert_int_equal(ie_engine_open(&engine, golden_path("cascade"), &options, NULL), IE_OK);
    assert_int_equal(l.calls, 0);
    ie_engine_close(&engine);
}

int main(int argc, char **argv)
{
    if (argc > 1) device = argv[1];
    bf16 = argc > 2 && !strcmp(argv[2], "bf16");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_is_told),
        cmocka_unit_test(it_can_be_given_up),
        cmocka_unit_test(a_plan_loads_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
