/* inspect_operations.h - what each operation of a pass is predicted to take, as a table or as JSON.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_INSPECT_OPERATIONS_H
#define IE_APPS_INSPECT_OPERATIONS_H

#include "json_lines.h"
#include "machine.h"

enum { IE_INSPECT_OPERATIONS = 160 };

/* The pass that a stage makes most often. */
typedef struct ie_inspect_pass {
    const char *stage;
    int lanes, count;
    ie_operation_info operations[IE_INSPECT_OPERATIONS];
} ie_inspect_pass;

/* The slowest first; those below one per cent of the pass are one line. */
void ie_inspect_operations_table(const ie_inspect_pass *pass, const ie_machine *machine,
                                 FILE *stream);
/* All of them: the keys "lanes" and "operations" of the stage's object. */
void ie_inspect_operations_json(const ie_inspect_pass *pass, const ie_machine *machine,
                                ie_jsonl *j);

#endif
