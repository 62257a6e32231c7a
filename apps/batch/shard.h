/* shard.h - which part of a job is this process's: --shard, and what schedulers say of it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_SHARD_H
#define IE_APPS_SHARD_H

#include "fail.h"

#include <stddef.h>

enum { IE_MAX_SHARDS = 99999 };

typedef struct ie_shard {
    int index, count; /* 0 <= index < count */
} ie_shard;

/* NULL: the whole job. "I/N": part I of N, from 0. "auto": from Slurm's job array
 * (SLURM_ARRAY_TASK_ID, _MIN, _STEP, _COUNT). "auto/N": I from there, or from Kubernetes'
 * JOB_COMPLETION_INDEX. IE_BAD_ARGUMENT otherwise. `environment` looks a variable up: getenv. */
ie_status ie_shard_parse(ie_shard *out, const char *text, char *(*environment)(const char *name),
                         ie_error *err);

/* The shard's items are first .. end - 1 of `items`: consecutive lines, all shards equal but for
 * one. */
void ie_shard_range(ie_shard shard, size_t items, size_t *first, size_t *end);

#endif
