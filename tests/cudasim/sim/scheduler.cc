/* scheduler.cc - which thread runs next. Threads switch only where they wait for each other, so
 * what happens between two waits is not interleaved; the race checker covers that.
 *
 * Random order is by priorities that change now and then: a warp that is behind stays behind for a
 * while, which uncovers more than choosing afresh at every switch.
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "cuda_runtime.h"
#include "memory.h"
#include "report.h"
#include "state.h"

#include <algorithm>
#include <cstdio>
#include <string>
#include <sys/mman.h>

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace cudasim
{
Machine machine;
const Position *here;

/* ---- asynchronous operations ----------------------------------------------------------------- */

void Groups::add(std::function<void()> complete)
{
    operations_.push_back(std::move(complete));
    open_++;
}

void Groups::commit()
{
    groups_.push_back(open_);
    open_ = 0;
}

void Groups::wait(size_t groups_left)
{
    while (groups_.size() > groups_left) {
        for (size_t i = groups_.front(); i > 0; i--) {
            operations_.front()();
            operations_.pop_front();
        }
        groups_.pop_front();
    }
}

bool Groups::empty() const
{
    return operations_.empty();
}

void Groups::clear()
{
    *this = Groups();
}

void add_pending(std::function<void()> operation)
{
    machine.pending.push_back(std::move(operation));
}

bool happens_now()
{
    const Async async = config().async;
    return async == Async::eager || (async == Async::random && random_bits() % 2);
}

static void run_pending()
{
    auto &pending = machine.pending;
    const size_t i = config().async == Async::random ? random_bits() % pending.size() : 0;
    const auto operation = std::move(pending[i]);
    pending.erase(pending.begin() + static_cast<ptrdiff_t>(i));
    machine.progress = true;
    operation();
}

/* ---- choice ---------------------------------------------------------------------------------- */

void make_ready(Thread &thread)
{
    Block &block = *thread.block;
    const unsigned warp = thread.rank / WARP;
    block.lanes_ready[warp] |= 1u << thread.rank % WARP;
    block.warps_ready |= 1u << warp;
}

static unsigned lowest(uint32_t mask)
{
    return static_cast<unsigned>(__builtin_ctz(mask));
}

static unsigned highest(uint32_t mask)
{
    return 31 - static_cast<unsigned>(__builtin_clz(mask));
}

/* The first set bit from `start` on, around the end if need be. */
static unsigned next_bit(uint32_t mask, unsigned start)
{
    const uint32_t from = mask >> start << start;
    return lowest(from ? from : mask);
}

static unsigned choose_warp(Block &block)
{
    const uint32_t ready = block.warps_ready;
    if (config().order == Order::reverse) return highest(ready);
    if (config().order == Order::forward) return next_bit(ready, block.current_warp);
    if (random_bits() % 32 == 0) {
        block.warp_priority[block.current_warp] = static_cast<uint32_t>(random_bits());
    }
    unsigned best = lowest(ready);
    for (uint32_t rest = ready & (ready - 1); rest; rest &= rest - 1) {
        if (block.warp_priority[lowest(rest)] > block.warp_priority[best]) best = lowest(rest);
    }
    return best;
}

static unsigned choose_lane(uint32_t ready)
{
    if (config().order == Order::reverse) return highest(ready);
    if (config().order == Order::forward) return lowest(ready);
    return next_bit(ready, random_bits() % WARP);
}

/* Null when no block has a ready thread. */
static Block *choose_block()
{
    auto &blocks = machine.resident;
    if (config().order == Order::forward && machine.current < blocks.size() &&
        blocks[machine.current]->warps_ready) {
        return blocks[machine.current];
    }
    if (config().order == Order::random && blocks.size() > 1 && random_bits() % 32 == 0) {
        blocks[machine.current]->priority = static_cast<uint32_t>(random_bits());
    }
    Block *best = nullptr;
    for (Block *block : blocks) {
        if (!block->warps_ready) continue;
        const bool better = !best || config().order == Order::reverse ||
                            (config().order == Order::random && block->priority > best->priority);
        if (better) best = block;
    }
    return best;
}

/* Threads in loops that wait for memory to change try again. */
static void wake_spinning()
{
    for (Thread *thread : machine.spinning) make_ready(*thread);
    machine.spinning.clear();
}

