/* test_ledger.c - attempts, what they write, and what is read back from it.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "beneath.h"
#include "ledger_state.h"
#include "plan.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const ie_shard whole = {0, 1};

static int open_root(void **state)
{
    int root;
    assert_int_equal(ie_beneath_root(&root, *state, "root", NULL), IE_OK);
    return root;
}

static ie_item item_of(const char *id)
{
    return (ie_item){
        .id = (char *)(uintptr_t)id, .count = 1, .line = 3, .request = "0123456789abcdef"};
}

static void write_done(ie_ledger *l, const char *id, const char *output, size_t size)
{
    const ie_item item = item_of(id);
    ie_written written = {.bytes = size, .seed = 5};
    (void)snprintf(written.output, sizeof written.output, "%s", output);
    memset(written.sha256, 'a', 64);
    assert_int_equal(ie_ledger_begin(l, &item, NULL), IE_OK);
    assert_int_equal(ie_ledger_commit(l, &item, &written, NULL), IE_OK);
    assert_int_equal(ie_ledger_done(l, &item, &written, 0.5, NULL), IE_OK);
}

static void begin(ie_ledger *l, const char *id)
{
    const ie_item item = item_of(id);
    assert_int_equal(ie_ledger_begin(l, &item, NULL), IE_OK);
}

static void attempts_have_files_of_their_own(void **state)
{
    const int root = open_root(state);
    ie_ledger first, second, other;
    assert_int_equal(ie_ledger_open(&first, root, whole, NULL), IE_OK);
    assert_int_equal(ie_ledger_open(&second, root, whole, NULL), IE_OK); /* both live */
    assert_int_equal(ie_ledger_open(&other, root, (ie_shard){3, 8}, NULL), IE_OK);
    assert_string_equal(first.name, "shard-00000-of-00001.attempt-00001.jsonl");
    assert_string_equal(second.name, "shard-00000-of-00001.attempt-00002.jsonl");
    assert_string_equal(other.name, "shard-00003-of-00008.attempt-00001.jsonl");
    ie_ledger_close(&first);
    ie_ledger_close(&second);
    ie_ledger_close(&other);
    (void)close(root);
}

static void events_are_read_back(void **state)
{
    const int root = open_root(state);
    ie_ledger l;
    ie_ledger_state s;
    const ie_item bad = item_of("bad \"id\"\xc3\xa9");
    assert_int_equal(ie_ledger_state_read(&s, root, NULL), IE_OK); /* none yet */
    assert_int_equal(s.ledger_count, 0);
    ie_ledger_state_release(&s);

    assert_int_equal(ie_ledger_open(&l, root, whole, NULL), IE_OK);
    assert_int_equal(ie_ledger_start(&l, whole, 9, 10, NULL), IE_OK);
    write_done(&l, "good", "good.png", 77);
    assert_int_equal(ie_ledger_begin(&l, &bad, NULL), IE_OK);
    assert_int_equal(ie_ledger_failed(&l, &bad, "input", "a <reason>", NULL), IE_OK);
    begin(&l, "open");
    begin(&l, "killed");
    assert_int_equal(ie_ledger_mark(&l, "killed", IE_MARK_KILLED, NULL), IE_OK);
    begin(&l, "stopped");
    assert_int_equal(ie_ledger_mark(&l, "stopped", IE_MARK_STOPPED, NULL), IE_OK);
    ie_ledger_close(&l);

    assert_int_equal(ie_ledger_state_read(&s, root, NULL), IE_OK);
    assert_int_equal(s.count, 5);
    assert_int_equal(s.damaged, 0);
    assert_int_equal(s.shards[0].items, 9);
    assert_int_equal(s.shards[0].lines, 10);
    assert_false(s.shards[0].ended);
    const ie_item_state *good = ie_ledger_state_of(&s, "good");
    assert_true(good->done);
    assert_int_equal(good->output_count, 1);
    assert_string_equal(good->outputs[0].output, "good.png");
    assert_int_equal(good->outputs[0].bytes, 77);
    assert_int_equal(good->outputs[0].seed, 5);
    assert_string_equal(good->request, "0123456789abcdef");
    const ie_item_state *failed = ie_ledger_state_of(&s, bad.id);
    assert_true(failed->failed);
    assert_string_equal(failed->reason, "a <reason>");
    assert_string_equal(failed->kind, "input");
    assert_int_equal(ie_ledger_state_of(&s, "open")->open_in, 1);
    assert_int_equal(ie_ledger_state_of(&s, "killed")->strikes, 1);
    assert_int_equal(ie_ledger_state_of(&s, "killed")->open_in, 0);
    assert_int_equal(ie_ledger_state_of(&s, "stopped")->strikes, 0);
    assert_int_equal(ie_ledger_state_of(&s, "stopped")->open_in, 0);
    assert_null(ie_ledger_state_of(&s, "absent"));
    ie_ledger_state_release(&s);

    char sha256[IE_SHA256_HEX] = "";
    memset(sha256, 'a', 64);
    assert_true(ie_ledger_has_commit(root, "good.png", sha256));
    assert_false(ie_ledger_has_commit(root, "other.png", sha256));
    memset(sha256, 'b', 64);
    assert_false(ie_ledger_has_commit(root, "good.png", sha256));
    (void)close(root);
}

