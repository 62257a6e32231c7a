/* batch_progress.h - how far a batch job is: a bar on a terminal, JSON lines elsewhere.
 *
 * The clock is the caller's. One thread at a time. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_BATCH_PROGRESS_H
#define IE_APPS_BATCH_PROGRESS_H

#include "batch_job.h"

#include <stdio.h>

typedef enum ie_batch_style { IE_BATCH_QUIET, IE_BATCH_BAR, IE_BATCH_JSON } ie_batch_style;

typedef struct ie_batch_progress {
    ie_batch_style style;
    FILE *stream;
    int columns;
    size_t total, done, failed; /* of the shard, what was so before included */
    size_t made;                /* done by this process: the rate is of these */
    int in_flight;
    double read_seconds, write_seconds, stage_seconds[IE_MAX_STAGES]; /* so far, of all items */
    const ie_engine_info *info;                                       /* names of stages */
    double begin, last_shown;
    bool line_open;
} ie_batch_progress;

/* Quiet and JSON as asked, else a bar when stderr is a terminal, else JSON. */
ie_batch_style ie_batch_style_of(const ie_batch_values *values);

void ie_batch_progress_begin(ie_batch_progress *p, const ie_batch_values *values,
                             const ie_plan *plan, const ie_engine_info *info, double now);

/* Something may have changed: redraw, if it is time. `last`: whatever the time. */
void ie_batch_progress_show(ie_batch_progress *p, double now, bool last);

/* An item has ended. */
void ie_batch_progress_item(ie_batch_progress *p, const ie_item_run *run, bool done);
/* A sentence about an item: on its own line, or as an object. */
void ie_batch_progress_note(ie_batch_progress *p, const ie_item *item, const char *event,
                            const char *kind, const char *text);

#endif
