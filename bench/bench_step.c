/* bench_step.c - one U-Net forward pass of a model, against this machine's own peak.
 *
 *   bench_step --stage DIR [--device cpu|ref|cuda] [--precision f32|bf16] [--threads N] [--lanes N]
 *              [--tokens T] [--repeat N] [--inputs FILE] [--output FILE] [--json] [--profile]
 *              [--serve] [--busy]
 *
 * Timed in turns with a large oneDNN matrix product of the same type (the peak), in Thue-Morse
 * order. Printed: median and p10-p90, GFLOP/s, share of the peak, FLOP and bytes as the engine
 * counts them; with --profile the time by operation and shape. --inputs takes tensors that another
 * program runs too, --output writes the prediction (raw f32). --busy counts processor time instead
 * of the wall clock, for a machine that others use too; it needs --threads 1. --serve times
 * nothing by itself: for every line "run" on the standard input it makes one pass and answers with
 * its wall and processor seconds, so that a driver can take turns between this program and another
 * (scripts/bench). "run N" is a pass of the first N lanes; "predict N" answers with the seconds
 * that one is predicted to take on an H200. A pass that was made twice is replayed on a device that
 * records passes. SPDX-License-Identifier: Apache-2.0 */
#include "bench_row.h"
#include "step_case.h"
#include "step_profile.h"
#include "timing.h"

#include <stdio.h>
#include <string.h>

enum { MAX_REPEAT = 1001 };

typedef struct options {
    bench_step_options step;
    const char *output;
    int repeat;
    bool json, profile, serve, busy;
} options;

typedef struct outcome {
    double step[MAX_REPEAT], peak[MAX_REPEAT]; /* seconds */
    int steps, peaks;
} outcome;

/* ---- measuring ------------------------------------------------------------------------------- */

static ie_status time_turns(bench_step_case *c, const options *o, outcome *out, ie_error *err)
{
    bench_peak peak;
    if (!bench_peak_open(&peak, c->backend->act))
        return ie_fail(err, IE_DEVICE, "oneDNN has no matrix product of this type here");
    ie_status status = bench_step_run(c, c->count, err);
    int code = bench_peak_run(&peak);
    for (unsigned i = 0; !status && !code && i < 2u * (unsigned)o->repeat; i++) {
        const bool second = bench_second_turn(i);
        const double start = bench_seconds(o->busy);
        if (second) {
            code = bench_peak_run(&peak);
            out->peak[out->peaks++] = bench_seconds(o->busy) - start;
        } else {
            status = bench_step_run(c, c->count, err);
            if (!status) status = bench_step_wait(c, err);
            out->step[out->steps++] = bench_seconds(o->busy) - start;
        }
    }
    bench_peak_close(&peak);
    if (!status && code)
        status = ie_fail(err, IE_DEVICE, "the matrix product failed with code %d", code);
    return status;
}

static void report(const bench_step_case *c, const options *o, outcome *out)
{
    const double median = bench_quantile(out->step, out->steps, 0.5);
    const double low = bench_quantile(out->step, out->steps, 0.1);
    const double high = bench_quantile(out->step, out->steps, 0.9);
    const double rate = c->cost.flop / median;
    const double peak = bench_peak_flop() / bench_quantile(out->peak, out->peaks, 0.5);
    const char *type = c->backend->act == IE_BF16 ? "bf16" : "f32";
    if (o->json) {
        printf("{\"bench\": \"step\", \"stage\": \"%s\", \"device\": \"%s\", \"type\": \"%s\", "
               "\"threads\": %d, \"clock\": \"%s\", \"lanes\": %d, \"n\": %d, \"median_ms\": %.3f, "
               "\"p10_ms\": %.3f, "
               "\"p90_ms\": %.3f, \"flop\": %.0f, \"bytes\": %.0f, \"gflops\": %.2f, "
               "\"peak_gflops\": %.2f, \"percent_of_peak\": %.1f}\n",
               o->step.directory, o->step.device, type, c->backend->threads,
               o->busy ? "processor" : "wall", c->count, out->steps, median * 1e3, low * 1e3,
               high * 1e3, c->cost.flop, c->cost.bytes, rate * 1e-9, peak * 1e-9,
               100 * rate / peak);
        return;
    }
    printf("%s, %s, %d lane%s: %.2f ms (p10 %.2f, p90 %.2f, n %d), %.2f GFLOP, %.1f MB, "
           "%.1f GFLOP/s = %.1f %% of %.0f\n",
           o->step.directory, c->backend->text, c->count, c->count > 1 ? "s" : "", median * 1e3,
           low * 1e3, high * 1e3, out->steps, c->cost.flop * 1e-9, c->cost.bytes * 1e-6,
           rate * 1e-9, 100 * rate / peak, peak * 1e-9);
}

