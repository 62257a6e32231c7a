/* test_config_text.c - the text encoder's config.json, and what several files must agree on.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "config.h"

#include <string.h>

/* As Hugging Face writes it, with keys that are of no interest here. */
static const char t5[] =
    "{\"architectures\": [\"T5EncoderModel\"], \"d_ff\": 10240, \"d_kv\": 64, \"d_model\": 4096,"
    " \"dropout_rate\": 0.1, \"feed_forward_proj\": \"gated-gelu\", \"layer_norm_epsilon\": 1e-06,"
    " \"model_type\": \"t5\", \"num_heads\": 64, \"num_layers\": 24,"
    " \"relative_attention_num_buckets\": 32, \"vocab_size\": 32128}";

static void the_configuration_of_t5_is_read_and_the_rest_ignored(void **state)
{
    (void)state;
    ie_error err = {0};
    ie_text_config c;
    assert_int_equal(ie_text_config_parse(&c, t5, strlen(t5), "config.json", &err), IE_OK);
    assert_int_equal(c.vocab_size, 32128);
    assert_int_equal(c.d_model, 4096);
    assert_int_equal(c.d_kv, 64);
    assert_int_equal(c.d_ff, 10240);
    assert_int_equal(c.num_layers, 24);
    assert_int_equal(c.num_heads, 64);
    assert_int_equal(c.buckets, 32);
    assert_int_equal(c.max_distance, 128);
    assert_true(c.eps == 1e-6);
}

static const edit bad[] = {
    {"the first T5", "feed_forward_proj", "\"relu\"", "feed_forward_proj must be \"gated-gelu\""},
    {"no feed forward", "feed_forward_proj", NULL, "feed_forward_proj is missing"},
    {"no layers", "num_layers", "0", "num_layers must be a whole number in 1 .. 256"},
    {"a width missing", "d_model", NULL, "d_model is missing"},
    {"a width beyond int", "d_model", "4294967297", "d_model must be a whole number"},
    {"odd buckets", "relative_attention_num_buckets", "31", "must be even"},
    {"too few buckets", "relative_attention_num_buckets", "2", "in 4 .. 4096"},
    {"a distance without room", "relative_attention_max_distance", "8", "must be above 8"},
    {"a distance that is text", "relative_attention_max_distance", "\"128\"", "whole number"},
    {"eps of 0", "layer_norm_epsilon", "0", "layer_norm_epsilon must be a number above 0"},
    {"two words", "vocab_size", "2", "vocab_size must be a whole number in 3 .."},
};

static void every_bad_value_is_refused(void **state)
{
    (void)state;
    static char text[4096];
    for (size_t i = 0; i < COUNT(bad); i++) {
        ie_error err = {0};
        ie_text_config c;
        const size_t bytes = edited(text, sizeof text, t5, bad[i].place, bad[i].value);
        const ie_status status = ie_text_config_parse(&c, text, bytes, "config.json", &err);
        assert_refused(bad[i].name, status, IE_BAD_MODEL, &err, bad[i].says);
    }
}

/* ---- between files --------------------------------------------------------------------------- */

typedef struct model {
    ie_cascade_config cascade;
    ie_unet_config unets[3];
    ie_text_config text;
} model;

static model agreeing(void)
{
    static const int sides[] = {64, 256, 1024};
    model m = {.cascade = {.stage_count = 3}, .text = {.d_model = 512}};
    for (int i = 0; i < 3; i++) {
        m.cascade.stages[i].name[0] = (char)('a' + i);
        m.unets[i].resolution = sides[i];
        m.unets[i].low_resolution = i ? sides[i - 1] : 0;
        m.unets[i].conditioning.resolution = 1024;
        m.unets[i].text.width = 512;
    }
    return m;
}

static void refuse(const char *name, const model *m, const char *says)
{
    ie_error err = {0};
    const ie_status status = ie_cascade_config_check(&m->cascade, m->unets, &m->text, &err);
    assert_refused(name, status, IE_BAD_MODEL, &err, says);
}

static void files_that_contradict_each_other_are_refused(void **state)
{
    (void)state;
    model m = agreeing();
    assert_int_equal(ie_cascade_config_check(&m.cascade, m.unets, &m.text, NULL), IE_OK);
    m.unets[0].low_resolution = 32;
    refuse("a first stage that enlarges", &m, "stage a: low_resolution is 32, but must be 0");
    m = agreeing();
    m.unets[2].low_resolution = 64;
    refuse("a stage skipped", &m, "stage c: low_resolution is 64, but must be 256");
    m = agreeing();
    m.unets[1].low_resolution = 0;
    refuse("a later stage from nothing", &m, "stage b: low_resolution is 0, but must be 64 ");
    m = agreeing();
    m.unets[1].low_resolution = 64;
    m.unets[1].conditioning.resolution = 512;
    refuse("another canvas", &m, "stage b: conditioning.resolution is 512, but must be 1024");
    m = agreeing();
    m.unets[2].text.width = 768;
    refuse("another encoder", &m,
           "stage c: text.width is 768, but the text encoder's d_model is 512");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_configuration_of_t5_is_read_and_the_rest_ignored),
        cmocka_unit_test(every_bad_value_is_refused),
        cmocka_unit_test(files_that_contradict_each_other_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
