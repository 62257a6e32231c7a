/* test_config_cascade.c - cascade.json: what is read, and every way to be refused.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "config.h"
#include "memory.h"

#include <stdio.h>
#include <string.h>

static const char valid[] =
    "{\"format\": \"imagen-editor-cascade\", \"version\": 1, \"name\": \"toy\", \"text_length\": "
    "16,"
    " \"stages\": ["
    "  {\"name\": \"base-64\", \"directory\": \"base\", \"schedule\": {\"kind\": \"cosine\", "
    "\"s\": 0.008},"
    "   \"prediction\": \"epsilon\", \"sampler\": {\"kind\": \"ddpm\", \"gamma\": 0.25, \"end\": "
    "0.125}, "
    "\"steps\": 4,"
    "   \"guidance\": {\"kind\": \"oscillate\", \"high\": 30, \"low\": 1, \"hold\": 0.5, "
    "\"tail\": 0.25},"
    "   \"threshold\": {\"kind\": \"dynamic\", \"percentile\": 0.995, \"cap\": 0}, \"known\": "
    "\"predicted\"},"
    "  {\"name\": \"sr-256\", \"directory\": \"sr\", \"augmentation\": 0.2,"
    "   \"schedule\": {\"kind\": \"linear\", \"beta_first\": 1e-4, \"beta_last\": 0.02, \"steps\": "
    "1000},"
    "   \"prediction\": \"v\", \"sampler\": {\"kind\": \"ddim\"}, \"steps\": 3,"
    "   \"guidance\": {\"kind\": \"list\", \"weights\": [8, 1.5, 1]}, \"threshold\": {\"kind\": "
    "\"static\"}},"
    "  {\"name\": \"sr-1024\", \"directory\": \"sr2\", \"augmentation\": 0,"
    "   \"schedule\": {\"kind\": \"cosine\", \"s\": 0.008}, \"prediction\": \"epsilon\","
    "   \"sampler\": {\"kind\": \"ddim\", \"gamma\": 1}, \"steps\": 2, \"known\": \"kept\","
    "   \"guidance\": {\"kind\": \"constant\", \"weight\": 5}, \"threshold\": {\"kind\": "
    "\"none\"}}]}";

static ie_status parse(const char *text, size_t bytes, ie_error *err)
{
    ie_cascade_config c;
    const ie_status status = ie_cascade_config_parse(&c, text, bytes, "cascade.json", err);
    if (status == IE_OK) ie_cascade_config_release(&c);
    return status;
}

static void a_valid_cascade_is_read_value_by_value(void **state)
{
    (void)state;
    ie_error err = {0};
    ie_cascade_config c;
    assert_int_equal(ie_cascade_config_parse(&c, valid, strlen(valid), "cascade.json", &err),
                     IE_OK);
    assert_string_equal(c.name, "toy");
    assert_int_equal(c.text_length, 16);
    assert_int_equal(c.stage_count, 3);

    const ie_stage_config *s = &c.stages[0];
    assert_string_equal(s->name, "base-64");
    assert_string_equal(s->directory, "base");
    assert_int_equal(s->schedule.kind, IE_SCHEDULE_COSINE);
    assert_true(s->schedule.s == 0.008);
    assert_int_equal(s->prediction, IE_PREDICT_EPSILON);
    assert_int_equal(s->sampler, IE_SAMPLER_DDPM);
    assert_true(s->gamma == 0.25 && s->end == 0.125);
    assert_int_equal(s->steps, 4);
    assert_int_equal(s->guidance.kind, IE_GUIDANCE_OSCILLATE);
    assert_true(s->guidance.high == 30 && s->guidance.low == 1 && s->guidance.hold == 0.5F);
    assert_true(s->guidance.tail == 0.25F);
    assert_null(s->guidance.weights);
    assert_int_equal(s->threshold, IE_THRESHOLD_DYNAMIC);
    assert_true(s->percentile == 0.995 && s->cap == 0 && s->augmentation == 0);
    assert_false(s->keeps_known);

    s = &c.stages[1];
    assert_int_equal(s->schedule.kind, IE_SCHEDULE_LINEAR);
    assert_true(s->schedule.beta_first == 1e-4 && s->schedule.beta_last == 0.02);
    assert_true(s->schedule.steps == 1000);
    assert_int_equal(s->prediction, IE_PREDICT_V);
    assert_int_equal(s->sampler, IE_SAMPLER_DDIM);
    assert_true(s->gamma == 0.3 && s->end == 0 && s->augmentation == 0.2);
    assert_false(s->keeps_known); /* when the file does not say */
    assert_int_equal(s->guidance.kind, IE_GUIDANCE_LIST);
    assert_int_equal(s->guidance.count, 3);
    assert_true(s->guidance.weights[0] == 8 && s->guidance.weights[1] == 1.5F);
    assert_int_equal(s->threshold, IE_THRESHOLD_STATIC);

    s = &c.stages[2];
    assert_true(s->gamma == 1 && s->keeps_known);
    assert_int_equal(s->guidance.kind, IE_GUIDANCE_CONSTANT);
    assert_true(s->guidance.high == 5);
    assert_int_equal(s->threshold, IE_THRESHOLD_NONE);

    ie_cascade_config_release(&c);
    ie_cascade_config_release(&c); /* releasing twice is harmless */
    ie_cascade_config_release(NULL);
}

