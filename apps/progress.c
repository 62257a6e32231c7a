/* progress.c - drawing progress. SPDX-License-Identifier: Apache-2.0 */
#include "progress.h"

#include "json_lines.h"
#include "units.h"

#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum { NARROW = 20, DEFAULT_COLUMNS = 80, MAX_COLUMNS = 120, MAX_BAR = 60 };
static const double redraw_seconds = 0.1, line_seconds = 1;

double ie_clock_seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

ie_progress_style ie_progress_style_for(FILE *stream)
{
    return isatty(fileno(stream)) ? IE_PROGRESS_BAR : IE_PROGRESS_LINES;
}

int ie_terminal_columns(FILE *stream)
{
    struct winsize size = {0};
    const int descriptor = fileno(stream);
    if (descriptor < 0 || ioctl(descriptor, TIOCGWINSZ, &size) || size.ws_col == 0) {
        return DEFAULT_COLUMNS;
    }
    return size.ws_col < MAX_COLUMNS ? size.ws_col : MAX_COLUMNS;
}

void ie_progress_begin(ie_progress *p, ie_progress_style style, FILE *stream, double begin)
{
    *p = (ie_progress){.style = style, .stream = stream, .stage = -1, .stage_begin = begin};
    if (style == IE_PROGRESS_BAR) p->columns = ie_terminal_columns(stream);
}

/* "name [#####.....] 12/64 0:40 left", no wider than the terminal; the bar itself goes first when
 * there is no room. */
static void draw_bar(ie_progress *p, const char *name, int step, int steps, double elapsed)
{
    char time[IE_UNIT_TEXT], tail[96], bar[MAX_BAR + 1];
    const double left = elapsed / step * (steps - step);
    (void)snprintf(tail, sizeof tail, " %*d/%d %s%s", steps > 999 ? 4 : 3, step, steps,
                   ie_unit_seconds(time, step < steps ? left : elapsed),
                   step < steps ? " left" : "");
    const int room = p->columns - 1 - 12 - 3 - (int)strlen(tail);
    const int width = room > MAX_BAR ? MAX_BAR : room;
    if (p->columns < NARROW || width < 4) {
        fprintf(p->stream, "\r%.*s\033[K", p->columns - 1, tail + 1);
    } else {
        const int full = (int)((double)step / steps * width);
        for (int i = 0; i < width; i++) bar[i] = i < full ? '#' : '.';
        bar[width] = '\0';
        fprintf(p->stream, "\r%-12.12s [%s]%s\033[K", name, bar, tail);
    }
    p->line_open = true;
}

static void print_line(ie_progress *p, const char *name, int step, int steps, double elapsed)
{
    char time[IE_UNIT_TEXT];
    fprintf(p->stream, "%s: step %d of %d, %s\n", name, step, steps,
            ie_unit_seconds(time, elapsed));
}

static void print_json(ie_progress *p, const char *name, int step, int steps, double elapsed)
{
    ie_jsonl j;
    ie_jsonl_begin(&j, p->stream);
    ie_jsonl_text(&j, "event", "progress");
    ie_jsonl_text(&j, "stage", name);
    ie_jsonl_int(&j, "step", step);
    ie_jsonl_int(&j, "steps", steps);
    ie_jsonl_real(&j, "seconds", elapsed);
    ie_jsonl_end(&j);
}

void ie_progress_step(ie_progress *p, const char *name, int stage, int step, int steps, double now)
{
    if (p->style == IE_PROGRESS_QUIET) return;
    if (stage != p->stage) {
        /* Its first step has just ended: the stage began when the one before ended, which is when
         * we last looked. */
        ie_progress_end_line(p);
        p->stage = stage;
        p->tenth = 0;
        p->last_shown = now - line_seconds;
    }
    const double elapsed = now - p->stage_begin;
    const bool last = step >= steps;
    const int tenth = (int)((long long)step * 10 / steps);
    if (p->style == IE_PROGRESS_JSON) {
        print_json(p, name, step, steps, elapsed);
    } else if (p->style == IE_PROGRESS_BAR && (last || now - p->last_shown >= redraw_seconds)) {
        draw_bar(p, name, step, steps, elapsed);
        p->last_shown = now;
    } else if (p->style == IE_PROGRESS_LINES &&
               (last || (tenth > p->tenth && now - p->last_shown >= line_seconds))) {
        print_line(p, name, step, steps, elapsed);
        p->tenth = tenth;
        p->last_shown = now;
    }
    if (last) {
        ie_progress_end_line(p);
        p->stage = -1;
        p->stage_begin = now;
    }
    (void)fflush(p->stream);
}

void ie_progress_end_line(ie_progress *p)
{
    if (p->line_open) fputc('\n', p->stream);
    p->line_open = false;
}
