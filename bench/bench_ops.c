/* bench_ops.c - the operations of a backend over the shapes of real models, against this machine's
 * own peak.
 *
 *   bench_ops [--json] [--repeat N] [--only TEXT] [--busy]
 *   bench_ops --serve [--device cpu|cuda]
 *
 * --serve takes rows from the standard input and times each when told to (op_serve.c), so that a
 * driver can take turns between this program and another. Without it, on the CPU:
 *
 * Each row is timed in turns with a large oneDNN matrix product of the same type (the peak), so
 * both see the same clocks and the same neighbours. Printed: median and p10-p90 of the row,
 * GFLOP/s, and that as a share of the peak's median in that row. --busy counts processor time
 * instead of the wall clock; it needs OMP_NUM_THREADS=1. Operands rotate through several copies, as
 * in a network, where nothing is still in L2 when it is needed.
 * SPDX-License-Identifier: Apache-2.0 */
#include "bench_row.h"
#include "timing.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

enum { MAX_REPEAT = 101 };

typedef struct options {
    bool json, busy, serve;
    int repeat;
    const char *only, *device;
} options;

typedef struct outcome {
    double row[MAX_REPEAT], peak[MAX_REPEAT]; /* seconds per run */
    int rows, peaks;
} outcome;

static const char *type_name(ie_dtype type)
{
    return type == IE_F32 ? "f32" : "bf16";
}

static void report(const bench_row *row, const bench_case *c, outcome *o, const options *opt)
{
    const double median = bench_quantile(o->row, o->rows, 0.5),
                 low = bench_quantile(o->row, o->rows, 0.1);
    const double high = bench_quantile(o->row, o->rows, 0.9);
    const double peak = bench_peak_flop() / bench_quantile(o->peak, o->peaks, 0.5);
    const double rate = c->flop / median;
    if (opt->json) {
        printf("{\"bench\": \"ops\", \"row\": \"%s\", \"type\": \"%s\", \"threads\": %d, "
               "\"median_us\": %.2f, "
               "\"p10_us\": %.2f, \"p90_us\": %.2f, \"flop\": %.0f, \"bytes\": %.0f, \"gflops\": "
               "%.2f, "
               "\"peak_gflops\": %.2f, \"percent_of_peak\": %.1f}\n",
               row->name, type_name(c->type), omp_get_max_threads(), median * 1e6, low * 1e6,
               high * 1e6, c->flop, c->bytes, rate * 1e-9, peak * 1e-9, 100 * rate / peak);
    } else {
        printf("%-44s %-4s %10.1f us  %10.1f - %-10.1f %7.1f GFLOP/s %6.1f %% of %.0f\n", row->name,
               type_name(c->type), median * 1e6, low * 1e6, high * 1e6, rate * 1e-9,
               100 * rate / peak, peak * 1e-9);
    }
    fflush(stdout);
}

static int time_row(const bench_row *row, ie_backend *backend, const options *opt)
{
    bench_case c;
    bench_peak peak;
    if (!bench_peak_open(&peak, backend->act)) return 1;
    if (!bench_case_open(&c, row, backend)) {
        bench_peak_close(&peak);
        return 1;
    }
    outcome o = {.rows = 0};
    bool failed = bench_case_run(&c) || bench_peak_run(&peak);
    for (unsigned i = 0; !failed && i < 2u * (unsigned)opt->repeat; i++) {
        const bool second = bench_second_turn(i);
        const double start = bench_seconds(opt->busy);
        failed = second ? bench_peak_run(&peak) : bench_case_run(&c);
        const double seconds = bench_seconds(opt->busy) - start;
        if (second) {
            o.peak[o.peaks++] = seconds;
        } else {
            o.row[o.rows++] = seconds;
        }
    }
    if (!failed) report(row, &c, &o, opt);
    bench_case_close(&c);
    bench_peak_close(&peak);
    return failed;
}

/* On this device, in this precision; how many rows failed. */
static int with_backend(const char *device, ie_precision precision, const options *opt)
{
    ie_backend *backend;
    ie_error err = {0};
    if (ie_backend_open(&backend, device, precision, omp_get_max_threads(), &err)) {
        fprintf(stderr, "bench_ops: %s\n", err.text);
        return 1;
    }
    int failures = 0;
    if (ie_backend_enter(backend, &err)) {
        fprintf(stderr, "bench_ops: %s\n", err.text);
        ie_backend_close(&backend);
        return 1;
    }
    if (opt->serve) failures = bench_serve(backend);
    for (int i = 0; i < bench_row_count && !opt->serve; i++) {
        if (opt->only && !strstr(bench_rows[i].name, opt->only)) continue;
        failures += time_row(&bench_rows[i], backend, opt);
    }
    ie_backend_leave(backend);
    ie_backend_close(&backend);
    return failures;
}

static int usage(void)
{
    fprintf(stderr,
            "bench_ops [--json] [--repeat 1..%d] [--only TEXT] [--busy]; --busy needs "
            "OMP_NUM_THREADS=1\nbench_ops --serve [--device cpu|cuda]\n",
            MAX_REPEAT - 1);
    return 2;
}

int main(int argc, char **argv)
{
    options opt = {.repeat = 15, .device = "cpu"};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            opt.json = true;
        } else if (strcmp(argv[i], "--busy") == 0) {
            opt.busy = true;
        } else if (strcmp(argv[i], "--serve") == 0) {
            opt.serve = true;
        } else if (strcmp(argv[i], "--device") == 0 && i + 1 < argc) {
            opt.device = argv[++i];
        } else if (strcmp(argv[i], "--repeat") == 0 && i + 1 < argc) {
            opt.repeat = (int)strtol(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--only") == 0 && i + 1 < argc) {
            opt.only = argv[++i];
        } else {
            return usage();
        }
    }
    if (opt.busy && omp_get_max_threads() > 1) return usage();
    if (opt.repeat < 1 || opt.repeat >= MAX_REPEAT) return usage();
    int failures = 0;
    if (!opt.serve) failures = with_backend("cpu", IE_PRECISION_F32, &opt);
    failures += with_backend(opt.device, IE_PRECISION_BF16, &opt);
    if (failures) fprintf(stderr, "%d rows failed\n", failures);
    return failures > 0;
}
