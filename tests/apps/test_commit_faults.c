/* test_commit_faults.c - every system call on the way of an output to its name fails once: what is
 * left is the old state or the complete new one, and trying again completes it.
 *
 * The linker (--wrap) puts the functions below between the program and the C library.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "beneath.h"
#include "digest.h"
#include "ledger_state.h"
#include "output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- faults ---------------------------------------------------------------------------------- */

/* TORN: half of a write arrives, and the disk is full for the rest. */
typedef enum fault { NO_SPACE, IO_ERROR, INTERRUPTED, SHORT_WRITE, TORN, FAULTS } fault;

static struct {
    bool armed;
    int countdown; /* calls until the one that fails */
    fault kind;
    const char *hit; /* the call that failed */
    bool full;       /* TORN: the next write fails */
} faults;

/* Is it this call's turn? errno is set. */
static bool fails(const char *call, bool is_write)
{
    if (!faults.armed || faults.hit) return false;
    if ((faults.kind == SHORT_WRITE || faults.kind == TORN) && !is_write) return false;
    if (faults.countdown-- > 0) return false;
    faults.hit = call;
    errno = faults.kind == NO_SPACE ? ENOSPC : faults.kind == IO_ERROR ? EIO : EINTR;
    return true;
}

#define REAL(type, name, ...)        \
    type __real_##name(__VA_ARGS__); \
    type __wrap_##name(__VA_ARGS__)
REAL(ssize_t, write, int descriptor, const void *data, size_t size);
REAL(int, fdatasync, int descriptor);
REAL(int, fsync, int descriptor);
REAL(int, linkat, int from_folder, const char *from, int to_folder, const char *to, int flags);
REAL(int, unlinkat, int folder, const char *name, int flags);
REAL(int, mkdirat, int folder, const char *name, mode_t mode);
REAL(int, openat, int folder, const char *name, int flags, ...);
REAL(long, syscall, long number, ...);

ssize_t __wrap_write(int descriptor, const void *data, size_t size)
{
    if (faults.full) {
        faults.full = false;
        errno = ENOSPC;
        return -1;
    }
    if (!fails("write", true)) return __real_write(descriptor, data, size);
    faults.full = faults.kind == TORN;
    if (faults.kind == SHORT_WRITE || faults.kind == TORN) {
        return __real_write(descriptor, data, size > 1 ? size / 2 : size);
    }
    return -1;
}

int __wrap_fdatasync(int descriptor)
{
    return fails("fdatasync", false) ? -1 : __real_fdatasync(descriptor);
}

int __wrap_fsync(int descriptor)
{
    return fails("fsync", false) ? -1 : __real_fsync(descriptor);
}

int __wrap_linkat(int from_folder, const char *from, int to_folder, const char *to, int flags)
{
    if (fails("linkat", false)) return -1;
    return __real_linkat(from_folder, from, to_folder, to, flags);
}

int __wrap_unlinkat(int folder, const char *name, int flags)
{
    return fails("unlinkat", false) ? -1 : __real_unlinkat(folder, name, flags);
}

int __wrap_mkdirat(int folder, const char *name, mode_t mode)
{
    return fails("mkdirat", false) ? -1 : __real_mkdirat(folder, name, mode);
}

/* Files without names, as on a file system that has none. */
static bool no_nameless_files;

int __wrap_openat(int folder, const char *name, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    const mode_t mode = va_arg(arguments, mode_t);
    va_end(arguments);
    if (no_nameless_files && (flags & O_TMPFILE) == O_TMPFILE) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return fails("openat", false) ? -1 : __real_openat(folder, name, flags, mode);
}

/* openat2 */
long __wrap_syscall(long number, ...)
{
    va_list arguments;
    va_start(arguments, number);
    const long folder = va_arg(arguments, int);
    const char *path = va_arg(arguments, const char *);
    void *how = va_arg(arguments, void *);
    const size_t size = va_arg(arguments, size_t);
    va_end(arguments);
    return fails("openat2", false) ? -1 : __real_syscall(number, folder, path, how, size);
}

/* ---- the commit ------------------------------------------------------------------------------ */

static const char text[] = "what an encoder wrote, some bytes of it";
static const ie_item item = {.id = (char *)"x", .count = 1, .request = "0"};

static ie_status commit(ie_ledger *l, int root, ie_written *w, ie_error *err)
{
    *w = (ie_written){.output = "folder/x.png", .bytes = sizeof text};
    const ie_status status = ie_output_commit(l, root, &item, w, text, err);
    return status != IE_OK ? status : ie_ledger_done(l, &item, w, 0, err);
}

typedef enum found { ABSENT, COMPLETE, BROKEN } found;

static found look(void **state)
{
    struct stat info;
    if (stat(in_folder(state, "folder/x.png"), &info)) return ABSENT;
    bytes file = bytes_read(in_folder(state, "folder/x.png"));
    const bool same = file.size == sizeof text && !memcmp(file.data, text, sizeof text);
    bytes_free(&file);
    return same ? COMPLETE : BROKEN;
}

static bool ledger_says_done(int root)
{
    ie_ledger_state s;
    assert_int_equal(ie_ledger_state_read(&s, root, NULL), IE_OK);
    const ie_item_state *x = ie_ledger_state_of(&s, "x");
    const bool done = x && x->done;
    ie_ledger_state_release(&s);
    return done;
}

static bool ledger_has_commit(int root)
{
    char sha256[IE_SHA256_HEX];
    return ie_ledger_has_commit(root, "folder/x.png", ie_digest(sha256, text, sizeof text));
}

