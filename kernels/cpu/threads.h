/* threads.h - how many threads work, and their shares of scratch. Results never depend on either.
 *
 * The limit is a constant of the machine, so scratch planned under one OpenMP setting is enough
 * under any other. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CPU_THREADS_H
#define IE_CPU_THREADS_H

#include <omp.h>
#include <stdint.h>

enum { IE_CPU_MAX_THREADS = 64, IE_CPU_ALIGN = 64 };

/* At least four, so that tests of thread counts mean something on any machine. */
static inline int ie_cpu_thread_limit(void)
{
    const int cores = omp_get_num_procs();
    return cores < 4 ? 4 : cores < IE_CPU_MAX_THREADS ? cores : IE_CPU_MAX_THREADS;
}
static inline int ie_cpu_thread_count(void)
{
    const int wanted = omp_get_max_threads(), limit = ie_cpu_thread_limit();
    return wanted < limit ? wanted : limit;
}
static inline uint64_t ie_cpu_aligned(uint64_t bytes)
{
    return (bytes + IE_CPU_ALIGN - 1) / IE_CPU_ALIGN * IE_CPU_ALIGN;
}

#endif