/* Null when nobody can go on. */
static Thread *next_thread()
{
    static unsigned idle_rounds;
    const Async async = config().async;
    if (!machine.pending.empty() &&
        (async == Async::eager || (async == Async::random && random_bits() % 4 == 0))) {
        run_pending();
    }
    if (!machine.spinning.empty() && config().order == Order::random && random_bits() % 8 == 0) {
        wake_spinning();
    }
    Block *block = choose_block();
    while (!block && !machine.pending.empty()) {
        run_pending();
        block = choose_block();
    }
    if (!block && !machine.spinning.empty()) {
        idle_rounds = machine.progress ? 0 : idle_rounds + 1;
        machine.progress = false;
        if (idle_rounds > 100) {
            idle_rounds = 0;
            return nullptr;
        }
        wake_spinning();
        block = choose_block();
    }
    if (!block) return nullptr;
    machine.current = block->slot;
    const unsigned warp = choose_warp(*block);
    uint32_t &lanes = block->lanes_ready[warp];
    const unsigned lane = choose_lane(lanes);
    lanes &= ~(1u << lane);
    if (!lanes) block->warps_ready &= ~(1u << warp);
    block->current_warp = warp;
    return block->threads[warp * WARP + lane].get();
}

static void switch_to(Fiber &from, Thread *to, bool for_good)
{
    machine.self = to;
    here = to ? &to->position : nullptr;
    if (to) {
        threadIdx = to->position.thread;
        blockIdx = to->position.block;
    }
    fiber_switch(from, to ? to->fiber : machine.host, for_good);
}

void park(const char *waits_in, const void *return_address)
{
    Thread *me = machine.self;
    me->waits_in = waits_in;
    me->waits_at = return_address;
    Thread *next = next_thread();
    if (next != me) switch_to(me->fiber, next, false);
}

void yield()
{
    machine.spinning.push_back(machine.self);
    park("a loop that waits for memory to change", CUDASIM_CALLER);
}

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
    me.done = true;
    machine.progress = true;
    thread_exits(me);
    switch_to(me.fiber, next_thread(), true);
    __builtin_unreachable();
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

static void start_block(Block &block, dim3 at, Cluster &cluster)
{
    static uint32_t generations;
    const Grid &grid = *machine.grid;
    block.index = at.x + grid.grid.x * (at.y + grid.grid.y * at.z);
    block.rank = static_cast<unsigned>(cluster.blocks.size());
    block.slot = static_cast<unsigned>(machine.resident.size());
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
}

/* ---- grids ----------------------------------------------------------------------------------- */

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

static void run_resident()
{
    machine.current = 0;
    machine.progress = true;
    if (Thread *first = next_thread()) switch_to(machine.host, first, false);
    for (const Block *block : machine.resident) {
        if (block->alive) report_deadlock();
    }
    while (!machine.pending.empty()) {
        run_pending(); /* a copy into a block that has ended reports itself */
    }
    machine.resident.clear();
}

void run_grid(const Grid &grid)
{
    static std::vector<std::unique_ptr<Block>> pool;
    random_start(++machine.launch);
    machine.grid = &grid;
    blockDim = grid.block;
    gridDim = grid.grid;
    race_begin_launch();
    watch_faults();

    const dim3 c = grid.cluster, n(grid.grid.x / c.x, grid.grid.y / c.y, grid.grid.z / c.z);
    std::vector<unsigned> order(size_t{n.x} * n.y * n.z);
    for (size_t i = 0; i < order.size(); i++) order[i] = static_cast<unsigned>(i);
    if (config().order == Order::reverse) std::reverse(order.begin(), order.end());
    if (config().order == Order::random) {
        for (size_t i = order.size(); i > 1; i--) std::swap(order[i - 1], order[random_bits() % i]);
    }
    const unsigned in_cluster = c.x * c.y * c.z;
    const size_t at_once = grid.cooperative ? order.size() : 1; /* clusters */
    for (size_t first = 0; first < order.size(); first += at_once) {
        std::vector<Cluster> clusters(at_once);
        for (size_t i = 0; i < at_once; i++) {
            const dim3 corner = unfold(order[first + i], n);
            for (unsigned rank = 0; rank < in_cluster; rank++) {
                const dim3 in = unfold(rank, c);
                const size_t slot = machine.resident.size();
                if (slot >= pool.size()) pool.push_back(std::make_unique<Block>());
                start_block(
                    *pool[slot],
                    dim3(corner.x * c.x + in.x, corner.y * c.y + in.y, corner.z * c.z + in.z),
                    clusters[i]);
            }
        }
        for (Block *block : machine.resident) {
            const unsigned i = block->index;
            start_threads(*block, unfold(i, grid.grid));
        }
        run_resident();
    }
    unwatch_faults();
    race_end_launch();
    machine.grid = nullptr;
}
} /* namespace cudasim */
