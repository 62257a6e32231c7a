/* check_ops.c - every operation of a table, in its activation types, one line of verdict each.
 *
 * check_ref                 all operations            check_cpu conv linear     some of them
 * IE_TEST_SEED=7 check_cpu  another draw of the data (the seed in use is printed)
 * IE_TEST_RUNS=1 check_cuda all lanes once, not with 1, 2 and 3 threads: for the simulator, which
 *                           has none, in an order that is always the same
 *
 * A verdict names the worst error as a multiple of its bound, and the case it belongs to: above 1
 * is a failure. Bounds come from bounds.h; one that has to be loosened is a finding to explain.
 * SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct entry {
    const char *name;
    void (*run)(check *t);
    bool typed; /* has an activation type */
} entries[] = {
    {"conv", check_conv, true},
    {"linear", check_linear, true},
    {"attention", check_attention, true},
    {"moments", check_moments, true},
    {"add", check_add, true},
    {"layer_norm", check_layer_norm, true},
    {"rms_norm", check_rms_norm, true},
    {"gather", check_gather, true},
    {"add_rows", check_add_rows, false},
    {"sinusoid", check_sinusoid, false},
    {"embed", check_embed, true},
    {"mask_image", check_mask_image, true},
    {"noise", check_noise, false},
    {"augment", check_augment, false},
    {"sample", check_sample, true},
};

static bool wanted(const char *name, int count, char **names)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(name, names[i]) == 0) return true;
    }
    return count == 0;
}

static double seconds(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int runs_wanted(void)
{
    const char *text = getenv("IE_TEST_RUNS");
    return text ? (int)strtol(text, NULL, 10) : 3;
}

static bool run_entry(const struct entry *entry, const ie_ops *table, ie_dtype act, uint64_t seed)
{
    check *t = calloc(1, sizeof *t);
    if (!t) abort();
    const double start = seconds();
    t->ops = table;
    t->random = seed;
    t->act = act;
    t->runs = runs_wanted();
    entry->run(t);
    const bool good = t->failures == 0 && t->cases > 0;
    printf("%-4s %-11s %-4s %4d cases %6.2f s  worst %.3g of the bound (%s)\n",
           good ? "ok" : "FAIL", entry->name,
           !entry->typed   ? ""
           : act == IE_F32 ? "f32"
                           : "bf16",
           t->cases, seconds() - start, t->worst, t->worst_label);
    if (t->failures > 0) printf("  %d failures\n", t->failures);
    (void)fflush(stdout);
    free(t);
    return good;
}

int check_ops(const ie_ops *table, unsigned types, int count, char **names)
{
    const char *text = getenv("IE_TEST_SEED");
    const uint64_t seed = text ? strtoull(text, NULL, 0) : 1;
    int failed = 0, found = 0;
    printf("%s, IE_TEST_SEED=%llu\n", table->name, (unsigned long long)seed);
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        if (!wanted(entries[i].name, count, names)) continue;
        found++;
        if (!entries[i].typed || types & CHECK_IN_F32)
            failed += !run_entry(&entries[i], table, IE_F32, seed);
        if (entries[i].typed && types & CHECK_IN_BF16)
            failed += !run_entry(&entries[i], table, IE_BF16, seed);
    }
    if (found < count) {
        printf("FAIL: no such operation; they are those of check_ops.c\n");
        failed++;
    }
    return failed;
}
