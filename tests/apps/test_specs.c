/* test_specs.c - the small languages: guidance, steps, machines, units, JSON lines, UTF-8,
 * provenance. SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "guidance_spec.h"
#include "json_lines.h"
#include "machine.h"
#include "provenance.h"
#include "units.h"
#include "utf8.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void guidance_is_read_stage_by_stage(void **state)
{
    (void)state;
    ie_guidance_spec g;
    ie_error err = {0};
    assert_says(ie_guidance_spec_parse(&g, "30~1/5/1", &err), IE_OK, &err, "");
    assert_int_equal(g.count, 3);
    assert_int_equal(g.stages[0].kind, IE_GUIDANCE_OSCILLATE);
    assert_true(g.stages[0].high == 30 && g.stages[0].low == 1 && g.stages[0].hold == 0.1F);
    assert_true(g.stages[0].tail == 0);
    assert_int_equal(g.stages[1].kind, IE_GUIDANCE_CONSTANT);
    assert_true(g.stages[1].high == 5);
    assert_true(g.stages[2].high == 1);
    ie_guidance_spec_release(&g);

    assert_says(ie_guidance_spec_parse(&g, "12.5~0@0.25//8,4,2.5,1,0,1000", &err), IE_OK, &err, "");
    assert_int_equal(g.count, 3);
    assert_true(g.stages[0].hold == 0.25F && g.stages[0].low == 0);
    assert_int_equal(g.stages[1].kind, IE_GUIDANCE_DEFAULT);
    assert_int_equal(g.stages[2].kind, IE_GUIDANCE_LIST);
    assert_int_equal(g.stages[2].count, 6);
    assert_true(g.stages[2].weights[2] == 2.5F && g.stages[2].weights[5] == 1000);
    ie_guidance_spec_release(&g);

    assert_says(ie_guidance_spec_parse(&g, "10~1@0.25@0.5", &err), IE_OK, &err, "");
    assert_int_equal(g.stages[0].kind, IE_GUIDANCE_OSCILLATE);
    assert_true(g.stages[0].hold == 0.25F && g.stages[0].tail == 0.5F);
    ie_guidance_spec_release(&g);

    assert_says(ie_guidance_spec_parse(&g, "/5", &err), IE_OK, &err, "");
    assert_int_equal(g.stages[0].kind, IE_GUIDANCE_DEFAULT);
    assert_true(g.stages[1].high == 5);
    ie_guidance_spec_release(&g);
}

static void wrong_guidance_is_refused_with_the_legal_forms(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "x",       "-1",     "1000.1", "nan",       "inf",          "5x",
        "30~",     "~1",     "30~1@",  "30~1@1.1",  "30~1@-0.1",    "30~1~2",
        "30~1001", "1,",     ",1",     "1,,2",      "1,2;3",        "1,1001",
        "5/x",     "30@0.1", "1 2",    "30~1@0.1@", "30~1@0.1@1.1", "30~1@0@1@1",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        ie_guidance_spec g;
        ie_error err = {0};
        assert_says(ie_guidance_spec_parse(&g, texts[i], &err), IE_BAD_ARGUMENT, &err,
                    "is not W, HIGH~LOW, HIGH~LOW@HOLD, HIGH~LOW@HOLD@TAIL or W1,W2,... "
                    "with weights 0 to 1000");
    }
    ie_guidance_spec g;
    ie_error err = {0};
    assert_says(ie_guidance_spec_parse(&g, "1/1/1/1/1/1/1/1/1", &err), IE_BAD_ARGUMENT, &err,
                "at most 8 stages");
    char many[2 * 4097 + 1];
    for (int i = 0; i < 4097; i++) memcpy(many + 2 * i, "1,", 3);
    many[2 * 4097 - 1] = '\0';
    assert_says(ie_guidance_spec_parse(&g, many, &err), IE_BAD_ARGUMENT, &err, "--guidance");
    assert_says(ie_guidance_spec_parse(&g, many + 2, &err), IE_OK, &err, "");
    assert_int_equal(g.stages[0].count, 4096);
    ie_guidance_spec_release(&g);
}

static void steps_are_read_and_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int count, steps[3]; /* count -1: refused */
    } cases[] = {
        {"100,50,20", 3, {100, 50, 20}},
        {"4096", 1, {4096}},
        {",,7", 3, {0, 0, 7}},
        {"0,1", 2, {0, 1}},
        {"", 1, {0}},
        {"4097", -1, {0}},
        {"-1", -1, {0}},
        {"1,x", -1, {0}},
        {"1.5", -1, {0}},
        {"1 ", -1, {0}},
        {"1,2,3,4,5,6,7,8,9", -1, {0}},
        {"99999999999999999999", -1, {0}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        ie_steps_spec s;
        ie_error err = {0};
        const ie_status status = ie_steps_spec_parse(&s, cases[i].text, &err);
        if (cases[i].count < 0) {
            assert_says(status, IE_BAD_ARGUMENT, &err, "--steps");
            continue;
        }
        assert_says(status, IE_OK, &err, "");
        assert_int_equal(s.count, cases[i].count);
        assert_memory_equal(s.steps, cases[i].steps, sizeof cases[i].steps);
    }
}

