/* shared.cc - 32-bit addresses of shared memory, of the thread's own block and of others in its
 * cluster: an offset in the low 24 bits, the rank plus one above, 0 for the own block.
 * SPDX-License-Identifier: Apache-2.0 */
#include "memory.h"
#include "report.h"
#include "state.h"

namespace cudasim
{
static constexpr unsigned RANK_SHIFT = 24;

uint32_t offset_of(uint32_t shared)
{
    return shared & ((1u << RANK_SHIFT) - 1);
}

Block &block_of(uint32_t shared)
{
    Block &own = *machine.self->block;
    const unsigned tag = shared >> RANK_SHIFT;
    if (tag == 0) return own;
    if (tag > own.cluster->blocks.size()) fail("shared address %#x: no such block", shared);
    return *own.cluster->blocks[tag - 1];
}

unsigned char *shared_of(const Moment &by, uint32_t shared, unsigned bytes, Access access,
                         const void *pc)
{
    Block &block = block_of(shared);
    const uint32_t offset = offset_of(shared);
    if (offset > block.shared_bytes || bytes > block.shared_bytes - offset) {
        fail("shared access %u+%u beyond the %u bytes of dynamic shared memory%s%s", offset, bytes,
             block.shared_bytes, pc ? " at " : "", line_of(pc).c_str());
    }
    if (!block.alive) fail("access to the shared memory of a block that has ended");
    if (race_build()) race_touch(by, block.shared + offset, bytes, access, pc);
    return block.shared + offset;
}

unsigned char *dynamic_shared()
{
    return machine.self->block->shared;
}

uint32_t shared_bytes()
{
    return machine.self->block->shared_bytes;
}

uint32_t shared_address(const void *pointer)
{
    const Block &own = *machine.self->block;
    const int slot = shared_slot(pointer);
    if (slot < 0 || !machine.slots[slot]) fail("%p is no address of shared memory", pointer);
    const Block &block = *machine.slots[slot];
    const auto offset = static_cast<const unsigned char *>(pointer) - block.shared;
    if (offset < 0 || offset > block.shared_bytes) {
        fail("%p is not inside dynamic shared memory", pointer);
    }
    if (&block == &own) return static_cast<uint32_t>(offset);
    if (block.cluster != own.cluster) fail("%p is shared memory of another cluster", pointer);
    return map_shared(static_cast<uint32_t>(offset), block.rank);
}

void *shared_pointer(uint32_t shared)
{
    return block_of(shared).shared + offset_of(shared);
}

void *shared_access(uint32_t shared, unsigned bytes, bool write)
{
    if (shared % bytes) {
        fail("access of %u bytes at shared address %u, which is not aligned", bytes, shared);
    }
    return shared_of(race_now(*machine.self), shared, bytes, write ? Access::write : Access::read,
                     CUDASIM_CALLER);
}

uint32_t map_shared(uint32_t shared, unsigned rank)
{
    if (rank >= machine.self->block->cluster->blocks.size()) {
        fail("mapa: rank %u in a cluster of %zu", rank,
             machine.self->block->cluster->blocks.size());
    }
    return offset_of(shared) | (rank + 1) << RANK_SHIFT;
}
} /* namespace cudasim */
