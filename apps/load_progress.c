/* load_progress.c - drawing it. SPDX-License-Identifier: Apache-2.0 */
#include "load_progress.h"

#include "json_lines.h"
#include "units.h"

#include <string.h>

static const double redraw_seconds = 0.1, line_seconds = 1;

void ie_load_progress_begin(ie_load_progress *p, ie_progress_style style, FILE *stream, double now)
{
    *p = (ie_load_progress){.style = style, .stream = stream, .last_shown = now};
    if (style == IE_PROGRESS_BAR) p->columns = ie_terminal_columns(stream);
}

/* "loading imagen-full: 3.10 GiB of 9.80 GiB" */
static void print_text(const ie_load_progress *p, const ie_loading *at)
{
    char done[IE_UNIT_TEXT], total[IE_UNIT_TEXT], text[256];
    (void)snprintf(text, sizeof text, "%s %s: %s of %s",
                   at->work == IE_LOADING_HASH ? "hashing" : "loading", at->model_name,
                   ie_unit_bytes(done, at->done), ie_unit_bytes(total, at->total));
    if (p->style == IE_PROGRESS_BAR) {
        fprintf(p->stream, "\r%.*s\033[K", p->columns - 1, text);
    } else {
        fprintf(p->stream, "%s\n", text);
    }
}

static void print_json(const ie_load_progress *p, const ie_loading *at)
{
    ie_jsonl j;
    ie_jsonl_begin(&j, p->stream);
    ie_jsonl_text(&j, "event", "loading");
    ie_jsonl_text(&j, "model", at->model_name);
    ie_jsonl_text(&j, "work", at->work == IE_LOADING_HASH ? "hash" : "weights");
    ie_jsonl_uint(&j, "bytes", at->done);
    ie_jsonl_uint(&j, "total", at->total);
    ie_jsonl_end(&j);
}

void ie_load_progress_show(ie_load_progress *p, const ie_loading *at, double now)
{
    if (at->work != p->work) p->tenth = 0;
    p->work = at->work;
    const int tenth = at->total ? (int)((double)at->done / (double)at->total * 10) : 10;
    const bool further = tenth > p->tenth;
    const double waited = now - p->last_shown;
    if (p->style == IE_PROGRESS_JSON && further) {
        print_json(p, at);
    } else if (p->style == IE_PROGRESS_LINES && further && waited >= line_seconds) {
        print_text(p, at);
        p->last_shown = now;
    } else if (p->style == IE_PROGRESS_BAR && waited >= redraw_seconds) {
        print_text(p, at);
        p->last_shown = now;
        p->line_open = true;
    }
    if (further) p->tenth = tenth;
    (void)fflush(p->stream);
}

void ie_load_progress_end(ie_load_progress *p)
{
    if (p->line_open) fputs("\r\033[K", p->stream);
    p->line_open = false;
    (void)fflush(p->stream);
}