static void a_floor_is_the_slower_of_compute_and_memory(void **state)
{
    (void)state;
    ie_machine m;
    ie_error err = {0};
    assert_says(ie_machine_parse(&m, "2e11,1e10", &err), IE_OK, &err, "");
    assert_true(ie_machine_floor(&m, IE_PRECISION_F32, 4e11, 1e9) == 2);
    assert_true(ie_machine_floor(&m, IE_PRECISION_BF16, 2e11, 5e10) == 5);
    assert_says(ie_machine_parse(&m, "h200", &err), IE_OK, &err, "");
    assert_true(ie_machine_floor(&m, IE_PRECISION_BF16, 790e12, 1) == 1);
    assert_true(ie_machine_floor(&m, IE_PRECISION_F32, 790e12, 1) == 0); /* not measured */
    static const char *const wrong[] = {"",     "h100",  "1e9",   "1e9,",  ",1e9",   "0,1",
                                        "1,-1", "1,2,3", "inf,1", "nan,1", "1e9 1e9"};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        assert_says(ie_machine_parse(&m, wrong[i], &err), IE_BAD_ARGUMENT, &err, "legal are h200");
    }
}

static void units_have_three_digits(void **state)
{
    (void)state;
    char t[IE_UNIT_TEXT];
    assert_string_equal(ie_unit_count(t, 0), "0");
    assert_string_equal(ie_unit_count(t, 999), "999");
    assert_string_equal(ie_unit_count(t, 999.6), "1.00 k");
    assert_string_equal(ie_unit_count(t, 15.32e6), "15.3 M");
    assert_string_equal(ie_unit_count(t, 4.6e9), "4.60 G");
    assert_string_equal(ie_unit_count(t, 999.7e9), "1.00 T");
    assert_string_equal(ie_unit_count(t, 1e30), "1000000000000 E");
    assert_string_equal(ie_unit_bytes(t, 812), "812 B");
    assert_string_equal(ie_unit_bytes(t, 3 << 19), "1.50 MiB");
    assert_string_equal(ie_unit_bytes(t, UINT64_MAX), "16384 PiB");
    assert_string_equal(ie_unit_seconds(t, 4.2e-6), "4.20 us");
    assert_string_equal(ie_unit_seconds(t, 0.9996e-3), "1.00 ms");
    assert_string_equal(ie_unit_seconds(t, 0.01234), "12.3 ms");
    assert_string_equal(ie_unit_seconds(t, 1.834), "1.83 s");
    assert_string_equal(ie_unit_seconds(t, 59.97), "1:00");
    assert_string_equal(ie_unit_seconds(t, 125.4), "2:05");
    assert_string_equal(ie_unit_seconds(t, 3723), "1:02:03");
}

