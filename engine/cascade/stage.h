/* stage.h - one U-Net on one device, what requests keep in its slots, and the pass that moves some
 * of them one step.
 *
 * A lane is one row of a forward pass: (request, with or without text). At a step whose guidance
 * weight is exactly 1 a request has one lane, else two. Requests join and leave between any two
 * passes, each at its own step of its own schedule; who goes along is scheduler.h's business.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CASCADE_STAGE_H
#define IE_CASCADE_STAGE_H

#include "job.h"
#include "unet.h"

typedef struct ie_stage {
    const ie_stage_config *config;
    int index; /* 0 is the base */
    ie_unet *unet;
    int lanes;            /* of a forward pass, at most; and slots */
    ie_unet_slots slots;  /* what requests keep here, by ie_entry.slot */
    struct ie_pass *pass; /* tables of the pass being computed */
} ie_stage;

/* Take a U-Net (owned by the stage from here on, also when this fails). It need not be loaded; the
 * slots are laid out and have no memory yet. */
ie_status ie_stage_open(ie_stage *out, const ie_stage_config *config, int index, ie_unet *unet,
                        int lanes, ie_error *err);
void ie_stage_close(ie_stage *stage);

/* Memory for the slots; once. */
ie_status ie_stage_allocate(ie_stage *stage, ie_error *err);

/* The null text; once, of a loaded U-Net, before the first pass. */
ie_status ie_stage_prepare(ie_stage *stage, ie_exec *x, ie_error *err);

/* Go through everything a stage does with passes of `lanes` lanes of `requests` requests, without
 * data: x->arena measures, x->cost (and x->tally) count one pass. */
ie_status ie_stage_measure(ie_stage *stage, int lanes, int requests, ie_exec *x, ie_error *err);

/* A job that got a slot: its text, canvas and previous image to the slot, and the initial noise. */
ie_status ie_stage_admit(ie_stage *stage, const ie_job *job, ie_exec *x, ie_error *err);
/* One pass, in which every entry (of a job) of the batch goes its step entry->step. Nothing is
 * allocated. */
ie_status ie_stage_pass(ie_stage *stage, ie_entry *const *batch, int count, ie_exec *x,
                        ie_error *err);
/* After the last step: job->image becomes this stage's result. */
ie_status ie_stage_leave(ie_stage *stage, ie_job *job, ie_exec *x, ie_error *err);

#endif
