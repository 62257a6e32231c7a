/* load_progress.h - how far the loading of a model is: a line on a terminal that is gone at the
 * end, lines elsewhere, JSON objects, or silence. The clock is the caller's.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_LOAD_PROGRESS_H
#define IE_APPS_LOAD_PROGRESS_H

#include "progress.h"

#include <imagen_editor.h>

typedef struct ie_load_progress {
    ie_progress_style style; /* lines and JSON: at every 10 % of either work; lines, but not the
                                ones of the first second, a second apart at least */
    FILE *stream;
    int columns; /* of the terminal */
    /* Below: kept by ie_load_progress_show. */
    ie_loading_work work;
    int tenth;
    double last_shown;
    bool line_open;
} ie_load_progress;

/* As ie_progress_begin. */
void ie_load_progress_begin(ie_load_progress *p, ie_progress_style style, FILE *stream, double now);

/* What ie_options.loading was told. */
void ie_load_progress_show(ie_load_progress *p, const ie_loading *at, double now);

/* Loading has ended, in whatever way. */
void ie_load_progress_end(ie_load_progress *p);

#endif
