/* schedule_sim.c - see schedule_sim.h. SPDX-License-Identifier: Apache-2.0 */
#include "schedule_sim.h"

const char *const sim_way_names[SIM_WAYS] = {"one by one", "lock-step", "continuous"};

typedef struct sim {
    const sim_costs *costs;
    ie_scheduler scheduler;
    sim_request *requests;
    int count, arrived; /* requests that have begun */
    int in_flight;
    double now;
    sim_way way;
    sim_result result;
} sim;

int sim_batch_size(const sim_costs *costs)
{
    int lanes = costs->lanes[0];
    for (int i = 1; i < costs->stage_count; i++) {
        if (costs->lanes[i] < lanes) lanes = costs->lanes[i];
    }
    return lanes / 2;
}

static void begin_who_may(sim *s)
{
    const bool may = s->way == SIM_CONTINUOUS || s->in_flight == 0;
    const int most = s->way == SIM_ONE_BY_ONE  ? 1
                     : s->way == SIM_LOCK_STEP ? sim_batch_size(s->costs)
                                               : s->count;
    while (may && s->in_flight < most && s->arrived < s->count &&
           s->requests[s->arrived].arrival <= s->now) {
        ie_entry *e = &s->requests[s->arrived].entry;
        e->rank = ie_rank(s->arrived, e->priority);
        e->stage = e->step = 0;
        ie_scheduler_wait(&s->scheduler, e);
        s->arrived++;
        s->in_flight++;
    }
}

/* Lock-step: those who have left a stage go on together when nobody is left in it. */
static void go_on_together(sim *s, int left)
{
    const ie_scheduler_stage *at = &s->scheduler.stages[left];
    if (at->running || at->waiting) return;
    for (int i = s->arrived - s->in_flight; i < s->arrived; i++)
        ie_scheduler_wait(&s->scheduler, &s->requests[i].entry);
}

static void after_pass(sim *s, int stage, ie_entry **batch, int count)
{
    const int last = s->costs->stage_count;
    bool somebody_left = false;
    for (int i = 0; i < count; i++) {
        if (!ie_scheduler_step(&s->scheduler, batch[i])) continue;
        if (batch[i]->stage < last) {
            somebody_left = true;
            if (s->way != SIM_LOCK_STEP) ie_scheduler_wait(&s->scheduler, batch[i]);
        } else {
            ((sim_request *)batch[i])->end = s->now;
            s->in_flight--;
        }
    }
    if (somebody_left && s->way == SIM_LOCK_STEP) go_on_together(s, stage);
}

static void pass(sim *s, int stage)
{
    ie_entry *batch[IE_MAX_LANES];
    const double begin = s->now;
    int lanes = 0;
    while (ie_scheduler_admit(&s->scheduler, stage)) s->now += stage ? 0 : s->costs->text;
    const int count = ie_scheduler_batch(&s->scheduler, stage, batch);
    for (int i = 0; i < count; i++) lanes += ie_entry_lanes(batch[i]);
    s->now += s->costs->pass[stage][lanes];
    s->result.busy += s->now - begin;
    s->result.lanes[stage] += lanes;
    s->result.passes[stage]++;
    after_pass(s, stage, batch, count);
}

sim_result simulate(const sim_costs *costs, sim_request *requests, int count, sim_way way)
{
    sim s = {.costs = costs, .requests = requests, .count = count, .way = way};
    ie_scheduler_init(&s.scheduler, costs->stage_count, costs->lanes);
    s.now = requests[0].arrival;
    for (;;) {
        begin_who_may(&s);
        const int stage = ie_scheduler_next(&s.scheduler);
        if (stage >= 0) {
            pass(&s, stage);
        } else if (s.arrived < count) {
            s.now = requests[s.arrived].arrival;
        } else {
            break;
        }
    }
    s.result.seconds = s.now - requests[0].arrival;
    return s.result;
}
