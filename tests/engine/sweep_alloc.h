/* sweep_alloc.h - every allocation of the code that is linked into a test, countable and able to
 * fail.
 *
 * The linker sends malloc and its like here (--wrap, see CMakeLists.txt): the engine's, the
 * kernels' and the tokenizer shim's, not those inside shared libraries.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_TEST_SWEEP_ALLOC_H
#define IE_TEST_SWEEP_ALLOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* From now on count allocations, and let the one after `allowed` others fail, once. */
void sweep_arm(int64_t allowed);
/* Stop counting. Did one fail? */
bool sweep_disarm(void);
int64_t sweep_count(void); /* since sweep_arm */

/* Blocks and mappings that were taken and not given back, by any of the wrapped functions. */
int64_t sweep_live(void);

/* Called by every wrapped allocator: must this one fail? */
bool sweep_fails(void);

#ifdef __cplusplus
}
#endif
#endif