/* The ledger cut off after every byte: what is read is what was there before the cut. */
static void a_torn_last_line_is_tolerated(void **state)
{
    const int root = open_root(state);
    ie_ledger l;
    char path[PATH_MAX];
    assert_int_equal(ie_ledger_open(&l, root, whole, NULL), IE_OK);
    (void)snprintf(path, sizeof path, "%s/ledger/%s", (const char *)*state, l.name);
    write_done(&l, "first", "first.png", 1);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    const off_t whole_lines = info.st_size;
    begin(&l, "second");
    ie_ledger_close(&l);
    bytes file = bytes_read(path);
    for (size_t size = (size_t)whole_lines; size <= file.size; size++) {
        ie_ledger_state s;
        assert_int_equal(truncate(path, (off_t)size), 0);
        assert_int_equal(ie_ledger_state_read(&s, root, NULL), IE_OK);
        assert_true(ie_ledger_state_of(&s, "first")->done);
        const bool complete = size + 1 >= file.size; /* its newline may be missing */
        assert_int_equal(ie_ledger_state_of(&s, "second") != NULL, complete);
        assert_int_equal(s.damaged, !complete && size > (size_t)whole_lines + 1);
        ie_ledger_state_release(&s);
        bytes_write(&file, path);
    }
    bytes_free(&file);
    (void)close(root);
}

static void strikes_are_forgotten_when_cleared_or_failed(void **state)
{
    const int root = open_root(state);
    const ie_item item = item_of("x");
    ie_ledger_state s;
    for (int round = 0; round < 3; round++) {
        ie_ledger l;
        assert_int_equal(ie_ledger_open(&l, root, whole, NULL), IE_OK);
        begin(&l, "x");
        assert_int_equal(ie_ledger_mark(&l, "x", IE_MARK_KILLED, NULL), IE_OK);
        if (round == 1) {
            assert_int_equal(ie_ledger_mark(&l, "x", IE_MARK_CLEARED, NULL), IE_OK);
        }
        if (round == 2) assert_int_equal(ie_ledger_failed(&l, &item, "c", "r", NULL), IE_OK);
        ie_ledger_close(&l);
        static const int strikes[] = {1, 0, 0};
        assert_int_equal(ie_ledger_state_read(&s, root, NULL), IE_OK);
        assert_int_equal(ie_ledger_state_of(&s, "x")->strikes, strikes[round]);
        ie_ledger_state_release(&s);
    }
    (void)close(root);
}

/* ---- the plan -------------------------------------------------------------------------------- */

enum { ITEMS = 9 };

