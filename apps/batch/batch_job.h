/* batch_job.h - what all items of a batch job share, and one item from its files to its outputs.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_BATCH_JOB_H
#define IE_APPS_BATCH_JOB_H

#include "failure_limit.h"
#include "ledger.h"
#include "picture.h"
#include "plan.h"

#include <stdatomic.h>

/* The options of `batch`. Choices are 0 when not given, else 1 + index. */
typedef struct ie_batch_values {
    const char *manifest, *images, *masks, *prompts, *input_root, *output_dir;
    const char *shard, *model, *device, *contact_sheet, *report, *steps_text, *guidance_text;
    uint64_t seed;
    int in_flight, lanes, threads, quality, max_megapixels, feather;
    int format, mask_edit, sampler, precision;
    ie_failure_limit max_failures;
    bool check, retry_failed, verify, no_metadata, quiet, json;
} ie_batch_values;

/* One edit on the engine, called from several threads at once. The seed and what is called during
 * the edit are the request's; everything else is in `job`. Sets *cut to the tokens that did not
 * fit. */
typedef struct ie_batch_edit {
    uint64_t seed;
    int (*progress)(void *user, int stage, int step, int steps);
    void *user;
    int cut;
} ie_batch_edit;

typedef struct ie_batch_engine {
    void *user;
    ie_status (*edit)(void *user, const ie_edit_job *job, ie_batch_edit *edit, ie_error *err);
    /* Seconds that each stage has computed so far. */
    void (*busy)(void *user, double seconds[IE_MAX_STAGES]);
} ie_batch_engine;

typedef struct ie_batch_job {
    const ie_batch_values *values;
    const ie_manifest *manifest;
    const ie_plan *plan;
    ie_ledger *ledger;
    ie_picture_source pictures;
    int output_root;
    ie_engine_info info; /* of the engine, as outputs tell it */
    ie_batch_engine engine;
} ie_batch_job;

typedef enum ie_outcome {
    IE_OUTCOME_DONE,
    IE_OUTCOME_FAILED, /* the item: err says why, and `kind` what kind of reason */
    IE_OUTCOME_MEMORY, /* it may work with fewer beside it */
    IE_OUTCOME_STOP,   /* the job: err says why. The item is as if it had not begun */
} ie_outcome;

typedef struct ie_item_run {
    const ie_batch_job *job;
    const ie_item *item;
    const atomic_bool *cancelled; /* becomes true: give up */
    /* Results. */
    double read_seconds, write_seconds;
    const char *kind; /* "input", "output" */
    ie_error err;
    int prompt_cut;
} ie_item_run;

/* Begins the item in the ledger, and ends it there when it is done; failures are the caller's to
 * record. */
ie_outcome ie_batch_item(ie_item_run *run);

#endif
