/* step_case.h - one U-Net of a model directory with everything a forward pass needs, ready to be
 * run again and again.
 *
 * Inputs come from a safetensors file (so that another program can run the same) or are made up;
 * names and shapes, N lanes: v [N], v_aug [N], z and low [N, R, R, 3], text.tokens [N, T, D], all
 * f32; text.length [N] i32; canvas.rgb [N, K, K, 3] and canvas.mask [N, K, K, 1] u8. v_aug and low
 * are for stages with a low-resolution image. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_BENCH_STEP_CASE_H
#define IE_BENCH_STEP_CASE_H

#include "unet.h"

typedef struct bench_step_options {
    const char *directory; /* of the stage: config.json and weights */
    const char *inputs;    /* a file, or NULL: made up */
    const char *device;
    ie_precision precision;
    int threads; /* 0: all */
    int lanes;   /* with `inputs`: 0, the file says */
    int tokens;  /* likewise */
} bench_step_options;

typedef struct bench_step_case {
    ie_unet_config config;
    ie_backend *backend;
    ie_unet *unet;
    ie_unet_slots slots;
    ie_unet_lanes lanes;
    ie_tensor pred; /* [N, R, R, output_channels] f32 */
    ie_arena arena;
    ie_block workspace;
    ie_exec x;
    ie_cost cost; /* of one forward pass */
    int count;    /* N */
} bench_step_case;

/* The backend is entered until the case is closed; every case that was opened, also without
 * success, is closed. */
ie_status bench_step_open(bench_step_case *c, const bench_step_options *o, ie_error *err);
/* One forward pass of the first `lanes` lanes; and until it is done. */
ie_status bench_step_run(bench_step_case *c, int lanes, ie_error *err);
ie_status bench_step_wait(bench_step_case *c, ie_error *err);
/* The seconds that such a pass is predicted to take on an H200. */
ie_status bench_step_predict(bench_step_case *c, int lanes, double *seconds, ie_error *err);
void bench_step_close(bench_step_case *c);

#endif
