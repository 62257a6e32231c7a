/* job.h - one request on its way through the cascade: checked, resolved against the model's
 * defaults, and what it carries from stage to stage. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CASCADE_JOB_H
#define IE_CASCADE_JOB_H

#include "config.h"
#include "tokenizer.h"
#include "window.h"

/* How one request runs in one stage. */
typedef struct ie_job_stage {
    int steps;
    ie_guidance
        /* never IE_GUIDANCE_DEFAULT; a list points into the request or the configuration */
        guidance;
    ie_sampler sampler;
} ie_job_stage;

typedef struct ie_job {
    ie_request *request;
    ie_job_stage stages[IE_MAX_STAGES];
    ie_window window;
    uint8_t *rgb, *fill; /* the window on the canvas: [K, K, 3], [K, K] */
    int32_t *ids;        /* [T] */
    int used;            /* of ids */
    float *tokens;       /* [T, D] encoder output */
    float *image;        /* latest stage's result [R, R, 3] f32 in [-1, 1]; NULL before the first */
    int resolution;      /* of image */
} ie_job;

/* Everything about a request that can be checked without the model's weights or the prompt's
 * tokens. `index` names it in messages when there are several. */
ie_status ie_job_check(const ie_request *r, const ie_cascade_config *c, int index, int count,
                       ie_error *err);

/* Steps, guidance and sampler of every stage, defaults filled in. The request has been checked. */
void ie_job_resolve(ie_job *job, const ie_cascade_config *c);

/* Read the window and the tokens. On failure the job still has to be released. */
ie_status ie_job_begin(ie_job *job, ie_request *request, const ie_cascade_config *c, int canvas,
                       const ie_tokenizer *tokenizer, ie_error *err);
void ie_job_release(ie_job *job);

#endif
