/* engine.h - the inside of an ie_engine. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CASCADE_ENGINE_H
#define IE_CASCADE_ENGINE_H

#include "path.h"
#include "stage.h"
#include "text_encoder.h"

enum { IE_MAX_REQUESTS = 256 };

struct ie_engine {
    ie_backend *backend;
    ie_precision precision;
    ie_cascade_config cascade;
    int capacity; /* requests that share a step */
    int canvas, text_width;
    ie_tokenizer *tokenizer;
    ie_text_encoder *text;
    ie_stage stages[IE_MAX_STAGES];
    int stage_count;
    ie_arena arena; /* over `workspace`; stages run one after another and share it */
    ie_block workspace;
    uint64_t workspace_bytes;
    ie_cost text_cost,
        lane_cost[IE_MAX_STAGES]; /* one prompt; one lane's forward pass and update */
    char hash[65];
};

#endif
