/* safetensors.c - one safetensors file: eight bytes of header length, a JSON header, the data.
 *
 * Nothing of the header is believed: types must be known, shape times type must be the byte range,
 * and the ranges, in order, must cover the data exactly. SPDX-License-Identifier: Apache-2.0 */
#include "memory.h"
#include "weights_parts.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

enum { PREFIX = 8, HEADER_MAX = 100000000 }; /* the format's own limit on the header */

typedef struct safetensors {
    const char *name; /* of the file */
    const unsigned char *data;
    uint64_t data_bytes;
    uint64_t data_offset; /* of the data in the file */
} safetensors;

static const struct type {
    const char *text;
    uint64_t bytes;
    ie_dtype dtype; /* IE_DTYPE_COUNT: known to the format, not to the engine */
} types[] = {
#define X(name, bytes, text) {text, bytes, IE_##name},
    IE_DTYPE_MAP(X)
#undef X
        {"F64", 8, IE_DTYPE_COUNT},
    {"I64", 8, IE_DTYPE_COUNT},
    {"U64", 8, IE_DTYPE_COUNT},
    {"U32", 4, IE_DTYPE_COUNT},
    {"I16", 2, IE_DTYPE_COUNT},
    {"U16", 2, IE_DTYPE_COUNT},
    {"I8", 1, IE_DTYPE_COUNT},
    {"BOOL", 1, IE_DTYPE_COUNT},
};

/* ---- one tensor ------------------------------------------------------------------------------ */

static const struct type *find_type(const char *text)
{
    for (size_t i = 0; text && i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(text, types[i].text) == 0) return &types[i];
    }
    return NULL;
}

/* A JSON integer that is not negative. */
static bool get_size(uint64_t *out, const json_t *value)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0) return false;
    *out = (uint64_t)json_integer_value(value);
    return true;
}

/* Rank, dimensions and *bytes, the size of the whole tensor. */
static ie_status read_shape(ie_entry *e, uint64_t *bytes, const ie_json *at, const json_t *shape,
                            uint64_t type_bytes, ie_error *err)
{
    const size_t rank = json_array_size(shape);
    if (!json_is_array(shape)) return ie_json_fail(at, err, "has no shape");
    if (rank > IE_MAX_RANK) {
        return ie_json_fail(at, err, "has %zu dimensions, but at most %d are legal", rank,
                            IE_MAX_RANK);
    }
    e->rank = (int)rank;
    uint64_t span = type_bytes; /* without the zeros, which must not hide an overflow of strides */
    bool empty = false;
    for (size_t i = 0; i < rank; i++) {
        uint64_t dim = 0;
        if (!get_size(&dim, json_array_get(shape, i))) {
            return ie_json_fail(at, err, "has a shape that is not of whole numbers from 0 on");
        }
        empty |= dim == 0;
        if (!ie_mul(&span, span, dim ? dim : 1) || span > INT64_MAX) {
            return ie_json_fail(at, err, "has a size that overflows");
        }
        e->dim[i] = (int64_t)dim;
    }
    *bytes = empty ? 0 : span;
    return IE_OK;
}

static ie_status read_range(ie_entry *e, const safetensors *f, const ie_json *at,
                            const json_t *offsets, uint64_t bytes, ie_error *err)
{
    uint64_t end = 0;
    if (!json_is_array(offsets) || json_array_size(offsets) != 2 ||
        !get_size(&e->begin, json_array_get(offsets, 0)) ||
        !get_size(&end, json_array_get(offsets, 1))) {
        return ie_json_fail(at, err, "has no data_offsets of two whole numbers from 0 on");
    }
    if (e->begin > end || end > f->data_bytes) {
        return ie_json_fail(at, err, "has data_offsets outside the file's %llu bytes of data",
                            (unsigned long long)f->data_bytes);
    }
    if (end - e->begin != bytes) {
        return ie_json_fail(at, err, "has %llu bytes, but its shape and type need %llu",
                            (unsigned long long)(end - e->begin), (unsigned long long)bytes);
    }
    e->bytes = bytes;
    e->data = f->data + e->begin;
    return IE_OK;
}

static ie_status read_entry(ie_entry *e, const safetensors *f, const ie_json *at, ie_error *err)
{
    static const char *const keys[] = {"dtype", "shape", "data_offsets"};
    const char *key;
    json_t *value;
    if (!json_is_object(at->value)) return ie_json_fail(at, err, "must be an object");
    json_object_foreach(at->value, key, value)
    {
        size_t i = 0;
        while (i < 3 && strcmp(key, keys[i]) != 0) i++;
        if (i == 3)
            return ie_json_fail(at, err, "has a key other than dtype, shape and data_offsets");
    }
    const struct type *type = find_type(json_string_value(json_object_get(at->value, keys[0])));
    if (!type) return ie_json_fail(at, err, "has no dtype that is known");
    e->dtype = type->dtype;
    e->dtype_text = type->text;
    uint64_t bytes = 0;
    IE_TRY(read_shape(e, &bytes, at, json_object_get(at->value, keys[1]), type->bytes, err));
    IE_TRY(read_range(e, f, at, json_object_get(at->value, keys[2]), bytes, err));
    /* Files of the format's own library pad the header so that every tensor is aligned. */
    if ((f->data_offset + e->begin) % type->bytes) {
        return ie_json_fail(at, err, "does not begin at a multiple of its type's %llu bytes",
                            (unsigned long long)type->bytes);
    }
    return IE_OK;
}

