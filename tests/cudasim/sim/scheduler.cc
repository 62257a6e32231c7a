/* scheduler.cc - which thread runs next. Threads switch only where they wait for each other, so
 * what happens between two waits is not interleaved; the race checker covers that.
 *
 * Random order is by priorities that change now and then: a warp that is behind stays behind for a
 * while, which uncovers more than choosing afresh at every switch.
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "cuda_runtime.h"
#include "state.h"

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

void run_pending()
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
    if (config().order == Order::forward && machine.current && machine.current->warps_ready) {
        return machine.current;
    }
    if (config().order == Order::random && blocks.size() > 1 && machine.current &&
        random_bits() % 32 == 0) {
        machine.current->priority = static_cast<uint32_t>(random_bits());
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
    machine.current = block;
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

void run_ready()
{
    machine.current = nullptr;
    machine.progress = true;
    if (Thread *first = next_thread()) switch_to(machine.host, first, false);
}

void thread_ends()
{
    Thread &me = *machine.self;
    me.done = true;
    machine.progress = true;
    thread_exits(me);
    switch_to(me.fiber, next_thread(), true);
    __builtin_unreachable();
}
} /* namespace cudasim */
