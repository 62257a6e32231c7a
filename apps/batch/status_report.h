/* status_report.h - the ledgers of a job as a table. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_STATUS_REPORT_H
#define IE_APPS_STATUS_REPORT_H

#include "ledger_state.h"

#include <stdio.h>

/* A line for every shard and one for the job; with `failures` one for every item that has
 * failed. */
void ie_status_report(const ie_ledger_state *state, bool json, bool failures, FILE *stream);

#endif
