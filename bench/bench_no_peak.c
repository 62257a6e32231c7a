/* bench_no_peak.c - for builds without oneDNN: no peak to take turns with, so that benches can only
 * serve a driver. SPDX-License-Identifier: Apache-2.0 */
#include "bench_row.h"

#include <stdio.h>

double bench_peak_flop(void)
{
    return 0;
}

bool bench_peak_open(bench_peak *p, ie_dtype type)
{
    (void)type;
    *p = (bench_peak){0};
    fprintf(stderr, "this build has no oneDNN to be compared with: --serve is what it can do\n");
    return false;
}

int bench_peak_run(const bench_peak *p)
{
    (void)p;
    return 1;
}

void bench_peak_close(bench_peak *p)
{
    (void)p;
}
