/* support.c - helpers of the tests of engine/model. SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "memory.h"

#include <endian.h>
#include <ftw.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- edited JSON ----------------------------------------------------------------------------- */

static json_t *child(json_t *at, const char *key)
{
    return json_is_array(at) ? json_array_get(at, strtoul(key, NULL, 10))
                             : json_object_get(at, key);
}

static void set_child(json_t *at, const char *key, const char *value)
{
    const size_t index = strtoul(key, NULL, 10);
    if (!value) {
        assert_int_equal(
            json_is_array(at) ? json_array_remove(at, index) : json_object_del(at, key), 0);
        return;
    }
    json_t *new = json_loads(value, JSON_DECODE_ANY, NULL);
    assert_non_null(new);
    if (json_is_array(at) && index == json_array_size(at)) {
        json_array_append_new(at, new);
    } else if (json_is_array(at)) {
        assert_int_equal(json_array_set_new(at, index, new), 0);
    } else {
        assert_int_equal(json_object_set_new(at, key, new), 0);
    }
}

size_t edited(char *out, size_t size, const char *base, const char *place, const char *value)
{
    char path[128], *rest = path;
    json_t *root = json_loads(base, 0, NULL), *at = root;
    assert_non_null(root);
    assert_true(strlen(place) < sizeof path);
    strcpy(path, place);
    for (char *dot = strchr(rest, '.'); dot; dot = strchr(rest, '.')) {
        *dot = '\0';
        at = child(at, rest);
        assert_non_null(at);
        rest = dot + 1;
    }
    set_child(at, rest, value);
    const size_t bytes = json_dumpb(root, out, size, 0);
    assert_true(bytes > 0 && bytes <= size);
    json_decref(root);
    return bytes;
}

void assert_refused(const char *name, ie_status status, ie_status wanted, const ie_error *err,
                    const char *says)
{
    if (status == wanted && strstr(err->text, says) && !strchr(err->text, '\n')) return;
    fail_msg("%s: status %d, wanted %d; \"%s\" should say \"%s\"", name, (int)status, (int)wanted,
             err->text, says);
}

/* ---- folders --------------------------------------------------------------------------------- */

char *folder_make(void)
{
    const char *base = getenv("TMPDIR");
    char *folder = malloc(4096);
    assert_non_null(folder);
    snprintf(folder, 4096, "%s/ie-test-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(folder));
    return folder;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st, (void)type, (void)where;
    return remove(path);
}

void folder_remove(char *folder)
{
    assert_int_equal(nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
    free(folder);
}

void folder_write(const char *folder, const char *name, const void *bytes, size_t size)
{
    char path[4352];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    char *slash = strchr(path + strlen(folder) + 1, '/');
    if (slash) { /* one folder deep is all that a model has */
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, size, f), size);
    assert_int_equal(fclose(f), 0);
}

/* ---- safetensors --------------------------------------------------------------------------- */

image image_build(const char *header, size_t data)
{
    image f = {0};
    const size_t text = strlen(header), padded = (text + 7) / 8 * 8;
    const uint64_t length = htole64(padded);
    memcpy(f.bytes, &length, 8);
    memcpy(f.bytes + 8, header, text);
    memset(f.bytes + 8 + text, ' ', padded - text);
    f.size = 8 + padded + data;
    assert_true(f.size <= sizeof f.bytes);
    for (size_t i = 0; i < data; i++) f.bytes[8 + padded + i] = (unsigned char)i;
    return f;
}

/* ---- the sweep ------------------------------------------------------------------------------- */

/* jansson's allocator for the second half. It fails for good, not once: jansson ignores it when the
 * buffer of a token cannot grow, and goes on with a shortened token if later calls succeed. */
static struct {
    int64_t allowed, live; /* allowed < 0: unlimited */
    bool failed;
} jansson = {.allowed = -1};

static void *jansson_alloc(size_t size)
{
    if (jansson.allowed == 0) {
        jansson.failed = true;
        return NULL;
    }
    if (jansson.allowed > 0) jansson.allowed--;
    jansson.live++;
    return malloc(size);
}

static void jansson_free(void *p)
{
    if (p) jansson.live--;
    free(p);
}

static int sweep_ours(ie_status (*open)(void *context, ie_error *err), void *context)
{
    const int64_t live = ie_alloc_live();
    for (int n = 0;; n++) {
        assert_true(n < 10000);
        ie_error err = {0};
        ie_alloc_fail_after(n);
        const ie_status status = open(context, &err);
        ie_alloc_fail_after(-1);
        assert_int_equal(ie_alloc_live(), live);
        if (status == IE_OK) return n;
        assert_refused("allocation failing", status, IE_NO_MEMORY, &err, "memory");
    }
}

static int sweep_jansson(ie_status (*open)(void *context, ie_error *err), void *context)
{
    const int64_t live = ie_alloc_live();
    json_set_alloc_funcs(jansson_alloc, jansson_free);
    for (int n = 0;; n++) {
        assert_true(n < 10000);
        ie_error err = {0};
        jansson.allowed = n;
        jansson.failed = false;
        const ie_status status = open(context, &err);
        jansson.allowed = -1;
        assert_int_equal(ie_alloc_live(), live);
        assert_int_equal(jansson.live, 0);
        if (!jansson.failed) {
            assert_int_equal(status, IE_OK);
            json_set_alloc_funcs(malloc, free);
            return n;
        }
        const bool syntax = status == IE_BAD_MODEL && strstr(err.text, "is not valid JSON");
        if (!syntax) assert_refused("jansson failing", status, IE_NO_MEMORY, &err, "memory");
    }
}

void sweep_allocations(ie_status (*open)(void *context, ie_error *err), void *context, int least)
{
    const int ours = sweep_ours(open, context), theirs = sweep_jansson(open, context);
    assert_true(ours + theirs >= least);
}
