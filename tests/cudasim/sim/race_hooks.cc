/* race_hooks.cc - the functions that -fsanitize=thread makes the compiler call. Every instrumented
 * object calls __tsan_init when the program starts: that is how the simulator knows. Addresses
 * outside the device's memories (stacks, constants) are of no interest.
 * SPDX-License-Identifier: Apache-2.0 */
#include "memory.h"
#include "state.h"

namespace cudasim
{
static bool instrumented;

bool race_build()
{
    return instrumented;
}

static void hook(const void *address, unsigned long bytes, bool write, const void *pc)
{
    if (!machine.self || (shared_slot(address) < 0 && !is_global(address))) return;
    race_touch(race_now(*machine.self), address, static_cast<unsigned>(bytes),
               write ? Access::write : Access::read, pc);
}
} /* namespace cudasim */

extern "C" {
void __tsan_init();
void __tsan_func_entry(void *);
void __tsan_func_exit();
void __tsan_vptr_update(void **, void *);
void __tsan_vptr_read(void **);
void __tsan_read_range(void *address, unsigned long bytes);
void __tsan_write_range(void *address, unsigned long bytes);

void __tsan_init()
{
    cudasim::instrumented = true;
}
void __tsan_func_entry(void *)
{
}
void __tsan_func_exit()
{
}
void __tsan_vptr_update(void **, void *)
{
}
void __tsan_vptr_read(void **)
{
}
void __tsan_read_range(void *address, unsigned long bytes)
{
    cudasim::hook(address, bytes, false, CUDASIM_CALLER);
}
void __tsan_write_range(void *address, unsigned long bytes)
{
    cudasim::hook(address, bytes, true, CUDASIM_CALLER);
}

#define HOOK(name, bytes, write)                              \
    void name(void *address);                                 \
    void name(void *address)                                  \
    {                                                         \
        cudasim::hook(address, bytes, write, CUDASIM_CALLER); \
    }
#define HOOKS(bytes)                                 \
    HOOK(__tsan_read##bytes, bytes, false)           \
    HOOK(__tsan_write##bytes, bytes, true)           \
    HOOK(__tsan_unaligned_read##bytes, bytes, false) \
    HOOK(__tsan_unaligned_write##bytes, bytes, true) \
    HOOK(__tsan_volatile_read##bytes, bytes, false)  \
    HOOK(__tsan_volatile_write##bytes, bytes, true)
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)
}
