/* grid.cc - a grid from its first block to its last, one cluster after the other, or all of them
 * together where it is cooperative.
 *
 * A grid that was launched to overlap the one before begins before it, if the stream says so: its
 * first cluster runs until all threads wait for the grids before, and goes on when its turn has
 * come. The other clusters begin then. That the grid before has let it in by then, as by
 * griddepcontrol.launch_dependents, is taken for granted.
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "cuda_runtime.h"
#include "report.h"
#include "state.h"

#include <algorithm>
#include <cstdio>
#include <string>
#include <sys/mman.h>

namespace cudasim
{
/* ---- threads --------------------------------------------------------------------------------- */

static void thread_main()
{
    fiber_started(machine.host);
    machine.grid->body();
    Thread &me = *machine.self;
    if (!me.copies.empty()) fail("a thread ends before its cp.async were waited for");
    if (!me.stores.empty()) fail("a thread ends before its bulk stores were waited for");
    if (!me.wgmmas.empty()) fail("a warpgroup ends before its wgmma were waited for");
    if (fiber_overflowed(me.fiber)) fail("a thread uses over %zu KB of stack", STACK_BYTES >> 10);
    if (!me.waited) {
        fail("a thread of %s ends without griddepcontrol.wait, and its grid may begin early",
             name_of(machine.grid->symbol).c_str());
    }
    thread_ends();
}

