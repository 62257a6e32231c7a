/* cpu.c - the fast CPU backend: which of its tables this machine runs.
 *
 * IE_CPU_ISA=base|avx2|avx512|avx512bf16 in the environment lowers the level (never raises it):
 * tests use it. SPDX-License-Identifier: Apache-2.0 */
#include "ops.h"
#include "table.h"

#include <stdlib.h>
#include <string.h>

#ifdef IE_CPU_X86
static bool allowed(const char *level)
{
    static const char *const levels[] = {"base", "avx2", "avx512", "avx512bf16"};
    const char *most = getenv("IE_CPU_ISA");
    if (!most) return true;
    size_t limit = 0, wanted = 0;
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        if (strcmp(most, levels[i]) == 0) limit = i;
        if (strcmp(level, levels[i]) == 0) wanted = i;
    }
    return wanted <= limit;
}

/* What the compiler was told to assume (CMakeLists.txt). Every CPU with the features named has the
 * rest of its level. */
static bool has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
           __builtin_cpu_supports("bmi2");
}
static bool has_avx512(void)
{
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512cd") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512vl");
}
static bool has_avx512bf16(void)
{
    return has_avx512() && __builtin_cpu_supports("avx512bf16");
}
#endif

const ie_ops *ie_cpu_ops(void)
{
#ifdef IE_CPU_X86
    if (has_avx512bf16() && allowed("avx512bf16")) return ie_cpu_table_avx512bf16();
    if (has_avx512() && allowed("avx512")) return ie_cpu_table_avx512();
    if (has_avx2() && allowed("avx2")) return ie_cpu_table_avx2();
#endif
    return ie_cpu_table_base();
}