static void json_lines_are_escaped(void **state)
{
    (void)state;
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    ie_jsonl j;
    ie_jsonl_begin(&j, stream);
    ie_jsonl_text(&j, "a\"b", "\\ \" \n \x01 \x7f \xc3\xa9 \xff\xc0\xaf \xed\xa0\x80");
    ie_jsonl_text(&j, "none", NULL);
    ie_jsonl_int(&j, "i", -5);
    ie_jsonl_uint(&j, "u", UINT64_MAX);
    ie_jsonl_real(&j, "r", 0.1);
    ie_jsonl_real(&j, "inf", INFINITY);
    ie_jsonl_bool(&j, "b", true);
    ie_jsonl_open(&j, "list", '[');
    ie_jsonl_open(&j, NULL, '{');
    ie_jsonl_close(&j, '}');
    ie_jsonl_open(&j, NULL, '{');
    ie_jsonl_int(&j, "x", 1);
    ie_jsonl_close(&j, '}');
    ie_jsonl_close(&j, ']');
    ie_jsonl_end(&j);
    (void)fclose(stream);
    assert_string_equal(
        text, "{\"a\\\"b\": \"\\\\ \\\" \\u000a \\u0001 \x7f \xc3\xa9 \\ufffd\\ufffd\\ufffd "
              "\\ufffd\\ufffd\\ufffd\", \"none\": null, \"i\": -5, \"u\": 18446744073709551615, "
              "\"r\": 0.1, \"inf\": null, \"b\": true, \"list\": [{}, {\"x\": 1}]}\n");
    free(text);
}

static void utf8_is_told_from_what_is_not(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool valid;
    } cases[] = {
        {"", true},
        {"plain", true},
        {"\xc3\xa9", true},
        {"\xe9\xad\x9a", true},
        {"\xf0\x9f\x90\x9f", true},
        {"\xf4\x8f\xbf\xbf", true},
        {"\xf4\x90\x80\x80", false},
        {"\xc0\xaf", false},
        {"\xe0\x80\xaf", false},
        {"\xed\xa0\x80", false},
        {"\x80", false},
        {"\xc3", false},
        {"\xe9\xad", false},
        {"a\xffz", false},
        {"caf\xe9", false},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(ie_text_is_utf8(cases[i].text), cases[i].valid);
    }
}

static void provenance_tells_how_to_do_it_again(void **state)
{
    (void)state;
    static const char *const wanted[][2] = {
        {"Software", "imagen-editor 0.1.0"},
        {"Prompt", "a fish"},
        {"Seed", "18446744073709551615"},
        {"Model", "toy"},
        {"Model SHA-256", "00ff"},
        {"Steps", "12,50"},
        {"Guidance", "30~1/5"},
        {"Sampler", "ddim"},
        {"Feather", "3"},
        {"Precision", "bf16"},
        {"Device", "a CPU"},
    };
    ie_engine_info info = {.model_name = "toy",
                           .model_hash = "00ff",
                           .device = "a CPU",
                           .precision = IE_PRECISION_BF16,
                           .stage_count = 2};
    info.stages[0].default_steps = 100;
    info.stages[1].default_steps = 50;
    const ie_request request = {.prompt = "a fish",
                                .seed = UINT64_MAX,
                                .steps = {12},
                                .sampler = IE_SAMPLER_DDIM,
                                .feather = 3};
    ie_provenance p;
    ie_provenance_fill(&p, &request, &info, "30~1/5");
    assert_int_equal(p.count, COUNT(wanted));
    for (size_t i = 0; i < COUNT(wanted); i++) {
        assert_string_equal(p.entries[i].key, wanted[i][0]);
        assert_string_equal(p.entries[i].text, wanted[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(guidance_is_read_stage_by_stage),
        cmocka_unit_test(wrong_guidance_is_refused_with_the_legal_forms),
        cmocka_unit_test(steps_are_read_and_refused),
        cmocka_unit_test(a_floor_is_the_slower_of_compute_and_memory),
        cmocka_unit_test(units_have_three_digits),
        cmocka_unit_test(json_lines_are_escaped),
        cmocka_unit_test(utf8_is_told_from_what_is_not),
        cmocka_unit_test(provenance_tells_how_to_do_it_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
