/* manifest.h - the list of a job's edits, from a file or from folders.
 *
 * Every line is checked before anything else happens, and all that are wrong are listed. What is
 * checked is what a line says: its form, its fields and their ranges, ids and outputs that occur
 * twice, paths that lead elsewhere. Whether an image can be read shows at the item's turn, and is
 * that item's failure alone. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_MANIFEST_H
#define IE_APPS_MANIFEST_H

#include "id_index.h"
#include "item.h"

#include <stdio.h>

typedef struct ie_line_error {
    int line;
    char *text;
} ie_line_error;

typedef struct ie_manifest {
    const char *name; /* of the file; the caller's */
    const ie_item_defaults *defaults;
    ie_item *items;
    size_t count, room;
    ie_line_error *errors;
    size_t error_count, error_room;
    ie_id_index ids, outputs; /* of items */
} ie_manifest;

/* Where the edits come from: a manifest, or the three others. */
typedef struct ie_manifest_source {
    const char *file;           /* .jsonl, .ndjson or .csv */
    const char *images, *masks; /* folders */
    const char *prompts;        /* .csv: `image` or `id`, `prompt`, other fields */
} ie_manifest_source;

/* Lines that are wrong are in out->errors, by line, and no failure of this call. *defaults must
 * outlive *out. IE_BAD_ARGUMENT when there is nothing to read. ie_manifest_release in any case. */
ie_status ie_manifest_read(ie_manifest *out, const ie_manifest_source *source,
                           const ie_item_defaults *defaults, ie_error *err);
void ie_manifest_release(ie_manifest *m);

/* For the readers of a format: finish the item and keep it, or note what is wrong with it. It is
 * empty afterwards. `status` and `line_err` are of reading the line: not IE_OK, it is noted as
 * wrong. IE_NO_MEMORY is the only failure. */
ie_status ie_manifest_take(ie_manifest *m, ie_item *item, ie_status status,
                           const ie_error *line_err, ie_error *err);
ie_status ie_manifest_wrong(ie_manifest *m, int line, const char *text, ie_error *err);

ie_status ie_manifest_read_jsonl(ie_manifest *m, FILE *file, ie_error *err);
ie_status ie_manifest_read_csv(ie_manifest *m, FILE *file, ie_error *err);
ie_status ie_manifest_read_folders(ie_manifest *m, FILE *prompts, const char *images,
                                   const char *masks, ie_error *err);

/* The image or the mask that stands in the item's line as a data: URL; *data is malloc'ed. Reads
 * the line again: a job of many gigabytes of them is not kept in memory. */
ie_status ie_manifest_inline(const char *file, const ie_item *item, bool mask, uint8_t **data,
                             size_t *bytes, ie_error *err);

#endif
