/* scheduler.c - see scheduler.h. SPDX-License-Identifier: Apache-2.0 */
#include "scheduler.h"

#include <assert.h>
#include <limits.h>

void ie_scheduler_init(ie_scheduler *s, int stage_count, const int *lanes)
{
    *s = (ie_scheduler){.stage_count = stage_count};
    for (int i = 0; i < stage_count; i++) s->stages[i].lanes = lanes[i];
}

/* ---- lists ----------------------------------------------------------------------------------- */

static void insert(ie_entry **list, ie_entry *e)
{
    while (*list && (*list)->rank < e->rank) list = &(*list)->next;
    e->next = *list;
    *list = e;
}

static bool take_out(ie_entry **list, const ie_entry *e)
{
    while (*list && *list != e) list = &(*list)->next;
    if (!*list) return false;
    *list = e->next;
    return true;
}

int ie_scheduler_length(const ie_entry *list)
{
    int length = 0;
    for (; list; list = list->next) length++;
    return length;
}

/* ---- coming and going ------------------------------------------------------------------------ */

void ie_scheduler_wait(ie_scheduler *s, ie_entry *e)
{
    e->step = 0;
    insert(&s->stages[e->stage].waiting, e);
}

void ie_scheduler_remove(ie_scheduler *s, ie_entry *e)
{
    ie_scheduler_stage *at = &s->stages[e->stage];
    if (take_out(&at->waiting, e)) return;
    if (take_out(&at->running, e)) at->slots[e->slot] = NULL;
}

ie_entry *ie_scheduler_admit(ie_scheduler *s, int stage)
{
    ie_scheduler_stage *at = &s->stages[stage];
    ie_entry *first = at->waiting;
    int slot = 0;
    while (slot < at->lanes && at->slots[slot]) slot++;
    if (!first || slot == at->lanes) return NULL;
    take_out(&at->waiting, first);
    insert(&at->running, first);
    at->slots[slot] = first;
    first->slot = slot;
    return first;
}

bool ie_scheduler_step(ie_scheduler *s, ie_entry *e)
{
    if (++e->step < e->stages[e->stage].steps) return false;
    ie_scheduler_remove(s, e);
    e->stage++;
    e->step = 0;
    return true;
}

/* ---- deciding -------------------------------------------------------------------------------- */

int ie_entry_lanes(const ie_entry *e)
{
    const ie_job_stage *how = &e->stages[e->stage];
    const float weight = ie_guidance_weight(&how->guidance, e->step, how->steps);
    return ie_guidance_needs_null(weight) ? 2 : 1;
}

int ie_scheduler_batch(ie_scheduler *s, int stage, ie_entry **batch)
{
    int count = 0, left = s->stages[stage].lanes, single = -1;
    ie_entry *left_out = NULL; /* the first; it needs two */
    for (ie_entry *e = s->stages[stage].running; e && left > 0; e = e->next) {
        const int lanes = ie_entry_lanes(e);
        if (lanes > left) {
            if (!left_out) left_out = e;
            continue;
        }
        if (lanes == 1) single = count;
        batch[count++] = e;
        left -= lanes;
    }
    const bool swap = left == 1 && left_out && single >= 0 && !batch[single]->gave_way;
    for (int i = 0; i < count; i++) batch[i]->gave_way = swap && i == single;
    if (swap) {
        for (int i = single; i + 1 < count; i++) batch[i] = batch[i + 1];
        batch[count - 1] = left_out;
        left_out->gave_way = false;
    }
    return count;
}

/* Do those who run here, and those who would get a slot, want all lanes? */
static bool can_fill(const ie_scheduler_stage *at)
{
    int wanted = 0, slots = at->lanes;
    for (const ie_entry *e = at->running; e; e = e->next, slots--) wanted += ie_entry_lanes(e);
    for (const ie_entry *e = at->waiting; e && slots > 0; e = e->next, slots--)
        wanted += ie_entry_lanes(e);
    return wanted >= at->lanes;
}

static int highest(const ie_entry *list, int priority)
{
    for (; list; list = list->next) {
        if (list->priority > priority) priority = list->priority;
    }
    return priority;
}

static int highest_here(const ie_scheduler_stage *at)
{
    return highest(at->running, highest(at->waiting, INT_MIN));
}

static int64_t first_rank(const ie_scheduler_stage *at)
{
    const int64_t waiting = at->waiting ? at->waiting->rank : INT64_MAX;
    return at->running && at->running->rank < waiting ? at->running->rank : waiting;
}

int ie_scheduler_next(const ie_scheduler *s)
{
    int top = INT_MIN, oldest = -1;
    for (int i = 0; i < s->stage_count; i++) {
        const int here = highest_here(&s->stages[i]);
        if (here > top) top = here;
    }
    for (int i = s->stage_count - 1; i >= 0; i--) {
        const ie_scheduler_stage *at = &s->stages[i];
        if ((!at->waiting && !at->running) || highest_here(at) < top) continue;
        if (can_fill(at)) return i;
        if (oldest < 0 || first_rank(at) < first_rank(&s->stages[oldest])) oldest = i;
    }
    return oldest;
}
