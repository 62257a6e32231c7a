/* id_index.c - open addressing, FNV-1a, at most half full. SPDX-License-Identifier: Apache-2.0 */
#include "id_index.h"

#include <stdlib.h>
#include <string.h>

static uint64_t hash(const char *text)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (; *text; text++) h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return h ^ h >> 32;
}

/* Where `id` is, or would go. */
static ie_id_slot *slot_of(const ie_id_slot *slots, size_t size, const char *id)
{
    size_t at = (size_t)hash(id) & (size - 1);
    while (slots[at].id && strcmp(slots[at].id, id) != 0) at = (at + 1) & (size - 1);
    return (ie_id_slot *)&slots[at];
}

int64_t ie_id_find(const ie_id_index *index, const char *id)
{
    if (!index->size) return IE_ID_ABSENT;
    const ie_id_slot *slot = slot_of(index->slots, index->size, id);
    return slot->id ? (int64_t)slot->value : IE_ID_ABSENT;
}

static ie_status grow(ie_id_index *index, ie_error *err)
{
    const size_t size = index->size ? 2 * index->size : 1024;
    ie_id_slot *slots = calloc(size, sizeof *slots);
    if (!slots) return ie_app_fail(err, IE_NO_MEMORY, "no memory for %zu ids", size / 2);
    for (size_t i = 0; i < index->size; i++) {
        const ie_id_slot *old = &index->slots[i];
        if (old->id) *slot_of(slots, size, old->id) = *old;
    }
    free(index->slots);
    index->slots = slots;
    index->size = size;
    return IE_OK;
}

ie_status ie_id_add(ie_id_index *index, const char *id, size_t value, ie_error *err)
{
    if (2 * (index->used + 1) > index->size) IE_APP_TRY(grow(index, err));
    *slot_of(index->slots, index->size, id) = (ie_id_slot){id, value};
    index->used++;
    return IE_OK;
}

void ie_id_release(ie_id_index *index)
{
    free(index->slots);
    *index = (ie_id_index){0};
}
