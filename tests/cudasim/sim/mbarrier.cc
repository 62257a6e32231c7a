/* mbarrier.cc - barriers in shared memory: arrivals, bytes that are still to come, two phases in
 * turn. Their state is in their own eight bytes, so that overwriting one is noticed.
 * SPDX-License-Identifier: Apache-2.0 */
#include "report.h"
#include "state.h"

namespace cudasim
{
namespace
{
struct Word {
    uint64_t pending : 20;  /* arrivals that this phase still waits for */
    uint64_t expected : 20; /* arrivals of every phase */
    uint64_t phase : 1;
    int64_t bytes : 23; /* of tensor copies that this phase still waits for */
};
static_assert(sizeof(Word) == 8, "an mbarrier has eight bytes");
constexpr unsigned NOT_INITIALISED = (1u << 20) - 1; /* what the fill leaves */
} /* namespace */

static Word &word_at(Block &block, uint32_t offset)
{
    if (offset % 8 || offset + 8 > block.shared_bytes) {
        fail("mbarrier at shared address %u: not aligned, or outside shared memory", offset);
    }
    return *reinterpret_cast<Word *>(block.shared + offset);
}

static Word &live_word(Block &block, uint32_t offset, const char *what)
{
    Word &word = word_at(block, offset);
    if (word.expected == NOT_INITIALISED || !block.mbarriers.count(offset)) {
        fail("mbarrier %u: %s before it is initialised", offset, what);
    }
    if (!block.alive) fail("mbarrier %u: %s, in a block that has ended", offset, what);
    return word;
}

static void finish_phase(Block &block, uint32_t offset)
{
    Word &word = word_at(block, offset);
    if (word.pending || word.bytes) return;
    word.phase ^= 1;
    word.pending = word.expected;
    MbarrierSide &side = block.mbarriers[offset];
    if (race_build()) {
        const KnownPtr all = race_merge(block.index, nullptr, side.arrivals);
        side.arrivals.clear();
        side.done = {{block.index, 0, 0, all}};
    }
    for (Thread *thread : side.waiting) {
        if (race_build()) race_learn(*thread, side.done);
        make_ready(*thread);
    }
    side.waiting.clear();
    machine.progress = true;
}

void mbarrier_init(uint32_t barrier, unsigned arrivals)
{
    Block &block = block_of(barrier);
    const uint32_t offset = offset_of(barrier);
    Word &word = word_at(block, offset);
    if (arrivals == 0 || arrivals >= NOT_INITIALISED) {
        fail("mbarrier %u: initialised with %u arrivals", offset, arrivals);
    }
    shared_of(race_now(*machine.self), barrier, 8, Access::atomic, CUDASIM_CALLER);
    word.pending = word.expected = arrivals;
    word.phase = 0;
    word.bytes = 0;
    block.mbarriers[offset] = MbarrierSide();
}

unsigned mbarrier_arrive(uint32_t barrier, unsigned count)
{
    Block &block = block_of(barrier);
    const uint32_t offset = offset_of(barrier);
    Word &word = live_word(block, offset, "an arrival");
    if (word.pending < count) {
        fail("mbarrier %u: %u arrivals where the phase waits for %u", offset, count,
             static_cast<unsigned>(word.pending));
    }
    const unsigned phase = word.phase;
    word.pending -= count;
    if (race_build()) {
        block.mbarriers[offset].arrivals.push_back(race_arrive(*machine.self));
    }
    finish_phase(block, offset);
    return phase;
}

static void add_bytes(Word &word, int64_t bytes, uint32_t offset)
{
    const int64_t sum = word.bytes + bytes;
    if (sum >= 1 << 20 || sum <= -(1 << 20)) {
        fail("mbarrier %u: a phase cannot count %lld bytes", offset, static_cast<long long>(sum));
    }
    word.bytes = sum;
}

void mbarrier_expect(uint32_t barrier, unsigned bytes)
{
    Block &block = block_of(barrier);
    const uint32_t offset = offset_of(barrier);
    add_bytes(live_word(block, offset, "expected bytes"), bytes, offset);
}

void mbarrier_complete(Block &block, uint32_t offset, unsigned bytes, const Moment &by)
{
    add_bytes(live_word(block, offset, "bytes of a copy"), -static_cast<int64_t>(bytes), offset);
    if (race_build()) block.mbarriers[offset].arrivals.push_back(by);
    finish_phase(block, offset);
}

void mbarrier_wait(uint32_t barrier, unsigned parity)
{
    Thread &me = *machine.self;
    Block &block = block_of(barrier);
    if (&block != me.block) fail("mbarrier: a wait for one of another block");
    const uint32_t offset = offset_of(barrier);
    if (parity > 1) fail("mbarrier %u: parity %u", offset, parity);
    const Word &word = live_word(block, offset, "a wait");
    MbarrierSide &side = block.mbarriers[offset];
    if (word.phase != parity) { /* the phase of that parity is over */
        if (race_build() && !side.done.empty()) race_learn(me, side.done);
        return;
    }
    side.waiting.push_back(&me);
    park("a wait for an mbarrier", CUDASIM_CALLER);
}
} /* namespace cudasim */
