/* test_beneath.c - paths of manifests stay below their folder.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void paths_by_their_text(void **state)
{
    (void)state;
    static const struct {
        const char *path, *says; /* NULL: legal */
    } cases[] = {
        {"a.png", NULL},
        {"a/b/c.png", NULL},
        {"a b/%2F..x/..y/.z", NULL},
        {"caf\xc3\xa9.png", NULL},
        {"", "it is empty"},
        {"/etc/passwd", "it is absolute"},
        {"../x", "a . or .. component"},
        {"a/../x", "a . or .. component"},
        {"a/..", "a . or .. component"},
        {"./a", "a . or .. component"},
        {"a//b", "an empty component"},
        {"a/", "an empty component"},
        {"a\nb", "a control character"},
        {"a\x7f", "a control character"},
        {"caf\xe9.png", "not UTF-8"},
    };
    char component[300], path[5000];
    ie_error err = {0};
    for (size_t i = 0; i < COUNT(cases); i++) {
        const ie_status status = ie_beneath_check(cases[i].path, &err);
        if (cases[i].says) {
            assert_says(status, IE_BAD_INPUT, &err, cases[i].says);
        } else {
            assert_int_equal(status, IE_OK);
        }
    }
    memset(component, 'x', sizeof component);
    component[256] = '\0';
    assert_says(ie_beneath_check(component, &err), IE_BAD_INPUT, &err, "over 255 bytes");
    component[255] = '\0';
    assert_int_equal(ie_beneath_check(component, &err), IE_OK);
    memset(path, 'x', sizeof path);
    path[sizeof path - 1] = '\0';
    assert_says(ie_beneath_check(path, &err), IE_BAD_INPUT, &err, "too long");
}

static void touch(const char *path)
{
    const int file = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(file >= 0);
    (void)close(file);
}

/* root/plain, root/folder/file, links of every kind, and root/../secret. */
static int make_tree(void **state)
{
    if (folder_make(state)) return -1;
    (void)mkdir(in_folder(state, "root"), 0700);
    (void)mkdir(in_folder(state, "root/folder"), 0700);
    (void)mkdir(in_folder(state, "outside"), 0700);
    touch(in_folder(state, "secret"));
    touch(in_folder(state, "outside/file"));
    touch(in_folder(state, "root/plain"));
    touch(in_folder(state, "root/folder/file"));
    return symlink("../secret", in_folder(state, "root/link-out")) ||
           symlink("plain", in_folder(state, "root/link-in")) ||
           symlink("../outside", in_folder(state, "root/folder-out")) ||
           symlink("folder", in_folder(state, "root/folder-in")) ||
           symlink("/proc/self/root", in_folder(state, "root/magic"));
}

static void links_are_refused_both_ways(void **state)
{
    static const struct {
        const char *path;
        bool opens;
    } cases[] = {
        {"plain", true},
        {"folder/file", true},
        {"link-out", false},
        {"link-in", false},
        {"folder-out/file", false},
        {"folder-in/file", false},
        {"magic/etc/passwd", false},
        {"absent", false},
        {"absent/file", false},
        {"plain/file", false},
        {"../secret", false},
    };
    int root;
    assert_int_equal(ie_beneath_root(&root, in_folder(state, "root"), "root", NULL), IE_OK);
    for (int way = IE_BENEATH_KERNEL; way <= IE_BENEATH_WALK; way++) {
        for (size_t i = 0; i < COUNT(cases); i++) {
            int file;
            ie_error err = {0};
            const ie_status status =
                ie_beneath_open(&file, root, cases[i].path, (ie_beneath_way)way, &err);
            if (status != (cases[i].opens ? IE_OK : IE_BAD_INPUT)) {
                fail_msg("%s, way %d: status %d", cases[i].path, way, status);
            }
            if (file >= 0) (void)close(file);
        }
    }
    (void)close(root);
}

static void output_folders_are_made(void **state)
{
    int root, folder;
    const char *name;
    ie_error err = {0};
    struct stat info;
    assert_int_equal(ie_beneath_root(&root, in_folder(state, "root"), "root", NULL), IE_OK);
    assert_int_equal(ie_beneath_folder(&folder, &name, root, "new/deep/x.png", false, &err), IE_IO);
    assert_int_equal(err.native, ENOENT);
    for (int i = 0; i < 2; i++) { /* the second time it is there */
        assert_int_equal(ie_beneath_folder(&folder, &name, root, "new/deep/x.png", true, NULL),
                         IE_OK);
        assert_string_equal(name, "x.png");
        (void)close(folder);
    }
    assert_int_equal(stat(in_folder(state, "root/new/deep"), &info), 0);
    assert_int_equal(ie_beneath_folder(&folder, &name, root, "x.png", true, NULL), IE_OK);
    (void)close(folder);
    static const char *const refused[] = {"folder-out/x.png", "folder-in/x.png", "plain/x.png",
                                          "magic/tmp/x.png", "folder-out/new/x.png"};
    for (size_t i = 0; i < COUNT(refused); i++) {
        assert_int_equal(ie_beneath_folder(&folder, &name, root, refused[i], true, &err), IE_IO);
    }
    assert_int_equal(folder_entries(in_folder(state, "outside")), 1);
    (void)close(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_by_their_text),
        cmocka_unit_test_setup_teardown(links_are_refused_both_ways, make_tree, folder_remove),
        cmocka_unit_test_setup_teardown(output_folders_are_made, make_tree, folder_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
