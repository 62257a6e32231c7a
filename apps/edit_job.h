/* edit_job.h - everything of an edit that can be read, checked and named before a model is opened.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_EDIT_JOB_H
#define IE_APPS_EDIT_JOB_H

#include "guidance_spec.h"
#include "image_io.h"

#include <limits.h>

enum { IE_EDIT_MAX_COUNT = 1000, IE_EDIT_MAX_FEATHER = 512 };

/* The options of `edit`. Choices are 0 when not given, else 1 + index. */
typedef struct ie_edit_values {
    const char *image, *mask, *prompt, *output, *save_stages, *model, *device;
    uint64_t seed;
    int count, feather, threads, quality, max_megapixels;
    int mask_edit; /* ie_mask_edit */
    int sampler;   /* ie_sampler */
    int precision; /* 1 + ie_precision */
    ie_steps_spec steps;
    ie_guidance_spec guidance;
    bool quiet, json, no_metadata;
} ie_edit_values;

typedef struct ie_edit_job {
    const ie_edit_values *values;
    ie_image image, mask;
    ie_image result; /* pixels as the image's, its colour information */
} ie_edit_job;

/* Check the options against each other, read image and mask, make room for the result, and see that
 * every output can be written. --save-stages' folder is made. ie_edit_job_release in any case. */
ie_status ie_edit_job_prepare(ie_edit_job *job, const ie_edit_values *values, ie_error *err);
void ie_edit_job_release(ie_edit_job *job);

/* The same from an image and a mask file that were read already; both are the job's after the call,
 * whatever it returns. Outputs are not looked at. */
ie_status ie_edit_job_take(ie_edit_job *job, const ie_edit_values *values, ie_image *image,
                           ie_image *mask_file, ie_error *err);

/* Fill in, over ie_request_default's values, what the engine is asked for: all but the seed, the
 * callbacks and `user`. */
void ie_edit_job_request(const ie_edit_job *job, ie_request *request);

/* IE_BAD_ARGUMENT when --steps or --guidance name more stages than the model has. */
ie_status ie_edit_check_stages(const ie_edit_values *values, int stage_count, ie_error *err);

/* The output's name: as given for one result; for several, "out.png" is out-1.png for index 0, and
 * so on. */
ie_status ie_edit_output_path(char out[PATH_MAX], const ie_edit_values *values, int index,
                              ie_error *err);

/* FOLDER/NAME-<stage>.png, where NAME is the output's name without folder and extension. */
ie_status ie_edit_stage_path(char out[PATH_MAX], const ie_edit_values *values, int index,
                             const char *stage, ie_error *err);

#endif
