/* cp_async.cc - cp.async: 4, 8 or 16 bytes per thread, in groups. Until its group is waited for
 * the destination holds 0xff, unless the schedule lets the copy happen early.
 * SPDX-License-Identifier: Apache-2.0 */
#include "memory.h"
#include "report.h"
#include "state.h"

#include <cstring>

namespace cudasim
{
static void check(uint32_t to, const void *from, unsigned bytes, unsigned source_bytes)
{
    if (bytes != 4 && bytes != 8 && bytes != 16) fail("cp.async of %u bytes", bytes);
    if (source_bytes > bytes) fail("cp.async of %u bytes reads %u", bytes, source_bytes);
    if (to % bytes) fail("cp.async: shared address %u is not aligned to %u bytes", to, bytes);
    if (source_bytes == 0) return;
    if (reinterpret_cast<uintptr_t>(from) % bytes) {
        fail("cp.async: global address %p is not aligned to %u bytes", from, bytes);
    }
    global_check(from, source_bytes, "cp.async");
}

void cp_async(uint32_t to, const void *from, unsigned bytes, unsigned source_bytes)
{
    const void *pc = CUDASIM_CALLER;
    check(to, from, bytes, source_bytes);
    Thread &me = *machine.self;
    const Moment now = race_now(me);
    unsigned char *destination = shared_of(now, to, bytes, Access::write, pc);
    if (race_build() && source_bytes) race_touch(now, from, source_bytes, Access::read, pc);
    const auto copy = [=] {
        if (source_bytes) std::memcpy(destination, from, source_bytes);
        std::memset(destination + source_bytes, 0, bytes - source_bytes);
    };
    if (happens_now()) {
        copy();
        me.copies.add([] {});
    } else {
        std::memset(destination, 0xff, bytes);
        me.copies.add(copy);
    }
}

void cp_async_commit()
{
    machine.self->copies.commit();
}

void cp_async_wait(unsigned groups_left)
{
    machine.self->copies.wait(groups_left);
}

void cp_async_wait_all()
{
    machine.self->copies.commit();
    machine.self->copies.wait(0);
}
} /* namespace cudasim */
