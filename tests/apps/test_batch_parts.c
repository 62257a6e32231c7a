/* test_batch_parts.c - the small parts of a batch job: shards, limits, names, seeds, base64, CSV,
 * the index of ids. SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "base64.h"
#include "csv.h"
#include "digest.h"
#include "failure_limit.h"
#include "id_index.h"
#include "output_name.h"
#include "shard.h"

#include <stdlib.h>
#include <string.h>

/* ---- shards ---------------------------------------------------------------------------------- */

/* An environment of four variables. */
static const char *task, *task_min, *task_count, *completion;

static char *fake_environment(const char *name)
{
    const struct {
        const char *name, *value;
    } variables[] = {{"SLURM_ARRAY_TASK_ID", task},
                     {"SLURM_ARRAY_TASK_MIN", task_min},
                     {"SLURM_ARRAY_TASK_COUNT", task_count},
                     {"JOB_COMPLETION_INDEX", completion}};
    for (size_t i = 0; i < COUNT(variables); i++) {
        if (!strcmp(name, variables[i].name)) return (char *)(uintptr_t)variables[i].value;
    }
    return NULL;
}

static void shards_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text, *task, *min, *count, *completion;
        int index, shards; /* shards 0: refused */
    } cases[] = {
        {NULL, NULL, NULL, NULL, NULL, 0, 1},
        {"0/1", NULL, NULL, NULL, NULL, 0, 1},
        {"3/8", NULL, NULL, NULL, NULL, 3, 8},
        {"3/8", "5", "0", "8", NULL, 3, 8}, /* what was given wins */
        {"auto", "5", "0", "8", NULL, 5, 8},
        {"auto", "5", "1", "8", NULL, 4, 8},
        {"auto/4", "3", "0", "2", NULL, 3, 4}, /* some tasks of an array, run again */
        {"auto/4", NULL, NULL, NULL, "2", 2, 4},
        {"auto", NULL, NULL, NULL, "2", 0, 0},
        {"auto", NULL, NULL, NULL, NULL, 0, 0},
        {"auto/4", NULL, NULL, NULL, "4", 0, 0},
        {"auto", "x", "0", "8", NULL, 0, 0},
        {"auto", "9", "0", "8", NULL, 0, 0}, /* an array with holes */
        {"8/8", NULL, NULL, NULL, NULL, 0, 0},
        {"-1/8", NULL, NULL, NULL, NULL, 0, 0},
        {"1", NULL, NULL, NULL, NULL, 0, 0},
        {"1/", NULL, NULL, NULL, NULL, 0, 0},
        {"1/0", NULL, NULL, NULL, NULL, 0, 0},
        {"/3", NULL, NULL, NULL, NULL, 0, 0},
        {"", NULL, NULL, NULL, NULL, 0, 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        ie_shard shard;
        ie_error err = {0};
        task = cases[i].task;
        task_min = cases[i].min;
        task_count = cases[i].count;
        completion = cases[i].completion;
        const ie_status status = ie_shard_parse(&shard, cases[i].text, fake_environment, &err);
        assert_int_equal(status, cases[i].shards ? IE_OK : IE_BAD_ARGUMENT);
        if (!cases[i].shards) continue;
        assert_int_equal(shard.index, cases[i].index);
        assert_int_equal(shard.count, cases[i].shards);
    }
}

static void shards_cover_everything_once(void **state)
{
    (void)state;
    for (int count = 1; count < 12; count++) {
        for (size_t items = 0; items < 40; items++) {
            size_t first, end, next = 0;
            for (int i = 0; i < count; i++) {
                ie_shard_range((ie_shard){i, count}, items, &first, &end);
                assert_int_equal(first, next);
                assert_true(end - first <= items / (size_t)count + 1);
                next = end;
            }
            assert_int_equal(next, items);
        }
    }
}

/* ---- limits ---------------------------------------------------------------------------------- */

static void failure_limits(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        size_t most; /* failures allowed of 1000 items */
    } good[] = {{"0", 0}, {"7", 7}, {"0%", 0}, {"5%", 50}, {"2.5%", 25}, {"100%", 1000}};
    for (size_t i = 0; i < COUNT(good); i++) {
        ie_failure_limit limit;
        assert_int_equal(ie_failure_limit_parse(&limit, good[i].text, NULL), IE_OK);
        assert_false(ie_failure_limit_passed(&limit, good[i].most, 1000));
        assert_true(ie_failure_limit_passed(&limit, good[i].most + 1, 1000));
    }
    static const char *const bad[] = {"", "%", "-1", "1.5", "101%", "nan%", "0x1p3%", "5 %", "5%%"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        ie_failure_limit limit;
        ie_error err = {0};
        assert_says(ie_failure_limit_parse(&limit, bad[i], &err), IE_BAD_ARGUMENT, &err,
                    "legal is");
    }
    assert_false(ie_failure_limit_passed(&(ie_failure_limit){.given = false}, 1000, 1000));
}

/* ---- names and seeds ------------------------------------------------------------------------- */

