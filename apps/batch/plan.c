/* plan.c - sorting items into what is done, what is left, and how.
 * SPDX-License-Identifier: Apache-2.0 */
#include "plan.h"

#include "beneath.h"
#include "output_file.h"

#include <stdlib.h>
#include <string.h>

/* What the outputs of an item that is done look like. */
typedef enum outputs_state { OUTPUTS_GOOD, OUTPUTS_MISSING, OUTPUTS_ALTERED } outputs_state;

static outputs_state look_at_outputs(const ie_item_state *state, int output_root, bool verify)
{
    outputs_state found = OUTPUTS_GOOD;
    for (int i = 0; i < state->output_count; i++) {
        const ie_recorded_output *o = &state->outputs[i];
        char sha256[IE_SHA256_HEX];
        int64_t bytes;
        if (!ie_output_size(output_root, o->output, &bytes)) {
            found = OUTPUTS_MISSING;
        } else if (bytes != o->bytes ||
                   (verify && (!ie_output_sha256(output_root, o->output, sha256) ||
                               strcmp(sha256, o->sha256) != 0))) {
            return OUTPUTS_ALTERED;
        }
    }
    return found;
}

static void sort_done(ie_plan *p, size_t i, const ie_item *item, const ie_item_state *state,
                      int output_root, const ie_plan_options *options)
{
    if (strcmp(state->request, item->request) != 0) {
        p->changed[p->changed_count++] = i;
        return;
    }
    switch (look_at_outputs(state, output_root, options->verify)) {
    case OUTPUTS_GOOD: p->done++; break;
    case OUTPUTS_MISSING: p->due[p->due_count++] = i; break;
    case OUTPUTS_ALTERED: p->altered[p->altered_count++] = i; break;
    }
}

static void sort_item(ie_plan *p, size_t i, const ie_item *item, const ie_item_state *state,
                      int output_root, const ie_plan_options *options)
{
    if (state && state->done) {
        sort_done(p, i, item, state, output_root, options);
    } else if (state && state->failed && state->strikes == 0 && !options->retry_failed &&
               !strcmp(state->request, item->request)) { /* a line that was mended is tried again */
        p->failed++;
    } else if (state && state->strikes >= IE_MAX_STRIKES) {
        p->quarantine[p->quarantine_count++] = i;
    } else if (state && (state->strikes || state->open_in)) {
        p->alone[p->alone_count++] = i;
    } else {
        p->due[p->due_count++] = i;
    }
}

ie_status ie_plan_make(ie_plan *out, const ie_manifest *m, const ie_ledger_state *state,
                       ie_shard shard, int output_root, const ie_plan_options *options,
                       ie_error *err)
{
    size_t first, end;
    *out = (ie_plan){0};
    ie_shard_range(shard, m->count, &first, &end);
    out->items = end - first;
    size_t **const lists[] = {&out->due, &out->alone, &out->quarantine, &out->altered,
                              &out->changed};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        *lists[i] = calloc(out->items + 1, sizeof **lists[i]);
        if (!*lists[i]) return ie_app_fail(err, IE_NO_MEMORY, "no memory for the plan");
    }
    for (size_t i = first; i < end; i++) {
        const ie_item *item = &m->items[i];
        sort_item(out, i, item, ie_ledger_state_of(state, item->id), output_root, options);
    }
    return IE_OK;
}

void ie_plan_release(ie_plan *plan)
{
    free(plan->due);
    free(plan->alone);
    free(plan->quarantine);
    free(plan->altered);
    free(plan->changed);
    *plan = (ie_plan){0};
}
