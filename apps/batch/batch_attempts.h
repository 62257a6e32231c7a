/* batch_attempts.h - the attempts of a batch job: until nothing is left to do, or there is no use.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_BATCH_ATTEMPTS_H
#define IE_APPS_BATCH_ATTEMPTS_H

#include "batch_job.h"

/* A job that has been read and checked, and where it stands. */
typedef struct ie_batch_drive_state {
    const ie_batch_values *values;
    ie_shard shard;
    ie_item_defaults defaults;
    char settings[512]; /* what defaults.settings points to */
    ie_manifest manifest;
    ie_picture_source pictures;
    int output_root;
    /* Kept by ie_batch_attempts. */
    ie_ledger_state state;
    ie_plan plan;
    ie_ledger ledger;     /* of the attempt under way */
    int deaths;           /* of attempts */
    bool planned;         /* once: what --retry-failed asks for has been seen to */
    size_t done_at_first; /* items, before the first attempt */
} ie_batch_drive_state;

/* IE_OK: every item has ended; state and plan say how. Otherwise as ie_batch_drive. */
ie_status ie_batch_attempts(ie_batch_drive_state *d, ie_error *err);

#endif
