/* op_serve.c - a driver's rows, timed when it says so.
 *
 *   row KIND key=value ...   answers "ready FLOP BYTES PREDICTED NAME", or "failed"
 *   run N                    answers with the seconds of one run, of N at once
 *
 * PREDICTED are the seconds of one run on an H200 (device_model.h), NAME is what `imagen-editor
 * inspect --operations` calls it.
 *
 * KIND is conv, linear, attention, sample, moments, layer_norm or rms_norm; keys are the fields of
 * bench_row: size inputs inputs2 outputs kernel stride norm residual moments gated resample (1: up,
 * 2: down) heads width text image lanes. The N runs are one piece of work (backend.h): on a device
 * that records such they are replayed without the host. SPDX-License-Identifier: Apache-2.0 */
#include "bench_row.h"
#include "timing.h"

#include <stdio.h>
#include <string.h>

static const char *const kinds[] = {
    [BENCH_CONV] = "conv",         [BENCH_LINEAR] = "linear",   [BENCH_ATTENTION] = "attention",
    [BENCH_SAMPLE] = "sample",     [BENCH_MOMENTS] = "moments", [BENCH_LAYER_NORM] = "layer_norm",
    [BENCH_RMS_NORM] = "rms_norm",
};

static bool set(bench_row *row, const char *key, int64_t value)
{
    const struct {
        const char *name;
        int64_t *field;
    } sizes[] = {
        {"size", &row->size},   {"inputs", &row->inputs}, {"inputs2", &row->inputs2},
        {"heads", &row->heads}, {"width", &row->width},   {"outputs", &row->outputs},
        {"text", &row->text},   {"image", &row->image},   {"lanes", &row->lanes},
    };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (strcmp(key, sizes[i].name) == 0) {
            *sizes[i].field = value;
            return true;
        }
    }
    if (strcmp(key, "kernel") == 0) {
        row->kernel = (int)value;
    } else if (strcmp(key, "stride") == 0) {
        row->stride = (int)value;
    } else if (strcmp(key, "norm") == 0) {
        row->norm = value;
    } else if (strcmp(key, "residual") == 0) {
        row->residual = value;
    } else if (strcmp(key, "moments") == 0) {
        row->moments = value;
    } else if (strcmp(key, "gated") == 0) {
        row->gated = value;
    } else if (strcmp(key, "resample") == 0) {
        row->resample = value == 1 ? IE_UP2 : value == 2 ? IE_DOWN2 : IE_SAME;
    } else {
        return false;
    }
    return true;
}

/* The words of a line "row ...". */
static bool parse(bench_row *row, char *words)
{
    *row = (bench_row){.kernel = 1, .stride = 1};
    const char *kind = strtok(words, " \n");
    size_t k = 0;
    while (kind && k < sizeof kinds / sizeof *kinds && strcmp(kind, kinds[k]) != 0) k++;
    if (!kind || k == sizeof kinds / sizeof *kinds) return false;
    row->kind = (bench_kind)k;
    for (char *word; (word = strtok(NULL, " \n"));) {
        char *equals = strchr(word, '=');
        if (!equals) return false;
        *equals = 0;
        if (!set(row, word, strtoll(equals + 1, NULL, 10))) return false;
    }
    return true;
}

/* N runs as one piece of work. */
static int pass(bench_case *c, uint64_t key, int count)
{
    ie_error err = {0};
    bool done;
    int code = 0;
    if (ie_work_begin(c->backend, key, &done, &err)) return -1;
    if (done) return 0;
    for (int i = 0; i < count && !code; i++) code = bench_case_run(c);
    return ie_work_end(c->backend, key, code ? IE_DEVICE : IE_OK, &err) ? -1 : 0;
}

/* Once as it comes, once recorded, then timed. */
static int time_runs(bench_case *c, uint64_t key, int count, double *seconds)
{
    int code = pass(c, key, count);
    if (!code) code = pass(c, key, count);
    if (!code) code = bench_case_wait(c);
    const double start = bench_seconds(false);
    if (!code) code = pass(c, key, count);
    if (!code) code = bench_case_wait(c);
    *seconds = (bench_seconds(false) - start) / count;
    return code;
}

int bench_serve(ie_backend *backend)
{
    char line[256];
    bench_row row;
    bench_case c;
    bool open = false;
    int failures = 0;
    uint64_t rows = 0;
    while (fgets(line, sizeof line, stdin)) {
        double seconds = 0;
        int count = 0;
        bool good = true;
        if (strncmp(line, "row ", 4) == 0) {
            if (open) bench_case_close(&c);
            open = good = parse(&row, line + 4) && bench_case_open(&c, &row, backend);
            rows++;
            if (open) printf("ready %.0f %.0f %.9f %s\n", c.flop, c.bytes, c.predicted, c.name);
        } else if (sscanf(line, "run %d", &count) == 1 && open && count > 0 && count < 65536) {
            good = !time_runs(&c, rows << 16 | (uint64_t)count, count, &seconds);
            if (good) printf("%.9f\n", seconds);
        } else {
            good = false;
        }
        if (!good) printf("failed\n");
        failures += !good;
        fflush(stdout);
    }
    if (open) bench_case_close(&c);
    return failures;
}
