/* batch_device.h - the engine of a batch job: one model, several items at once.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_BATCH_DEVICE_H
#define IE_APPS_BATCH_DEVICE_H

#include "batch_job.h"

typedef struct ie_batch_device {
    ie_engine *engine;
    pthread_mutex_t lock;
    ie_engine_info info;
    char model_dir[PATH_MAX];
} ie_batch_device;

/* With room for values->in_flight requests; where memory does not suffice, for half as many, and so
 * on down to one: *room says how many. */
ie_status ie_batch_device_open(ie_batch_device *d, const ie_batch_values *values, int *room,
                               ie_error *err);
void ie_batch_device_close(ie_batch_device *d);

/* `user` is the device: what ie_batch_engine.edit is. */
ie_status ie_batch_device_edit(void *user, const ie_edit_job *job, ie_batch_edit *edit,
                               ie_error *err);

#endif
