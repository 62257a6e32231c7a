/* check_data.h - what check_case does to the tensors of a case between calls.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CHECK_DATA_H
#define IE_CHECK_DATA_H

#include "check.h"

void check_restore(check *t); /* outputs to poison, in-place tensors to their input */
void check_intact(check *t);  /* fails on a broken guard or a changed input */
const char *check_before(check *t, const void *data); /* the bytes check_restore gives a buffer */
void check_forget(check *t, int first); /* release buffers first.., and with 0 the outputs */

#endif
