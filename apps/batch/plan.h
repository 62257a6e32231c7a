/* plan.h - what is left to do of a shard: the manifest's items against what the ledgers say.
 *
 * Done is what the ledgers say is done and whose outputs are there. What was in flight when a
 * process died is a suspect: it runs alone, after everything else. An item that was in flight twice
 * when a process killed itself is not run again. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_PLAN_H
#define IE_APPS_PLAN_H

#include "ledger_state.h"
#include "manifest.h"

enum { IE_MAX_STRIKES = 2 };

typedef struct ie_plan_options {
    bool retry_failed;
    bool verify; /* read every output that is done and compare its SHA-256 */
} ie_plan_options;

/* Lists hold indices of items. */
typedef struct ie_plan {
    size_t items;           /* of the shard */
    size_t *due, due_count; /* in the manifest's order */
    size_t *alone, alone_count;
    size_t *quarantine, quarantine_count; /* to be recorded as failed */
    size_t done, failed;                  /* before: neither is in a list */
    size_t *altered, altered_count;       /* done, but the output is not what the ledger says */
    size_t *changed, changed_count; /* done, but the manifest or the options ask for another edit */
} ie_plan;

/* IE_NO_MEMORY alone. ie_plan_release in any case. */
ie_status ie_plan_make(ie_plan *out, const ie_manifest *m, const ie_ledger_state *state,
                       ie_shard shard, int output_root, const ie_plan_options *options,
                       ie_error *err);
void ie_plan_release(ie_plan *plan);

#endif
