/* golden.h - the committed tensors of tests/golden, and the bounds that lie beside them
 * (tests/golden/README.md). SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_TEST_GOLDEN_H
#define IE_TEST_GOLDEN_H

#include "backend.h"
#include "exec.h"
#include "weights.h"

#include <stdbool.h>

typedef struct golden {
    ie_weights *file;
    void *bytes;
} golden;

/* Ends the test with a message when the file or the tensor is missing: they are committed. */
golden golden_open(const char *path_below_golden);
void golden_close(golden *g);
ie_tensor golden_get(const golden *g, const char *name);
bool golden_has(const golden *g, const char *name);
float golden_scalar(const golden *g, const char *name);

/* A directory below tests/golden as a path; static storage, one call at a time. */
const char *golden_path(const char *below);

/* Compare `got` (contiguous f32, as many as the golden tensor) with golden `name`: max |got - want|
 * <= 6 spread and rms <= 3 rms, NaN fails. Prints one line with the ratios; false when out of
 * bounds. */
bool golden_check(const golden *g, const char *name, const float *got, bool bf16);

/* A whole environment for one network: backend, and an executor over a workspace of `bytes`. */
typedef struct rig {
    ie_backend *backend;
    ie_arena arena;
    ie_block block;
    ie_exec x;
    bool bf16;
} rig;

/* device "ref" or "cpu"; returns false when this build has no such device (the test says SKIP). */
bool rig_open(rig *r, const char *device, bool bf16, uint64_t bytes);
void rig_close(rig *r);

/* Device tensor with the golden tensor's contents (f32, i32 or u8), taken from the rig's arena. */
ie_tensor rig_upload(rig *r, ie_tensor host);
/* Download as f32 whatever the type is; caller frees with free(). */
float *rig_values(rig *r, ie_tensor device);

#endif
