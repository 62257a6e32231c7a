/* fiber.h - a stack of its own for every CUDA thread, and the switch between two of them.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CUDASIM_FIBER_H
#define CUDASIM_FIBER_H

#include <cstddef>

namespace cudasim
{
#if defined(__SANITIZE_ADDRESS__)
constexpr size_t STACK_BYTES = 256 << 10;
#else
constexpr size_t STACK_BYTES = 64 << 10;
#endif

struct Fiber {
    void *top = nullptr;   /* where it stopped; of the host's own stack in Machine::host */
    void *shade = nullptr; /* AddressSanitizer's fake stack */
    const void *stack = nullptr;
    size_t bytes = 0;
};

/* `entry` will run on `stack` at the first switch to `fiber`; it must not return. */
void fiber_prepare(Fiber &fiber, unsigned char *stack, unsigned stagger, void (*entry)());
void fiber_started(Fiber &host); /* the first thing that `entry` does */
void fiber_switch(Fiber &from, Fiber &to, bool for_good);
bool fiber_overflowed(const Fiber &fiber); /* it wrote on the last word of its stack */
} /* namespace cudasim */

#endif
