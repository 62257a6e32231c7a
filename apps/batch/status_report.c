/* status_report.c - counting and printing. SPDX-License-Identifier: Apache-2.0 */
#include "status_report.h"

#include "json_lines.h"
#include "units.h"

#include <string.h>

typedef struct tally {
    int64_t items, done, failed, open;
    double per_second; /* of the shard's last attempt */
} tally;

/* Items belong to the shard that had their last event. */
static void count_item(tally *t, const ie_item_state *item)
{
    t->done += item->done;
    t->failed += !item->done && item->failed;
    t->open += !item->done && !item->failed && item->open_in;
}

static tally tally_of(const ie_ledger_state *s, const ie_shard_state *shard)
{
    tally t = {.items = shard->items};
    for (size_t i = 0; i < s->count; i++) {
        const ie_shard *of = &s->items[i].shard;
        if (of->index == shard->shard.index && of->count == shard->shard.count) {
            count_item(&t, &s->items[i]);
        }
    }
    const double seconds = 1e-3 * (double)(shard->last_ms - shard->begin_ms);
    t.per_second = seconds > 0 ? (double)shard->made / seconds : 0;
    return t;
}

/* All items, each once: shards of an earlier division count too. The manifest's length is what the
 * last attempt saw. */
static tally tally_all(const ie_ledger_state *s)
{
    tally t = {.items = -1};
    int64_t last = -1;
    for (size_t i = 0; i < s->count; i++) count_item(&t, &s->items[i]);
    for (int i = 0; i < s->shard_count; i++) {
        if (s->shards[i].last_ms <= last) continue;
        last = s->shards[i].last_ms;
        t.items = s->shards[i].lines;
    }
    return t;
}

static void print_json(FILE *f, const char *event, const ie_shard_state *shard, const tally *t)
{
    ie_jsonl j;
    ie_jsonl_begin(&j, f);
    ie_jsonl_text(&j, "event", event);
    if (shard) {
        ie_jsonl_int(&j, "shard", shard->shard.index);
        ie_jsonl_int(&j, "shards", shard->shard.count);
    }
    ie_jsonl_int(&j, "items", t->items);
    ie_jsonl_int(&j, "done", t->done);
    ie_jsonl_int(&j, "failed", t->failed);
    ie_jsonl_int(&j, "begun", t->open);
    if (shard) {
        ie_jsonl_int(&j, "attempts", shard->attempts);
        ie_jsonl_bool(&j, "ended", shard->ended);
        ie_jsonl_int(&j, "last_event_ms", shard->last_ms);
        ie_jsonl_real(&j, "edits_per_second", t->per_second);
    }
    ie_jsonl_end(&j);
}

static void print_row(FILE *f, const char *name, const tally *t)
{
    fprintf(f, "%-14s %8lld %8lld %8lld %8lld %9lld", name, (long long)t->items, (long long)t->done,
            (long long)t->failed, (long long)t->open,
            (long long)(t->items < 0 ? 0 : t->items - t->done - t->failed));
}

static void print_failures(const ie_ledger_state *s, bool json, FILE *f)
{
    for (size_t i = 0; i < s->count; i++) {
        const ie_item_state *item = &s->items[i];
        if (item->done || !item->failed) continue;
        if (json) {
            ie_jsonl j;
            ie_jsonl_begin(&j, f);
            ie_jsonl_text(&j, "event", "failed");
            ie_jsonl_text(&j, "id", item->id);
            ie_jsonl_int(&j, "line", item->line);
            ie_jsonl_text(&j, "class", item->kind);
            ie_jsonl_text(&j, "reason", item->reason);
            ie_jsonl_end(&j);
        } else {
            fprintf(f, "line %d, %s: %s (%s)\n", item->line, item->id, item->reason, item->kind);
        }
    }
}

void ie_status_report(const ie_ledger_state *s, bool json, bool failures, FILE *f)
{
    const tally all = tally_all(s);
    if (!json) {
        fprintf(f, "%-14s %8s %8s %8s %8s %9s %9s %9s\n", "shard", "items", "done", "failed",
                "begun", "left", "attempts", "edits/s");
    }
    for (int i = 0; i < s->shard_count; i++) {
        const ie_shard_state *shard = &s->shards[i];
        const tally t = tally_of(s, shard);
        char name[32];
        if (json) {
            print_json(f, "shard", shard, &t);
            continue;
        }
        (void)snprintf(name, sizeof name, "%d/%d", shard->shard.index, shard->shard.count);
        print_row(f, name, &t);
        fprintf(f, " %9d %9.3g\n", shard->attempts, t.per_second);
    }
    if (json) {
        print_json(f, "job", NULL, &all);
    } else {
        print_row(f, "job", &all);
        fputc('\n', f);
        if (s->damaged) fprintf(f, "%zu damaged lines in the ledgers, ignored\n", s->damaged);
    }
    if (failures) print_failures(s, json, f);
}
