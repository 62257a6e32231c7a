/* test_tokenizer.c - prompts to ids, against ids of SentencePiece's own Python module.
 *
 * data/spiece.model is trained as T5's is (unigram, pad 0, </s> 1, <unk> 2, no <s>) but with the
 * identity normalization, which keeps it small; data/no_pad.model has SentencePiece's default ids.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "memory.h"
#include "tokenizer.h"
#include "utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DATA IE_SOURCE_DIR "/tests/model/data/"

enum { PIECES = 48 };

static ie_tokenizer *open_tokenizer(void)
{
    ie_error err = {0};
    ie_tokenizer *t = NULL;
    if (ie_tokenizer_open(&t, DATA "spiece.model", PIECES, &err) != IE_OK) fail_msg("%s", err.text);
    return t;
}

/* ---- encoding -------------------------------------------------------------------------------- */

static const struct {
    const char *text;
    int count;
    int32_t ids[24];
} prompts[] = {
    {"a red fish bowl", 11, {23, 3, 17, 7, 3, 14, 11, 6, 27, 25, 15}},
    {"two small golden owls, 3", 20, {16, 21, 3, 6, 30, 9,  10, 10, 12, 8,
                                      10, 7,  4, 5, 3,  15, 6,  33, 3,  38}},
    {"  a   red  ", 4, {23, 3, 17, 7}},
    {"z\xc3\xbcrich", 6, {3, 2, 28, 11, 29, 27}},
    {"\xe2\x82\xac", 2, {3, 2}},
    {"\xf0\x9f\x98\x80 a", 3, {3, 2, 23}},
    {"a\x01\nb", 3, {23, 2, 32}}, /* control characters are text */
    {"</s>", 4, {3, 2, 6, 2}},    /* and so is the spelling of a special token */
};

static void prompts_become_the_ids_of_the_python_module(void **state)
{
    (void)state;
    ie_tokenizer *t = open_tokenizer();
    for (size_t i = 0; i < COUNT(prompts); i++) {
        int32_t ids[32];
        int used = -1, cut = -1;
        ie_error err = {0};
        memset(ids, 0xAA, sizeof ids);
        if (ie_tokenizer_encode(t, prompts[i].text, 32, ids, &used, &cut, &err) != IE_OK) {
            fail_msg("%s: %s", prompts[i].text, err.text);
        }
        const int count = prompts[i].count;
        assert_int_equal(used, count + 1);
        assert_int_equal(cut, 0);
        assert_memory_equal(ids, prompts[i].ids, (size_t)count * sizeof *ids);
        assert_int_equal(ids[count], IE_TOKEN_END);
        for (int k = count + 1; k < 32; k++) assert_int_equal(ids[k], IE_TOKEN_PAD);
    }
    ie_tokenizer_close(&t);
    assert_null(t);
    ie_tokenizer_close(&t);
}

static void what_does_not_fit_is_counted_and_the_end_marker_stays_last(void **state)
{
    (void)state;
    ie_tokenizer *t = open_tokenizer();
    const int count = prompts[0].count;
    for (int length = 1; length <= count + 2; length++) {
        int32_t ids[16];
        int used = -1, cut = -1;
        memset(ids, 0xAA, sizeof ids);
        assert_int_equal(ie_tokenizer_encode(t, prompts[0].text, length, ids, &used, &cut, NULL),
                         IE_OK);
        const int kept = length - 1 < count ? length - 1 : count;
        assert_int_equal(used, kept + 1);
        assert_int_equal(cut, count - kept);
        assert_memory_equal(ids, prompts[0].ids, (size_t)kept * sizeof *ids);
        assert_int_equal(ids[kept], IE_TOKEN_END);
        assert_int_equal(ids[length], (int32_t)0xAAAAAAAA); /* nothing is written past the end */
    }
    ie_tokenizer_close(&t);
}

static void prompts_without_a_token_are_refused(void **state)
{
    (void)state;
    ie_tokenizer *t = open_tokenizer();
    static const char *const empty[] = {"", " ", "   "};
    for (size_t i = 0; i < COUNT(empty); i++) {
        int32_t ids[8];
        int used, cut;
        ie_error err = {0};
        const ie_status status = ie_tokenizer_encode(t, empty[i], 8, ids, &used, &cut, &err);
        assert_refused("empty", status, IE_BAD_INPUT, &err, "the prompt is empty");
    }
    ie_tokenizer_close(&t);
}

static void prompts_that_are_too_large_or_not_utf8_are_refused(void **state)
{
    (void)state;
    enum { TOO_MANY = (1 << 16) + 1 };
    ie_tokenizer *t = open_tokenizer();
    int32_t ids[8];
    int used, cut;
    ie_error err = {0};
    char *large = malloc(TOO_MANY + 1);
    assert_non_null(large);
    memset(large, 'a', TOO_MANY);
    large[TOO_MANY] = '\0';
    assert_refused("large", ie_tokenizer_encode(t, large, 8, ids, &used, &cut, &err), IE_BAD_INPUT,
                   &err, "65537 bytes; at most 65536");
    large[TOO_MANY - 1] = '\0';
    assert_int_equal(ie_tokenizer_encode(t, large, 8, ids, &used, &cut, NULL), IE_OK);
    assert_int_equal(used, 8);
    free(large);
    assert_refused("Latin-1", ie_tokenizer_encode(t, "z\xfcrich", 8, ids, &used, &cut, &err),
                   IE_BAD_INPUT, &err, "not UTF-8: byte 1 is 0xfc");
    ie_tokenizer_close(&t);
}

