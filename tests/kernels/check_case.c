/* check_case.c - one case, run in every way that must not change its result, and the verdict.
 * SPDX-License-Identifier: Apache-2.0 */
#include "check_data.h"

#include <math.h>
#include <omp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_COMPLAINTS = 12 };

void check_label(check *t, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(t->label, sizeof t->label, format, args);
    va_end(args);
}

void check_fail(check *t, const char *reason)
{
    t->failures++;
    if (t->complaints++ < MAX_COMPLAINTS) printf("  FAIL %s: %s\n", t->label, reason);
}

static void complain(check *t, int which, int64_t i, double got, double ratio)
{
    const check_output *out = &t->output[which];
    char at[80] = "";
    int64_t rest = i;
    for (int k = 0; k < out->t.rank; k++) {
        const size_t used = strlen(at);
        (void)snprintf(at + used, sizeof at - used, "%s%lld", k ? ", " : "",
                       (long long)(rest / out->t.stride[k]));
        rest %= out->t.stride[k];
    }
    char reason[240];
    (void)snprintf(reason, sizeof reason,
                   "output %d [%s] is %.9g, not %.9g: %.3g times its bound %.3g", which, at, got,
                   out->want[i], ratio, out->bound[i]);
    check_fail(t, reason);
}

/* Compare with the oracle; of each output only the worst element is reported. */
static void judge(check *t)
{
    for (int k = 0; k < t->outputs; k++) {
        const check_output *out = &t->output[k];
        const int64_t row = out->t.stride[0];
        int64_t worst_at = -1;
        double worst = 0;
        for (int64_t i = 0; i < ie_numel(out->t); i++) {
            if (out->lane && out->lane[i / row] < 0) continue; /* `untouched` looks after these */
            const double off = fabs(check_load(out->t, i) - out->want[i]);
            double ratio = off == 0 ? 0 : off / out->bound[i];
            if (isnan(ratio)) ratio = INFINITY;
            if (ratio > worst || worst_at < 0) worst = ratio, worst_at = i;
        }
        if (worst > 1) complain(t, k, worst_at, check_load(out->t, worst_at), worst);
        if (worst >= t->worst) {
            t->worst = worst;
            memcpy(t->worst_label, t->label, sizeof t->label);
        }
    }
}

/* Rows of lanes in [begin, end) have the bits of `saved`, all others are as before the call. */
static void same_bits(check *t, char *const *saved, int64_t begin, int64_t end, const char *how)
{
    char reason[120];
    for (int k = 0; k < t->outputs; k++) {
        const check_output *out = &t->output[k];
        const size_t row = (size_t)(out->t.stride[0] * ie_dtype_size(out->t.dtype));
        const char *data = out->t.data, *before = check_before(t, data);
        for (int64_t i = 0; i < out->t.dim[0]; i++) {
            const int64_t lane = out->lane ? out->lane[i] : i;
            const bool mine = lane >= begin && lane < end;
            const size_t at = (size_t)i * row;
            if (mine && saved[k] && memcmp(data + at, saved[k] + at, row) != 0) {
                (void)snprintf(reason, sizeof reason, "output %d of lane %lld differs %s", k,
                               (long long)lane, how);
                check_fail(t, reason);
            }
            if (!mine && memcmp(data + at, before + at, row) != 0) {
                (void)snprintf(reason, sizeof reason, "wrote output %d of lane %lld, not its own",
                               k, (long long)lane);
                check_fail(t, reason);
            }
        }
    }
}

static void call(check *t, check_run run, const void *self, int64_t begin, int64_t end)
{
    const int keep = t->buffers; /* what comes after is scratch */
    check_restore(t);
    const int code = run(t, self, begin, end);
    if (code != 0) {
        char reason[60];
        (void)snprintf(reason, sizeof reason, "returned %d", code);
        check_fail(t, reason);
    }
    check_intact(t);
    check_forget(t, keep);
}

void check_case(check *t, check_run run, const void *self, int64_t lanes)
{
    char *saved[CHECK_MAX_OUTPUTS] = {0};
    const int threads = omp_get_max_threads();
    t->cases++;
    omp_set_num_threads(1);
    call(t, run, self, 0, lanes);
    judge(t);
    same_bits(t, saved, 0, lanes, ""); /* rows that belong to no lane */
    for (int k = 0; k < t->outputs; k++) {
        const size_t bytes = (size_t)ie_bytes(t->output[k].t);
        saved[k] = malloc(bytes);
        if (!saved[k]) abort();
        memcpy(saved[k], t->output[k].t.data, bytes);
    }
    for (int n = 2; n <= t->runs; n++) {
        char how[40];
        (void)snprintf(how, sizeof how, "in run %d, with as many threads", n);
        omp_set_num_threads(n);
        call(t, run, self, 0, lanes);
        same_bits(t, saved, 0, lanes, how);
    }
    omp_set_num_threads(threads);
    for (int64_t lane = 0; lane < lanes && lanes > 1; lane++) {
        call(t, run, self, lane, lane + 1);
        same_bits(t, saved, lane, lane + 1, "alone");
    }
    for (int k = 0; k < t->outputs; k++) free(saved[k]);
    check_forget(t, 0);
}