static void put_file(void **state, const char *name, const char *text)
{
    bytes file = {0};
    bytes_append(&file, text, strlen(text));
    bytes_write(&file, in_folder(state, name));
    bytes_free(&file);
}

static void plans_follow_the_ledgers(void **state)
{
    static const char *const ids[ITEMS] = {"new",    "done",  "lost",    "altered", "changed",
                                           "failed", "crash", "crashes", "open"};
    const int root = open_root(state);
    ie_item items[ITEMS];
    ie_ledger l;
    ie_ledger_state s;
    ie_plan p;
    for (int i = 0; i < ITEMS; i++) items[i] = item_of(ids[i]);
    assert_int_equal(ie_ledger_open(&l, root, whole, NULL), IE_OK);
    write_done(&l, "done", "done.png", 4);
    put_file(state, "done.png", "1234");
    write_done(&l, "lost", "lost.png", 4);
    write_done(&l, "altered", "altered.png", 4);
    put_file(state, "altered.png", "12345");
    write_done(&l, "changed", "changed.png", 4);
    items[4].request[0] = 'x';
    begin(&l, "failed");
    assert_int_equal(ie_ledger_failed(&l, &items[5], "input", "r", NULL), IE_OK);
    for (int i = 0; i < 2; i++) {
        if (i == 0) assert_int_equal(ie_ledger_mark(&l, "crash", IE_MARK_KILLED, NULL), IE_OK);
        assert_int_equal(ie_ledger_mark(&l, "crashes", IE_MARK_KILLED, NULL), IE_OK);
    }
    begin(&l, "open");
    ie_ledger_close(&l);

    const ie_manifest m = {.items = items, .count = ITEMS};
    ie_plan_options options = {.retry_failed = false};
    assert_int_equal(ie_ledger_state_read(&s, root, NULL), IE_OK);
    assert_int_equal(ie_plan_make(&p, &m, &s, whole, root, &options, NULL), IE_OK);
    assert_int_equal(p.done, 1);
    assert_int_equal(p.failed, 1);
    assert_int_equal(p.due_count, 2);
    assert_int_equal(p.due[0], 0); /* new */
    assert_int_equal(p.due[1], 2); /* lost */
    assert_int_equal(p.alone_count, 2);
    assert_int_equal(p.alone[0], 6); /* crash */
    assert_int_equal(p.alone[1], 8); /* open */
    assert_int_equal(p.quarantine_count, 1);
    assert_int_equal(p.quarantine[0], 7);
    assert_int_equal(p.altered_count, 1);
    assert_int_equal(p.altered[0], 3);
    assert_int_equal(p.changed_count, 1);
    assert_int_equal(p.changed[0], 4);
    ie_plan_release(&p);

    options.verify = true; /* the SHA-256 of "1234" is not 64 times a */
    assert_int_equal(ie_plan_make(&p, &m, &s, whole, root, &options, NULL), IE_OK);
    assert_int_equal(p.altered_count, 2);
    assert_int_equal(p.done, 0);
    ie_plan_release(&p);

    options = (ie_plan_options){.retry_failed = true};
    items[5].request[0] = '0';
    assert_int_equal(ie_plan_make(&p, &m, &s, whole, root, &options, NULL), IE_OK);
    assert_int_equal(p.due_count, 3);
    ie_plan_release(&p);

    options.retry_failed = false;
    items[5].request[0] = 'y'; /* the line was mended */
    assert_int_equal(ie_plan_make(&p, &m, &s, whole, root, &options, NULL), IE_OK);
    assert_int_equal(p.due_count, 3);
    ie_plan_release(&p);
    ie_ledger_state_release(&s);
    (void)close(root);
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_make, folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(attempts_have_files_of_their_own),
        IN_FOLDER(events_are_read_back),
        IN_FOLDER(a_torn_last_line_is_tolerated),
        IN_FOLDER(strikes_are_forgotten_when_cleared_or_failed),
        IN_FOLDER(plans_follow_the_ledgers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
