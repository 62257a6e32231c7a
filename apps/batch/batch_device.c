/* batch_device.c - opening a model for several requests, and handing it one.
 * SPDX-License-Identifier: Apache-2.0 */
#include "batch_device.h"

#include "batch_progress.h"
#include "batch_run.h"
#include "console.h"
#include "interrupt.h"
#include "load_progress.h"
#include "model_path.h"

enum { FEWEST_LANES = 2, SPARE_ITEMS = 2 };

static int on_loading(void *user, const ie_loading *at)
{
    ie_load_progress_show(user, at, ie_clock_seconds());
    return ie_interrupted();
}

static ie_status open_engine(ie_batch_device *d, const ie_batch_values *v, ie_options *options,
                             ie_error *err)
{
    static const ie_progress_style styles[] = {[IE_BATCH_QUIET] = IE_PROGRESS_QUIET,
                                               [IE_BATCH_BAR] = IE_PROGRESS_BAR,
                                               [IE_BATCH_JSON] = IE_PROGRESS_JSON};
    const ie_batch_style style = ie_batch_style_of(v);
    ie_load_progress progress;
    options->loading = on_loading;
    options->loading_user = &progress;
    ie_load_progress_begin(&progress, styles[style], style == IE_BATCH_JSON ? stdout : stderr,
                           ie_clock_seconds());
    const ie_status status = ie_engine_open(&d->engine, d->model_dir, options, err);
    ie_load_progress_end(&progress);
    return status;
}

ie_status ie_batch_device_open(ie_batch_device *d, const ie_batch_values *v, ie_error *err)
{
    ie_options options;
    *d = (ie_batch_device){.engine = NULL};
    IE_APP_TRY(ie_model_path_here(d->model_dir, v->model, err));
    ie_options_default(&options);
    if (v->device) options.device = v->device;
    if (v->precision) options.precision = (ie_precision)(v->precision - 1);
    options.threads = v->threads;
    options.queue_requests = IE_BATCH_MAX_IN_FLIGHT;
    ie_status status;
    for (int lanes = v->lanes;;) {
        for (int i = 0; i < IE_MAX_STAGES; i++) options.lanes[i] = lanes;
        status = open_engine(d, v, &options, err);
        if (status != IE_NO_MEMORY || lanes <= FEWEST_LANES) break;
        lanes = lanes / 2 > FEWEST_LANES ? lanes / 2 : FEWEST_LANES;
        if (!v->quiet) ie_note("%s; trying %d lanes", err->text, lanes);
    }
    IE_APP_TRY(status);
    ie_engine_describe(d->engine, &d->info);
    return IE_OK;
}

void ie_batch_device_close(ie_batch_device *d)
{
    ie_engine_close(&d->engine);
}

int ie_batch_device_appetite(const ie_batch_device *d)
{
    int lanes = SPARE_ITEMS;
    for (int i = 0; i < d->info.stage_count; i++) lanes += d->info.stages[i].lanes;
    return lanes < IE_BATCH_MAX_IN_FLIGHT ? lanes : IE_BATCH_MAX_IN_FLIGHT;
}

/* Called by several threads: the engine puts what they ask for into the same forward passes. */
static ie_status edit(void *user, const ie_edit_job *job, ie_batch_edit *edit, ie_error *err)
{
    ie_batch_device *d = user;
    ie_request request;
    ie_request_default(&request);
    ie_edit_job_request(job, &request);
    request.seed = edit->seed;
    request.progress = edit->progress;
    request.user = edit->user;
    const ie_status status = ie_edit(d->engine, &request, 1, err);
    edit->cut = request.prompt_cut;
    return status;
}

static void busy(void *user, double seconds[IE_MAX_STAGES])
{
    ie_batch_device *d = user;
    ie_activity activity;
    ie_engine_activity(d->engine, &activity);
    for (int i = 0; i < IE_MAX_STAGES; i++) seconds[i] = activity.stages[i].seconds;
}

ie_batch_engine ie_batch_device_engine(ie_batch_device *d)
{
    return (ie_batch_engine){d, edit, busy};
}