static const edit bad[] = {
    {"another format", "format", "\"imagen-editor-unet\"",
     "format must be \"imagen-editor-cascade\""},
    {"format not a string", "format", "7", "format must be"},
    {"format missing", "format", NULL, "format is missing"},
    {"a later version", "version", "2", "version must be 1"},
    {"an unknown key", "stagse", "[]", "stagse is not a key"},
    {"a control character in a key", "a\x1b[31m", "1", "a?[31m is not a key"},
    {"no name", "name", NULL, "name is missing"},
    {"an empty name", "name", "\"\"", "1 .. 63 bytes"},
    {"a name too long", "name",
     "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"", "1 .. 63 bytes"},
    {"a control character in the name", "name", "\"a\\nb\"", "control characters"},
    {"no text", "text_length", "0", "text_length must be a whole number in 1 .. 1024"},
    {"text too long", "text_length", "1025", "1 .. 1024"},
    {"a fraction of a token", "text_length", "16.0", "text_length must be a whole number"},
    {"a boolean for a number", "text_length", "true", "text_length must be a whole number"},
    {"no stages", "stages", "[]", "stages must be an array of 1 .. 8"},
    {"stages not an array", "stages", "{}", "stages must be an array"},
    {"a stage not an object", "stages.1", "3", "stages[1] must be an object"},
    {"an unknown key in a stage", "stages.0.guidence", "{}", "stages[0].guidence is not a key"},
    {"a stage without steps", "stages.1.steps", NULL, "stages[1].steps is missing"},
    {"no steps", "stages.2.steps", "0", "stages[2].steps must be a whole number in 1 .. 4096"},
    {"too many steps", "stages.2.steps", "4097", "1 .. 4096"},
    {"steps beyond int", "stages.2.steps", "4294967298", "1 .. 4096"},
    {"a name used twice", "stages.1.name", "\"base-64\"", "stages[1] has the name of stages[0]"},
    {"a directory used twice", "stages.2.directory", "\"sr\"", "has the directory of stages[1]"},
    {"a directory above", "stages.0.directory", "\"..\"", "leading '.'"},
    {"a directory elsewhere", "stages.0.directory", "\"a/b\"", "directory with '/'"},
    {"a hidden directory", "stages.0.directory", "\".a\"", "leading '.'"},
    {"the tokenizer's directory", "stages.0.directory", "\"tokenizer\"", "not a stage's"},
    {"the text encoder's directory", "stages.0.directory", "\"text_encoder\"", "not a stage's"},
    {"a name that is a path", "stages.0.name", "\"a/b\"", "name with '/'"},
    {"an unknown schedule", "stages.0.schedule.kind", "\"sigmoid\"",
     "stages[0].schedule.kind must be \"cosine\" or \"linear\""},
    {"a schedule that is a string", "stages.0.schedule", "\"cosine\"",
     "schedule must be an object"},
    {"a schedule without kind", "stages.0.schedule.kind", NULL, "schedule.kind is missing"},
    {"a key of the other schedule", "stages.0.schedule.beta_first", "0.1",
     "beta_first is not a key"},
    {"cosine without s", "stages.0.schedule.s", NULL, "schedule.s is missing"},
    {"s out of range", "stages.0.schedule.s", "1.5", "schedule.s must be a number in 0 .. 1"},
    {"beta of 0", "stages.1.schedule.beta_first", "0", "above 0 and at most 1"},
    {"betas that fall", "stages.1.schedule.beta_last", "1e-5", "beta_last below its beta_first"},
    {"no linear steps", "stages.1.schedule.steps", "0", "schedule.steps must be a number"},
    {"an unknown prediction", "stages.0.prediction", "\"x0\"", "must be \"epsilon\" or \"v\""},
    {"an unknown sampler", "stages.0.sampler.kind", "\"euler\"", "must be \"ddpm\" or \"ddim\""},
    {"ddpm without gamma", "stages.0.sampler.gamma", NULL, "sampler.gamma is missing"},
    {"gamma out of range", "stages.2.sampler.gamma", "-0.1", "gamma must be a number in 0 .. 1"},
    {"an end too near to the noise", "stages.0.sampler.end", "0.91",
     "sampler.end must be a number in 0 .. 0.9"},
    {"an unknown guidance", "stages.0.guidance.kind", "\"cfg\"",
     "must be \"constant\", \"oscillate\" or \"list\""},
    {"a weight below 0", "stages.0.guidance.low", "-1",
     "guidance.low must be a number in 0 .. 1000"},
    {"a weight too high", "stages.2.guidance.weight", "1000.5",
     "weight must be a number in 0 .. 1000"},
    {"hold above 1", "stages.0.guidance.hold", "1.01", "hold must be a number in 0 .. 1"},
    {"tail above 1", "stages.0.guidance.tail", "1.01", "tail must be a number in 0 .. 1"},
    {"fewer weights than steps", "stages.1.guidance.weights", "[1, 2]",
     "has 3 steps but 2 guidance"},
    {"more weights than steps", "stages.1.guidance.weights", "[1, 2, 3, 4]",
     "3 steps but 4 guidance"},
    {"no weights", "stages.1.guidance.weights", "[]", "weights must be an array of 1 .. 4096"},
    {"a bad weight in a list", "stages.1.guidance.weights.2", "1e9", "weights[2] must be a number"},
    {"a string in a list", "stages.1.guidance.weights.0", "\"8\"", "weights[0] must be a number"},
    {"an unknown threshold", "stages.0.threshold.kind", "\"clip\"",
     "must be \"none\", \"static\" or \"dynamic\""},
    {"percentile 0", "stages.0.threshold.percentile", "0", "percentile must be a number above 0"},
    {"percentile above 1", "stages.0.threshold.percentile", "99.5", "above 0 and at most 1"},
    {"a cap below 1", "stages.0.threshold.cap", "0.5", "must be 0 (none) or in 1 .. 1000"},
    {"a percentile where none is used", "stages.1.threshold.percentile", "0.9", "is not a key"},
    {"an unknown way with known pixels", "stages.0.known", "\"pasted\"",
     "stages[0].known must be \"predicted\" or \"kept\""},
    {"known pixels that are a boolean", "stages.2.known", "true", "must be \"predicted\" or"},
    {"augmentation in the first stage", "stages.0.augmentation", "0", "augmentation is not a key"},
    {"augmentation missing", "stages.1.augmentation", NULL, "stages[1].augmentation is missing"},
    {"augmentation above 1", "stages.1.augmentation", "1.5",
     "augmentation must be a number in 0 .. 1"},
};

static void every_bad_value_is_refused_with_its_place_and_range(void **state)
{
    (void)state;
    static char text[8192];
    const int64_t live = ie_alloc_live();
    for (size_t i = 0; i < COUNT(bad); i++) {
        ie_error err = {0};
        const size_t bytes = edited(text, sizeof text, valid, bad[i].place, bad[i].value);
        assert_refused(bad[i].name, parse(text, bytes, &err), IE_BAD_MODEL, &err, bad[i].says);
        assert_int_equal(strncmp(err.text, "cascade.json: ", 14), 0);
    }
    assert_int_equal(ie_alloc_live(), live); /* no list of weights was lost on the way */
}

static void text_that_is_not_one_json_object_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *text, *says;
    } texts[] = {
        {"nothing", "", "not valid JSON"},
        {"an array", "[]", "must be a JSON object"},
        {"half an object", "{\"format\": \"im", "not valid JSON: line 1"},
        {"text after the end", "{} {}", "not valid JSON"},
        {"a key twice", "{\"name\": 1, \"name\": 2}", "duplicate"},
        {"a comment", "{ // \n}", "not valid JSON"},
        {"not a number", "{\"version\": NaN}", "not valid JSON"},
        {"a number beyond double", "{\"version\": 1e999}", "real number overflow"},
        {"an integer beyond 64 bits", "{\"version\": 99999999999999999999}", "too big integer"},
        {"a NUL in a string", "{\"name\": \"a\\u0000\"}", "not valid JSON"},
        {"text that is not UTF-8", "{\"name\": \"\xff\"}", "not valid JSON"},
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        ie_error err = {0};
        const ie_status status = parse(texts[i].text, strlen(texts[i].text), &err);
        assert_refused(texts[i].name, status, IE_BAD_MODEL, &err, texts[i].says);
    }
}

