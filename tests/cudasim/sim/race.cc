/* race.cc - clocks, and a cell per byte. Reports go to stderr, five to a launch, and end the
 * process at the end of the launch.
 * SPDX-License-Identifier: Apache-2.0 */
#include "race.h"
#include "config.h"
#include "memory.h"
#include "report.h"
#include "state.h"

#include <algorithm>
#include <cstdio>
#include <set>
#include <sys/mman.h>

namespace cudasim
{
/* ---- clocks ---------------------------------------------------------------------------------- */

Moment race_now(const Thread &thread)
{
    return {thread.block->index, thread.rank, thread.race.clock, thread.race.known, !thread.waited};
}

Moment race_arrive(Thread &thread)
{
    Moment now = race_now(thread);
    thread.race.clock++;
    return now;
}

static void raise(Clocks &clocks, const Clocks &to)
{
    for (size_t i = 0; i < clocks.size(); i++) clocks[i] = std::max(clocks[i], to[i]);
}

namespace
{
/* Knowledge while it grows: other blocks' clocks are copied before they change. */
class Merger
{
  public:
    Merger(unsigned home, const Known *base) : result_(std::make_shared<Known>())
    {
        result_->home = home;
        result_->own.resize(machine.grid->threads);
        if (base) *result_ = *base;
    }
    void add(unsigned block, unsigned thread, uint32_t clock)
    {
        Clocks &clocks = of(block);
        clocks[thread] = std::max(clocks[thread], clock);
    }
    void add(const Known &known)
    {
        raise(of(known.home), known.own);
        for (const auto &[block, clocks] : known.others) {
            const auto have = result_->others.find(block);
            if (have == result_->others.end() || have->second != clocks) {
                raise(of(block), *clocks);
            }
        }
    }
    KnownPtr finish()
    {
        for (auto &[block, clocks] : thawed_) {
            result_->others[block] = std::make_shared<const Clocks>(std::move(clocks));
        }
        return result_;
    }

