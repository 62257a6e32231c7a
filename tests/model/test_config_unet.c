/* test_config_unet.c - a U-Net's config.json: what is read, and every way to be refused, alone and
 * by contradiction. SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "config.h"

#include <string.h>

static const char adm[] =
    "{\"format\": \"imagen-editor-unet\", \"version\": 1, \"layout\": \"adm\", \"resolution\": 64,"
    " \"image_channels\": 3, \"output_channels\": 6, \"low_resolution\": 0,"
    " \"conditioning\": {\"resolution\": 1024, \"kernel\": 3, \"strides\": [2, 2, 4],"
    "   \"widths\": [4, 8, 12]},"
    " \"width\": 16, \"embedding\": 32,"
    " \"time\": {\"input\": \"log_snr\", \"clamp\": 20, \"scale\": 25, \"width\": 14,"
    "   \"max_period\": 10000},"
    " \"text\": {\"width\": 64, \"norm\": \"layer\", \"project\": 0, \"kv_norm\": \"none\","
    "   \"pool_heads\": 4},"
    " \"norm_groups\": 8, \"norm_eps\": 1e-5, \"activation\": \"silu\", \"residual_scale\": 1,"
    " \"shortcut\": \"auto\", \"skip_join\": \"concat\", \"skip_scale\": 1,"
    " \"levels\": ["
    "  {\"channels\": 16, \"stride\": 1, \"blocks\": 1, \"attention\": \"none\", \"heads\": 0,"
    "   \"head_width\": 0},"
    "  {\"channels\": 24, \"stride\": 2, \"blocks\": 3, \"attention\": \"self_text\", \"heads\": 3,"
    "   \"head_width\": 8}],"
    " \"middle\": {\"blocks\": 2, \"attention\": \"self_text\", \"heads\": 3, \"head_width\": 8},"
    " \"head\": {\"norm\": true, \"kernel\": 3}}";

static const char efficient[] =
    "{\"format\": \"imagen-editor-unet\", \"version\": 1, \"layout\": \"efficient\","
    " \"resolution\": 1024, \"image_channels\": 3, \"output_channels\": 3, \"low_resolution\": 256,"
    " \"conditioning\": {\"resolution\": 1024, \"kernel\": 1, \"strides\": [], \"widths\": []},"
    " \"width\": 8, \"embedding\": 32,"
    " \"time\": {\"input\": \"time\", \"clamp\": 20, \"scale\": 1000, \"width\": 16,"
    "   \"max_period\": 10000},"
    " \"text\": {\"width\": 64, \"norm\": \"none\", \"project\": 48, \"kv_norm\": \"layer\","
    "   \"pool_heads\": 3},"
    " \"norm_groups\": 4, \"norm_eps\": 1e-6, \"activation\": \"gelu\", \"residual_scale\": 0.5,"
    " \"shortcut\": \"conv\", \"skip_join\": \"add\", \"skip_scale\": 0.7071,"
    " \"levels\": ["
    "  {\"channels\": 8, \"stride\": 2, \"blocks\": 1, \"attention\": \"none\", \"heads\": 0,"
    "   \"head_width\": 0},"
    "  {\"channels\": 8, \"stride\": 1, \"blocks\": 2, \"attention\": \"none\", \"heads\": 0,"
    "   \"head_width\": 0},"
    "  {\"channels\": 16, \"stride\": 2, \"blocks\": 1, \"attention\": \"text\", \"heads\": 2,"
    "   \"head_width\": 32}],"
    " \"middle\": {\"blocks\": 0, \"attention\": \"none\", \"heads\": 0, \"head_width\": 0},"
    " \"head\": {\"norm\": false, \"kernel\": 1}}";

static void a_valid_adm_configuration_is_read_value_by_value(void **state)
{
    (void)state;
    ie_error err = {0};
    ie_unet_config c;
    assert_int_equal(ie_unet_config_parse(&c, adm, strlen(adm), "config.json", &err), IE_OK);
    assert_int_equal(c.layout, IE_LAYOUT_ADM);
    assert_int_equal(c.resolution, 64);
    assert_int_equal(c.image_channels, 3);
    assert_int_equal(c.output_channels, 6);
    assert_int_equal(c.low_resolution, 0);
    assert_int_equal(c.conditioning.resolution, 1024);
    assert_int_equal(c.conditioning.kernel, 3);
    assert_int_equal(c.conditioning.count, 3);
    assert_int_equal(c.conditioning.strides[2], 4);
    assert_int_equal(c.conditioning.widths[2], 12);
    assert_int_equal(c.width, 16);
    assert_int_equal(c.embedding, 32);
    assert_int_equal(c.time.input, IE_TIME_LOG_SNR);
    assert_true(c.time.clamp == 20 && c.time.scale == 25 && c.time.max_period == 10000);
    assert_int_equal(c.time.width, 14);
    assert_int_equal(c.text.width, 64);
    assert_int_equal(c.text.project, 0);
    assert_int_equal(c.text.pool_heads, 4);
    assert_true(c.text.norm && !c.text.kv_norm);
    assert_int_equal(c.norm_groups, 8);
    assert_true(c.norm_eps == 1e-5 && c.residual_scale == 1 && c.skip_scale == 1);
    assert_int_equal(c.activation, IE_ACT_SILU);
    assert_true(!c.shortcut_always && c.skip_concat);
    assert_int_equal(c.level_count, 2);
    assert_int_equal(c.levels[0].attention.kind, IE_ATTENTION_NONE);
    assert_int_equal(c.levels[1].channels, 24);
    assert_int_equal(c.levels[1].stride, 2);
    assert_int_equal(c.levels[1].blocks, 3);
    assert_int_equal(c.levels[1].attention.kind, IE_ATTENTION_SELF_TEXT);
    assert_int_equal(c.levels[1].attention.heads, 3);
    assert_int_equal(c.levels[1].attention.head_width, 8);
    assert_int_equal(c.middle.blocks, 2);
    assert_int_equal(c.middle.attention.heads, 3);
    assert_true(c.head.norm);
    assert_int_equal(c.head.kernel, 3);
}

static void a_valid_efficient_configuration_is_read_value_by_value(void **state)
{
    (void)state;
    ie_error err = {0};
    ie_unet_config c;
    const size_t bytes = strlen(efficient);
    assert_int_equal(ie_unet_config_parse(&c, efficient, bytes, "config.json", &err), IE_OK);
    assert_int_equal(c.layout, IE_LAYOUT_EFFICIENT);
    assert_int_equal(c.low_resolution, 256);
    assert_int_equal(c.conditioning.count, 0);
    assert_int_equal(c.time.input, IE_TIME_T);
    assert_int_equal(c.text.project, 48);
    assert_true(!c.text.norm && c.text.kv_norm);
    assert_int_equal(c.activation, IE_ACT_GELU);
    assert_true(c.shortcut_always && !c.skip_concat);
    assert_int_equal(c.level_count, 3);
    assert_int_equal(c.levels[2].attention.kind, IE_ATTENTION_TEXT);
    assert_int_equal(c.middle.blocks, 0);
    assert_true(!c.head.norm);
    assert_int_equal(c.head.kernel, 1);
}

static const edit bad_adm[] = {
    {"another format", "format", "\"imagen-editor-cascade\"", "format must be"},
    {"version 0", "version", "0", "version must be 1"},
    {"an unknown key", "dropout", "0.1", "dropout is not a key"},
    {"an unknown layout", "layout", "\"dit\"", "layout must be \"adm\" or \"efficient\""},
    {"a key missing", "width", NULL, "width is missing"},
    {"a section missing", "middle", NULL, "middle is missing"},
    {"a section of another type", "head", "[]", "head must be an object"},
    {"too small", "resolution", "4", "resolution must be a whole number in 8 .. 4096"},
    {"too large", "resolution", "8192", "8 .. 4096"},
    {"a string for a number", "resolution", "\"64\"", "resolution must be a whole number"},
    {"grey images", "image_channels", "1", "image_channels must be 3"},
    {"fewer outputs than channels", "output_channels", "2",
     "output_channels must be a whole number"},
    {"low above high", "low_resolution", "65",
     "low_resolution is 65, which is above resolution (64)"},
    {"an unknown key below", "conditioning.pad", "1", "conditioning.pad is not a key"},
    {"a stride of 0", "conditioning.strides.0", "0",
     "strides[0] must be a whole number in 1 .. 16"},
    {"a stride too large", "conditioning.strides.2", "32", "strides[2] must be a whole number"},
    {"strides that miss", "conditioning.strides.2", "2", "product 8, which does not lead from"},
    {"a canvas that misses", "conditioning.resolution", "512", "product 16, which does not lead"},
    {"strides from no canvas", "conditioning.resolution", "0", "strides must be empty"},
    {"more widths than strides", "conditioning.widths", "[4, 8, 12, 16]", "has 4 entries"},
    {"fewer widths than strides", "conditioning.widths", "[4]", "1 entries, but strides has 3"},
    {"too many strides", "conditioning.strides", "[1,1,1,1,1,1,2,2,4]", "array of 0 .. 8 elements"},
    {"an even kernel", "conditioning.kernel", "4", "must be odd or equal to every stride"},
    {"an unknown time input", "time.input", "\"sigma\"", "must be \"log_snr\" or \"time\""},
    {"no clamp", "time.clamp", "0", "time.clamp must be a number above 0"},
    {"an odd time width", "time.width", "15", "time.width is 15; it must be even"},
    {"a period of 1", "time.max_period", "1", "max_period must be a number above 1"},
    {"an unknown norm", "text.norm", "\"rms\"", "text.norm must be \"none\" or \"layer\""},
    {"a boolean for a choice", "text.norm", "true", "text.norm must be"},
    {"heads that do not divide", "text.pool_heads", "5", "does not divide text.width (64)"},
    {"heads that do not divide the projection", "text.project", "30", "divide text.project (30)"},
    {"no heads", "text.pool_heads", "0", "pool_heads must be a whole number in 1 .. 1024"},
    {"no groups", "norm_groups", "0", "norm_groups must be a whole number in 1 .. 1024"},
    {"groups that do not divide the stem", "width", "12", "does not divide width (12)"},
    {"groups that do not divide a level", "levels.1.channels", "20",
     "divide levels[1].channels (20)"},
    {"groups that divide none", "norm_groups", "3", "does not divide width (16)"},
    {"eps of 0", "norm_eps", "0", "norm_eps must be a number above 0 and at most 1"},
    {"an unknown activation", "activation", "\"relu\"", "must be \"silu\" or \"gelu\""},
    {"a scale of 0", "residual_scale", "0", "residual_scale must be a number above 0"},
    {"an unknown shortcut", "shortcut", "\"none\"", "must be \"auto\" or \"conv\""},
    {"an unknown join", "skip_join", "\"cat\"", "must be \"add\" or \"concat\""},
    {"adm that adds", "skip_join", "\"add\"", "must be \"concat\" in layout \"adm\""},
    {"no levels", "levels", "[]", "levels must be an array of 1 .. 8"},
    {"a level not an object", "levels.0", "1", "levels[0] must be an object"},
    {"an unknown key in a level", "levels.0.groups", "1", "levels[0].groups is not a key"},
    {"a stride of 3", "levels.1.stride", "3", "levels[1].stride must be a whole number in 1 .. 2"},
    {"adm that begins halved", "levels.0.stride", "2", "levels[0].stride is 2; in layout \"adm\""},
    {"adm that does not halve", "levels.1.stride", "1", "levels[1].stride is 1; in layout \"adm\""},
    {"strides that do not divide", "resolution", "63", "does not lead from"},
    {"no blocks", "levels.0.blocks", "0", "blocks must be a whole number in 1 .. 64"},
    {"heads without attention", "levels.0.heads", "1", "heads and head_width must be 0"},
    {"a head width without attention", "levels.0.head_width", "8",
     "heads and head_width must be 0"},
    {"attention without heads", "levels.1.heads", "0", "must be at least 1"},
    {"attention without a head width", "levels.1.head_width", "0", "must be at least 1"},
    {"a head width too large", "levels.1.head_width", "257",
     "head_width must be a whole number in 0 .. 256"},
    {"an unknown attention", "levels.1.attention", "\"self\"",
     "must be \"none\", \"self_text\" or \"text\""},
    {"attention in a middle without blocks", "middle.blocks", "0",
     "its attention must be \"none\""},
    {"middle attention without heads", "middle.heads", "0", "middle has attention"},
    {"a head kernel of 2", "head.kernel", "2", "it must be 1 or 3"},
    {"a number for a boolean", "head.norm", "1", "head.norm must be true or false"},
};

static const edit bad_efficient[] = {
    {"groups that do not divide a level", "levels.1.channels", "10",
     "divide levels[1].channels (10)"},
    {"strides that do not divide", "resolution", "1022", "does not lead from"},
    {"strides that do not divide the canvas", "conditioning.resolution", "1022", "does not lead"},
    {"heads that do not divide", "text.pool_heads", "5", "does not divide text.project (48)"},
    {"no scale", "skip_scale", "0", "skip_scale must be a number above 0"},
};

static void refuse_all(const char *base, const edit *edits, size_t count)
{
    static char text[8192];
    for (size_t i = 0; i < count; i++) {
        ie_error err = {0};
        ie_unet_config c;
        const size_t bytes = edited(text, sizeof text, base, edits[i].place, edits[i].value);
        const ie_status status = ie_unet_config_parse(&c, text, bytes, "config.json", &err);
        assert_refused(edits[i].name, status, IE_BAD_MODEL, &err, edits[i].says);
    }
}

static void every_bad_value_is_refused_with_its_place_and_range(void **state)
{
    (void)state;
    refuse_all(adm, bad_adm, COUNT(bad_adm));
    refuse_all(efficient, bad_efficient, COUNT(bad_efficient));
}

/* Two edits: what takes more than one value to contradict. */
static void check_pair(const char *base, const edit *first, const edit *second, const char *says)
{
    static char once[8192], twice[8192];
    ie_error err = {0};
    ie_unet_config c;
    const size_t bytes = edited(once, sizeof once - 1, base, first->place, first->value);
    once[bytes] = '\0';
    const size_t all = edited(twice, sizeof twice, once, second->place, second->value);
    const ie_status status = ie_unet_config_parse(&c, twice, all, "config.json", &err);
    if (says)
        assert_refused(first->place, status, IE_BAD_MODEL, &err, says);
    else if (status != IE_OK)
        fail_msg("%s, %s: %s", first->place, second->place, err.text);
}

