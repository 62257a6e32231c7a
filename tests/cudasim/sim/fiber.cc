/* fiber.cc - the switch: callee-saved registers on the old stack, the new stack, its registers.
 * Twenty instructions on x86-64, where a switch takes some 15 ns; ucontext elsewhere (250 ns).
 * SPDX-License-Identifier: Apache-2.0 */
#include "fiber.h"

#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
/* A kernel sets no floating point mode, so mxcsr and the x87 control word stay as they are. */
asm(R"(
.text
.type cudasim_switch,@function
cudasim_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp,(%rdi)
    movq %rsi,%rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
.size cudasim_switch,.-cudasim_switch
)");
extern "C" void cudasim_switch(void **from, void *to);
#else
#include <ucontext.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

namespace cudasim
{
static constexpr uint64_t CANARY = 0x636173696d21beef;

#if defined(__x86_64__)
static void *first_frame(unsigned char *end, void (*entry)())
{
    auto **frame = reinterpret_cast<void **>(reinterpret_cast<uintptr_t>(end) & ~uintptr_t{15});
    *--frame = nullptr; /* where entry would return to */
    *--frame = reinterpret_cast<void *>(entry);
    for (int i = 0; i < 6; i++) *--frame = nullptr;
    return frame;
}
#else
static void *first_frame(unsigned char *end, void (*entry)())
{
    auto *context = reinterpret_cast<ucontext_t *>(end - sizeof(ucontext_t) - 64);
    getcontext(context);
    context->uc_stack.ss_size = STACK_BYTES / 2;
    context->uc_stack.ss_sp = reinterpret_cast<unsigned char *>(context) - STACK_BYTES / 2;
    context->uc_link = nullptr;
    makecontext(context, entry, 0);
    return context;
}
static void cudasim_switch(void **from, void *to)
{
    static ucontext_t host;
    if (!*from) *from = &host;
    swapcontext(static_cast<ucontext_t *>(*from), static_cast<ucontext_t *>(to));
}
#endif

void fiber_prepare(Fiber &fiber, unsigned char *stack, unsigned stagger, void (*entry)())
{
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(stack, STACK_BYTES);
#endif
    std::memcpy(stack, &CANARY, sizeof CANARY);
    fiber.stack = stack;
    fiber.bytes = STACK_BYTES;
    fiber.shade = nullptr;
    /* Stacks that all end at the same low address bits would share a few sets of the L1 cache. */
    fiber.top = first_frame(stack + STACK_BYTES - (stagger % 64) * 320, entry);
}

void fiber_started([[maybe_unused]] Fiber &host)
{
#if defined(__SANITIZE_ADDRESS__)
    const bool first = !host.stack;
    __sanitizer_finish_switch_fiber(nullptr, first ? &host.stack : nullptr,
                                    first ? &host.bytes : nullptr);
#endif
}

void fiber_switch(Fiber &from, Fiber &to, [[maybe_unused]] bool for_good)
{
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(for_good ? nullptr : &from.shade, to.stack, to.bytes);
#endif
    cudasim_switch(&from.top, to.top);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(from.shade, nullptr, nullptr);
#endif
}

bool fiber_overflowed(const Fiber &fiber)
{
    return std::memcmp(fiber.stack, &CANARY, sizeof CANARY) != 0;
}
} /* namespace cudasim */
