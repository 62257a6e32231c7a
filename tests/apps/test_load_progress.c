/* test_load_progress.c - what is shown while a model is loaded, against a clock of the test's own.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "load_progress.h"

#include <stdlib.h>
#include <string.h>

enum { LAYERS = 40 };

/* Both works, 40 layers each, a layer every `seconds`. */
static char *run(ie_progress_style style, double seconds, int columns)
{
    char *text;
    size_t size;
    double now = 100;
    ie_load_progress p;
    FILE *stream = open_memstream(&text, &size);
    assert_non_null(stream);
    ie_load_progress_begin(&p, style, stream, now);
    if (columns) p.columns = columns;
    for (int work = 0; work < 2; work++) {
        for (uint64_t i = 0; i <= LAYERS; i++) {
            const ie_loading at = {.model_name = "toy",
                                   .work = work ? IE_LOADING_HASH : IE_LOADING_WEIGHTS,
                                   .done = i << 20,
                                   .total = (uint64_t)LAYERS << 20};
            ie_load_progress_show(&p, &at, now);
            now += seconds;
        }
    }
    ie_load_progress_end(&p);
    (void)fclose(stream);
    return text;
}

static int count_of(const char *text, const char *word)
{
    int count = 0;
    for (; (text = strstr(text, word)); text += strlen(word)) count++;
    return count;
}

static void expect(char *text, const char *word, int count)
{
    if (count_of(text, word) != count) fail_msg("%d times '%s' in:\n%s", count, word, text);
}

static void quiet_is_silent(void **state)
{
    (void)state;
    char *text = run(IE_PROGRESS_QUIET, 1, 0);
    assert_string_equal(text, "");
    free(text);
}

static void lines_come_at_every_tenth(void **state)
{
    (void)state;
    char *text = run(IE_PROGRESS_LINES, 1, 0);
    expect(text, "\n", 20);
    expect(text, "loading toy: 4.00 MiB of 40.0 MiB\n", 1);
    expect(text, "loading toy: 40.0 MiB of 40.0 MiB\nhashing toy: 4.00 MiB of 40.0 MiB\n", 1);
    free(text);
}

static void lines_are_a_second_apart_and_short_loads_have_none(void **state)
{
    (void)state;
    char *text = run(IE_PROGRESS_LINES, 0.01, 0);
    assert_string_equal(text, "");
    free(text);
    text = run(IE_PROGRESS_LINES, 0.0625, 0); /* 5.1 s in all, a tenth in a quarter of a second */
    assert_in_range(count_of(text, "\n"), 4, 5);
    free(text);
}

static void json_says_every_tenth_of_both(void **state)
{
    (void)state;
    char *text = run(IE_PROGRESS_JSON, 0, 0);
    expect(text,
           "{\"event\": \"loading\", \"model\": \"toy\", \"work\": \"weights\", \"bytes\": ", 10);
    expect(text, "\"work\": \"hash\", \"bytes\": 41943040, \"total\": 41943040}\n", 1);
    expect(text, "\n", 20);
    free(text);
}

static void a_terminal_has_one_line_which_goes(void **state)
{
    (void)state;
    char *text = run(IE_PROGRESS_BAR, 0.2, 24);
    expect(text, "\n", 0);
    expect(text, "\rloading toy: 10.0 MiB o\033[K", 1); /* 23 columns */
    assert_string_equal(text + strlen(text) - 4, "\r\033[K");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(quiet_is_silent),
        cmocka_unit_test(lines_come_at_every_tenth),
        cmocka_unit_test(lines_are_a_second_apart_and_short_loads_have_none),
        cmocka_unit_test(json_says_every_tenth_of_both),
        cmocka_unit_test(a_terminal_has_one_line_which_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
