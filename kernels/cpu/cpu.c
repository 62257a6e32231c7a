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
#endif

const ie_ops *ie_cpu_ops(void)
{
#ifdef IE_CPU_X86
    const bool v4 = __builtin_cpu_supports("x86-64-v4");
    if (v4 && __builtin_cpu_supports("avx512bf16") && allowed("avx512bf16")) {
        return ie_cpu_table_avx512bf16();
    }
    if (v4 && allowed("avx512")) return ie_cpu_table_avx512();
    if (__builtin_cpu_supports("x86-64-v3") && allowed("avx2")) return ie_cpu_table_avx2();
#endif
    return ie_cpu_table_base();
}
