/* memory.h - the two memories of the simulated device, each one range of addresses.
 *
 * Global: an allocation ends at a page that faults and begins behind one. Shared: one slot for
 * every block that is alive; the memory of a block ends at a page that faults. Both are filled
 * with 0xff before use, which is NaN in every floating point format here.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CUDASIM_MEMORY_H
#define CUDASIM_MEMORY_H

#include <cstddef>
#include <cstdint>

namespace cudasim
{
struct Block;

constexpr size_t SHARED_MAX = 227 << 10; /* bytes that a block may ask for (sm_90) */
constexpr size_t SHARED_ALIGN = 1024;
constexpr size_t SLOT_STRIDE = 1 << 20, SLOT_BYTES = 256 << 10;
/* Slots of the blocks of a grid that are alive together; then, twice, of a cluster that has begun
 * before its grid's turn. */
constexpr size_t GRID_SLOTS = 512, EARLY_SLOTS = 16, SLOTS = GRID_SLOTS + 2 * EARLY_SLOTS;
constexpr size_t GLOBAL_BYTES = size_t{4} << 30;

void *global_allocate(size_t bytes); /* null when there is no room */
bool global_free(void *pointer);
size_t global_live(); /* bytes that are allocated */
/* Fails (report.h) unless the range lies inside one allocation of global memory. */
void global_check(const void *address, size_t bytes, const char *what);
bool is_global(const void *address);
bool is_in_allocation(const void *address, size_t bytes);

unsigned char *shared_prepare(unsigned slot, size_t bytes); /* filled; ends at the guard */
int shared_slot(const void *address);                       /* -1: not shared memory */

/* Where the two ranges begin. */
uintptr_t global_base();
uintptr_t shared_base();
} /* namespace cudasim */

#endif