  private:
    Clocks &of(unsigned block)
    {
        if (block == result_->home) return result_->own;
        const auto found = thawed_.find(block);
        if (found != thawed_.end()) return found->second;
        const auto frozen = result_->others.find(block);
        return thawed_[block] = frozen != result_->others.end() ? *frozen->second
                                                                : Clocks(machine.grid->threads);
    }
    std::shared_ptr<Known> result_;
    std::map<unsigned, Clocks> thawed_;
};
} /* namespace */

KnownPtr race_merge(unsigned home, const KnownPtr &base, const std::vector<Moment> &arrivals)
{
    Merger merger(home, base.get());
    const Known *last = base.get();
    for (const Moment &arrival : arrivals) {
        if (arrival.known && arrival.known.get() != last) {
            last = arrival.known.get();
            merger.add(*last);
        }
        merger.add(arrival.block, arrival.thread, arrival.clock);
    }
    return merger.finish();
}

void race_learn(Thread &thread, const std::vector<Moment> &arrivals)
{
    thread.race.known = race_merge(thread.block->index, thread.race.known, arrivals);
}

void race_join(const std::vector<Moment> &arrivals, const std::vector<Thread *> &receivers)
{
    if (receivers.empty()) return;
    const KnownPtr all = race_merge(receivers.front()->block->index, nullptr, arrivals);
    /* A receiver has arrived too, so that `all` covers what it knew. */
    for (Thread *thread : receivers) thread->race.known = all;
}

/* ---- fences and atomics ---------------------------------------------------------------------- */

static std::map<const void *, std::vector<Moment>> published; /* by address: one merged moment */

void race_fence(Thread &thread)
{
    RaceState &race = thread.race;
    if (race.acquirable) {
        race_learn(thread, {{race.acquirable->home, 0, 0, race.acquirable}});
        race.acquirable = nullptr;
    }
    race.released = race_arrive(thread);
}

void race_atomic(Thread &thread, const void *address, bool acquire, bool release)
{
    RaceState &race = thread.race;
    const unsigned home = thread.block->index;
    std::vector<Moment> &there = published[address];
    if (!there.empty()) {
        if (acquire)
            race_learn(thread, there);
        else
            race.acquirable = race_merge(home, race.acquirable, there);
    }
    const Moment out = release ? race_arrive(thread) : race.released;
    if (out.clock == 0) return;
    there.push_back(out);
    there = {{home, 0, 0, race_merge(home, nullptr, there)}};
}

/* ---- cells ----------------------------------------------------------------------------------- */

namespace
{
enum Flag : uint32_t {
    INITIALISED = 1,
    WRITTEN = 2,
    BY_ASYNC = 4,
    BY_ATOMIC = 8,
    BY_A_GRID = 16, /* of global memory: since the host wrote it last */
    KEPT = INITIALISED | BY_A_GRID
};

struct Cell {
    uint32_t epoch; /* what it says of threads is about this launch, or this block */
    uint32_t flags;
    uint32_t writer, writer_clock;
    uint32_t reader[2], reader_clock[2]; /* clock 0: nobody */
};
} /* namespace */

static uint32_t identity(unsigned block, unsigned thread)
{
    return block << 10 | thread;
}

static Cell *shadow_of(size_t bytes)
{
    void *cells = mmap(nullptr, bytes * sizeof(Cell), PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (cells == MAP_FAILED) fail("no address space for the race checker");
    return static_cast<Cell *>(cells);
}

static Cell *global_cell(const void *address)
{
    static uintptr_t base = global_base();
    static Cell *cells = shadow_of(GLOBAL_BYTES);
    return cells + (reinterpret_cast<uintptr_t>(address) - base);
}

static Cell *shared_cell(const void *address)
{
    static uintptr_t base = shared_base();
    static Cell *cells = shadow_of(SLOT_STRIDE * SLOTS);
    return cells + (reinterpret_cast<uintptr_t>(address) - base);
}

static unsigned reports;
static std::set<const void *> reported;

static void report(const char *what, const void *address, const Moment &by, uint32_t other,
                   const void *pc)
{
    reports++;
    if (reported.size() >= 5 || !reported.insert(pc).second) return;
    const int slot = shared_slot(address);
    const std::string line = line_of(pc);
    std::fprintf(stderr, "cudasim: %s", what);
    if (slot >= 0) {
        const auto *base = machine.slots[slot]->shared;
        std::fprintf(stderr, " at shared+%td", static_cast<const unsigned char *>(address) - base);
    } else {
        std::fprintf(stderr, " at global %p", address);
    }
    std::fprintf(stderr, ": thread %u of block %u", by.thread, by.block);
    if (other != identity(by.block, by.thread)) {
        std::fprintf(stderr, ", thread %u of block %u", other & 1023, other >> 10);
    }
    std::fprintf(stderr, " in %s%s%s\n", name_of(machine.grid->symbol).c_str(),
                 line.empty() ? "" : " at ", line.c_str());
}

static bool is_before(uint32_t who, uint32_t clock, const Moment &now)
{
    const unsigned block = who >> 10, thread = who & 1023;
    if (block == now.block && thread == now.thread) return true;
    if (!now.known) return false;
    if (block == now.known->home) return now.known->own[thread] >= clock;
    const auto other = now.known->others.find(block);
    return other != now.known->others.end() && (*other->second)[thread] >= clock;
}

namespace
{
/* One access, on its way over its bytes. */
struct Touch {
    const Moment &by;
    Access access;
    bool shared;
    uint32_t epoch;
    const void *pc;

    bool writes() const
    {
        return access != Access::read && access != Access::async_read;
    }
    bool is_async() const
    {
        return access == Access::async_read || access == Access::async_write;
    }
};
} /* namespace */

/* The writer made no fence.proxy.async after its ordinary write. */
static bool lacks_proxy_fence(const Cell &cell)
{
    for (const Block *block : machine.resident) {
        if (block->index == cell.writer >> 10) {
            const Thread &writer = *block->threads[cell.writer & 1023];
            return writer.race.proxy_clock < cell.writer_clock;
        }
    }
    return false;
}

static const char *read_problem(const Touch &touch, const Cell &cell)
{
    if (!(cell.flags & INITIALISED)) {
        return touch.shared ? "read of uninitialised shared memory"
                            : "read of uninitialised global memory";
    }
    if (touch.access == Access::async_read && touch.shared && (cell.flags & WRITTEN) &&
        !(cell.flags & BY_ASYNC) && lacks_proxy_fence(cell)) {
        return "asynchronous read of an ordinary write without fence.proxy.async";
    }
    return nullptr;
}

/* What must not happen while the grids before may still run; and what may not happen after it. */
static const char *early_problem(const Touch &touch, const Cell &cell)
{
    if (touch.shared) return nullptr;
    if (touch.by.early && touch.writes()) return "write before griddepcontrol.wait";
    if (touch.by.early && (cell.flags & BY_A_GRID)) {
        return "read before griddepcontrol.wait of what a grid has written";
    }
    if (touch.writes() && machine.early_launch && cell.epoch == machine.early_launch &&
        cell.reader_clock[0]) {
        return "write of what the next grid has read before its griddepcontrol.wait";
    }
    return nullptr;
}

static void remember_reader(const Touch &touch, Cell &cell)
{
    const uint32_t me = identity(touch.by.block, touch.by.thread);
    for (int i = 0; i < 2; i++) { /* a reader that comes before is covered by this one */
        if (cell.reader_clock[i] == 0 ||
            is_before(cell.reader[i], cell.reader_clock[i], touch.by)) {
            cell.reader[i] = me;
            cell.reader_clock[i] = touch.by.clock;
            return;
        }
    }
    const size_t i = random_bits() % 2;
    cell.reader[i] = me;
    cell.reader_clock[i] = touch.by.clock;
}

/* True when it reported something: the rest of the access would say the same. */
static bool touch_byte(const Touch &touch, const void *address, Cell &cell)
{
    const char *problem = early_problem(touch, cell);
    if (cell.epoch != touch.epoch) {
        const uint32_t keep = touch.shared ? 0 : cell.flags & KEPT;
        cell = Cell();
        cell.epoch = touch.epoch;
        cell.flags = keep;
    }
    const uint32_t me = identity(touch.by.block, touch.by.thread);
    const bool both_atomic = touch.access == Access::atomic && (cell.flags & BY_ATOMIC);
    uint32_t other = me;
    if (problem) {
        /* said already */
    } else if ((cell.flags & WRITTEN) && !both_atomic &&
               !is_before(cell.writer, cell.writer_clock, touch.by)) {
        problem = touch.writes() ? "race write/write" : "race write->read";
        other = cell.writer;
    } else if (!touch.writes()) {
        problem = read_problem(touch, cell);
    }
    if (touch.writes()) {
        for (int i = 0; i < 2 && !problem; i++) {
            if (cell.reader_clock[i] &&
                !is_before(cell.reader[i], cell.reader_clock[i], touch.by)) {
                problem = "race read->write";
                other = cell.reader[i];
            }
        }
        cell.flags = INITIALISED | WRITTEN | BY_A_GRID | (touch.is_async() ? BY_ASYNC : 0u) |
                     (touch.access == Access::atomic ? BY_ATOMIC : 0u);
        cell.writer = me;
        cell.writer_clock = touch.by.clock;
        cell.reader_clock[0] = cell.reader_clock[1] = 0;
    } else {
        remember_reader(touch, cell);
    }
    if (problem) report(problem, address, touch.by, other, touch.pc);
    return problem;
}

/* False, with a report, when the bytes are not all inside what they belong to. */
static bool in_bounds(const Moment &by, const unsigned char *first, unsigned bytes, int slot,
                      const void *pc)
{
    if (slot < 0) {
        if (is_in_allocation(first, bytes)) return true;
        report("access outside every allocation", first, by, identity(by.block, by.thread), pc);
        return false;
    }
    if (machine.slots[slot]) {
        const Block &block = *machine.slots[slot];
        if (first >= block.shared && first + bytes <= block.shared + block.shared_bytes) {
            return true;
        }
        report("access outside the block's shared memory", first, by, identity(by.block, by.thread),
               pc);
    }
    return false;
}

void race_touch(const Moment &by, const void *address, unsigned bytes, Access access,
                const void *return_address)
{
    const auto *first = static_cast<const unsigned char *>(address);
    const int slot = shared_slot(address);
    if (slot < 0 && !is_global(address)) return;
    if (!in_bounds(by, first, bytes, slot, return_address)) return;
    const bool shared = slot >= 0;
    const uint32_t epoch = shared ? machine.slots[slot]->generation : machine.launch;
    const Touch touch = {by, access, shared, epoch, return_address};
    Cell *cell = shared ? shared_cell(address) : global_cell(address);
    for (unsigned i = 0; i < bytes; i++) {
        if (touch_byte(touch, first + i, cell[i])) return;
    }
}

void race_initialised(const void *address, size_t bytes)
{
    if (!race_build() || !is_global(address)) return;
    Cell *cell = global_cell(address);
    for (size_t i = 0; i < bytes; i++) {
        cell[i].flags = (cell[i].flags | INITIALISED) & ~static_cast<uint32_t>(BY_A_GRID);
    }
}

void race_begin_launch()
{
    reports = 0;
    reported.clear();
    published.clear();
}

void race_end_launch()
{
    if (reports == 0) return;
    std::fprintf(stderr, "cudasim: %u conflicting accesses in %s\n", reports,
                 name_of(machine.grid->symbol).c_str());
    quit(97);
}
} /* namespace cudasim */
