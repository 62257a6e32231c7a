/* progress.h - how far an edit is: a bar on a terminal, lines elsewhere, JSON objects, or silence.
 *
 * The clock is the caller's, so that what is shown is a function of what happened.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_PROGRESS_H
#define IE_APPS_PROGRESS_H

#include <stdbool.h>
#include <stdio.h>

typedef enum ie_progress_style {
    IE_PROGRESS_QUIET,
    IE_PROGRESS_BAR,   /* one line per stage, redrawn at most ten times a second */
    IE_PROGRESS_LINES, /* at every 10 % of a stage, a second apart at least; and at its end */
    IE_PROGRESS_JSON,  /* an object for every step */
} ie_progress_style;

typedef struct ie_progress {
    ie_progress_style style;
    FILE *stream;
    int columns; /* of the terminal, for a bar */
    /* Below: kept by ie_progress_step. */
    int stage, tenth;
    double stage_begin, last_shown;
    bool line_open; /* a bar without its newline */
} ie_progress;

/* `stream` is asked whether it is a terminal, and how wide. begin: seconds, as in
 * ie_progress_step. */
void ie_progress_begin(ie_progress *p, ie_progress_style style, FILE *stream, double begin);

/* A bar on a terminal, lines elsewhere. */
ie_progress_style ie_progress_style_for(FILE *stream);

/* After step `step` (from 1) of `steps`. `name` is the stage's. */
void ie_progress_step(ie_progress *p, const char *name, int stage, int step, int steps, double now);

/* End an open bar, so that another line can be printed. */
void ie_progress_end_line(ie_progress *p);

/* Of the terminal that `stream` is, 80 when it is none; at most 120. */
int ie_terminal_columns(FILE *stream);

/* Seconds of a clock that only goes forward. */
double ie_clock_seconds(void);

#endif