/* ---- the header ------------------------------------------------------------------------------ */

static ie_status check_metadata(const ie_json *at, ie_error *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(at->value)) return ie_json_fail(at, err, "must be an object");
    json_object_foreach(at->value, key, value)
    {
        if (!json_is_string(value)) return ie_json_fail(at, err, "must hold nothing but strings");
    }
    return IE_OK;
}

static ie_status read_entries(ie_weights *w, const safetensors *f, const ie_json *root,
                              ie_error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach(root->value, key, value)
    {
        const ie_json at = {.parent = root, .key = key, .value = value};
        if (strcmp(key, "__metadata__") == 0) {
            IE_TRY(check_metadata(&at, err));
            continue;
        }
        ie_entry *e = &w->entries[w->count];
        e->name = ie_strdup(key);
        if (!e->name) return ie_fail(err, IE_NO_MEMORY, "no memory for the tensors of %s", f->name);
        w->count++; /* from here on the name is released with the rest */
        e->shard = w->shard_count - 1;
        IE_TRY(read_entry(e, f, &at, err));
    }
    return IE_OK;
}

static int by_range(const void *a, const void *b)
{
    const ie_entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return (x->bytes > y->bytes) - (x->bytes < y->bytes); /* empty tensors before the full one */
}

/* In order, each range begins where the one before ended, and the last ends with the file. */
static ie_status check_cover(ie_entry *entries, uint64_t count, const safetensors *f, ie_error *err)
{
    uint64_t end = 0;
    char shown[IE_SHOWN_NAME];
    if (count > 1) qsort(entries, count, sizeof *entries, by_range);
    for (uint64_t i = 0; i < count; i++) {
        const char *name = ie_printable(shown, sizeof shown, entries[i].name);
        if (entries[i].begin < end) {
            return ie_fail(err, IE_BAD_MODEL, "%s: tensor %s overlaps the one before it", f->name,
                           name);
        }
        if (entries[i].begin > end) {
            return ie_fail(err, IE_BAD_MODEL, "%s: there is a hole of %llu bytes before tensor %s",
                           f->name, (unsigned long long)(entries[i].begin - end), name);
        }
        end += entries[i].bytes;
    }
    if (end != f->data_bytes) {
        return ie_fail(err, IE_BAD_MODEL, "%s: %llu trailing bytes belong to no tensor", f->name,
                       (unsigned long long)(f->data_bytes - end));
    }
    return IE_OK;
}

/* Room for `more` entries behind the ones there are. */
static ie_status grow_entries(ie_weights *w, uint64_t more, const char *name, ie_error *err)
{
    ie_entry *entries = ie_alloc(w->count + more + 1, sizeof *entries); /* + 1: never of size 0 */
    if (!entries) return ie_fail(err, IE_NO_MEMORY, "no memory for the tensors of %s", name);
    if (w->count) memcpy(entries, w->entries, w->count * sizeof *entries);
    ie_free(w->entries);
    w->entries = entries;
    return IE_OK;
}

ie_status ie_safetensors_read(ie_weights *w, const void *bytes, uint64_t size, ie_error *err)
{
    safetensors f = {.name = w->shards[w->shard_count - 1].name};
    uint64_t header = 0;
    if (size < PREFIX) {
        return ie_fail(err, IE_BAD_MODEL, "%s has %llu bytes: too short for a safetensors file",
                       f.name, (unsigned long long)size);
    }
    memcpy(&header, bytes, PREFIX);
    header = le64toh(header);
    if (header < 2 || header > HEADER_MAX || header > size - PREFIX) {
        return ie_fail(err, IE_BAD_MODEL,
                       "%s: the header's length is %llu; it must be in 2 .. %d and inside the "
                       "file's %llu bytes",
                       f.name, (unsigned long long)header, HEADER_MAX, (unsigned long long)size);
    }
    const char *text = (const char *)bytes + PREFIX;
    if (text[0] != '{')
        return ie_fail(err, IE_BAD_MODEL, "%s: the header must begin with '{'", f.name);
    f.data_offset = PREFIX + header;
    f.data = (const unsigned char *)bytes + f.data_offset;
    f.data_bytes = size - f.data_offset;

    json_t *value = NULL;
    IE_TRY(ie_json_parse(&value, text, header, f.name, err));
    const ie_json root = {.key = f.name, .value = value};
    const uint64_t before = w->count;
    ie_status status = grow_entries(w, json_object_size(value), f.name, err);
    if (status == IE_OK) status = read_entries(w, &f, &root, err);
    if (status == IE_OK) status = check_cover(w->entries + before, w->count - before, &f, err);
    json_decref(value);
    return status;
}
