/* test_model_path.c - which model is taken when none is named.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "model_path.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Makes every folder of FOLDER/path, and cascade.json in the last. */
static void make_model(void **state, const char *path)
{
    char name[PATH_MAX];
    const size_t base = (size_t)snprintf(name, sizeof name, "%s/", (const char *)*state);
    for (const char *slash = path; slash; slash = strchr(slash + 1, '/')) {
        if (slash == path) continue;
        (void)snprintf(name + base, sizeof name - base, "%.*s", (int)(slash - path), path);
        (void)mkdir(name, 0700);
    }
    (void)snprintf(name + base, sizeof name - base, "%s", path);
    assert_int_equal(mkdir(name, 0700), 0);
    const bytes empty = {(uint8_t *)(uintptr_t) "{}", 2};
    (void)strcat(name, "/cascade.json");
    bytes_write(&empty, name);
}

static void assert_found(void **state, const ie_model_search *search, const char *below)
{
    char out[PATH_MAX], wanted[PATH_MAX], real[PATH_MAX];
    ie_error err = {0};
    assert_says(ie_model_path(out, search, &err), IE_OK, &err, "");
    (void)snprintf(wanted, sizeof wanted, "%s/%s", (const char *)*state, below);
    assert_non_null(realpath(out, real));
    assert_string_equal(real, wanted);
}

static void what_is_named_is_taken_and_not_replaced(void **state)
{
    char out[PATH_MAX];
    make_model(state, "bin/models/demo");
    const ie_model_search given = {"nowhere", "elsewhere", in_folder(state, "bin/exe"), "/none"};
    assert_int_equal(ie_model_path(out, &given, NULL), IE_OK);
    assert_string_equal(out, "nowhere");
    const ie_model_search named = {NULL, "elsewhere", in_folder(state, "bin/exe"), "/none"};
    assert_int_equal(ie_model_path(out, &named, NULL), IE_OK);
    assert_string_equal(out, "elsewhere");
    const ie_model_search empty = {NULL, "", in_folder(state, "bin/exe"), "/none"};
    assert_found(state, &empty, "bin/models/demo");
}

static void the_nearest_model_is_found_from_the_executable(void **state)
{
    const ie_model_search s = {NULL, NULL, strdup(in_folder(state, "a/b/c/d/exe")),
                               strdup(in_folder(state, "data"))};
    char out[PATH_MAX];
    ie_error err = {0};
    assert_int_equal(mkdir(in_folder(state, "a"), 0700), 0);
    assert_int_equal(mkdir(in_folder(state, "a/b"), 0700), 0);
    assert_int_equal(mkdir(in_folder(state, "a/b/c"), 0700), 0);
    assert_int_equal(mkdir(in_folder(state, "a/b/c/d"), 0700), 0);
    assert_says(ie_model_path(out, &s, &err), IE_BAD_MODEL, &err,
                "no model: name one with --model DIR or IMAGEN_EDITOR_MODEL");
    make_model(state, "models/toy"); /* four folders above the executable's */
    assert_found(state, &s, "models/toy");
    make_model(state, "models/demo"); /* demo before toy */
    assert_found(state, &s, "models/demo");
    make_model(state, "a/b/models/toy"); /* nearer before farther */
    assert_found(state, &s, "a/b/models/toy");
    make_model(state, "data/models/toy"); /* installed before what lies about */
    assert_found(state, &s, "data/models/toy");
    make_model(state, "a/b/c/share/imagen-editor/models/demo"); /* ../share of a moved tree */
    assert_found(state, &s, "a/b/c/share/imagen-editor/models/demo");
    free((void *)(uintptr_t)s.executable);
    free((void *)(uintptr_t)s.data_dir);
}

static void nothing_is_looked_for_five_levels_up(void **state)
{
    char out[PATH_MAX];
    make_model(state, "models/demo");
    make_model(state, "a/b/c/d/e/f"); /* only for its folders */
    const ie_model_search s = {NULL, NULL, in_folder(state, "a/b/c/d/e/exe"), "/none"};
    assert_int_equal(ie_model_path(out, &s, NULL), IE_BAD_MODEL);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_make, folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(what_is_named_is_taken_and_not_replaced),
        IN_FOLDER(the_nearest_model_is_found_from_the_executable),
        IN_FOLDER(nothing_is_looked_for_five_levels_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
