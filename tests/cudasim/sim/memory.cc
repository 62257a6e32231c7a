/* memory.cc - device memory with guard pages, shared memory in slots.
 * SPDX-License-Identifier: Apache-2.0 */
#include "memory.h"
#include "report.h"

#include <cstring>
#include <iterator>
#include <map>
#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define FORBID(address, bytes) __asan_poison_memory_region(address, bytes)
#define ALLOW(address, bytes)  __asan_unpoison_memory_region(address, bytes)
#else
#define FORBID(address, bytes) static_cast<void>(0)
#define ALLOW(address, bytes)  static_cast<void>(0)
#endif

namespace cudasim
{
static constexpr size_t PAGE = 4096, ALIGN = 256; /* cudaMalloc aligns to 256 */

static unsigned char *reserve(size_t bytes)
{
    void *range =
        mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (range == MAP_FAILED) fail("no address space for %zu bytes of simulated memory", bytes);
    return static_cast<unsigned char *>(range);
}

static size_t round_up(size_t bytes, size_t unit)
{
    return (bytes + unit - 1) / unit * unit;
}

/* ---- global ---------------------------------------------------------------------------------- */

struct Allocation {
    size_t bytes;
    unsigned char *pages;
    size_t page_bytes;
};
static std::map<const unsigned char *, Allocation> allocations; /* by address */
static size_t used = PAGE, live = 0;

static unsigned char *global_range()
{
    static unsigned char *range = reserve(GLOBAL_BYTES);
    return range;
}

uintptr_t global_base()
{
    return reinterpret_cast<uintptr_t>(global_range());
}

/* Freed addresses are not given out again: a use after the free faults. */
void *global_allocate(size_t bytes)
{
    const size_t body = round_up(bytes ? bytes : 1, ALIGN), pages = round_up(body, PAGE);
    if (pages > GLOBAL_BYTES - used - PAGE) return nullptr;
    unsigned char *first = global_range() + used;
    used += pages + PAGE;
    if (mprotect(first, pages, PROT_READ | PROT_WRITE) != 0) return nullptr;
    std::memset(first, 0xff, pages);
    unsigned char *start = first + pages - body;
    FORBID(first, start - first);
    FORBID(start + bytes, body - bytes);
    allocations[start] = {bytes, first, pages};
    live += bytes;
    return start;
}

bool global_free(void *pointer)
{
    const auto found = allocations.find(static_cast<unsigned char *>(pointer));
    if (found == allocations.end()) return false;
    ALLOW(found->second.pages, found->second.page_bytes);
    mprotect(found->second.pages, found->second.page_bytes, PROT_NONE);
    madvise(found->second.pages, found->second.page_bytes, MADV_DONTNEED);
    live -= found->second.bytes;
    allocations.erase(found);
    return true;
}

size_t global_live()
{
    return live;
}

bool is_global(const void *address)
{
    return reinterpret_cast<uintptr_t>(address) - global_base() < GLOBAL_BYTES;
}

bool is_in_allocation(const void *address, size_t bytes)
{
    static const unsigned char *begin, *end; /* of the allocation that was asked for last */
    const auto *first = static_cast<const unsigned char *>(address);
    if (begin && begin <= first && first + bytes <= end && allocations.count(begin)) return true;
    auto next = allocations.upper_bound(first);
    if (next == allocations.begin()) return false;
    const auto &found = *std::prev(next);
    begin = found.first;
    end = begin + found.second.bytes;
    return first + bytes <= end;
}

void global_check(const void *address, size_t bytes, const char *what)
{
    if (!is_in_allocation(address, bytes)) {
        fail("%s: %zu bytes at %p are not inside an allocation of global memory", what, bytes,
             address);
    }
}

/* ---- shared ---------------------------------------------------------------------------------- */

static unsigned char *shared_range()
{
    static unsigned char *range = reserve(SLOT_STRIDE * SLOTS);
    return range;
}

uintptr_t shared_base()
{
    return reinterpret_cast<uintptr_t>(shared_range());
}

unsigned char *shared_prepare(unsigned slot, size_t bytes)
{
    unsigned char *arena = shared_range() + slot * SLOT_STRIDE;
    if (mprotect(arena, SLOT_BYTES, PROT_READ | PROT_WRITE) != 0) {
        fail("no memory for the shared memory of %u blocks", slot + 1);
    }
    const size_t padded = round_up(bytes, SHARED_ALIGN);
    unsigned char *start = arena + SLOT_BYTES - padded;
    ALLOW(arena, SLOT_BYTES);
    std::memset(start, 0xff, padded);
    FORBID(arena, start - arena);
    FORBID(start + bytes, padded - bytes);
    return start;
}

int shared_slot(const void *address)
{
    const uintptr_t offset = reinterpret_cast<uintptr_t>(address) - shared_base();
    return offset < SLOT_STRIDE * SLOTS ? static_cast<int>(offset / SLOT_STRIDE) : -1;
}
} /* namespace cudasim */
