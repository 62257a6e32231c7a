/* test_manifest.c - every form of a manifest, and everything that can be wrong with a line.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "manifest.h"
#include "mask.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const ie_item_defaults defaults = {7, ".png", "settings"};

static const char *write_text(void **state, const char *name, const char *text)
{
    bytes file = {0};
    const char *path = in_folder(state, name);
    bytes_append(&file, text, strlen(text));
    bytes_write(&file, path);
    bytes_free(&file);
    return path;
}

static ie_manifest read_text(void **state, const char *name, const char *text)
{
    ie_manifest m;
    ie_error err = {0};
    const ie_manifest_source source = {.file = write_text(state, name, text)};
    assert_says(ie_manifest_read(&m, &source, &defaults, &err), IE_OK, &err, "");
    return m;
}

#define PICTURES "\"image\": \"a.png\", \"mask\": \"m.png\""
#define GOOD     PICTURES ", \"prompt\": \"a fish\""

static void the_short_form(void **state)
{
    ie_manifest m =
        read_text(state, "m.jsonl",
                  "\xef\xbb\xbf{\"id\": \"a\", " GOOD "}\n"
                  "\n"
                  "{\"id\": \"b/1\", " GOOD ", \"seed\": 5, \"count\": 3, \"steps\": [4, 2], "
                  "\"guidance\": 2.5, \"output\": \"x/y.PNG\"}\r\n"
                  "{\"id\": \"c\", " PICTURES ", \"prompt\": \"\", \"steps\": \"1,1\", "
                  "\"guidance\": \"30~1/5\"}");
    assert_int_equal(m.error_count, 0);
    assert_int_equal(m.count, 3);
    assert_int_equal(m.items[0].line, 1);
    assert_string_equal(m.items[0].output, "a.png");
    assert_int_equal(m.items[0].count, 1);
    assert_int_equal(m.items[1].line, 3);
    assert_int_equal(m.items[1].seed, 5);
    assert_int_equal(m.items[1].count, 3);
    assert_string_equal(m.items[1].steps, "4,2");
    assert_string_equal(m.items[1].guidance, "2.5");
    assert_string_equal(m.items[1].output, "x/y.PNG");
    assert_string_equal(m.items[2].prompt, ""); /* the item's failure, not the manifest's */
    assert_string_not_equal(m.items[0].request, m.items[2].request);
    ie_manifest_release(&m);
}

