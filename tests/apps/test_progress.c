/* test_progress.c - progress against a clock of the test's own.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "progress.h"

#include <stdlib.h>
#include <string.h>

typedef struct shown {
    ie_progress progress;
    FILE *stream;
    char *text;
    size_t size;
} shown;

static shown begin(ie_progress_style style)
{
    return (shown){.progress = {.style = style}};
}

/* Two stages, `steps` each, a step every `seconds`; the clock begins at 100. Returns the text. */
static char *run(shown *s, int steps, double seconds)
{
    const ie_progress_style style = s->progress.style;
    const int columns = s->progress.columns;
    double now = 100;
    s->stream = open_memstream(&s->text, &s->size);
    assert_non_null(s->stream);
    ie_progress_begin(&s->progress, style, s->stream, now);
    if (columns) s->progress.columns = columns;
    for (int stage = 0; stage < 2; stage++) {
        for (int step = 1; step <= steps; step++) {
            now += seconds;
            ie_progress_step(&s->progress, stage ? "sr-256" : "base-64", stage, step, steps, now);
        }
    }
    ie_progress_end_line(&s->progress);
    (void)fclose(s->stream);
    return s->text;
}

static int count_of(const char *text, const char *word)
{
    int count = 0;
    while ((text = strstr(text, word))) {
        count++;
        text += strlen(word);
    }
    return count;
}

static void quiet_is_silent(void **state)
{
    (void)state;
    shown s = begin(IE_PROGRESS_QUIET);
    char *text = run(&s, 10, 5);
    assert_string_equal(text, "");
    free(text);
}

static void slow_stages_get_a_line_at_every_tenth(void **state)
{
    (void)state;
    shown s = begin(IE_PROGRESS_LINES);
    char *text = run(&s, 40, 1); /* a tenth is 4 steps, 4 seconds */
    assert_int_equal(count_of(text, "\n"), 20);
    assert_non_null(strstr(text, "base-64: step 4 of 40, 4.00 s\n"));
    assert_non_null(strstr(text, "base-64: step 40 of 40, 40.0 s\nsr-256: step 4 of 40, 4.00 s\n"));
    assert_non_null(strstr(text, "sr-256: step 40 of 40, 40.0 s\n"));
    free(text);
}

static void fast_stages_get_at_most_a_line_a_second_and_their_end(void **state)
{
    (void)state;
    shown s = begin(IE_PROGRESS_LINES);
    char *text = run(&s, 100, 0.02); /* two seconds a stage */
    const int lines = count_of(text, "\n");
    assert_true(lines >= 2 && lines <= 8);
    assert_int_equal(count_of(text, "step 100 of 100, 2.00 s\n"), 2);
    free(text);
}

static void json_has_an_object_for_every_step(void **state)
{
    (void)state;
    shown s = begin(IE_PROGRESS_JSON);
    char *text = run(&s, 3, 0.5);
    assert_int_equal(count_of(text, "\n"), 6);
    assert_non_null(strstr(text, "{\"event\": \"progress\", \"stage\": \"sr-256\", \"step\": 2, "
                                 "\"steps\": 3, \"seconds\": 1}\n"));
    free(text);
}

/* What lands between two carriage returns is one drawing of the line. */
static void a_bar_fits_the_terminal_and_is_redrawn_ten_times_a_second(void **state)
{
    (void)state;
    static const int widths[] = {8, 19, 20, 34, 40, 60, 80, 120};
    for (size_t i = 0; i < COUNT(widths); i++) {
        shown s = begin(IE_PROGRESS_BAR);
        s.progress.columns = widths[i];
        char *text = run(&s, 1000, 0.01); /* ten seconds a stage */
        const int drawings = count_of(text, "\r");
        assert_true(drawings >= 150 && drawings <= 210);
        assert_int_equal(count_of(text, "\n"), 2);
        for (const char *line = strchr(text, '\r'); line; line = strchr(line + 1, '\r')) {
            const int length = (int)strcspn(line + 1, "\r\n\033");
            assert_true(length < widths[i]);
        }
        if (widths[i] >= 60) {
            assert_non_null(strstr(text, "base-64      ["));
            assert_non_null(strstr(text, "##] 1000/1000 10.0 s"));
            assert_non_null(strstr(text, "1000 5.0"));
            assert_non_null(strstr(text, " left"));
        }
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quiet_is_silent),
        cmocka_unit_test(slow_stages_get_a_line_at_every_tenth),
        cmocka_unit_test(fast_stages_get_at_most_a_line_a_second_and_their_end),
        cmocka_unit_test(json_has_an_object_for_every_step),
        cmocka_unit_test(a_bar_fits_the_terminal_and_is_redrawn_ten_times_a_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
