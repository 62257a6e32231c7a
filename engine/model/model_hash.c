/* model_hash.c - the model's files, in a fixed order, through SHA-256.
 * SPDX-License-Identifier: Apache-2.0 */
#include "model_hash.h"

#include "memory.h"
#include "sha256.h"
#include "weights_parts.h"

#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert((int)IE_HASH_TEXT == (int)IE_SHA256_TEXT, "the hash is SHA-256 in hex");

typedef struct hashing {
    ie_sha256 *sha;
    const char *directory;
    ie_load_watch watch;
    uint64_t weights; /* bytes of weights so far */
    ie_error *err;
} hashing;

enum { PIECE = 64 << 20 }; /* of a file, between two words to the watch */

/* folder/name below the model, its size; its bytes follow. */
static ie_status add_name(const hashing *h, const char *folder, const char *name, uint64_t bytes)
{
    char below[512];
    const int length = snprintf(below, sizeof below, "%s/%s", folder, name);
    const uint64_t size = htole64(bytes);
    if (length < 0 || (size_t)length >= sizeof below) {
        return ie_fail(h->err, IE_BAD_MODEL, "%s: the name %s is too long", h->directory, name);
    }
    IE_TRY(ie_sha256_add(h->sha, below, (uint64_t)length + 1, h->err));
    return ie_sha256_add(h->sha, &size, sizeof size, h->err);
}

/* A file of the folder; "." is the model's own. */
static ie_status add_file(const hashing *h, const char *folder, const char *name)
{
    ie_file file = {0};
    ie_status status = IE_OK;
    char *inside = ie_path_join(h->directory, folder);
    char *path = inside ? ie_path_join(inside, name) : NULL;
    if (!path) {
        status = ie_fail(h->err, IE_NO_MEMORY, "no memory to hash %s", h->directory);
        goto done;
    }
    IE_TRY_DONE(ie_file_open(&file, path, IE_BAD_MODEL, h->err));
    IE_TRY_DONE(add_name(h, folder, name, file.size));
    status = ie_sha256_add(h->sha, file.data, file.size, h->err);

done:
    ie_file_close(&file);
    ie_free(path);
    ie_free(inside);
    return status;
}

/* A file of weights, a piece at a time. */
static ie_status add_weights(hashing *h, const char *folder, const char *name, ie_file file)
{
    IE_TRY(add_name(h, folder, name, file.size));
    for (uint64_t at = 0; at < file.size; at += PIECE) {
        const uint64_t left = file.size - at, size = left < PIECE ? left : PIECE;
        IE_TRY(ie_sha256_add(h->sha, (const char *)file.data + at, size, h->err));
        h->weights += size;
        if (h->watch.layer) IE_TRY(h->watch.layer(h->watch.user, h->weights, h->err));
    }
    return IE_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const ie_shard *)a)->name, ((const ie_shard *)b)->name);
}

/* A folder's config.json and its files of weights, in order of name. */
static ie_status add_network(hashing *h, const char *folder)
{
    ie_weights *w = NULL;
    ie_status status = IE_OK;
    char *inside = ie_path_join(h->directory, folder);
    if (!inside) return ie_fail(h->err, IE_NO_MEMORY, "no memory to hash %s", h->directory);
    IE_TRY_DONE(add_file(h, folder, "config.json"));
    IE_TRY_DONE(ie_weights_open(&w, inside, h->err));
    /* Tensors name their shard by position: from here on only the shards may be looked at. */
    if (w->shard_count > 1) qsort(w->shards, (size_t)w->shard_count, sizeof *w->shards, by_name);
    for (int i = 0; i < w->shard_count; i++) {
        const char *name = strrchr(w->shards[i].name, '/');
        IE_TRY_DONE(add_weights(h, folder, name ? name + 1 : w->shards[i].name, w->shards[i].file));
    }

done:
    ie_weights_close(&w);
    ie_free(inside);
    return status;
}

ie_status ie_model_hash(char out[IE_HASH_TEXT], const char *directory,
                        const ie_cascade_config *cascade, ie_load_watch watch, ie_error *err)
{
    hashing h = {.directory = directory, .watch = watch, .err = err};
    ie_status status = IE_OK;
    memset(out, 0, IE_HASH_TEXT);
    IE_TRY_DONE(ie_sha256_begin(&h.sha, err));
    IE_TRY_DONE(add_file(&h, ".", "cascade.json"));
    IE_TRY_DONE(add_file(&h, "tokenizer", "spiece.model"));
    IE_TRY_DONE(add_network(&h, "text_encoder"));
    for (int i = 0; i < cascade->stage_count; i++) {
        IE_TRY_DONE(add_network(&h, cascade->stages[i].directory));
    }
    status = ie_sha256_end(&h.sha, out, err);

done:
    ie_sha256_drop(&h.sha);
    return status;
}
