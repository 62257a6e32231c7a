/* atomics.cc - atomic operations on either memory, and the acquire and release pairs that blocks
 * of one grid synchronise with.
 * SPDX-License-Identifier: Apache-2.0 */
#include "memory.h"
#include "state.h"

#include <algorithm>
#include <type_traits>

namespace cudasim
{
static void touch(const void *address, unsigned bytes, bool acquire, bool release, const void *pc)
{
    machine.progress = true;
    if (!race_build()) return;
    Thread &me = *machine.self;
    race_touch(race_now(me), address, bytes, Access::atomic, pc);
    race_atomic(me, address, acquire, release);
}

template <class T> static T combine(T a, T b, Operation operation)
{
    switch (operation) {
    case ADD: return a + b;
    case MIN: return std::min(a, b);
    case MAX: return std::max(a, b);
    case EXCHANGE: return b;
    default: break;
    }
    if constexpr (std::is_integral_v<T>)
        return operation == OR ? a | b : a & b;
    else
        return b;
}

template <class T> T atomic(T *address, T value, Operation operation)
{
    touch(address, sizeof *address, false, false, CUDASIM_CALLER);
    const T old = *address;
    *address = combine(old, value, operation);
    return old;
}
template int atomic(int *, int, Operation);
template unsigned atomic(unsigned *, unsigned, Operation);
template unsigned long long atomic(unsigned long long *, unsigned long long, Operation);
template float atomic(float *, float, Operation);

unsigned compare_and_swap(unsigned *address, unsigned expected, unsigned value)
{
    touch(address, sizeof *address, false, false, CUDASIM_CALLER);
    const unsigned old = *address;
    if (old == expected) *address = value;
    return old;
}

void fence()
{
    if (race_build()) race_fence(*machine.self);
}

unsigned load_acquire(const unsigned *address)
{
    yield();
    const bool progress = machine.progress; /* looking is none */
    touch(address, sizeof *address, true, false, CUDASIM_CALLER);
    machine.progress = progress;
    return *address;
}

void store_release(unsigned *address, unsigned value)
{
    touch(address, sizeof *address, false, true, CUDASIM_CALLER);
    *address = value;
}

unsigned add_release(unsigned *address, unsigned value)
{
    touch(address, sizeof *address, true, true, CUDASIM_CALLER);
    const unsigned old = *address;
    *address += value;
    return old;
}
} /* namespace cudasim */
