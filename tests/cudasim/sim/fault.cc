/* fault.cc - a load or store that hits a guard page, said with its line. AddressSanitizer has its
 * own, better report.
 * SPDX-License-Identifier: Apache-2.0 */
#include "memory.h"
#include "report.h"
#include "state.h"

#include <csignal>
#include <cstdio>
#include <ucontext.h>

namespace cudasim
{
#if !defined(__SANITIZE_ADDRESS__)
static const void *program_counter([[maybe_unused]] const void *context)
{
#if defined(__x86_64__)
    const auto *registers = static_cast<const ucontext_t *>(context);
    /* One past it, as a return address is past its call. */
    return reinterpret_cast<const char *>(registers->uc_mcontext.gregs[REG_RIP]) + 1;
#else
    return nullptr;
#endif
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
    const void *address = info->si_addr;
    std::signal(signal, SIG_DFL); /* a second fault ends the process */
    if (!machine.self || (!is_global(address) && shared_slot(address) < 0)) return;
    const char *memory = is_global(address) ? "global" : "shared";
    const std::string line = line_of(program_counter(context));
    fail("a load or store at %p, outside what is allocated of %s memory%s%s", address, memory,
         line.empty() ? "" : ", at ", line.c_str());
}

static struct sigaction before[2]; /* whoever handled faults: a test framework does */

/* On a stack of its own: a thread's may be what ran over. */
void watch_faults()
{
    static char stack[64 << 10];
    stack_t alternative = {};
    alternative.ss_sp = stack;
    alternative.ss_size = sizeof stack;
    sigaltstack(&alternative, nullptr);
    struct sigaction action = {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &action, &before[0]);
    sigaction(SIGBUS, &action, &before[1]);
}

void unwatch_faults()
{
    sigaction(SIGSEGV, &before[0], nullptr);
    sigaction(SIGBUS, &before[1], nullptr);
}
#else
void watch_faults()
{
}
void unwatch_faults()
{
}
#endif
} /* namespace cudasim */
