/* batch_drive.h - a batch job from its options to its end: attempts until nothing is left to do.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_BATCH_DRIVE_H
#define IE_APPS_BATCH_DRIVE_H

#include "batch_job.h"

/* IE_OK: all items of the shard are done. IE_BAD_INPUT: the others are, and some have failed.
 * IE_BAD_ARGUMENT, IE_BAD_MODEL: it cannot be done as it stands. IE_NO_MEMORY, IE_DEVICE, IE_IO: it
 * may work elsewhere. IE_CANCELLED: told to end. */
ie_status ie_batch_drive(const ie_batch_values *values, ie_error *err);

#endif