static void pairs_of_values_are_checked_against_each_other(void **state)
{
    (void)state;
    const edit odd_side = {.place = "resolution", .value = "63"},
               odd_canvas = {.place = "conditioning.resolution", .value = "1008"},
               head = {.place = "head.norm", .value = "true"},
               narrow = {.place = "width", .value = "6"},
               kernel = {.place = "conditioning.kernel", .value = "2"},
               fours = {.place = "conditioning.strides", .value = "[4, 2, 2]"},
               concat = {.place = "skip_join", .value = "\"concat\""},
               no_canvas = {.place = "conditioning.resolution", .value = "0"},
               groups = {.place = "norm_groups", .value = "8"};
    check_pair(adm, &odd_side, &odd_canvas, "resolution is 63, which the product of the levels'");
    check_pair(efficient, &head, &narrow, "does not divide width (6)");
    check_pair(adm, &kernel, &fours, "must be odd or equal to every stride, but strides[0] is 4");
    check_pair(efficient, &no_canvas, &groups, NULL); /* the plain Imagen U-Net */
    check_pair(efficient, &concat, &groups, NULL);    /* 8, 8 and 16 channels in 8 groups */
    check_pair(efficient, &narrow, &concat, NULL);    /* a head without norm takes any width */
}

static ie_status parse_adm(void *context, ie_error *err)
{
    ie_unet_config c;
    (void)context;
    return ie_unet_config_parse(&c, adm, strlen(adm), "config.json", err);
}

static void every_failing_allocation_is_reported_and_leaks_nothing(void **state)
{
    (void)state;
    sweep_allocations(parse_adm, NULL, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_valid_adm_configuration_is_read_value_by_value),
        cmocka_unit_test(a_valid_efficient_configuration_is_read_value_by_value),
        cmocka_unit_test(every_bad_value_is_refused_with_its_place_and_range),
        cmocka_unit_test(pairs_of_values_are_checked_against_each_other),
        cmocka_unit_test(every_failing_allocation_is_reported_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
