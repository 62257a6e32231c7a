/* golden_ops.h - what the families of test_golden_ops share: one case of
 * tests/golden/ops.safetensors on one device.
 *
 * Tensors of a case are named "<case>.<role>", numbers "<case>.attr.<name>"
 * (tests/golden/README.md).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_TEST_GOLDEN_OPS_H
#define IE_TEST_GOLDEN_OPS_H

#include "golden.h"

typedef struct ops_case {
    rig *r;
    const golden *g;
    const char *name;
} ops_case;

/* Numbers of the case; a missing one ends the test with a message. */
int ops_int(const ops_case *c, const char *attribute);
float ops_real(const ops_case *c, const char *attribute);

bool ops_has(const ops_case *c, const char *role);
ie_tensor ops_host(const ops_case *c, const char *role); /* as the file has it */

/* On the device, as `dtype` (F32 values only may become BF16, and must be exact in it); absent when
 * the case has no such tensor. */
ie_tensor ops_input(const ops_case *c, const char *role, ie_dtype dtype);
/* On the device and full of NaN, so that what an operation leaves out is seen. */
ie_tensor ops_output(const ops_case *c, ie_dtype dtype, int rank, const int64_t *dim);

/* golden_check of a device tensor against "<case>.<role>"; `bf16` chooses the bounds. */
bool ops_check(const ops_case *c, const char *role, ie_tensor got, bool bf16);

/* The families. Each runs one case and says whether all of its results are within their bounds. */
bool ops_conv(const ops_case *c);
bool ops_linear(const ops_case *c);
bool ops_norm(const ops_case *c);
bool ops_moments(const ops_case *c);
bool ops_attention(const ops_case *c);
bool ops_sinusoid(const ops_case *c);
bool ops_mask_image(const ops_case *c);
bool ops_philox(const ops_case *c);
bool ops_noise(const ops_case *c);
bool ops_augment(const ops_case *c);
bool ops_quantile(const ops_case *c);
bool ops_sample(const ops_case *c);

/* End the test with the engine's own sentence when a call fails. */
#define OPS_NEED(call)                          \
    do {                                        \
        ie_error ops_err_ = {0};                \
        ie_error *const err = &ops_err_;        \
        if (call) ops_stop(c->name, err->text); \
    } while (0)
_Noreturn void ops_stop(const char *name, const char *why);

#endif