static void nesting_and_size_have_limits(void **state)
{
    (void)state;
    static char deep[100000], large[(1 << 20) + 1];
    ie_error err = {0};
    memset(deep, '[', sizeof deep);
    assert_refused("deep", parse(deep, sizeof deep, &err), IE_BAD_MODEL, &err, "depth");
    memset(large, ' ', sizeof large);
    assert_refused("large", parse(large, sizeof large, &err), IE_BAD_MODEL, &err,
                   "at most 1048576");
}

static void files_that_cannot_be_read_are_named(void **state)
{
    (void)state;
    ie_cascade_config c;
    ie_error err = {0};
    char *folder = folder_make(), path[4200];
    snprintf(path, sizeof path, "%s/cascade.json", folder);
    assert_refused("missing", ie_cascade_config_read(&c, path, &err), IE_BAD_MODEL, &err,
                   "cascade.json cannot be read: No such file");
    assert_refused("a folder", ie_cascade_config_read(&c, folder, &err), IE_BAD_MODEL, &err,
                   "not a regular file");
    folder_write(folder, "cascade.json", "", 0);
    assert_refused("empty", ie_cascade_config_read(&c, path, &err), IE_BAD_MODEL, &err,
                   "not valid JSON");
    folder_write(folder, "cascade.json", valid, strlen(valid));
    assert_int_equal(ie_cascade_config_read(&c, path, &err), IE_OK);
    ie_cascade_config_release(&c);
    folder_remove(folder);
}

static ie_status parse_valid(void *context, ie_error *err)
{
    (void)context;
    return parse(valid, strlen(valid), err);
}

static void every_failing_allocation_is_reported_and_leaks_nothing(void **state)
{
    (void)state;
    sweep_allocations(parse_valid, NULL, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_valid_cascade_is_read_value_by_value),
        cmocka_unit_test(every_bad_value_is_refused_with_its_place_and_range),
        cmocka_unit_test(text_that_is_not_one_json_object_is_refused),
        cmocka_unit_test(nesting_and_size_have_limits),
        cmocka_unit_test(files_that_cannot_be_read_are_named),
        cmocka_unit_test(every_failing_allocation_is_reported_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