static void lines_that_are_wrong_are_all_listed(void **state)
{
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"{\"id\": \"first\", " GOOD "}", NULL},
        {"nonsense", "not JSON"},
        {"[1]", "not a JSON object"},
        {"{\"id\": \"x\"", "not JSON"},
        {"{\"id\": \"x\", \"id\": \"y\"}", "not JSON: duplicate"},
        {"{" GOOD "}", "id is missing"},
        {"{\"id\": \"\", " GOOD "}", "the id is empty"},
        {"{\"id\": 5, " GOOD "}", "id is not a text"},
        {"{\"id\": \"a\\nb\", " GOOD "}", "the id has a control character"},
        {"{\"id\": \"first\", " GOOD "}", "the id \"first\" is that of line 1"},
        {"{\"id\": \"x\", \"mask\": \"m.png\", \"prompt\": \"p\"}", "image is missing"},
        {"{\"id\": \"x\", \"image\": \"m.png\", \"prompt\": \"p\"}", "mask is missing"},
        {"{\"id\": \"x\", " PICTURES "}", "prompt is missing"},
        {"{\"id\": \"x\", \"image\": \"/a\", \"mask\": \"m\", \"prompt\": \"p\"}",
         "it is absolute"},
        {"{\"id\": \"x\", \"image\": \"../a\", \"mask\": \"m\", \"prompt\": \"p\"}",
         ".. component"},
        {"{\"id\": \"x\", " GOOD ", \"promt\": \"p\"}", "did you mean prompt?"},
        {"{\"id\": \"x\", " GOOD ", \"colour\": 1}", "there is no field \"colour\": legal are id"},
        {"{\"id\": \"x\", " GOOD ", \"seed\": -1}", "seed -1: legal is 0 to 9223372036854775806"},
        {"{\"id\": \"x\", " GOOD ", \"seed\": \"1\"}", "seed is not an integer"},
        {"{\"id\": \"x\", " GOOD ", \"seed\": 1.5}", "seed is not an integer"},
        {"{\"id\": \"x\", " GOOD ", \"seed\": 9223372036854775800, \"count\": 9}", "goes beyond"},
        {"{\"id\": \"x\", " GOOD ", \"count\": 0}", "count 0: legal is 1 to 1000"},
        {"{\"id\": \"x\", " GOOD ", \"steps\": [9999]}", "legal is 1 to 4096"},
        {"{\"id\": \"x\", " GOOD ", \"steps\": [\"1\"]}", "steps is not a text or a number"},
        {"{\"id\": \"x\", " GOOD ", \"guidance\": 1001}", "weights 0 to 1000"},
        {"{\"id\": \"x\", " GOOD ", \"output\": \"first.png\"}",
         "the output \"first.png\" is that"},
        {"{\"id\": \"x\", " GOOD ", \"output\": \"x.gif\"}", "names no format"},
        {"{\"id\": \"x\", " GOOD ", \"output\": \"a/../b.png\"}", ".. component"},
        {"{\"id\": \"x\", " GOOD ", \"output\": \"ledger/b.png\"}", "the job's own"},
        {"{\"id\": \"last\", " GOOD "}", NULL},
    };
    char text[16384] = "";
    size_t wrong = 0;
    for (size_t i = 0; i < COUNT(cases); i++) strcat(strcat(text, cases[i].line), "\n");
    ie_manifest m = read_text(state, "m.jsonl", text);
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (!cases[i].says) continue;
        assert_true(wrong < m.error_count);
        assert_int_equal(m.errors[wrong].line, i + 1);
        if (!strstr(m.errors[wrong].text, cases[i].says)) {
            fail_msg("line %zu: \"%s\", not \"%s\"", i + 1, m.errors[wrong].text, cases[i].says);
        }
        wrong++;
    }
    assert_int_equal(m.error_count, wrong);
    assert_int_equal(m.count, 2);
    ie_manifest_release(&m);
}

/* ---- OpenAI's form --------------------------------------------------------------------------- */

#define LINE(body)                                                                                 \
    "{\"custom_id\": \"x\", \"method\": \"POST\", \"url\": \"/v1/images/edits\", \"body\": {" body \
    "}}"
#define URL "\"data:image/png;base64,Zm9v\""

static void the_openai_form(void **state)
{
    ie_manifest m = read_text(
        state, "m.jsonl",
        LINE("\"model\": \"m\", \"images\": [{\"image_url\": " URL "}], \"mask\": {\"image_url\": "
             "\"data:;base64,YmFy\"}, \"prompt\": \"a fish\", \"n\": 2, \"seed\": 9, "
             "\"output_format\": \"png\", \"output_compression\": 80, \"size\": \"auto\", "
             "\"guidance_scale\": 5, \"num_inference_steps\": 10"));
    uint8_t *data;
    size_t size;
    assert_int_equal(m.error_count, 0);
    assert_int_equal(m.count, 1);
    const ie_item *item = &m.items[0];
    assert_string_equal(item->id, "x");
    assert_string_equal(item->output, "x.png");
    assert_int_equal(item->quality, 80);
    assert_int_equal(item->count, 2);
    assert_int_equal(item->seed, 9);
    assert_string_equal(item->guidance, "5");
    assert_string_equal(item->steps, "10");
    assert_int_equal(item->mask_edit, IE_MASK_EDIT_TRANSPARENT);
    for (int mask = 0; mask < 2; mask++) {
        assert_int_equal(ie_manifest_inline(m.name, item, mask, &data, &size, NULL), IE_OK);
        assert_int_equal(size, 3);
        assert_memory_equal(data, mask ? "bar" : "foo", 3);
        free(data);
    }
    const char *name = write_text(state, "m.jsonl", "something else\n");
    ie_error err = {0};
    assert_int_equal(ie_manifest_inline(name, item, false, &data, &size, &err), IE_BAD_INPUT);
    ie_manifest_release(&m);

    m = read_text(state, "m.jsonl",
                  LINE("\"image_path\": \"i.png\", \"mask_path\": \"m.png\", \"prompt\": \"p\", "
                       "\"mask_mode\": \"white\"") "\n");
    assert_int_equal(m.error_count, 0);
    assert_int_equal(m.items[0].mask_edit, IE_MASK_EDIT_WHITE);
    assert_string_equal(m.items[0].image, "i.png");
    ie_manifest_release(&m);

    m = read_text(state, "m.jsonl", LINE("\"image\": " URL ", \"prompt\": \"p\"") "\n");
    assert_int_equal(m.error_count, 0);
    assert_true(m.items[0].mask_is_image); /* its own transparency */
    ie_manifest_release(&m);
}

