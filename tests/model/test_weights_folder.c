/* test_weights_folder.c - the weights of a folder: one file, or an index and its shards.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "weights.h"

#include <stdlib.h>
#include <string.h>

static const char shard_x[] =
    "{\"x\": {\"dtype\": \"F32\", \"shape\": [2], \"data_offsets\": [0, 8]}}";
static const char shard_y[] =
    "{\"y\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0, 4]},"
    " \"z\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [4, 8]}}";
static const char index_text[] =
    "{\"metadata\": {\"total_size\": 16}, \"weight_map\": {\"x\": \"model-1.safetensors\","
    " \"y\": \"model-2.safetensors\", \"z\": \"model-2.safetensors\"}}";

static void write_image(const char *folder, const char *name, const char *header, size_t data)
{
    const image f = image_build(header, data);
    folder_write(folder, name, f.bytes, f.size);
}

static char *sharded_folder(const char *index)
{
    char *folder = folder_make();
    write_image(folder, "model-1.safetensors", shard_x, 8);
    write_image(folder, "model-2.safetensors", shard_y, 8);
    folder_write(folder, "model.safetensors.index.json", index, strlen(index));
    return folder;
}

static void a_single_file_is_mapped_and_its_pages_can_be_forgotten(void **state)
{
    (void)state;
    enum { FLOATS = 1 << 16 };
    char *folder = folder_make();
    const char *header =
        "{\"x\": {\"dtype\": \"F32\", \"shape\": [65536], \"data_offsets\": [0, 262144]}}";
    const image head = image_build(header, 0);
    const size_t size = head.size + FLOATS * sizeof(float);
    unsigned char *bytes = calloc(size, 1);
    assert_non_null(bytes);
    memcpy(bytes, head.bytes, head.size);
    for (size_t i = head.size; i < size; i++) bytes[i] = (unsigned char)(i % 251);
    folder_write(folder, "model.safetensors", bytes, size);

    ie_weights *w = NULL;
    ie_tensor t;
    assert_int_equal(ie_weights_open(&w, folder, NULL), IE_OK);
    assert_int_equal(ie_weights_get(w, &t, "x", 1, (int64_t[]){FLOATS}, NULL), IE_OK);
    assert_memory_equal(t.data, bytes + head.size, size - head.size);
    ie_weights_forget(w, t);
    assert_memory_equal(t.data, bytes + head.size, size - head.size); /* read anew, still right */
    ie_weights_forget(w, (ie_tensor){0});
    ie_weights_close(&w);
    free(bytes);
    folder_remove(folder);
}

static void shards_are_one_set(void **state)
{
    (void)state;
    char *folder = sharded_folder(index_text);
    ie_error err = {0};
    ie_weights *w = NULL;
    ie_tensor x, z;
    assert_int_equal(ie_weights_open(&w, folder, &err), IE_OK);
    assert_int_equal(ie_weights_count(w), 3);
    assert_int_equal(ie_weights_get(w, &x, "x", 1, (int64_t[]){2}, NULL), IE_OK);
    assert_int_equal(ie_weights_get(w, &z, "z", 1, (int64_t[]){1}, NULL), IE_OK);
    assert_int_equal(*(unsigned char *)x.data, 0);
    assert_int_equal(*(unsigned char *)z.data, 4);
    ie_weights_forget(w, z);
    assert_refused("missing", ie_weights_get(w, &x, "q", 1, (int64_t[]){2}, &err), IE_BAD_MODEL,
                   &err, "model.safetensors.index.json: tensor q [2] is missing");
    ie_weights_close(&w);
    folder_remove(folder);
}

static const edit bad_index[] = {
    {"no map", "weight_map", NULL, "weight_map must be an object"},
    {"a map of numbers", "weight_map.x", "1", "weight_map.x must be the name of a file"},
    {"a shard elsewhere", "weight_map.x", "\"../model-1.safetensors\"", "name of a file beside"},
    {"a hidden shard", "weight_map.x", "\".x\"", "name of a file beside"},
    {"a shard that is not there", "weight_map.x", "\"model-3.safetensors\"",
     "model-3.safetensors cannot be read: No such file"},
    {"a tensor in another shard", "weight_map.x", "\"model-2.safetensors\"",
     "names 3 tensors, but the shards have 2"},
    {"a tensor that moved", "weight_map.z", "\"model-1.safetensors\"",
     "model-2.safetensors has tensor z, but the index does not say so"},
    {"a tensor in no shard", "weight_map.q", "\"model-1.safetensors\"",
     "names 4 tensors, but the shards have 3"},
    {"a tensor left out", "weight_map.z", NULL, "has tensor z, but the index does not say so"},
};

static void an_index_must_agree_with_its_shards(void **state)
{
    (void)state;
    static char text[4096];
    for (size_t i = 0; i < COUNT(bad_index); i++) {
        ie_error err = {0};
        ie_weights *w = NULL;
        const size_t bytes =
            edited(text, sizeof text - 1, index_text, bad_index[i].place, bad_index[i].value);
        text[bytes] = '\0';
        char *folder = sharded_folder(text);
        const ie_status status = ie_weights_open(&w, folder, &err);
        assert_refused(bad_index[i].name, status, IE_BAD_MODEL, &err, bad_index[i].says);
        assert_null(w);
        folder_remove(folder);
    }
}

static void folders_without_one_clear_set_are_refused(void **state)
{
    (void)state;
    ie_error err = {0};
    ie_weights *w = NULL;
    char *folder = folder_make();
    assert_refused("nothing", ie_weights_open(&w, folder, &err), IE_BAD_MODEL, &err,
                   "model.safetensors cannot be read: No such file");
    folder_write(folder, "model.safetensors", "", 0);
    assert_refused("an empty file", ie_weights_open(&w, folder, &err), IE_BAD_MODEL, &err,
                   "has 0 bytes: too short");
    folder_write(folder, "model.safetensors.index.json", index_text, strlen(index_text));
    assert_refused("both", ie_weights_open(&w, folder, &err), IE_BAD_MODEL, &err, "remove one");
    folder_remove(folder);

    folder = sharded_folder(index_text);
    write_image(folder, "model-2.safetensors",
                "{\"x\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0, 4]},"
                " \"z\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [4, 8]}}",
                8);
    assert_refused("a tensor in two shards", ie_weights_open(&w, folder, &err), IE_BAD_MODEL, &err,
                   "tensor x is in ");
    folder_remove(folder);
}

static ie_status open_folder(void *folder, ie_error *err)
{
    ie_weights *w = NULL;
    const ie_status status = ie_weights_open(&w, folder, err);
    ie_weights_close(&w);
    return status;
}

static void every_failing_allocation_is_reported_and_leaks_nothing(void **state)
{
    (void)state;
    char *folder = sharded_folder(index_text);
    sweep_allocations(open_folder, folder, 50);
    folder_remove(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_single_file_is_mapped_and_its_pages_can_be_forgotten),
        cmocka_unit_test(shards_are_one_set),
        cmocka_unit_test(an_index_must_agree_with_its_shards),
        cmocka_unit_test(folders_without_one_clear_set_are_refused),
        cmocka_unit_test(every_failing_allocation_is_reported_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