/* One commit in a new folder, with the fault at the n-th call; false when there are fewer calls. */
static bool commit_with_fault(fault kind, int n, const char **hit)
{
    void *folder = NULL, **state = &folder;
    int root;
    ie_ledger l;
    ie_written w;
    ie_error err = {0};
    assert_int_equal(folder_make(state), 0);
    assert_int_equal(ie_beneath_root(&root, folder, "root", NULL), IE_OK);
    faults.armed = true;
    faults.countdown = n;
    faults.kind = kind;
    faults.hit = NULL;
    ie_status status = ie_ledger_open(&l, root, (ie_shard){0, 1}, &err);
    const bool opened = status == IE_OK;
    if (opened) status = commit(&l, root, &w, &err);
    faults.armed = false;
    *hit = faults.hit;

    const found after = look(state);
    assert_int_not_equal(after, BROKEN);
    if (status == IE_OK) {
        assert_int_equal(after, COMPLETE);
        assert_true(ledger_says_done(root));
    } else {
        assert_int_equal(status, IE_IO);
        assert_true(err.text[0] != '\0');
    }
    if (kind == INTERRUPTED || kind == SHORT_WRITE) assert_int_equal(status, IE_OK);
    if (ledger_says_done(root)) assert_int_equal(after, COMPLETE); /* never before the output */
    if (after == COMPLETE) assert_true(ledger_has_commit(root));   /* never after it */

    /* Again, in the same attempt and then in a new one. */
    if (opened) {
        if (status != IE_OK) {
            assert_int_equal(commit(&l, root, &w, &err), IE_OK);
            assert_true(ledger_says_done(root));
            assert_true(ledger_has_commit(root)); /* a torn line does not spoil the next one */
        }
        ie_ledger_close(&l);
    }
    assert_int_equal(ie_ledger_open(&l, root, (ie_shard){0, 1}, &err), IE_OK);
    assert_int_equal(commit(&l, root, &w, &err), IE_OK);
    ie_ledger_close(&l);
    assert_int_equal(look(state), COMPLETE);
    assert_true(ledger_says_done(root));
    /* Nothing but the output in its folder; a name that could not be removed is the exception. */
    const int extra = *hit && !strcmp(*hit, "unlinkat");
    assert_int_equal(folder_entries(in_folder(state, "folder")), 1 + extra);
    (void)close(root);
    assert_int_equal(folder_remove(state), 0);
    return *hit != NULL;
}

static void sweep(void)
{
    static const char *const names[] = {"ENOSPC", "EIO", "EINTR", "short write", "torn write"};
    for (int kind = 0; kind < FAULTS; kind++) {
        const char *hit = NULL;
        int synced = 0;
        for (int n = 0; commit_with_fault((fault)kind, n, &hit); n++) {
            printf("  %-11s at call %2d: %s\n", names[kind], n, hit);
            synced += !strcmp(hit, kind == SHORT_WRITE || kind == TORN ? "write" : "fdatasync");
        }
        assert_int_equal(synced, 3); /* commit, output, done */
    }
}

static void nothing_is_ever_half_there(void **state)
{
    (void)state;
    sweep();
}

static void nor_on_a_file_system_without_nameless_files(void **state)
{
    (void)state;
    no_nameless_files = true;
    sweep();
    no_nameless_files = false;
}

/* ---- a name that is taken -------------------------------------------------------------------- */

static void put_output(void **state, const char *content)
{
    bytes file = {0};
    bytes_append(&file, content, strlen(content));
    (void)mkdir(in_folder(state, "folder"), 0700);
    bytes_write(&file, in_folder(state, "folder/x.png"));
    bytes_free(&file);
}

static void what_has_the_name_stays(void **state)
{
    int root;
    ie_ledger l, theirs;
    ie_written w, other = {.output = "folder/x.png", .bytes = 5};
    ie_error err = {0};
    assert_int_equal(ie_beneath_root(&root, *state, "root", NULL), IE_OK);
    assert_int_equal(ie_ledger_open(&l, root, (ie_shard){0, 1}, NULL), IE_OK);
    put_output(state, "other");
    assert_says(commit(&l, root, &w, &err), IE_IO, &err, "exists and is not this job's");
    assert_int_equal(err.native, EEXIST);
    assert_false(ledger_says_done(root));
    bytes file = bytes_read(in_folder(state, "folder/x.png"));
    assert_memory_equal(file.data, "other", 5);
    bytes_free(&file);

    /* Another attempt, on another machine, made it so: then it is the item's. */
    assert_int_equal(ie_ledger_open(&theirs, root, (ie_shard){0, 1}, NULL), IE_OK);
    (void)ie_digest(other.sha256, "other", 5);
    assert_int_equal(ie_ledger_commit(&theirs, &item, &other, NULL), IE_OK);
    assert_int_equal(commit(&l, root, &w, &err), IE_OK);
    assert_string_equal(w.sha256, other.sha256);
    assert_int_equal(w.bytes, 5);
    ie_ledger_close(&theirs);
    ie_ledger_close(&l);
    (void)close(root);
}

static void without_nameless_files_too(void **state)
{
    no_nameless_files = true;
    what_has_the_name_stays(state);
    no_nameless_files = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_ever_half_there),
        cmocka_unit_test(nor_on_a_file_system_without_nameless_files),
        cmocka_unit_test_setup_teardown(what_has_the_name_stays, folder_make, folder_remove),
        cmocka_unit_test_setup_teardown(without_nameless_files_too, folder_make, folder_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
