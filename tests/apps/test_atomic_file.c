/* test_atomic_file.c - a file appears complete or not at all.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "atomic_file.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static void put_file(const char *path, const char *text)
{
    bytes file = {0};
    bytes_append(&file, text, strlen(text));
    bytes_write(&file, path);
    bytes_free(&file);
}

static void assert_holds(const char *path, const char *text)
{
    bytes file = bytes_read(path);
    assert_int_equal(file.size, strlen(text));
    assert_memory_equal(file.data, text, file.size);
    bytes_free(&file);
}

static void a_committed_file_replaces_the_old_one(void **state)
{
    ie_atomic_file file;
    ie_error err = {0};
    const char *path = in_folder(state, "out");
    put_file(path, "old");
    assert_says(ie_atomic_open(&file, path, &err), IE_OK, &err, "");
    assert_true(fputs("new text", file.stream) >= 0);
    assert_holds(path, "old");
    assert_says(ie_atomic_commit(&file, &err), IE_OK, &err, "");
    assert_holds(path, "new text");
    assert_int_equal(folder_entries(*state), 1);
}

static void an_abandoned_file_leaves_nothing(void **state)
{
    ie_atomic_file file;
    const char *path = in_folder(state, "out");
    put_file(path, "old");
    assert_int_equal(ie_atomic_open(&file, path, NULL), IE_OK);
    assert_true(fputs("new text", file.stream) >= 0);
    ie_atomic_abandon(&file);
    ie_atomic_abandon(&file);
    assert_holds(path, "old");
    assert_int_equal(folder_entries(*state), 1);
}

static void a_failed_write_leaves_the_old_file(void **state)
{
    ie_atomic_file file;
    ie_error err = {0};
    const char *path = in_folder(state, "out");
    put_file(path, "old");
    /* The largest file this process may write is 10 bytes: what a full disk does, without one. */
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = (struct rlimit){10, before.rlim_max};
    assert_true(signal(SIGXFSZ, SIG_IGN) != SIG_ERR);
    assert_int_equal(ie_atomic_open(&file, path, &err), IE_OK);
    assert_true(fputs("a text of more than ten bytes", file.stream) >= 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const ie_status status = ie_atomic_commit(&file, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_says(status, IE_IO, &err, "cannot write");
    assert_non_null(strstr(err.text, strerror(EFBIG)));
    assert_holds(path, "old");
    assert_int_equal(folder_entries(*state), 1);
}

static void names_that_cannot_be_written_are_found_before(void **state)
{
    static const struct {
        const char *name, *says;
    } cases[] = {
        {"missing/out", "No such file or directory"},
        {"plain/out", "Not a directory"},
        {"folder", "it is a folder"},
        {"pipe", "it is not a regular file"},
        {"dangling", "No such file or directory"},
        {"", "it is a folder"},
    };
    put_file(in_folder(state, "plain"), "x");
    assert_int_equal(mkdir(in_folder(state, "folder"), 0700), 0);
    assert_int_equal(mkfifo(in_folder(state, "pipe"), 0600), 0);
    assert_int_equal(symlink("nowhere/at-all", in_folder(state, "dangling")), 0);
    for (size_t i = 0; i < COUNT(cases); i++) {
        ie_error err = {0};
        assert_says(ie_atomic_check(in_folder(state, cases[i].name), &err), IE_IO, &err,
                    cases[i].says);
    }
    ie_error err = {0};
    assert_says(ie_atomic_check("/dev/null", &err), IE_IO, &err, "it is not a regular file");
    assert_says(ie_atomic_check("/proc/out.png", &err), IE_IO, &err, "cannot write /proc/out.png");
    assert_int_equal(folder_entries(*state), 4);
}

static void a_read_only_folder_is_found_before(void **state)
{
    if (geteuid() == 0) skip(); /* root may write everywhere */
    ie_error err = {0};
    assert_int_equal(mkdir(in_folder(state, "folder"), 0500), 0);
    assert_says(ie_atomic_check(in_folder(state, "folder/out"), &err), IE_IO, &err,
                "Permission denied");
}

static void checking_changes_nothing(void **state)
{
    const char *path = in_folder(state, "out");
    assert_int_equal(ie_atomic_check(path, NULL), IE_OK);
    assert_int_equal(folder_entries(*state), 0);
    put_file(path, "old");
    assert_int_equal(ie_atomic_check(path, NULL), IE_OK);
    assert_holds(path, "old");
    assert_int_equal(folder_entries(*state), 1);
}

static void a_symbolic_link_stays_one(void **state)
{
    ie_atomic_file file;
    struct stat info;
    put_file(in_folder(state, "target"), "old");
    assert_int_equal(symlink("target", in_folder(state, "link")), 0);
    assert_int_equal(ie_atomic_open(&file, in_folder(state, "link"), NULL), IE_OK);
    assert_true(fputs("new", file.stream) >= 0);
    assert_int_equal(ie_atomic_commit(&file, NULL), IE_OK);
    assert_int_equal(lstat(in_folder(state, "link"), &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_holds(in_folder(state, "target"), "new");
}

static void the_mode_follows_the_umask(void **state)
{
    ie_atomic_file file;
    struct stat info;
    const mode_t before = umask(027);
    assert_int_equal(ie_atomic_open(&file, in_folder(state, "out"), NULL), IE_OK);
    assert_int_equal(ie_atomic_commit(&file, NULL), IE_OK);
    (void)umask(before);
    assert_int_equal(stat(in_folder(state, "out"), &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_make, folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(a_committed_file_replaces_the_old_one),
        IN_FOLDER(an_abandoned_file_leaves_nothing),
        IN_FOLDER(a_failed_write_leaves_the_old_file),
        IN_FOLDER(names_that_cannot_be_written_are_found_before),
        IN_FOLDER(a_read_only_folder_is_found_before),
        IN_FOLDER(checking_changes_nothing),
        IN_FOLDER(a_symbolic_link_stays_one),
        IN_FOLDER(the_mode_follows_the_umask),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