static void output_names(void **state)
{
    (void)state;
    static const struct {
        const char *id, *name;
    } cases[] = {
        {"a1", "a1.png"},
        {"A.b_c-d", "A.b_c-d.png"},
        {"shelf/12 b", "shelf%2F12%20b.png"},
        {"../../etc", "%2E.%2F..%2Fetc.png"},
        {".hidden", "%2Ehidden.png"},
        {"-rf", "%2Drf.png"},
        {"100%", "100%25.png"},
        {"\xc3\xa9", "%C3%A9.png"},
    };
    char name[IE_OUTPUT_STEM + 16], longest[IE_OUTPUT_STEM + 2];
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(ie_output_name(name, cases[i].id, ".png", NULL), IE_OK);
        assert_string_equal(name, cases[i].name);
    }
    memset(longest, 'x', sizeof longest);
    longest[IE_OUTPUT_STEM - 2] = '\0';
    assert_int_equal(ie_output_name(name, longest, ".webp", NULL), IE_OK);
    longest[IE_OUTPUT_STEM - 2] = '/';
    longest[IE_OUTPUT_STEM + 1] = '\0';
    assert_int_equal(ie_output_name(name, longest, ".webp", NULL), IE_BAD_INPUT);
    assert_int_equal(ie_output_name(name, "", ".png", NULL), IE_BAD_INPUT);
}

static void seeds_follow_from_job_and_id(void **state)
{
    (void)state;
    char hex[IE_DIGEST_TEXT];
    /* FIPS 180-2: "abc". */
    assert_string_equal(ie_digest(hex, "abc", 3),
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    const uint64_t seed = ie_item_seed(0, "a");
    assert_int_equal(ie_item_seed(0, "a"), seed);
    assert_int_not_equal(ie_item_seed(1, "a"), seed);
    assert_int_not_equal(ie_item_seed(0, "b"), seed);
    /* From SHA-256 of eight zero bytes and "a". It may never change: results would. */
    assert_int_equal(seed, UINT64_C(7599624311884297));
    for (uint64_t job = 0; job < 100; job++) {
        assert_true(ie_item_seed(job, "a") < UINT64_C(1) << 53);
    }
}

/* ---- base64 ---------------------------------------------------------------------------------- */

static void base64_round_trips(void **state)
{
    (void)state;
    /* RFC 4648, section 10. */
    static const char *const texts[] = {"f", "fo", "foo", "foob", "fooba", "foobar"};
    static const char *const codes[] = {"Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        size_t size;
        char *code = ie_base64_encode(texts[i], strlen(texts[i]));
        assert_string_equal(code, codes[i]);
        uint8_t *data = ie_base64_decode(code, strlen(code), &size);
        assert_non_null(data);
        assert_int_equal(size, strlen(texts[i]));
        assert_memory_equal(data, texts[i], size);
        free(data);
        free(code);
    }
    static const char *const bad[] = {"", "Z", "Zg=", "Zg", "Z===", "Zm9v!g==", "Zg==Zg==", "Zm=v"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        size_t size;
        assert_null(ie_base64_decode(bad[i], strlen(bad[i]), &size));
    }
}

/* ---- the index ------------------------------------------------------------------------------- */

static void ids_are_found_again(void **state)
{
    (void)state;
    enum { MANY = 5000 };
    static char ids[MANY][16];
    ie_id_index index = {0};
    assert_int_equal(ie_id_find(&index, "0"), IE_ID_ABSENT);
    for (int i = 0; i < MANY; i++) {
        (void)snprintf(ids[i], sizeof ids[i], "id-%d", i);
        assert_int_equal(ie_id_find(&index, ids[i]), IE_ID_ABSENT);
        assert_int_equal(ie_id_add(&index, ids[i], (size_t)i, NULL), IE_OK);
    }
    for (int i = 0; i < MANY; i++) assert_int_equal(ie_id_find(&index, ids[i]), i);
    assert_int_equal(ie_id_find(&index, "id-"), IE_ID_ABSENT);
    ie_id_release(&index);
}

/* ---- CSV ------------------------------------------------------------------------------------- */

typedef struct csv_case {
    const char *text;
    const char *cells; /* of all records, separated by | and / ; NULL: refused */
    const char *says;
} csv_case;

static void csv_records(void **state)
{
    (void)state;
    static const csv_case cases[] = {
        {"a,b\n1,2\n", "a|b/1|2/", NULL},
        {"a,b\r\n1,2\r\n", "a|b/1|2/", NULL},
        {"a,b", "a|b/", NULL},
        {"a,\n,\n", "a|/|/", NULL},
        {"\n\na\n\n", "a/", NULL},
        {"\"a,b\",\"c\"\"d\"\n", "a,b|c\"d/", NULL},
        {"\"two\nlines\",x\n", "two\nlines|x/", NULL},
        {"\"\",\"\"\r\n", "|/", NULL},
        {"", "", NULL},
        {"a\"b\n", NULL, "a quote inside"},
        {"\"a\"b\n", NULL, "after a closing quote"},
        {"\"a\n", NULL, "not closed"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        FILE *file = tmpfile();
        char got[256] = "";
        ie_csv csv;
        bool more = true;
        ie_error err = {0};
        ie_status status;
        assert_non_null(file);
        assert_true(fputs(cases[i].text, file) >= 0);
        rewind(file);
        ie_csv_begin(&csv, file);
        while ((status = ie_csv_next(&csv, &more, &err)) == IE_OK && more) {
            for (int k = 0; k < csv.count; k++) {
                strcat(strcat(got, k ? "|" : ""), csv.cells[k]);
            }
            strcat(got, "/");
        }
        if (cases[i].cells) {
            assert_int_equal(status, IE_OK);
            assert_string_equal(got, cases[i].cells);
        } else {
            assert_says(status, IE_BAD_INPUT, &err, cases[i].says);
        }
        ie_csv_release(&csv);
        (void)fclose(file);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shards_are_read),
        cmocka_unit_test(shards_cover_everything_once),
        cmocka_unit_test(failure_limits),
        cmocka_unit_test(output_names),
        cmocka_unit_test(seeds_follow_from_job_and_id),
        cmocka_unit_test(base64_round_trips),
        cmocka_unit_test(ids_are_found_again),
        cmocka_unit_test(csv_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
