/* batch_run.h - working through a plan with several items in flight.
 *
 * Every worker is a thread that takes one item from its files to its outputs and waits for the
 * engine in between: while some wait, others decode, encode and commit. Suspects run alone, after
 * everything else. An item that runs out of memory halves the number of workers and is tried again
 * alone. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_BATCH_RUN_H
#define IE_APPS_BATCH_RUN_H

#include "batch_job.h"
#include "batch_progress.h"

enum { IE_BATCH_MAX_IN_FLIGHT = 256 };

/* Until everything in the plan is done or has failed: IE_OK. Otherwise why it stopped, and nothing
 * is in flight any more: IE_CANCELLED after a signal, IE_BAD_ARGUMENT when too many have failed,
 * IE_DEVICE, IE_IO, IE_BAD_MODEL, IE_NO_MEMORY. */
ie_status ie_batch_run(const ie_batch_job *job, ie_batch_progress *progress, ie_error *err);

#endif
