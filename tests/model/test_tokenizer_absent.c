/* test_tokenizer_absent.c - a build without SentencePiece says so.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "tokenizer.h"

static void opening_a_tokenizer_says_how_to_build_one(void **state)
{
    (void)state;
    ie_error err = {0};
    ie_tokenizer *t = NULL;
    const char *path = IE_SOURCE_DIR "/tests/model/data/spiece.model";
    assert_refused("absent", ie_tokenizer_open(&t, path, 48, &err), IE_BAD_MODEL, &err,
                   "this build has no tokenizer; build with -DIE_SENTENCEPIECE=ON");
    assert_null(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening_a_tokenizer_says_how_to_build_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
