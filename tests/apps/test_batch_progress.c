/* test_batch_progress.c - what a batch job says of itself while it runs.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "batch_progress.h"

#include <stdlib.h>
#include <string.h>

static const ie_engine_info info = {
    .stage_count = 2,
    .stages = {{.name = "base"}, {.name = "final"}},
};

/* 100 items, 20 of them done before and 2 failed; the clock begins at 10 s. */
static ie_batch_progress begin(ie_batch_style style, FILE *stream)
{
    const ie_batch_values values = {.quiet = true};
    const ie_plan plan = {.items = 100, .done = 20, .failed = 1, .quarantine_count = 1};
    ie_batch_progress p;
    ie_batch_progress_begin(&p, &values, &plan, &info, 10);
    p.style = style;
    p.stream = stream;
    p.columns = 120;
    return p;
}

/* What was printed; free it. */
static char *printed(FILE *stream)
{
    const long size = ftell(stream);
    char *text = calloc(1, (size_t)size + 1);
    rewind(stream);
    assert_int_equal(fread(text, 1, (size_t)size, stream), size);
    (void)fclose(stream);
    return text;
}

static void make(ie_batch_progress *p, int items)
{
    const ie_item_run run = {.read_seconds = 0.1, .write_seconds = 0.2};
    for (int i = 0; i < items; i++) ie_batch_progress_item(p, &run, true);
    p->stage_seconds[0] = 6;
    p->stage_seconds[1] = 3;
}

static void rates_are_of_this_process(void **state)
{
    (void)state;
    ie_batch_progress p = begin(IE_BATCH_JSON, tmpfile());
    make(&p, 20); /* in 10 s: 2 a second, 58 left */
    ie_batch_progress_show(&p, 20, true);
    char *text = printed(p.stream);
    static const char *const parts[] = {
        "\"total\": 100",           "\"done\": 40",          "\"failed\": 2",
        "\"edits_per_second\": 2,", "\"seconds_left\": 29,", "\"read\": 0.2,",
        "\"base\": 0.6,",           "\"final\": 0.3,",       "\"write\": 0.4}",
    };
    for (size_t i = 0; i < COUNT(parts); i++) {
        if (!strstr(text, parts[i])) fail_msg("no %s in %s", parts[i], text);
    }
    free(text);
}

static void a_bar_fits_its_terminal(void **state)
{
    (void)state;
    for (int columns = 20; columns <= 120; columns++) {
        ie_batch_progress p = begin(IE_BATCH_BAR, tmpfile());
        p.columns = columns;
        make(&p, 20);
        ie_batch_progress_show(&p, 20, true);
        char *text = printed(p.stream);
        const size_t visible = strcspn(text, "\033") - 1; /* after the return */
        assert_true(visible < (size_t)columns);
        assert_non_null(strstr(text, "42/100"));
        if (columns == 120) {
            assert_non_null(strstr(text, "[########............] 42/100  2 edits/s  29.0 s left  "
                                         "2 failed  read 20% base 60% final 30% write 40%"));
        }
        free(text);
    }
}

static void without_a_rate_there_is_no_end(void **state)
{
    (void)state;
    ie_batch_progress p = begin(IE_BATCH_JSON, tmpfile());
    ie_batch_progress_show(&p, 20, true);
    char *text = printed(p.stream);
    assert_non_null(strstr(text, "\"seconds_left\": null,"));
    free(text);
}

static void it_is_not_redrawn_too_often(void **state)
{
    (void)state;
    ie_batch_progress p = begin(IE_BATCH_JSON, tmpfile());
    for (double now = 10; now < 31; now += 0.05) ie_batch_progress_show(&p, now, false);
    char *text = printed(p.stream);
    int lines = 0;
    for (const char *c = text; *c; c++) lines += *c == '\n';
    assert_int_equal(lines, 4);
    free(text);
}

static void notes_name_line_and_item(void **state)
{
    (void)state;
    ie_batch_progress p = begin(IE_BATCH_JSON, tmpfile());
    const ie_item item = {.id = (char *)(uintptr_t) "a \"b\"", .line = 7};
    ie_batch_progress_note(&p, &item, "failed", "input", "a reason");
    char *text = printed(p.stream);
    assert_string_equal(text, "{\"event\": \"failed\", \"id\": \"a \\\"b\\\"\", \"line\": 7, "
                              "\"class\": \"input\", \"reason\": \"a reason\"}\n");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates_are_of_this_process),
        cmocka_unit_test(a_bar_fits_its_terminal),
        cmocka_unit_test(without_a_rate_there_is_no_end),
        cmocka_unit_test(it_is_not_redrawn_too_often),
        cmocka_unit_test(notes_name_line_and_item),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