static ie_status profile(bench_step_case *c, const options *o, ie_error *err)
{
    bench_profile *p = ie_alloc(1, sizeof *p);
    if (!p) return ie_fail(err, IE_NO_MEMORY, "no memory for a profile");
    ie_status status = IE_OK;
    bench_profile_begin(p, c->backend, c->unet, o->busy);
    const double start = bench_seconds(o->busy);
    for (int i = 0; i < o->repeat && !status; i++) status = bench_step_run(c, c->count, err);
    const double whole = bench_seconds(o->busy) - start;
    bench_profile_end(p, c->backend);
    for (int i = 0; i < p->count && !status; i++) {
        const bench_profile_row *r = &p->rows[i];
        const double each = r->seconds / o->repeat;
        const char *form = o->json ? "{\"bench\": \"profile\", \"op\": \"%s\", \"calls\": %d, "
                                     "\"ms\": %.4f, \"percent\": %.2f, \"gflops\": %.2f}\n"
                                   : "%-78s %3d calls %9.3f ms %6.2f %% %8.1f GFLOP/s\n";
        printf(form, r->what, r->calls / o->repeat, each * 1e3, 100 * r->seconds / whole,
               r->flop / r->seconds * 1e-9);
    }
    ie_free(p);
    return status;
}

/* ---- serving --------------------------------------------------------------------------------- */

static ie_status pass(bench_step_case *c, int lanes, ie_error *err)
{
    bool done;
    IE_TRY(ie_work_begin(c->backend, (uint64_t)lanes, &done, err));
    if (!done) {
        const ie_status status = bench_step_run(c, lanes, err);
        IE_TRY(ie_work_end(c->backend, (uint64_t)lanes, status, err));
    }
    return bench_step_wait(c, err);
}

/* A line of the driver's, answered; *end: it is none. */
static ie_status answer(bench_step_case *c, const char *line, bool *end, ie_error *err)
{
    char word[8] = "";
    int asked = 0;
    (void)sscanf(line, "%7s %d", word, &asked);
    const int lanes = asked >= 1 && asked <= c->count ? asked : c->count;
    if (!strcmp(word, "run")) {
        const double busy = bench_seconds(true), start = bench_seconds(false);
        IE_TRY(pass(c, lanes, err));
        printf("%.9f %.9f\n", bench_seconds(false) - start, bench_seconds(true) - busy);
    } else if (!strcmp(word, "predict")) {
        double seconds;
        IE_TRY(bench_step_predict(c, lanes, &seconds, err));
        printf("%.9f\n", seconds);
    } else {
        *end = true;
    }
    return IE_OK;
}

static ie_status serve(bench_step_case *c, ie_error *err)
{
    char line[16];
    bool end = false;
    printf("ready %.0f %.0f\n", c->cost.flop, c->cost.bytes);
    fflush(stdout);
    while (!end && fgets(line, sizeof line, stdin)) {
        IE_TRY(answer(c, line, &end, err));
        fflush(stdout);
    }
    return IE_OK;
}

