/* tma.cc - bulk copies between global and shared memory: boxes of a tensor. Loads report to an
 * mbarrier and may take effect at any time after they are asked for; the destination holds 0xff
 * until then. Stores belong to groups of the thread that asked.
 * SPDX-License-Identifier: Apache-2.0 */
#include "memory.h"
#include "report.h"
#include "state.h"
#include "swizzle.h"
#include "tensor_map.h"

#include <array>
#include <cstring>

namespace cudasim
{
static constexpr unsigned CHUNK = 16; /* bytes that every swizzle keeps together */

namespace
{
using At = std::array<int, TENSOR_RANK>;

/* Calls visit(offset in the box, address in the tensor or null, bytes) for every run of the box
 * that lies in one chunk; null where the coordinates are outside. */
template <class Visit> void for_each_run(const TensorMap &map, const At &at, const Visit &visit)
{
    const unsigned row = map.box[0] * map.element;
    unsigned rows = 1;
    for (unsigned d = 1; d < map.rank; d++) rows *= map.box[d];
    for (unsigned r = 0; r < rows; r++) {
        unsigned char *start = map.base;
        bool inside = true;
        for (unsigned d = 1, rest = r; d < map.rank; rest /= map.box[d], d++) {
            const int64_t x = at[d] + int64_t{map.step[d]} * (rest % map.box[d]);
            inside = inside && x >= 0 && x < static_cast<int64_t>(map.length[d]);
            start += x * static_cast<int64_t>(map.stride[d]);
        }
        for (unsigned b = 0; b < row; b += CHUNK) {
            const int64_t x = at[0] + static_cast<int64_t>(b / map.element);
            const int64_t end = x + CHUNK / map.element;
            if (inside && x >= 0 && end <= static_cast<int64_t>(map.length[0])) {
                visit(r * row + b, start + x * map.element, CHUNK);
                continue;
            }
            for (unsigned q = 0; q < CHUNK; q += map.element) {
                const int64_t e = x + q / map.element;
                const bool in = inside && e >= 0 && e < static_cast<int64_t>(map.length[0]);
                visit(r * row + b + q, in ? start + e * map.element : nullptr, map.element);
            }
        }
    }
}

struct Target { /* of a load: a block, and the offsets in it */
    Block *block;
    uint32_t to, barrier;
};
} /* namespace */

static At coordinates(const TensorMap &map, const int *at)
{
    At result = {};
    for (unsigned i = 0; i < map.rank; i++) result[i] = at[i];
    return result;
}

static std::vector<Target> targets_of(uint32_t to, uint32_t barrier, unsigned blocks)
{
    if (blocks == 0) {
        if (&block_of(to) != &block_of(barrier)) {
            fail("bulk copy: destination and mbarrier are in different blocks");
        }
        return {{&block_of(to), offset_of(to), offset_of(barrier)}};
    }
    const Cluster &cluster = *machine.self->block->cluster;
    std::vector<Target> targets;
    for (unsigned rank = 0; blocks >> rank; rank++) {
        if (!(blocks >> rank & 1)) continue;
        if (rank >= cluster.blocks.size()) {
            fail("multicast to rank %u in a cluster of %zu", rank, cluster.blocks.size());
        }
        targets.push_back({cluster.blocks[rank], offset_of(to), offset_of(barrier)});
    }
    return targets;
}

static void claim(const Target &target, unsigned bytes, const Moment &by, const void *pc)
{
    Block &block = *target.block;
    if (target.to > block.shared_bytes || bytes > block.shared_bytes - target.to) {
        fail("bulk copy of %u bytes to shared address %u: beyond the %u bytes there", bytes,
             target.to, block.shared_bytes);
    }
    if (!block.alive) fail("bulk copy into the shared memory of a block that has ended");
    unsigned char *destination = block.shared + target.to;
    if (race_build()) race_touch(by, destination, bytes, Access::async_write, pc);
    std::memset(destination, 0xff, bytes);
}

static void check_alive(const Target &target)
{
    if (!target.block->alive) fail("a block ended before a bulk copy into it was waited for");
}

void tma_load(uint32_t to, const void *map_pointer, uint32_t barrier, const int *at,
              unsigned blocks)
{
    const void *pc = CUDASIM_CALLER;
    const TensorMap map = tensor_map(map_pointer);
    const At where = coordinates(map, at);
    const unsigned bytes = box_bytes(map);
    if (offset_of(to) % swizzle_period(map.swizzle)) {
        fail("tensor copy to shared address %u: not aligned to %u bytes", offset_of(to),
             swizzle_period(map.swizzle));
    }
    const Moment by = race_arrive(*machine.self);
    for (const Target &target : targets_of(to, barrier, blocks)) {
        claim(target, bytes, by, pc);
        add_pending([=] {
            check_alive(target);
            for_each_run(map, where, [&](unsigned offset, const void *from, unsigned n) {
                unsigned char *destination =
                    target.block->shared + swizzle(target.to + offset, map.swizzle);
                if (!from) {
                    std::memset(destination, 0, n);
                    return;
                }
                global_check(from, n, "tensor copy");
                if (race_build()) race_touch(by, from, n, Access::read, pc);
                std::memcpy(destination, from, n);
            });
            mbarrier_complete(*target.block, target.barrier, bytes, by);
        });
    }
}

/* ---- stores ---------------------------------------------------------------------------------- */

static void store(std::function<void()> write)
{
    Thread &me = *machine.self;
    if (happens_now()) {
        write();
        me.stores.add([] {});
    } else {
        me.stores.add(std::move(write));
    }
}

static void store_run(void *to, uint32_t from, unsigned bytes, const void *pc)
{
    const Moment by = race_now(*machine.self);
    const unsigned char *source = shared_of(by, from, bytes, Access::async_read, pc);
    global_check(to, bytes, "bulk store");
    if (race_build()) race_touch(by, to, bytes, Access::async_write, pc);
    std::memcpy(to, source, bytes);
}

void tma_store(const void *map_pointer, uint32_t from, const int *at)
{
    const void *pc = CUDASIM_CALLER;
    const TensorMap map = tensor_map(map_pointer);
    const At where = coordinates(map, at);
    if (offset_of(from) % swizzle_period(map.swizzle)) {
        fail("tensor store from shared address %u: not aligned to %u bytes", offset_of(from),
             swizzle_period(map.swizzle));
    }
    store([=] {
        for_each_run(map, where, [&](unsigned offset, void *to, unsigned n) {
            if (to) store_run(to, swizzle(from + offset, map.swizzle), n, pc);
        });
    });
}

void bulk_commit()
{
    machine.self->stores.commit();
}

/* When the sources have been read the writes are done too, here: nobody can tell before the kernel
 * ends. */
void bulk_wait(unsigned groups_left)
{
    machine.self->stores.wait(groups_left);
}

/* The thread's ordinary writes so far may be read by bulk copies and by wgmma. */
void fence_proxy_async()
{
    RaceState &race = machine.self->race;
    race.proxy_clock = race.clock++;
}
} /* namespace cudasim */
