/* schedule_sim.h - a schedule without numerics: requests arrive, the engine's own scheduler
 * (engine/cascade/scheduler.h) decides, passes take the time a table says.
 *
 * Three ways of serving, which differ in when a request may begin:
 *   one by one   when the one before has ended
 *   lock-step    in batches that begin together; nobody goes on to a stage before all have left the
 *                one before, and the next batch begins when all have ended
 *   continuous   at once
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_BENCH_SCHEDULE_SIM_H
#define IE_BENCH_SCHEDULE_SIM_H

#include "scheduler.h"

typedef enum sim_way { SIM_ONE_BY_ONE, SIM_LOCK_STEP, SIM_CONTINUOUS, SIM_WAYS } sim_way;

extern const char *const sim_way_names[SIM_WAYS];

typedef struct sim_costs {
    int stage_count, lanes[IE_MAX_STAGES];
    double text;                                  /* seconds of a prompt */
    double pass[IE_MAX_STAGES][IE_MAX_LANES + 1]; /* seconds of a pass, by its lanes */
} sim_costs;

typedef struct sim_request {
    ie_entry entry; /* first; stages and priority filled in */
    double arrival, end;
} sim_request;

typedef struct sim_result {
    double seconds, busy; /* from the first arrival to the last end; of them, computing */
    double lanes[IE_MAX_STAGES], passes[IE_MAX_STAGES];
} sim_result;

/* How many requests a lock-step batch has: both lanes of each must fit in every stage. */
int sim_batch_size(const sim_costs *costs);

/* `requests` in order of arrival; fills their ends. */
sim_result simulate(const sim_costs *costs, sim_request *requests, int count, sim_way way);

#endif
