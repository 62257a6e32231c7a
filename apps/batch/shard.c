/* shard.c - reading --shard and its environment. SPDX-License-Identifier: Apache-2.0 */
#include "shard.h"

#include "args.h"

#include <string.h>

static ie_status refuse(const char *text, const char *why, ie_error *err)
{
    return ie_app_fail(err, IE_BAD_ARGUMENT,
                       "--shard %s: %s; legal are I/N with I from 0 to N-1 (N at most %d), auto, "
                       "and auto/N",
                       text, why, IE_MAX_SHARDS);
}

/* A variable that holds a number. *found stays false when it is not set. */
static ie_status read_variable(int *out, bool *found, const char *name,
                               char *(*environment)(const char *), ie_error *err)
{
    const char *text = environment(name);
    if (!text) return IE_OK;
    if (!ie_parse_int(text, 0, INT32_MAX, out)) {
        return ie_app_fail(err, IE_BAD_ARGUMENT, "%s=%s is not a number", name, text);
    }
    *found = true;
    return IE_OK;
}

/* I, and N unless it is given (count > 0). */
static ie_status from_environment(ie_shard *out, const char *text,
                                  char *(*environment)(const char *), ie_error *err)
{
    static const char *const slurm[] = {"SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_STEP",
                                        "SLURM_ARRAY_TASK_COUNT"};
    int id = 0, values[3] = {0, 1, 0};
    bool in_array = false, indexed = false, set = false;
    IE_APP_TRY(read_variable(&id, &in_array, "SLURM_ARRAY_TASK_ID", environment, err));
    if (!in_array) {
        IE_APP_TRY(read_variable(&out->index, &indexed, "JOB_COMPLETION_INDEX", environment, err));
        if (!indexed) {
            return refuse(text, "neither SLURM_ARRAY_TASK_ID nor JOB_COMPLETION_INDEX is set", err);
        }
        if (out->count == 0) {
            return refuse(text, "JOB_COMPLETION_INDEX does not say of how many: give auto/N", err);
        }
        return IE_OK;
    }
    for (int i = 0; i < 3; i++) {
        IE_APP_TRY(read_variable(&values[i], &set, slurm[i], environment, err));
    }
    if (out->count == 0) out->count = values[2];
    out->index = values[1] > 0 && id >= values[0] ? (id - values[0]) / values[1] : -1;
    return IE_OK;
}

ie_status ie_shard_parse(ie_shard *out, const char *text, char *(*environment)(const char *),
                         ie_error *err)
{
    char part[16] = "";
    *out = (ie_shard){0, 1};
    if (!text) return IE_OK;
    out->count = 0;
    const char *slash = strchr(text, '/');
    const size_t length = slash ? (size_t)(slash - text) : strlen(text);
    if (length < sizeof part) (void)snprintf(part, sizeof part, "%.*s", (int)length, text);
    if (slash && !ie_parse_int(slash + 1, 1, IE_MAX_SHARDS, &out->count)) {
        return refuse(text, "N is not a number of shards", err);
    }
    if (!strcmp(part, "auto")) {
        IE_APP_TRY(from_environment(out, text, environment, err));
    } else if (!slash || !ie_parse_int(part, 0, IE_MAX_SHARDS, &out->index)) {
        return refuse(text, "it is not one", err);
    }
    if (out->count < 1 || out->count > IE_MAX_SHARDS || out->index < 0 ||
        out->index >= out->count) {
        char why[96];
        (void)snprintf(why, sizeof why, "there is no shard %d of %d", out->index, out->count);
        return refuse(text, why, err);
    }
    return IE_OK;
}

void ie_shard_range(ie_shard shard, size_t items, size_t *first, size_t *end)
{
    const size_t n = (size_t)shard.count, i = (size_t)shard.index;
    const size_t each = items / n, rest = items % n; /* the first `rest` shards have one more */
    *first = i * each + (i < rest ? i : rest);
    *end = *first + each + (i < rest);
}
