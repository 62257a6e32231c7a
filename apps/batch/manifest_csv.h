/* manifest_csv.h - items from records, whose header says which field is where.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_MANIFEST_CSV_H
#define IE_APPS_MANIFEST_CSV_H

#include "csv.h"
#include "manifest.h"

/* Called with every record's item before it is finished; may fill in what is missing. */
typedef ie_status (*ie_csv_complete)(void *user, ie_item *item, ie_error *err);

ie_status ie_manifest_read_records(ie_manifest *m, FILE *file, ie_csv_complete complete, void *user,
                                   ie_error *err);

#endif
