/* job.h - one request on its way through the cascade: checked, resolved against the model's
 * defaults, and what it carries from stage to stage. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CASCADE_JOB_H
#define IE_CASCADE_JOB_H

#include "config.h"
#include "scheduler.h"
#include "tokenizer.h"
#include "window.h"

typedef struct ie_job {
    ie_entry entry; /* first: the scheduler's entry is the job (ie_job_of) */
    ie_request *request;
    int32_t *ids; /* [T] */
    int used;     /* of ids */
    ie_window window;
    uint8_t *rgb, *fill; /* the window on the canvas: [K, K, 3], [K, K] */
    float *tokens;       /* [T, D] encoder output; NULL before the first stage */
    float *image;        /* latest stage's result [R, R, 3] f32 in [-1, 1]; NULL before the first */
    int resolution;      /* of image */
} ie_job;

static inline ie_job *ie_job_of(ie_entry *entry)
{
    return (ie_job *)entry;
}

/* Everything about a request that can be checked without the model's weights or the prompt's
 * tokens. `index` names it in messages when there are several. */
ie_status ie_job_check(const ie_request *r, const ie_cascade_config *c, int index, int count,
                       ie_error *err);

/* Steps, guidance and sampler of every stage, defaults filled in: job->entry.stages. The request
 * has been checked. */
void ie_job_resolve(ie_job *job, const ie_cascade_config *c);

/* Resolve, and turn the prompt into tokens. On failure the job holds nothing. */
ie_status ie_job_open(ie_job *job, ie_request *request, const ie_cascade_config *c,
                      const ie_tokenizer *tokenizer, ie_error *err);
/* Image and mask onto the canvas. */
ie_status ie_job_read(ie_job *job, int canvas, ie_error *err);
/* Show the latest image to the request's stage_done, as bytes. */
ie_status ie_job_show(const ie_job *job, int stage, ie_error *err);
/* The last stage's image into the request's output. */
ie_status ie_job_write(const ie_job *job, ie_error *err);
/* Free what the job holds; the entry and the request stay readable. */
void ie_job_release(ie_job *job);

/* Host memory of a job: at most, for a model with this canvas and text. */
uint64_t ie_job_bytes(int canvas, int text_length, int text_width);

#endif
