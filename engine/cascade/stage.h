/* stage.h - one U-Net on one device, the requests in it, and the tick that moves all of them one
 * step.
 *
 * A lane is one row of a forward pass: (request, with or without text). At a step whose guidance
 * weight is exactly 1 a request has one lane, else two. Requests join and leave between any two
 * ticks, each at its own step of its own schedule. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CASCADE_STAGE_H
#define IE_CASCADE_STAGE_H

#include "job.h"
#include "unet.h"

typedef struct ie_stage {
    const ie_stage_config *config;
    int index; /* 0 is the base */
    ie_unet *unet;
    ie_unet_slots slots;
    int capacity;                /* requests that share a step */
    struct ie_stage_seat *seats; /* [capacity] */
} ie_stage;

/* Take a U-Net (owned by the stage from here on, also when this fails). */
ie_status ie_stage_open(ie_stage *out, const ie_stage_config *config, int index, ie_unet *unet,
                        int capacity, ie_error *err);
void ie_stage_close(ie_stage *stage);

/* The null text; once, before the first run. */
ie_status ie_stage_prepare(ie_stage *stage, ie_exec *x, ie_error *err);

/* Go through everything a run does with `lanes` lanes of `requests` requests, without data:
 * x->arena measures, x->cost counts one tick. */
ie_status ie_stage_measure(ie_stage *stage, int lanes, int requests, ie_exec *x, ie_error *err);

/* Take all jobs through this stage, `capacity` at a time, each leaving as soon as its last step is
 * done. job->image becomes this stage's result. IE_CANCELLED when a request's progress callback
 * asks to stop. */
ie_status ie_stage_run(ie_stage *stage, ie_job *jobs, int count, ie_exec *x, ie_error *err);

#endif
