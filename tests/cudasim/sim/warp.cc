/* warp.cc - threads that meet in one instruction: shuffles, votes, __syncwarp, and the meetings
 * under the matrix instructions.
 * SPDX-License-Identifier: Apache-2.0 */
#include "report.h"
#include "state.h"

#include <cstring>

namespace cudasim
{
static void enter(Meeting &meeting, unsigned index, const char *name, void *argument)
{
    if (meeting.arrived == 0) meeting.name = name;
    if (std::strcmp(meeting.name, name) != 0) {
        fail("divergent warp: some lanes are in %s, others in %s", meeting.name, name);
    }
    meeting.argument[index] = argument;
    meeting.thread[index] = machine.self;
    meeting.arrived++;
}

/* Of up to four groups of lanes, each with its own mask, that are under way at the same time. */
static Meeting &meeting_of(Warp &warp, uint32_t mask, const char *name)
{
    for (Meeting &meeting : warp.meeting) {
        if (meeting.arrived && meeting.mask == mask) return meeting;
    }
    for (Meeting &meeting : warp.meeting) {
        if (!meeting.arrived) {
            meeting.mask = mask;
            return meeting;
        }
    }
    fail("%s: more than four groups of lanes at a time", name);
}

void meet_warp(uint32_t mask, const char *name, void *argument, const void *pc, const Act &act)
{
    Thread &me = *machine.self;
    Warp &warp = me.block->warps[me.rank / WARP];
    const unsigned lane = me.rank % WARP;
    if (!(mask >> lane & 1)) fail("%s: lane %u is not in its mask %08x", name, lane, mask);
    if (mask & warp.exited) fail("%s: mask %08x names lanes that ended", name, mask);
    mask &= warp.members;
    Meeting &meeting = meeting_of(warp, mask, name);
    enter(meeting, lane, name, argument);
    if (meeting.arrived < static_cast<unsigned>(__builtin_popcount(mask))) {
        park(name, pc);
        return;
    }
    meeting.arrived = 0;
    act(meeting);
    machine.progress = true;
    for (uint32_t rest = mask & ~(1u << lane); rest; rest &= rest - 1) {
        make_ready(*meeting.thread[__builtin_ctz(rest)]);
    }
}

void meet_warpgroup(const char *name, void *argument, const void *pc, const Act &act)
{
    Thread &me = *machine.self;
    const unsigned first = me.rank / WARPGROUP * WARPGROUP;
    if (first + WARPGROUP > machine.grid->threads) fail("%s: not a whole warpgroup", name);
    Meeting &meeting = me.block->warpgroups[me.rank / WARPGROUP];
    enter(meeting, me.rank - first, name, argument);
    if (meeting.arrived < WARPGROUP) {
        park(name, pc);
        return;
    }
    meeting.arrived = 0;
    act(meeting);
    machine.progress = true;
    for (Thread *thread : meeting.thread) {
        if (thread != &me) make_ready(*thread);
    }
}

namespace
{
struct Exchange {
    uint64_t in, out;
    int source;
};
} /* namespace */

uint64_t shuffle(unsigned mask, uint64_t value, int source_lane)
{
    Exchange mine = {value, value, source_lane};
    meet_warp(mask, "a shuffle", &mine, CUDASIM_CALLER, [](Meeting &meeting) {
        for (uint32_t rest = meeting.mask; rest; rest &= rest - 1) {
            const int lane = __builtin_ctz(rest);
            auto *to = static_cast<Exchange *>(meeting.argument[lane]);
            if (!(meeting.mask >> to->source & 1)) {
                fail("a shuffle: lane %d reads lane %d, which is not in the mask", lane,
                     to->source);
            }
            to->out = static_cast<Exchange *>(meeting.argument[to->source])->in;
        }
    });
    return mine.out;
}

unsigned ballot(unsigned mask, bool predicate)
{
    Exchange mine = {predicate, 0, 0};
    meet_warp(mask, "a vote", &mine, CUDASIM_CALLER, [](Meeting &meeting) {
        uint64_t votes = 0;
        for (uint32_t rest = meeting.mask; rest; rest &= rest - 1) {
            const int lane = __builtin_ctz(rest);
            votes |= static_cast<Exchange *>(meeting.argument[lane])->in << lane;
        }
        for (uint32_t rest = meeting.mask; rest; rest &= rest - 1) {
            static_cast<Exchange *>(meeting.argument[__builtin_ctz(rest)])->out = votes;
        }
    });
    return static_cast<unsigned>(mine.out);
}

/* Unlike the others it orders memory. */
void syncwarp(unsigned mask)
{
    meet_warp(mask, "__syncwarp", nullptr, CUDASIM_CALLER, [](Meeting &meeting) {
        if (!race_build()) return;
        std::vector<Moment> arrivals;
        std::vector<Thread *> receivers;
        for (uint32_t rest = meeting.mask; rest; rest &= rest - 1) {
            receivers.push_back(meeting.thread[__builtin_ctz(rest)]);
            arrivals.push_back(race_arrive(*receivers.back()));
        }
        race_join(arrivals, receivers);
    });
}

/* Lanes that could take part; a real warp may have split further. */
unsigned active_mask()
{
    const Thread &me = *machine.self;
    const Warp &warp = me.block->warps[me.rank / WARP];
    return warp.members & ~warp.exited;
}
} /* namespace cudasim */