static void openai_lines_that_are_wrong(void **state)
{
    static const struct {
        const char *line, *says;
    } cases[] = {
        {"{\"custom_id\": \"x\", \"body\": {}}", "method is missing"},
        {"{\"custom_id\": \"x\", \"method\": \"GET\", \"url\": \"/v1/images/edits\", \"body\": {}}",
         "legal is POST"},
        {"{\"custom_id\": \"x\", \"method\": \"POST\", \"url\": \"/v1/chat\", \"body\": {}}",
         "legal is /v1/images/edits"},
        {"{\"custom_id\": \"x\", \"method\": \"POST\", \"url\": \"/v1/images/edits\", \"body\": 1}",
         "body is not an object"},
        {LINE("\"prompt\": \"p\""), "image is missing"},
        {LINE("\"image\": \"https://example.org/a.png\", \"prompt\": \"p\""), "nothing is fetched"},
        {LINE("\"image\": {\"file_id\": \"f\"}, \"prompt\": \"p\""), "uploaded elsewhere"},
        {LINE("\"images\": [" URL ", " URL "], \"prompt\": \"p\""), "exactly one image"},
        {LINE("\"image\": " URL ", \"image_path\": \"i\", \"prompt\": \"p\""), "given twice"},
        {LINE("\"image\": " URL ", \"prompt\": \"p\", \"size\": \"512x512\""), "legal is auto"},
        {LINE("\"image\": " URL ", \"prompt\": \"p\", \"stream\": true"), "unknown here"},
        {LINE("\"image\": " URL ", \"prompt\": \"p\", \"output_format\": \"gif\""),
         "legal are png"},
        {LINE("\"image\": " URL ", \"prompt\": \"p\", \"n\": 0"), "legal is 1 to 1000"},
        {LINE("\"image\": " URL ", \"prompt\": \"p\", \"mask_mode\": \"grey\""), "legal are auto"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        ie_manifest m = read_text(state, "m.jsonl", cases[i].line);
        assert_int_equal(m.error_count, 1);
        if (!strstr(m.errors[0].text, cases[i].says)) {
            fail_msg("\"%s\", not \"%s\"", m.errors[0].text, cases[i].says);
        }
        ie_manifest_release(&m);
    }
}

/* ---- CSV and folders ------------------------------------------------------------------------- */

static void csv_manifests(void **state)
{
    ie_manifest m = read_text(state, "m.csv",
                              "id,image,mask,prompt,seed\r\n"
                              "a,a.png,m.png,\"a fish, red\",7\r\n"
                              "b,a.png,m.png,,\r\n"
                              "c,a.png,m.png\r\n"
                              "d,a.png,m.png,x,minus\r\n"
                              "\"e\ne\",a.png,m.png,x,\r\n"
                              "f,a.png,m.png,x,\r\n");
    assert_int_equal(m.count, 3);
    assert_string_equal(m.items[0].prompt, "a fish, red");
    assert_int_equal(m.items[0].seed, 7);
    assert_string_equal(m.items[1].prompt, "");
    assert_int_equal(m.items[2].line, 8); /* lines of the file, not records */
    assert_int_equal(m.error_count, 3);
    assert_int_equal(m.errors[0].line, 4);
    assert_string_equal(m.errors[0].text, "3 cells, but the header has 5");
    assert_int_equal(m.errors[1].line, 5);
    assert_int_equal(m.errors[2].line, 6);
    assert_string_equal(m.errors[2].text, "the id has a control character");
    ie_manifest_release(&m);
    m = read_text(state, "m.csv", "id,imgae\n1,2\n");
    assert_int_equal(m.error_count, 1);
    assert_non_null(strstr(m.errors[0].text, "did you mean image?"));
    ie_manifest_release(&m);
    m = read_text(state, "m.csv", "id,id\n1,2\n");
    assert_string_equal(m.errors[0].text, "the header names id twice");
    ie_manifest_release(&m);
}

static void folders(void **state)
{
    char images[PATH_MAX], masks[PATH_MAX];
    (void)snprintf(images, sizeof images, "%s/in", (const char *)*state);
    (void)snprintf(masks, sizeof masks, "%s/masks", (const char *)*state);
    (void)mkdir(images, 0700);
    (void)mkdir(masks, 0700);
    static const char *const files[] = {"in/one.PNG",   "in/two.png",    "in/lost.png",
                                        "in/notes.txt", "masks/one.png", "masks/two.png"};
    for (size_t i = 0; i < COUNT(files); i++) (void)write_text(state, files[i], "x");
    const ie_manifest_source source = {
        .images = images,
        .masks = masks,
        .prompts = write_text(state, "p.csv",
                              "image,id,prompt\none.PNG,,a fish\n,two,a cat\nthree.png,,a dog\n"),
    };
    ie_manifest m;
    assert_int_equal(ie_manifest_read(&m, &source, &defaults, NULL), IE_OK);
    assert_int_equal(m.count, 2);
    assert_string_equal(m.items[0].id, "one");
    assert_string_equal(m.items[0].mask, "one.png");
    assert_string_equal(m.items[1].image, "two.png");
    assert_int_equal(m.error_count, 2);
    assert_non_null(strstr(m.errors[0].text, "has no three.png"));
    assert_non_null(strstr(m.errors[1].text, "in/lost.png has no prompt"));
    ie_manifest_release(&m);
    (void)write_text(state, "in/one.png", "x");
    ie_error err = {0};
    assert_says(ie_manifest_read(&m, &source, &defaults, &err), IE_BAD_ARGUMENT, &err,
                "has both one.PNG and one.png");
    ie_manifest_release(&m);
}

static void files_that_are_no_manifests(void **state)
{
    static const struct {
        const char *name, *text, *says;
    } cases[] = {{"m.jsonl", "", "has no items"},
                 {"m.txt", "x", "names no kind of manifest"},
                 {"m.csv", "id,image\n", "has no items"}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        ie_manifest m;
        ie_error err = {0};
        const ie_manifest_source source = {.file = write_text(state, cases[i].name, cases[i].text)};
        assert_says(ie_manifest_read(&m, &source, &defaults, &err), IE_BAD_ARGUMENT, &err,
                    cases[i].says);
        ie_manifest_release(&m);
    }
}

#define IN_FOLDER(test) cmocka_unit_test_setup_teardown(test, folder_make, folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_FOLDER(the_short_form),
        IN_FOLDER(lines_that_are_wrong_are_all_listed),
        IN_FOLDER(the_openai_form),
        IN_FOLDER(openai_lines_that_are_wrong),
        IN_FOLDER(csv_manifests),
        IN_FOLDER(folders),
        IN_FOLDER(files_that_are_no_manifests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