static unsigned char *stacks_of(unsigned slot)
{
    static std::vector<unsigned char *> stacks;
    if (slot >= stacks.size()) stacks.resize(slot + 1);
    if (!stacks[slot]) {
        void *range = mmap(nullptr, STACK_BYTES * THREADS_MAX, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (range == MAP_FAILED) fail("no memory for the stacks of %u blocks", slot + 1);
        stacks[slot] = static_cast<unsigned char *>(range);
    }
    return stacks[slot];
}

static dim3 unfold(unsigned index, dim3 extent)
{
    return dim3(index % extent.x, index / extent.x % extent.y, index / (extent.x * extent.y));
}

static void start_threads(Block &block, dim3 at)
{
    const Grid &grid = *machine.grid;
    block.threads.resize(grid.threads);
    for (unsigned i = 0; i < grid.threads; i++) {
        if (!block.threads[i]) block.threads[i] = std::make_unique<Thread>();
        Thread &t = *block.threads[i];
        const dim3 thread = unfold(i, grid.block);
        t.position = {{thread.x, thread.y, thread.z},
                      {at.x, at.y, at.z},
                      static_cast<int>(i % WARP),
                      block.rank,
                      static_cast<unsigned>(block.cluster->blocks.size())};
        t.rank = i;
        t.block = &block;
        t.done = t.cluster_arrived = false;
        t.waited = !grid.may_begin_early;
        t.cluster_phase = 0;
        t.copies.clear();
        t.stores.clear();
        t.wgmmas.clear();
        t.race = RaceState();
        block.warps[i / WARP].members |= 1u << i % WARP;
        fiber_prepare(t.fiber, stacks_of(block.slot) + i * STACK_BYTES, i, thread_main);
        make_ready(t);
    }
}

static void start_block(Block &block, unsigned slot, dim3 at, Cluster &cluster)
{
    static uint32_t generations;
    const Grid &grid = *machine.grid;
    block.index = at.x + grid.grid.x * (at.y + grid.grid.y * at.z);
    block.rank = static_cast<unsigned>(cluster.blocks.size());
    block.slot = slot;
    block.generation = ++generations;
    block.alive = grid.threads;
    block.cluster = &cluster;
    block.warps_ready = block.current_warp = 0;
    block.priority = static_cast<uint32_t>(random_bits());
    for (uint32_t &priority : block.warp_priority) priority = static_cast<uint32_t>(random_bits());
    block.warps.assign((grid.threads + WARP - 1) / WARP, Warp());
    block.warpgroups.assign((grid.threads + WARPGROUP - 1) / WARPGROUP, Meeting());
    for (Barrier &barrier : block.barriers) barrier = Barrier();
    block.mbarriers.clear();
    block.shared_bytes = static_cast<uint32_t>(grid.shared_bytes);
    block.shared = shared_prepare(block.slot, grid.shared_bytes);
    cluster.blocks.push_back(&block);
    machine.resident.push_back(&block);
    machine.slots[slot] = &block;
}

static void report_deadlock()
{
    const Grid &grid = *machine.grid;
    std::map<std::string, unsigned> waits;
    unsigned stuck = 0;
    const Thread *first = nullptr;
    for (const Block *block : machine.resident) {
        for (const auto &thread : block->threads) {
            if (thread->done) continue;
            if (!first) first = thread.get();
            const std::string line = line_of(thread->waits_at);
            waits[thread->waits_in + (line.empty() ? "" : " at " + line)]++;
            stuck++;
        }
    }
    std::fprintf(stderr,
                 "cudasim: DEADLOCK in %s: %u threads never finish, the first is thread %u of "
                 "block %u,%u,%u\n",
                 name_of(grid.symbol).c_str(), stuck, first->rank, first->position.block.x,
                 first->position.block.y, first->position.block.z);
    for (const auto &[what, count] : waits) {
        std::fprintf(stderr, "    %u in %s\n", count, what.c_str());
    }
    quit(98);
}

/* ---- grids ----------------------------------------------------------------------------------- */

namespace
{
struct Run {
    std::shared_ptr<const Grid> grid;
    uint32_t launch = 0;
    std::vector<unsigned> order; /* of clusters */
    size_t begun = 0;            /* so many of them have */
    /* Those that are alive, and what waits where the grid has begun before its turn. */
    std::vector<Cluster> clusters;
    std::vector<Block *> blocks;
    std::vector<Thread *> waiting;
};
} /* namespace */

static std::unique_ptr<Run> early; /* has begun before its turn */

static unsigned blocks_in(dim3 d)
{
    return d.x * d.y * d.z;
}

static void enter(const Run &run)
{
    machine.grid = run.grid.get();
    machine.launch = run.launch;
    blockDim = run.grid->block;
    gridDim = run.grid->grid;
    random_start(run.launch);
    race_begin_launch();
    watch_faults();
}

static void leave()
{
    unwatch_faults();
    race_end_launch();
    machine.grid = nullptr;
}

/* Before the grid is entered. */
static std::unique_ptr<Run> new_run(const std::shared_ptr<const Grid> &grid)
{
    static uint32_t launches;
    auto run = std::make_unique<Run>();
    run->grid = grid;
    run->launch = ++launches;
    random_start(run->launch);
    run->order.resize(blocks_in(grid->grid) / blocks_in(grid->cluster));
    auto &order = run->order;
    for (size_t i = 0; i < order.size(); i++) order[i] = static_cast<unsigned>(i);
    if (config().order == Order::reverse) std::reverse(order.begin(), order.end());
    if (config().order == Order::random) {
        for (size_t i = order.size(); i > 1; i--) std::swap(order[i - 1], order[random_bits() % i]);
    }
    return run;
}

/* The next `count` clusters, in slots from `slot` on. */
static void begin_clusters(Run &run, size_t count, unsigned slot)
{
    static std::unique_ptr<Block> pool[SLOTS];
    const Grid &grid = *run.grid;
    const dim3 c = grid.cluster, n(grid.grid.x / c.x, grid.grid.y / c.y, grid.grid.z / c.z);
    run.clusters = std::vector<Cluster>(count);
    for (Cluster &cluster : run.clusters) {
        const dim3 corner = unfold(run.order[run.begun++], n);
        for (unsigned rank = 0; rank < blocks_in(c); rank++, slot++) {
            const dim3 in = unfold(rank, c);
            if (!pool[slot]) pool[slot] = std::make_unique<Block>();
            start_block(*pool[slot], slot,
                        dim3(corner.x * c.x + in.x, corner.y * c.y + in.y, corner.z * c.z + in.z),
                        cluster);
        }
    }
    for (Block *block : machine.resident) start_threads(*block, unfold(block->index, grid.grid));
}

/* Those that have begun, to their end. */
static void finish_clusters()
{
    run_ready();
    for (const Block *block : machine.resident) {
        if (block->alive) report_deadlock();
    }
    while (!machine.pending.empty()) {
        run_pending(); /* a copy into a block that has ended reports itself */
    }
    for (const Block *block : machine.resident) machine.slots[block->slot] = nullptr;
    machine.resident.clear();
}

/* Two in turn: that one may wait while this one begins. */
static void begin_early(const std::shared_ptr<const Grid> &grid)
{
    static unsigned turn;
    early = new_run(grid);
    enter(*early);
    machine.early = &early->waiting;
    begin_clusters(*early, 1, static_cast<unsigned>(GRID_SLOTS + EARLY_SLOTS * (turn++ % 2)));
    run_ready();
    while (!machine.pending.empty()) run_pending();
    early->waiting.insert(early->waiting.end(), machine.spinning.begin(), machine.spinning.end());
    machine.spinning.clear();
    early->blocks.swap(machine.resident);
    machine.early = nullptr;
    leave();
}

void grid_dependency_wait()
{
    Thread &me = *machine.self;
    if (machine.early) {
        machine.early->push_back(&me);
        park("griddepcontrol.wait", CUDASIM_CALLER);
    }
    me.waited = true;
}

void run_grid(const std::shared_ptr<const Grid> &grid, const std::shared_ptr<const Grid> &next)
{
    std::unique_ptr<Run> run = early && early->grid == grid ? std::move(early) : new_run(grid);
    if (next && !early && !next->cooperative) begin_early(next);
    machine.early_launch = early ? early->launch : 0;
    enter(*run);
    if (!run->blocks.empty()) {
        machine.resident.swap(run->blocks);
        for (Thread *thread : run->waiting) make_ready(*thread);
        finish_clusters();
    }
    const size_t at_once = grid->cooperative ? run->order.size() : 1;
    while (run->begun < run->order.size()) {
        begin_clusters(*run, at_once, 0);
        finish_clusters();
    }
    leave();
}
} /* namespace cudasim */
