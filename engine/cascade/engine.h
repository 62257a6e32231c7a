/* engine.h - the inside of an ie_engine. Constant once it is open, but for the worker and for the
 * arena, which is the device thread's. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CASCADE_ENGINE_H
#define IE_CASCADE_ENGINE_H

#include "path.h"
#include "stage.h"
#include "text_encoder.h"
#include "worker.h"

struct ie_engine {
    ie_backend *backend;
    ie_cascade_config cascade;
    int lanes[IE_MAX_STAGES];
    int canvas, text_width;
    ie_tokenizer *tokenizer;
    ie_text_encoder *text;
    ie_stage stages[IE_MAX_STAGES];
    int stage_count;
    ie_arena arena; /* over `workspace`; stages run one after another and share it */
    ie_block workspace;
    uint64_t workspace_bytes, library_bytes;
    ie_cost text_cost;              /* one prompt */
    ie_cost cost[IE_MAX_STAGES][2]; /* forward pass and update of one lane, and of two */
    char hash[65];
    ie_worker worker; /* on every device but `plan` */
};

/* Can the engine edit, and each of these requests be edited, as far as can be told without reading
 * the prompts? */
ie_status ie_engine_check(const ie_engine *e, const ie_request *requests, int count, ie_error *err);

/* Run the text encoder into `tokens`, on the device, in the workspace; job NULL while measuring. */
ie_status ie_engine_text(ie_engine *e, ie_tensor *tokens, const ie_job *job, ie_exec *x,
                         ie_error *err);

#endif
