/* batch_device.h - the engine of a batch job: one model, several items at once.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_BATCH_DEVICE_H
#define IE_APPS_BATCH_DEVICE_H

#include "batch_job.h"

typedef struct ie_batch_device {
    ie_engine *engine;
    ie_engine_info info;
    char model_dir[PATH_MAX];
} ie_batch_device;

/* With values->lanes rows in every forward pass; where memory does not suffice, half as many, and
 * so on down to the two of one request, each time with a note. Loading is shown. IE_CANCELLED when
 * the program is told to end meanwhile. */
ie_status ie_batch_device_open(ie_batch_device *d, const ie_batch_values *values, ie_error *err);
void ie_batch_device_close(ie_batch_device *d);

/* How many items in flight keep it busy: enough for every lane, and some that are read and
 * written meanwhile. */
int ie_batch_device_appetite(const ie_batch_device *d);

/* What ie_batch_job.engine is; `user` is the device. */
ie_batch_engine ie_batch_device_engine(ie_batch_device *d);

#endif
