/* scheduler.h - who goes along in the next forward pass. Decisions only: no threads, no clock, no
 * numerics, so that the engine (worker.c) and the simulator (bench/bench_schedule.c) decide by one
 * code.
 *
 * A request waits for a stage, then runs in a slot of it, then leaves for the next. A slot is its
 * place in the stage's memory on the device; a lane is a row of a forward pass. There are as many
 * slots as lanes: at steps without guidance each request takes one lane, at others two, and then
 * those behind in rank sit out until lanes are free again.
 *
 *   rank      order of submission; a level of priority overtakes IE_OVERTAKEN_BY_A_LEVEL. It never
 *             changes, so only finitely many requests can ever come before a given one.
 *   pass      takes the running requests in order of rank as long as lanes are left; who needs two
 *             where one is left is passed over for the next who needs one. If a lane is left even
 *             so, the last who needs one gives way to the first who needs two, but not twice in a
 *             row: soon there is another who needs one, and then both fit.
 *   stage     computed next: of the stages that hold a request of the highest priority present,
 *             the last one that can fill its lanes; if none can, the one whose first request has
 *             the lowest rank. So full passes come first, work in progress is finished before new
 *             work is begun, and nobody starves: a stage that is always full fills the next.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CASCADE_SCHEDULER_H
#define IE_CASCADE_SCHEDULER_H

#include "guidance.h"

enum { IE_MAX_LANES = 512, IE_OVERTAKEN_BY_A_LEVEL = 64 };

/* How one request runs in one stage. */
typedef struct ie_job_stage {
    int steps;
    ie_guidance
        /* never IE_GUIDANCE_DEFAULT; a list points into the request or the configuration */
        guidance;
    ie_sampler sampler;
} ie_job_stage;

/* A request, as the scheduler sees it. Its owner fills stages, rank and priority; the rest starts
 * as zero. */
typedef struct ie_entry {
    ie_job_stage stages[IE_MAX_STAGES];
    int64_t rank; /* the lowest goes first; unique */
    int priority;
    int stage, step;       /* where it waits or runs, and steps done there */
    int slot;              /* while it runs */
    bool gave_way;         /* in the latest pass */
    struct ie_entry *next; /* in its list */
} ie_entry;

typedef struct ie_scheduler_stage {
    int lanes;                     /* and slots */
    ie_entry *waiting, *running;   /* lists by rank */
    ie_entry *slots[IE_MAX_LANES]; /* who runs, by slot; NULL: free */
} ie_scheduler_stage;

typedef struct ie_scheduler {
    int stage_count;
    ie_scheduler_stage stages[IE_MAX_STAGES];
} ie_scheduler;

/* All empty. lanes[stage_count], each 2 .. IE_MAX_LANES. Owns nothing. */
void ie_scheduler_init(ie_scheduler *s, int stage_count, const int *lanes);

/* Rank of the submission-th request; of two that meet in the same place the more urgent is first.
 * priority is -100 .. 100. */
static inline int64_t ie_rank(int64_t submission, int priority)
{
    return (submission - (int64_t)priority * IE_OVERTAKEN_BY_A_LEVEL) * 256 - priority;
}

/* Lanes of the entry's next step: 1 or 2. */
int ie_entry_lanes(const ie_entry *e);

/* The entry waits for e->stage from now on. */
void ie_scheduler_wait(ie_scheduler *s, ie_entry *e);
/* It neither waits nor runs any more. */
void ie_scheduler_remove(ie_scheduler *s, ie_entry *e);
/* Entries of a list. */
int ie_scheduler_length(const ie_entry *list);

/* The stage to compute, -1 when there is nothing to do. */
int ie_scheduler_next(const ie_scheduler *s);
/* The first who waits for the stage gets a free slot and runs from now on; NULL when nobody waits
 * or no slot is free. */
ie_entry *ie_scheduler_admit(ie_scheduler *s, int stage);
/* Who goes along in the stage's next pass: fills batch[lanes], returns how many; 0 only when nobody
 * runs there. */
int ie_scheduler_batch(ie_scheduler *s, int stage, ie_entry **batch);
/* The entry has done a step. True when it was its last in the stage: it has left its slot, and
 * e->stage is the next one, for which it does not wait yet. */
bool ie_scheduler_step(ie_scheduler *s, ie_entry *e);

#endif
