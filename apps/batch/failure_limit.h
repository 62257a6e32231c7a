/* failure_limit.h - --max-failures: how many items may fail before a job is given up.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_FAILURE_LIMIT_H
#define IE_APPS_FAILURE_LIMIT_H

#include "fail.h"

#include <stdbool.h>
#include <stddef.h>

typedef struct ie_failure_limit {
    bool given;
    bool percent; /* of the shard's items */
    double value;
} ie_failure_limit;

/* "N" or "P%", P from 0 to 100. IE_BAD_ARGUMENT. */
ie_status ie_failure_limit_parse(ie_failure_limit *out, const char *text, ie_error *err);

/* Are there more failures than allowed? Never when none was given. */
bool ie_failure_limit_passed(const ie_failure_limit *limit, size_t failures, size_t items);

#endif
