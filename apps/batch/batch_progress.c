/* batch_progress.c - rates, shares and what is left. SPDX-License-Identifier: Apache-2.0 */
#include "batch_progress.h"

#include "console.h"
#include "json_lines.h"
#include "progress.h"
#include "units.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

enum { BAR = 20, NARROWEST = 5, MAX_LINE = 400 };
static const double redraw_seconds = 0.2, json_seconds = 5;

ie_batch_style ie_batch_style_of(const ie_batch_values *v)
{
    if (v->quiet) return IE_BATCH_QUIET;
    return v->json || !isatty(STDERR_FILENO) ? IE_BATCH_JSON : IE_BATCH_BAR;
}

void ie_batch_progress_begin(ie_batch_progress *p, const ie_batch_values *v, const ie_plan *plan,
                             const ie_engine_info *info, double now)
{
    *p = (ie_batch_progress){.total = plan->items,
                             .done = plan->done,
                             .failed = plan->failed + plan->quarantine_count + plan->altered_count,
                             .info = info,
                             .begin = now,
                             .last_shown = now};
    p->style = ie_batch_style_of(v);
    p->stream = p->style == IE_BATCH_JSON ? stdout : stderr;
    p->columns = ie_terminal_columns(stderr);
}

static double rate(const ie_batch_progress *p, double now)
{
    return now > p->begin ? (double)p->made / (now - p->begin) : 0;
}

/* NaN while there is no rate. */
static double seconds_left(const ie_batch_progress *p, double now)
{
    const double r = rate(p, now);
    return r > 0 ? (double)(p->total - p->done - p->failed) / r : NAN;
}

/* ---- shares ---------------------------------------------------------------------------------- */

enum { MAX_SHARES = IE_MAX_STAGES + 2 };

/* How much of the time since the beginning something was under way. Reading and writing are done by
 * several threads: theirs may exceed 1. */
typedef struct share {
    const char *name;
    double share;
} share;

static int shares_of(share out[MAX_SHARES], const ie_batch_progress *p, double now)
{
    const double elapsed = now > p->begin ? now - p->begin : 1;
    int count = 0;
    out[count++] = (share){"read", p->read_seconds / elapsed};
    for (int i = 0; i < p->info->stage_count; i++) {
        out[count++] = (share){p->info->stages[i].name, p->stage_seconds[i] / elapsed};
    }
    out[count++] = (share){"write", p->write_seconds / elapsed};
    return count;
}

/* ---- drawing --------------------------------------------------------------------------------- */

static void end_line(ie_batch_progress *p)
{
    if (p->line_open) fputc('\n', p->stream);
    p->line_open = false;
}

__attribute__((format(printf, 2, 3))) static void add(char line[MAX_LINE], const char *format, ...)
{
    const size_t used = strlen(line);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(line + used, MAX_LINE - used, format, arguments);
    va_end(arguments);
}

/* The text, and a bar in what room it leaves. */
static void draw_bar(ie_batch_progress *p, double now)
{
    char line[MAX_LINE] = "", time[IE_UNIT_TEXT], bar[BAR + 4] = "";
    share shares[MAX_SHARES];
    const size_t ended = p->done + p->failed;
    const double left = seconds_left(p, now);
    add(line, "%zu/%zu  %.3g edits/s", ended, p->total, rate(p, now));
    if (left >= 0 && ended < p->total) add(line, "  %s left", ie_unit_seconds(time, left));
    if (p->failed) add(line, "  %zu failed", p->failed);
    const int count = shares_of(shares, p, now);
    for (int i = 0; p->made && i < count; i++) {
        add(line, "%s%s %.0f%%", i ? " " : "  ", shares[i].name, 100 * shares[i].share);
    }
    const int room = p->columns - 1 - (int)strlen(line) - 3;
    const int width = room < BAR ? room : BAR;
    if (width >= NARROWEST) {
        const int full = p->total ? (int)(ended * (size_t)width / p->total) : width;
        bar[0] = '[';
        for (int i = 0; i < width; i++) bar[1 + i] = i < full ? '#' : '.';
        memcpy(bar + 1 + width, "] ", 3);
    }
    fprintf(p->stream, "\r%s%.*s\033[K", bar, p->columns - 1, line);
    p->line_open = true;
}

static void print_json(ie_batch_progress *p, double now)
{
    ie_jsonl j;
    share shares[MAX_SHARES];
    ie_jsonl_begin(&j, p->stream);
    ie_jsonl_text(&j, "event", "progress");
    ie_jsonl_uint(&j, "total", p->total);
    ie_jsonl_uint(&j, "done", p->done);
    ie_jsonl_uint(&j, "failed", p->failed);
    ie_jsonl_int(&j, "in_flight", p->in_flight);
    ie_jsonl_real(&j, "edits_per_second", rate(p, now));
    ie_jsonl_real(&j, "seconds", now - p->begin);
    ie_jsonl_real(&j, "seconds_left", seconds_left(p, now));
    ie_jsonl_open(&j, "shares", '{');
    const int count = shares_of(shares, p, now);
    for (int i = 0; i < count; i++) ie_jsonl_real(&j, shares[i].name, shares[i].share);
    ie_jsonl_close(&j, '}');
    ie_jsonl_end(&j);
}

void ie_batch_progress_show(ie_batch_progress *p, double now, bool last)
{
    const double every = p->style == IE_BATCH_JSON ? json_seconds : redraw_seconds;
    if (p->style == IE_BATCH_QUIET || (!last && now - p->last_shown < every)) return;
    p->last_shown = now;
    if (p->style == IE_BATCH_JSON) {
        print_json(p, now);
    } else {
        draw_bar(p, now);
        if (last) end_line(p);
    }
    (void)fflush(p->stream);
}

void ie_batch_progress_item(ie_batch_progress *p, const ie_item_run *run, bool done)
{
    p->read_seconds += run->read_seconds;
    p->write_seconds += run->write_seconds;
    if (done) {
        p->done++;
        p->made++;
    } else {
        p->failed++;
    }
}

void ie_batch_progress_note(ie_batch_progress *p, const ie_item *item, const char *event,
                            const char *kind, const char *text)
{
    if (p->style == IE_BATCH_QUIET) return;
    if (p->style == IE_BATCH_JSON) {
        ie_jsonl j;
        ie_jsonl_begin(&j, p->stream);
        ie_jsonl_text(&j, "event", event);
        ie_jsonl_text(&j, "id", item->id);
        ie_jsonl_int(&j, "line", item->line);
        if (kind) ie_jsonl_text(&j, "class", kind);
        ie_jsonl_text(&j, "reason", text);
        ie_jsonl_end(&j);
    } else {
        end_line(p);
        ie_note("line %d, %s: %s", item->line, item->id, text);
    }
}
