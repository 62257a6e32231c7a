/* edit_run.h - running a prepared edit on an engine. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_EDIT_RUN_H
#define IE_APPS_EDIT_RUN_H

#include "edit_job.h"

/* Open the model, edit once per seed, write each result as soon as it is there. Progress and notes
 * go to stderr, JSON to stdout, as the options say. IE_CANCELLED after SIGINT or SIGTERM: results
 * already written stay. */
ie_status ie_edit_run(ie_edit_job *job, ie_error *err);

#endif
