/* test_model_hash.c - the hash of a model: its definition, and what it depends on.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "model_hash.h"
#include "sha256.h"

#include <endian.h>
#include <stdio.h>
#include <string.h>

static const char one_tensor[] =
    "{\"x\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [0, 8]}}";
static const char other_tensor[] =
    "{\"y\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [0, 8]}}";
static const char index_text[] = "{\"weight_map\": {\"x\": \"b.safetensors\","
                                 " \"y\": \"a.safetensors\"}}";

static const ie_cascade_config cascade = {.stage_count = 2,
                                          .stages = {{.directory = "base"}, {.directory = "sr"}}};

/* The contents are not looked at by the hash, except that weights must be safetensors. */
static char *model_folder(void)
{
    char *folder = folder_make();
    const image x = image_build(one_tensor, 8), y = image_build(other_tensor, 8);
    folder_write(folder, "cascade.json", "cascade", 7);
    folder_write(folder, "tokenizer/spiece.model", "pieces", 6);
    folder_write(folder, "text_encoder/config.json", "text", 4);
    folder_write(folder, "text_encoder/b.safetensors", x.bytes, x.size);
    folder_write(folder, "text_encoder/a.safetensors", y.bytes, y.size);
    folder_write(folder, "text_encoder/model.safetensors.index.json", index_text,
                 strlen(index_text));
    folder_write(folder, "base/config.json", "base", 4);
    folder_write(folder, "base/model.safetensors", x.bytes, x.size);
    folder_write(folder, "sr/config.json", "sr", 2);
    folder_write(folder, "sr/model.safetensors", y.bytes, y.size);
    return folder;
}

static void hash_of(char out[IE_HASH_TEXT], const char *folder)
{
    ie_error err = {0};
    if (ie_model_hash(out, folder, &cascade, (ie_load_watch){0}, &err) != IE_OK)
        fail_msg("%s", err.text);
    assert_int_equal(strlen(out), 64);
}

static void sha256_gives_the_published_digests(void **state)
{
    (void)state;
    char text[IE_SHA256_TEXT];
    ie_sha256 *h = NULL;
    assert_int_equal(ie_sha256_begin(&h, NULL), IE_OK);
    assert_int_equal(ie_sha256_end(&h, text, NULL), IE_OK);
    assert_null(h);
    assert_string_equal(text, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_int_equal(ie_sha256_begin(&h, NULL), IE_OK);
    assert_int_equal(ie_sha256_add(h, "a", 1, NULL), IE_OK);
    assert_int_equal(ie_sha256_add(h, "bc", 2, NULL), IE_OK);
    assert_int_equal(ie_sha256_end(&h, text, NULL), IE_OK);
    assert_string_equal(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    ie_sha256_drop(&h);
}

static void add(ie_sha256 *h, const char *name, const void *bytes, size_t size)
{
    const uint64_t length = htole64(size);
    assert_int_equal(ie_sha256_add(h, name, strlen(name) + 1, NULL), IE_OK);
    assert_int_equal(ie_sha256_add(h, &length, 8, NULL), IE_OK);
    assert_int_equal(ie_sha256_add(h, bytes, size, NULL), IE_OK);
}

static void the_hash_is_over_paths_sizes_and_bytes_in_the_order_of_the_header(void **state)
{
    (void)state;
    const image x = image_build(one_tensor, 8), y = image_build(other_tensor, 8);
    char *folder = model_folder(), wanted[IE_SHA256_TEXT], got[IE_HASH_TEXT];
    ie_sha256 *h = NULL;
    assert_int_equal(ie_sha256_begin(&h, NULL), IE_OK);
    add(h, "./cascade.json", "cascade", 7);
    add(h, "tokenizer/spiece.model", "pieces", 6);
    add(h, "text_encoder/config.json", "text", 4);
    add(h, "text_encoder/a.safetensors", y.bytes, y.size);
    add(h, "text_encoder/b.safetensors", x.bytes, x.size);
    add(h, "base/config.json", "base", 4);
    add(h, "base/model.safetensors", x.bytes, x.size);
    add(h, "sr/config.json", "sr", 2);
    add(h, "sr/model.safetensors", y.bytes, y.size);
    assert_int_equal(ie_sha256_end(&h, wanted, NULL), IE_OK);
    hash_of(got, folder);
    assert_string_equal(got, wanted);
    folder_remove(folder);
}

static void every_file_changes_the_hash(void **state)
{
    (void)state;
    static const char *const names[] = {
        "cascade.json",
        "tokenizer/spiece.model",
        "text_encoder/config.json",
        "text_encoder/a.safetensors",
        "base/config.json",
        "sr/config.json",
        "sr/model.safetensors",
    };
    char before[IE_HASH_TEXT], after[IE_HASH_TEXT];
    image changed = image_build(other_tensor, 8);
    changed.bytes[changed.size - 1] ^= 1;
    for (size_t i = 0; i < COUNT(names); i++) {
        char *folder = model_folder();
        hash_of(before, folder);
        folder_write(folder, names[i], changed.bytes, changed.size);
        hash_of(after, folder);
        if (strcmp(before, after) == 0) fail_msg("%s does not change the hash", names[i]);
        folder_remove(folder);
    }
}

static void a_file_that_is_missing_is_named(void **state)
{
    (void)state;
    char *folder = model_folder(), path[4352], text[IE_HASH_TEXT];
    ie_error err = {0};
    snprintf(path, sizeof path, "%s/sr/config.json", folder);
    assert_int_equal(remove(path), 0);
    assert_refused("missing", ie_model_hash(text, folder, &cascade, (ie_load_watch){0}, &err),
                   IE_BAD_MODEL, &err, "sr/config.json cannot be read: No such file");
    assert_string_equal(text, "");
    folder_remove(folder);
}

static ie_status hash_it(void *folder, ie_error *err)
{
    char text[IE_HASH_TEXT];
    return ie_model_hash(text, folder, &cascade, (ie_load_watch){0}, err);
}

static void every_failing_allocation_is_reported_and_leaks_nothing(void **state)
{
    (void)state;
    char *folder = model_folder();
    sweep_allocations(hash_it, folder, 100);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_gives_the_published_digests),
        cmocka_unit_test(the_hash_is_over_paths_sizes_and_bytes_in_the_order_of_the_header),
        cmocka_unit_test(every_file_changes_the_hash),
        cmocka_unit_test(a_file_that_is_missing_is_named),
        cmocka_unit_test(every_failing_allocation_is_reported_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
