/* report.h - a finished job to look at: a contact sheet, and an HTML page that needs no other file.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_REPORT_H
#define IE_APPS_REPORT_H

#include "batch_job.h"

/* Pictures are shown of this many items at most, the first; a sheet of more could not be opened. */
enum { IE_REPORT_ITEMS = 200, IE_REPORT_SIDE = 160 };

typedef struct ie_report_input {
    const ie_batch_values *values;
    const ie_manifest *manifest;
    const ie_ledger_state *state;
    ie_shard shard;
    const ie_picture_source *pictures;
    int output_root;
} ie_report_input;

/* Image, mask and first result of an item that is done, as thumbnails; IE_BAD_INPUT when one cannot
 * be read any more. */
ie_status ie_report_pictures(ie_image out[3], const ie_report_input *in, const ie_item *item,
                             ie_error *err);

/* Rows of image | mask | result, side by side. */
ie_status ie_contact_sheet(const ie_report_input *in, const char *path, ie_error *err);

/* Counts, all failures with their reasons, and the first items with pictures, prompt and seed. */
ie_status ie_report(const ie_report_input *in, const char *path, ie_error *err);

#endif
