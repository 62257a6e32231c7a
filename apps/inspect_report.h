/* inspect_report.h - what `inspect` says about a model, as a table or as JSON.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_INSPECT_REPORT_H
#define IE_APPS_INSPECT_REPORT_H

#include "inspect_operations.h"
#include "machine.h"

#include <stdio.h>

typedef struct ie_inspect_report {
    const ie_engine_info *info;
    const char *model_dir;
    ie_machine machine;
    const ie_inspect_pass *passes; /* of the text encoder, then of every stage; or NULL */
} ie_inspect_report;

void ie_inspect_table(const ie_inspect_report *report, FILE *stream);
void ie_inspect_json(const ie_inspect_report *report, FILE *stream);

#endif
