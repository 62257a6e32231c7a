/* weights_parts.h - the insides of ie_weights, shared by the files that fill it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_MODEL_WEIGHTS_PARTS_H
#define IE_MODEL_WEIGHTS_PARTS_H

#include "file.h"
#include "json.h"
#include "weights.h"

enum { IE_SHOWN_NAME = 100 }; /* bytes of a tensor's name that a message repeats */

/* One tensor of one file, checked. */
typedef struct ie_entry {
    char *name;
    const unsigned char *data;
    uint64_t begin, bytes;  /* in the data part of its file */
    const char *dtype_text; /* static */
    ie_dtype dtype; /* IE_DTYPE_COUNT: a type of safetensors that the engine has no use for */
    int rank;       /* 0: a scalar */
    int64_t dim[IE_MAX_RANK];
    int shard;
    bool used;
} ie_entry;

typedef struct ie_shard {
    char *name;
    ie_file file; /* empty when the bytes are the caller's */
} ie_shard;

struct ie_weights {
    char *name; /* of the single file or the index, for messages */
    uint64_t count;
    ie_entry *entries; /* in order of name once open */
    int shard_count;
    ie_shard *shards;
};

/* Map one file as the next shard and add its tensors. */
ie_status ie_weights_add_file(ie_weights *w, const char *path, ie_error *err);

/* The same for a file in memory. */
ie_status ie_weights_add_memory(ie_weights *w, const void *bytes, uint64_t size, const char *name,
                                ie_error *err);

/* Read an index and add every shard it names. */
ie_status ie_weights_open_index(ie_weights *w, const char *directory, const char *path,
                                ie_error *err);

/* Order the tensors for lookup. The same name twice: IE_BAD_MODEL naming both shards. */
ie_status ie_weights_sort(ie_weights *w, ie_error *err);

/* Check one file and append its tensors to w->entries, as tensors of the last shard. */
ie_status ie_safetensors_read(ie_weights *w, const void *bytes, uint64_t size, ie_error *err);

#endif