static ie_status write_prediction(bench_step_case *c, const char *path, ie_error *err)
{
    const size_t bytes = (size_t)ie_bytes(c->pred);
    void *host = ie_alloc(1, bytes);
    if (!host) return ie_fail(err, IE_NO_MEMORY, "no memory for the prediction");
    ie_status status = ie_download(c->backend, host, c->pred, err);
    FILE *f = status ? NULL : fopen(path, "wb");
    const bool whole = f && fwrite(host, 1, bytes, f) == bytes;
    ie_free(host);
    if (!status && (!f || fclose(f) || !whole))
        status = ie_fail(err, IE_IO, "cannot write %s", path);
    return status;
}

/* ---- the command line ------------------------------------------------------------------------ */

static int usage(void)
{
    fprintf(
        stderr,
        "bench_step --stage DIR [--device cpu|ref|cuda] [--precision f32|bf16] [--threads N]\n"
        "           [--threads N] [--lanes 1..256] [--tokens 1..1024] [--repeat 1..%d] [--inputs "
        "FILE]\n"
        "           [--output FILE] [--json] [--profile] [--serve] [--busy (with --threads 1)]\n",
        MAX_REPEAT - 1);
    return 2;
}

/* An option with a value; false: there is none of this name. */
static bool valued(options *o, const char *name, const char *value)
{
    const int number = (int)strtol(value, NULL, 10);
    if (!strcmp(name, "--stage"))
        o->step.directory = value;
    else if (!strcmp(name, "--device"))
        o->step.device = value;
    else if (!strcmp(name, "--inputs"))
        o->step.inputs = value;
    else if (!strcmp(name, "--output"))
        o->output = value;
    else if (!strcmp(name, "--threads"))
        o->step.threads = number;
    else if (!strcmp(name, "--lanes"))
        o->step.lanes = number;
    else if (!strcmp(name, "--tokens"))
        o->step.tokens = number;
    else if (!strcmp(name, "--repeat"))
        o->repeat = number;
    else if (!strcmp(name, "--precision") && !strcmp(value, "f32"))
        o->step.precision = IE_PRECISION_F32;
    else if (!strcmp(name, "--precision") && !strcmp(value, "bf16"))
        o->step.precision = IE_PRECISION_BF16;
    else
        return false;
    return true;
}

static bool parse(options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--json")) {
            o->json = true;
        } else if (!strcmp(argv[i], "--profile")) {
            o->profile = true;
        } else if (!strcmp(argv[i], "--serve")) {
            o->serve = true;
        } else if (!strcmp(argv[i], "--busy")) {
            o->busy = true;
        } else if (i + 1 == argc || !valued(o, argv[i], argv[i + 1])) {
            return false;
        } else {
            i++;
        }
    }
    const bench_step_options *s = &o->step;
    return s->directory && s->threads >= 0 && s->lanes >= 1 && s->lanes <= 256 && s->tokens >= 1 &&
           s->tokens <= 1024 && o->repeat >= 1 && o->repeat < MAX_REPEAT &&
           (!o->busy || s->threads == 1);
}

int main(int argc, char **argv)
{
    options o = {.repeat = 15, .step = {.device = "cpu", .lanes = 1, .tokens = 64}};
    if (!parse(&o, argc, argv)) return usage();
    bench_step_case c;
    ie_error err = {0};
    outcome *out = ie_alloc(1, sizeof *out);
    ie_status status = out ? bench_step_open(&c, &o.step, &err) : IE_NO_MEMORY;
    if (!status && o.output) status = write_prediction(&c, o.output, &err);
    if (!status && o.serve) status = serve(&c, &err);
    if (!status && !o.serve) status = time_turns(&c, &o, out, &err);
    if (!status && !o.serve) report(&c, &o, out);
    if (!status && o.profile) status = profile(&c, &o, &err);
    if (status) fprintf(stderr, "bench_step: %s\n", err.text);
    if (out) bench_step_close(&c);
    ie_free(out);
    return status;
}