/* ---- UTF-8 ----------------------------------------------------------------------------------- */

static void utf8_is_checked_to_the_letter(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text;
        size_t valid; /* bytes before the fault */
    } texts[] = {
        {"nothing", "", 0},
        {"ASCII", "abc\x7f", 4},
        {"the first of each length", "\xc2\x80\xe0\xa0\x80\xf0\x90\x80\x80", 9},
        {"the last of each length", "\xdf\xbf\xef\xbf\xbf\xf4\x8f\xbf\xbf", 9},
        {"around the surrogates", "\xed\x9f\xbf\xee\x80\x80", 6},
        {"a lone continuation", "a\x80", 1},
        {"an overlong slash", "\xc0\xaf", 0},
        {"another overlong slash", "a\xe0\x80\xaf", 1},
        {"an overlong slash of four", "\xf0\x80\x80\xaf", 0},
        {"C1", "\xc1\xbf", 0},
        {"the last overlong of three", "\xe0\x9f\xbf", 0},
        {"the last overlong of four", "\xf0\x8f\xbf\xbf", 0},
        {"the first surrogate", "\xed\xa0\x80", 0},
        {"the last surrogate", "\xed\xbf\xbf", 0},
        {"above the last", "\xf4\x90\x80\x80", 0},
        {"F5", "\xf5\x80\x80\x80", 0},
        {"FF", "ab\xff", 2},
        {"a cut pair", "a\xc3", 1},
        {"a cut triple", "\xe2\x82", 0},
        {"a cut quadruple", "\xf0\x9f\x98", 0},
        {"a pair continued by a letter", "\xc3z", 0},
        {"a triple continued by a letter", "\xe2\x82z", 0},
        {"a quadruple continued by a first byte", "\xf0\x9f\x98\xc3", 0},
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        const size_t valid = ie_utf8_valid(texts[i].text, strlen(texts[i].text));
        if (valid != texts[i].valid) fail_msg("%s: %zu valid bytes", texts[i].name, valid);
    }
    assert_int_equal(ie_utf8_valid("a\0b", 3), 3); /* NUL is a character */
}

/* ---- opening --------------------------------------------------------------------------------- */

static void a_model_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    ie_error err = {0};
    ie_tokenizer *t = NULL;
    assert_refused("missing", ie_tokenizer_open(&t, DATA "none.model", PIECES, &err), IE_BAD_MODEL,
                   &err, "none.model cannot be read: No such file");
    assert_refused("ids", ie_tokenizer_open(&t, DATA "no_pad.model", PIECES, &err), IE_BAD_MODEL,
                   &err, "has padding -1 and </s> 2; T5's text encoder needs 0 and 1");
    assert_refused("pieces", ie_tokenizer_open(&t, DATA "spiece.model", PIECES - 1, &err),
                   IE_BAD_MODEL, &err,
                   "has 48 pieces, but the text encoder's vocab_size is only 47");
    assert_null(t);
}

static void a_file_that_is_no_model_is_refused(void **state)
{
    (void)state;
    static const char garbage[] = "\xff\xff\xff\xff not a protocol buffer";
    char *folder = folder_make(), path[4200];
    ie_error err = {0};
    ie_tokenizer *t = NULL;
    snprintf(path, sizeof path, "%s/spiece.model", folder);
    folder_write(folder, "spiece.model", garbage, sizeof garbage);
    assert_refused("garbage", ie_tokenizer_open(&t, path, PIECES, &err), IE_BAD_MODEL, &err,
                   "is not a SentencePiece model");
    folder_write(folder, "spiece.model", "", 0);
    assert_refused("nothing", ie_tokenizer_open(&t, path, PIECES, &err), IE_BAD_MODEL, &err,
                   "is not a SentencePiece model");
    folder_remove(folder);
}

static ie_status open_and_close(void *context, ie_error *err)
{
    (void)context;
    ie_tokenizer *t = NULL;
    const ie_status status = ie_tokenizer_open(&t, DATA "spiece.model", PIECES, err);
    ie_tokenizer_close(&t);
    return status;
}

static void every_failing_allocation_is_reported_and_leaks_nothing(void **state)
{
    (void)state;
    sweep_allocations(open_and_close, NULL, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prompts_become_the_ids_of_the_python_module),
        cmocka_unit_test(what_does_not_fit_is_counted_and_the_end_marker_stays_last),
        cmocka_unit_test(prompts_without_a_token_are_refused),
        cmocka_unit_test(prompts_that_are_too_large_or_not_utf8_are_refused),
        cmocka_unit_test(utf8_is_checked_to_the_letter),
        cmocka_unit_test(a_model_that_does_not_fit_is_refused),
        cmocka_unit_test(a_file_that_is_no_model_is_refused),
        cmocka_unit_test(every_failing_allocation_is_reported_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
