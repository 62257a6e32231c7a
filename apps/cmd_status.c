/* cmd_status.c - imagen-editor status: where a batch job stands, from its ledgers.
 * SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "beneath.h"
#include "status_report.h"

#include <stddef.h>
#include <unistd.h>

typedef struct status_values {
    const char *folder;
    bool failures, json;
} status_values;

#define AT(field) .offset = offsetof(status_values, field)
static const ie_option options[] = {
    {.name = "folder",
     .value = "DIR",
     .kind = IE_OPTION_TEXT,
     AT(folder),
     .help = "the --output-dir of a batch job",
     .operand = true,
     .required = true},
    {.name = "failures",
     .kind = IE_OPTION_FLAG,
     AT(failures),
     .help = "list the items that have failed, and why"},
    {.name = "json", .kind = IE_OPTION_FLAG, AT(json), .help = "JSON, an object a line"},
};
#undef AT

static void defaults(void *values)
{
    (void)values;
}

static ie_status run(void *values, ie_error *err)
{
    const status_values *v = values;
    int root;
    ie_ledger_state state;
    IE_APP_TRY(ie_beneath_root(&root, v->folder, "the folder", err));
    ie_status status = ie_ledger_state_read(&state, root, err);
    (void)close(root);
    if (status == IE_OK && state.ledger_count == 0) {
        status = ie_app_fail(err, IE_BAD_ARGUMENT, "%s has no ledger of a batch job", v->folder);
    }
    if (status == IE_OK) ie_status_report(&state, v->json, v->failures, stdout);
    ie_ledger_state_release(&state);
    return status;
}

static const char *const examples[] = {
    "imagen-editor status out",
    "imagen-editor status out --failures",
    NULL,
};

const ie_command ie_command_status = {
    .name = "status",
    .summary = "Tell how far a batch job is, all its shards, running or not.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .examples = examples,
    .values_bytes = sizeof(status_values),
    .defaults = defaults,
    .run = run,
};
