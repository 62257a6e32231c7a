/* barrier.cc - __syncthreads, named barriers, the cluster's barrier, and threads that exit.
 * SPDX-License-Identifier: Apache-2.0 */
#include "report.h"
#include "state.h"

namespace cudasim
{
static void release(Barrier &barrier)
{
    if (race_build()) race_join(barrier.arrivals, barrier.waiting);
    for (Thread *thread : barrier.waiting) {
        if (thread != machine.self) make_ready(*thread);
    }
    barrier = Barrier();
    machine.progress = true;
}

/* Names the two places, for a barrier that is entered from different lines. */
static void check_same_line(const Barrier &barrier, int line)
{
    if (line && barrier.line && barrier.arrived && barrier.line != line) {
        fail("__syncthreads at line %d and at line %d wait for each other (divergent barrier)",
             barrier.line, line);
    }
}

struct Arriving {
    unsigned id, threads;
    int line;
    bool waits;
};

static void arrive(const Arriving &how, const void *pc)
{
    Thread &me = *machine.self;
    if (how.id >= BARRIERS) fail("barrier %u: there are %u", how.id, BARRIERS);
    if (how.threads % WARP || how.threads > machine.grid->threads) {
        fail("barrier %u of %u threads: not whole warps of the block", how.id, how.threads);
    }
    Barrier &barrier = me.block->barriers[how.id];
    check_same_line(barrier, how.line);
    if (barrier.arrived && barrier.expected != how.threads) {
        fail("barrier %u is used with %u and with %u threads", how.id, barrier.expected,
             how.threads);
    }
    barrier.expected = how.threads;
    barrier.line = how.line;
    barrier.arrived++;
    if (race_build()) barrier.arrivals.push_back(race_arrive(me));
    if (how.waits) barrier.waiting.push_back(&me);

    const unsigned needed = how.threads ? how.threads : me.block->alive;
    if (barrier.arrived == needed)
        release(barrier);
    else if (how.waits)
        park(how.id ? "a named barrier" : "__syncthreads", pc);
}

void syncthreads(int line)
{
    arrive({0, 0, line, true}, CUDASIM_CALLER);
}

void barrier_sync(unsigned id, unsigned threads)
{
    arrive({id, threads, 0, true}, CUDASIM_CALLER);
}

void barrier_arrive(unsigned id, unsigned threads)
{
    arrive({id, threads, 0, false}, CUDASIM_CALLER);
}

/* ---- cluster --------------------------------------------------------------------------------- */

static unsigned cluster_alive(const Cluster &cluster)
{
    unsigned alive = 0;
    for (const Block *block : cluster.blocks) alive += block->alive;
    return alive;
}

static void release_cluster(Cluster &cluster)
{
    if (race_build()) {
        for (const Block *block : cluster.blocks) {
            cluster.done[block->index] = race_merge(block->index, nullptr, cluster.arrivals);
        }
        cluster.arrivals.clear();
    }
    cluster.arrived = 0;
    cluster.phase++;
    for (Thread *thread : cluster.waiting) make_ready(*thread);
    cluster.waiting.clear();
    machine.progress = true;
}

void cluster_arrive()
{
    Thread &me = *machine.self;
    Cluster &cluster = *me.block->cluster;
    if (me.cluster_arrived) fail("barrier.cluster: a second arrival without a wait");
    me.cluster_arrived = true;
    me.cluster_phase = cluster.phase;
    if (race_build()) cluster.arrivals.push_back(race_arrive(me));
    if (++cluster.arrived == cluster_alive(cluster)) release_cluster(cluster);
}

void cluster_wait()
{
    Thread &me = *machine.self;
    Cluster &cluster = *me.block->cluster;
    if (!me.cluster_arrived) fail("barrier.cluster: a wait without an arrival");
    me.cluster_arrived = false;
    if (cluster.phase == me.cluster_phase) {
        cluster.waiting.push_back(&me);
        park("the cluster's barrier", CUDASIM_CALLER);
    }
    if (race_build()) {
        const unsigned home = me.block->index;
        const KnownPtr taught = cluster.done[home];
        race_learn(me, {{home, me.rank, 0, taught}});
    }
}

/* ---- exit ------------------------------------------------------------------------------------ */

void thread_exits(Thread &thread)
{
    Block &block = *thread.block;
    block.alive--;
    block.warps[thread.rank / WARP].exited |= 1u << thread.rank % WARP;
    Barrier &all = block.barriers[0];
    if (all.arrived && !all.expected && all.arrived == block.alive) release(all);
    Cluster &cluster = *block.cluster;
    if (cluster.arrived && cluster.arrived == cluster_alive(cluster)) release_cluster(cluster);
}
} /* namespace cudasim */
