/* batch_device.c - opening a model for several requests, and handing it one.
 * SPDX-License-Identifier: Apache-2.0 */
#include "batch_device.h"

#include "model_path.h"

ie_status ie_batch_device_open(ie_batch_device *d, const ie_batch_values *v, int *room,
                               ie_error *err)
{
    ie_options options;
    *d = (ie_batch_device){.lock = PTHREAD_MUTEX_INITIALIZER};
    IE_APP_TRY(ie_model_path_here(d->model_dir, v->model, err));
    ie_options_default(&options);
    if (v->device) options.device = v->device;
    if (v->precision) options.precision = (ie_precision)(v->precision - 1);
    options.threads = v->threads;
    ie_status status = IE_NO_MEMORY;
    for (*room = v->in_flight; status == IE_NO_MEMORY && *room >= 1; *room /= 2) {
        options.max_requests = *room;
        status = ie_engine_open(&d->engine, d->model_dir, &options, err);
        if (status == IE_OK) break;
    }
    IE_APP_TRY(status);
    ie_engine_describe(d->engine, &d->info);
    return IE_OK;
}

void ie_batch_device_close(ie_batch_device *d)
{
    ie_engine_close(&d->engine);
}

ie_status ie_batch_device_edit(void *user, const ie_edit_job *job, ie_batch_edit *edit,
                               ie_error *err)
{
    ie_batch_device *d = user;
    ie_request request;
    ie_request_default(&request);
    ie_edit_job_request(job, &request);
    request.seed = edit->seed;
    request.progress = edit->progress;
    request.user = edit->user;
    (void)pthread_mutex_lock(&d->lock);
    const ie_status status = ie_edit(d->engine, &request, 1, err);
    (void)pthread_mutex_unlock(&d->lock);
    edit->cut = request.prompt_cut;
    return status;
}
