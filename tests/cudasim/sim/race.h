/* race.h - the happens-before checker. Kernels compiled with -fsanitize=thread and linked without
 * its library call the hooks in race_hooks.cc at every load and store; every byte of shared and
 * global memory has a cell that remembers its last writer and readers. Two accesses to a byte, one
 * of them a write, must be ordered by something that CUDA says orders them.
 *
 * Every thread has a clock, which moves at each synchronisation, and knows of every other thread
 * up to which clock value that one's accesses come before its own.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CUDASIM_RACE_H
#define CUDASIM_RACE_H

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

namespace cudasim
{
struct Thread;
struct Block;

using Clocks = std::vector<uint32_t>; /* [threads of a block] */

/* What a thread knows; shared by all that left the same barrier, so never changed. */
struct Known {
    unsigned home; /* index of the thread's block */
    Clocks own;
    std::map<unsigned, std::shared_ptr<const Clocks>> others; /* blocks it synchronised with */
};
using KnownPtr = std::shared_ptr<const Known>;

/* A thread at the moment of an access or of an arrival at a barrier. */
struct Moment {
    unsigned block = 0, thread = 0;
    uint32_t clock = 0;
    KnownPtr known;
    bool early = false; /* before its griddepcontrol.wait: earlier grids may still run */
};

struct RaceState {
    uint32_t clock = 1;
    uint32_t proxy_clock = 0; /* its last fence.proxy.async */
    KnownPtr known;
    Moment released;     /* its last fence: what a relaxed atomic after it publishes */
    KnownPtr acquirable; /* what its atomics have read: known from its next fence on */
};

enum class Access { read, write, atomic, async_read, async_write };

bool race_build(); /* the kernels of this program are instrumented */

Moment race_now(const Thread &thread);
Moment race_arrive(Thread &thread); /* what comes later does not belong to the arrival */
KnownPtr race_merge(unsigned home, const KnownPtr &base, const std::vector<Moment> &arrivals);
void race_learn(Thread &thread, const std::vector<Moment> &arrivals);
/* A barrier of threads of one block: every receiver comes after every arrival. */
void race_join(const std::vector<Moment> &arrivals, const std::vector<Thread *> &receivers);

void race_fence(Thread &thread);
void race_atomic(Thread &thread, const void *address, bool acquire, bool release);

void race_touch(const Moment &by, const void *address, unsigned bytes, Access access,
                const void *return_address);
void race_initialised(const void *address, size_t bytes); /* written by the host */
void race_begin_launch();
void race_end_launch(); /* ends the process if there were any */
} /* namespace cudasim */

#endif
