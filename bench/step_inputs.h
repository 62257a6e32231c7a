/* step_inputs.h - host tensors of a bench step: read from a file, or made up.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_BENCH_STEP_INPUTS_H
#define IE_BENCH_STEP_INPUTS_H

#include "config.h"
#include "file.h"
#include "weights.h"

typedef struct bench_inputs {
    ie_tensor v, v_aug, z, low, tokens, length, rgb,
        mask; /* host memory; step_case.h has the shapes */
    ie_file file;
    ie_weights *index; /* of the file; NULL: made up */
} bench_inputs;

ie_status bench_inputs_read(bench_inputs *in, const char *path, ie_error *err);
ie_status bench_inputs_make(bench_inputs *in, const ie_unet_config *config, int lanes, int tokens,
                            ie_error *err);
void bench_inputs_close(bench_inputs *in);

#endif
