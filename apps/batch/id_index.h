/* id_index.h - from an id to a number: a hash table over texts that somebody else keeps.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_ID_INDEX_H
#define IE_APPS_ID_INDEX_H

#include "fail.h"

typedef struct ie_id_slot {
    const char *id; /* NULL: free */
    size_t value;
} ie_id_slot;

typedef struct ie_id_index {
    ie_id_slot *slots;
    size_t size, used; /* size: a power of two, or 0 */
} ie_id_index;

enum { IE_ID_ABSENT = -1 };

/* The value that `id` has, or IE_ID_ABSENT. */
int64_t ie_id_find(const ie_id_index *index, const char *id);
/* `id` must be absent, and stay where it is until ie_id_release. IE_NO_MEMORY. */
ie_status ie_id_add(ie_id_index *index, const char *id, size_t value, ie_error *err);
void ie_id_release(ie_id_index *index);

#endif
