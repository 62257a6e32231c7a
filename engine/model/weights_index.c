/* weights_index.c - the files behind a set of weights: one, or the shards that an index names.
 *
 * The index (Hugging Face's form) maps every tensor to its shard. Index and shards must agree
 * exactly: each tensor in the shard it is said to be in, and none besides.
 * SPDX-License-Identifier: Apache-2.0 */
#include "memory.h"
#include "weights_parts.h"

#include <string.h>

enum { INDEX_BYTES_MAX = 64 << 20, SHARDS_MAX = 256 };

/* ---- adding a file --------------------------------------------------------------------------- */

/* A new last shard of this name, without bytes yet. */
static ie_status add_shard(ie_weights *w, const char *name, ie_error *err)
{
    ie_shard *shards = ie_alloc((uint64_t)w->shard_count + 1, sizeof *shards);
    char *copy = ie_strdup(name);
    if (!shards || !copy) {
        ie_free(copy);
        ie_free(shards);
        return ie_fail(err, IE_NO_MEMORY, "no memory to open %s", name);
    }
    if (w->shard_count) memcpy(shards, w->shards, (size_t)w->shard_count * sizeof *shards);
    ie_free(w->shards);
    w->shards = shards;
    w->shards[w->shard_count++].name = copy;
    return IE_OK;
}

ie_status ie_weights_add_memory(ie_weights *w, const void *bytes, uint64_t size, const char *name,
                                ie_error *err)
{
    IE_TRY(add_shard(w, name, err));
    return ie_safetensors_read(w, bytes, size, err);
}

ie_status ie_weights_add_file(ie_weights *w, const char *path, ie_error *err)
{
    IE_TRY(add_shard(w, path, err));
    ie_file *file = &w->shards[w->shard_count - 1].file;
    IE_TRY(ie_file_open(file, path, IE_BAD_MODEL, err));
    return ie_safetensors_read(w, file->data, file->size, err);
}

/* ---- an index -------------------------------------------------------------------------------- */

/* A shard lies beside its index: a name with a folder in it could point anywhere. */
static ie_status check_shard_name(const ie_json *at, ie_error *err)
{
    const char *name = json_string_value(at->value);
    const size_t bytes = name ? strlen(name) : 0;
    if (bytes == 0 || bytes > 255 || name[0] == '.' || strchr(name, '/')) {
        return ie_json_fail(at, err, "must be the name of a file beside the index");
    }
    return IE_OK;
}

/* The index of the shard with this file name, or -1. */
static int find_shard(const ie_weights *w, const char *name)
{
    for (int i = 0; i < w->shard_count; i++) {
        const char *slash = strrchr(w->shards[i].name, '/');
        if (strcmp(slash ? slash + 1 : w->shards[i].name, name) == 0) return i;
    }
    return -1;
}

static ie_status open_shards(ie_weights *w, const char *directory, const ie_json *map,
                             ie_error *err)
{
    const char *tensor;
    json_t *value;
    json_object_foreach(map->value, tensor, value)
    {
        const ie_json at = {.parent = map, .key = tensor, .value = value};
        IE_TRY(check_shard_name(&at, err));
        if (find_shard(w, json_string_value(value)) >= 0) continue;
        if (w->shard_count == SHARDS_MAX) {
            return ie_json_fail(map, err, "names more than %d shards", SHARDS_MAX);
        }
        char *path = ie_path_join(directory, json_string_value(value));
        if (!path) return ie_fail(err, IE_NO_MEMORY, "no memory to open %s", directory);
        const ie_status status = ie_weights_add_file(w, path, err);
        ie_free(path);
        if (status != IE_OK) return status;
    }
    return IE_OK;
}

/* Every tensor found must be in the index, in the shard where it was found, and no other must. */
static ie_status check_map(const ie_weights *w, const ie_json *map, ie_error *err)
{
    char shown[IE_SHOWN_NAME];
    for (uint64_t i = 0; i < w->count; i++) {
        const ie_entry *e = &w->entries[i];
        const json_t *value = json_object_get(map->value, e->name);
        if (!value || find_shard(w, json_string_value(value)) != e->shard) {
            return ie_fail(err, IE_BAD_MODEL, "%s has tensor %s, but the index does not say so",
                           w->shards[e->shard].name, ie_printable(shown, sizeof shown, e->name));
        }
    }
    if (w->count != json_object_size(map->value)) {
        return ie_json_fail(map, err, "names %zu tensors, but the shards have %llu",
                            json_object_size(map->value), (unsigned long long)w->count);
    }
    return IE_OK;
}

static ie_status read_index(ie_weights *w, const char *directory, const ie_json *root,
                            ie_error *err)
{
    const ie_json map = {
        .parent = root, .key = "weight_map", .value = json_object_get(root->value, "weight_map")};
    if (!json_is_object(map.value)) return ie_json_fail(&map, err, "must be an object");
    IE_TRY(open_shards(w, directory, &map, err));
    IE_TRY(ie_weights_sort(w, err)); /* a tensor in two shards is named as that */
    return check_map(w, &map, err);
}

ie_status ie_weights_open_index(ie_weights *w, const char *directory, const char *path,
                                ie_error *err)
{
    ie_file file;
    json_t *value = NULL;
    IE_TRY(ie_file_open(&file, path, IE_BAD_MODEL, err));
    ie_status status = IE_OK;
    if (file.size > INDEX_BYTES_MAX) {
        status = ie_fail(err, IE_BAD_MODEL, "%s has more than %d bytes", path, INDEX_BYTES_MAX);
        goto done;
    }
    IE_TRY_DONE(ie_json_parse(&value, (const char *)file.data, (size_t)file.size, path, err));
    const ie_json root = {.key = path, .value = value};
    status = read_index(w, directory, &root, err);

done:
    json_decref(value);
    ie_file_close(&file);
    return status;
}
