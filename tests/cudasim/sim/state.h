/* state.h - everything the simulator keeps about the running grid. One OS thread, one grid at a
 * time; the blocks that are alive together are those of one cluster, or all of a cooperative grid.
 * A cluster of the next grid may have begun, and wait.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CUDASIM_STATE_H
#define CUDASIM_STATE_H

#include "fiber.h"
#include "memory.h"
#include "model.h"
#include "race.h"

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

namespace cudasim
{
constexpr unsigned WARP = 32, WARPGROUP = 128, THREADS_MAX = 1024, BARRIERS = 16;

struct Thread;
struct Block;

/* Asynchronous operations of a thread, in the groups in which it waits for them. */
class Groups
{
  public:
    void add(std::function<void()> complete);
    void commit();
    void wait(size_t groups_left); /* completes all but the newest groups */
    bool empty() const;
    void clear();

  private:
    std::deque<std::function<void()>> operations_;
    std::deque<size_t> groups_; /* operations in each, oldest first */
    size_t open_ = 0;           /* operations of no group yet */
};

struct Thread {
    Position position;
    unsigned rank = 0; /* in the block */
    Block *block = nullptr;
    Fiber fiber;
    bool done = false;
    bool waited = true; /* for the grids before; false where its grid may begin early */
    const char *waits_in = "";
    const void *waits_at = nullptr; /* return address */

    Groups copies; /* cp.async */
    Groups stores; /* bulk stores: complete when written */
    Groups wgmmas; /* of a warpgroup, kept by its first thread */
    unsigned cluster_phase = 0;
    bool cluster_arrived = false;
    RaceState race;
};

/* The threads of a warp, or of a warpgroup, that meet in one instruction. */
struct Meeting {
    unsigned arrived = 0;
    uint32_t mask = 0;
    const char *name = "";
    void *argument[WARPGROUP];
    Thread *thread[WARPGROUP];
};

struct Warp {
    Meeting meeting[4]; /* of several masks at a time */
    uint32_t members = 0, exited = 0;
};

struct Barrier {
    unsigned arrived = 0, expected = 0; /* expected 0: all threads that have not exited */
    int line = 0;
    std::vector<Thread *> waiting;
    std::vector<Moment> arrivals;
};

/* What an mbarrier does not keep in its own eight bytes. */
struct MbarrierSide {
    std::vector<Thread *> waiting;
    std::vector<Moment> arrivals; /* of the phase that is open */
    std::vector<Moment> done;     /* of the one before: at most one merged moment */
};

struct Cluster {
    std::vector<Block *> blocks; /* by rank */
    unsigned arrived = 0, phase = 0;
    std::vector<Thread *> waiting;
    std::vector<Moment> arrivals;
    std::map<unsigned, KnownPtr> done; /* by block: what the last phase taught */
};

struct Block {
    unsigned index = 0, slot = 0, rank = 0; /* in the grid, in shared memory, in the cluster */
    unsigned alive = 0;                     /* threads that have not exited */
    uint32_t generation = 0;                /* unlike any other block's, in any launch */
    uint32_t warps_ready = 0, lanes_ready[WARP] = {};
    unsigned current_warp = 0;
    uint32_t priority = 0, warp_priority[WARP] = {}; /* of random scheduling */
    Cluster *cluster = nullptr;

    std::vector<std::unique_ptr<Thread>> threads;
    std::vector<Warp> warps;
    std::vector<Meeting> warpgroups;
    Barrier barriers[BARRIERS];
    std::map<uint32_t, MbarrierSide> mbarriers; /* by offset */

    unsigned char *shared = nullptr;
    uint32_t shared_bytes = 0;
};

struct Grid {
    dim3 grid, block, cluster;
    unsigned threads = 0; /* per block */
    size_t shared_bytes = 0;
    bool cooperative = false;
    bool may_begin_early = false; /* programmatic stream serialisation */
    const void *symbol = nullptr; /* of the kernel */
    std::function<void()> body;   /* one thread */
};

struct Machine {
    Thread *self = nullptr; /* null while the host runs */
    Fiber host;
    const Grid *grid = nullptr;
    std::vector<Block *> resident;              /* blocks that may run */
    Block *current = nullptr;                   /* the one that ran last */
    Block *slots[SLOTS] = {};                   /* blocks that are alive */
    std::vector<std::function<void()>> pending; /* asynchronous operations of any thread */
    std::vector<Thread *> spinning;
    bool progress = false;     /* somebody did more than spin */
    uint32_t launch = 0;       /* of the running grid: unlike any other's */
    uint32_t early_launch = 0; /* of the grid that has begun before its turn; 0: none has */
    /* While a grid begins before its turn: its threads that wait for that. Null otherwise. */
    std::vector<Thread *> *early = nullptr;
};
extern Machine machine;

/* ---- scheduling ------------------------------------------------------------------------------ */

void make_ready(Thread &thread);
/* Lets others run; the caller is registered where somebody will make it ready. */
void park(const char *waits_in, const void *return_address);
/* An operation that may take effect now or at any later time. */
void add_pending(std::function<void()> operation);
void run_pending(); /* one of them */
bool happens_now(); /* for operations that a group completes: at issue, or when waited for */

void run_ready();                /* until no thread can go on */
[[noreturn]] void thread_ends(); /* the calling one */

/* grid.cc: a grid from its first block to its last. `next`, or null, begins before it: one of its
 * clusters runs until all of its threads wait for this grid to end. */
void run_grid(const std::shared_ptr<const Grid> &grid, const std::shared_ptr<const Grid> &next);
void thread_exits(Thread &thread); /* barriers no longer wait for it */

/* fault.cc: while a grid runs */
void watch_faults();
void unwatch_faults();

/* ---- meetings -------------------------------------------------------------------------------- */

using Act = std::function<void(Meeting &)>;
/* The last of the threads named by `mask` to arrive acts for all of them. */
void meet_warp(uint32_t mask, const char *name, void *argument, const void *pc, const Act &act);
void meet_warpgroup(const char *name, void *argument, const void *pc, const Act &act);

/* ---- shared memory --------------------------------------------------------------------------- */

Block &block_of(uint32_t shared); /* that a shared address means */
uint32_t offset_of(uint32_t shared);
unsigned char *shared_of(const Moment &by, uint32_t shared, unsigned bytes, Access access,
                         const void *pc);

/* mbarrier.cc: bytes of a tensor copy have arrived, with the clock of the thread that asked. */
void mbarrier_complete(Block &block, uint32_t offset, unsigned bytes, const Moment &by);
} /* namespace cudasim */

#define CUDASIM_CALLER __builtin_return_address(0)

#endif
