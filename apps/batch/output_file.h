/* output_file.h - an output gets its name once, whoever else writes the same item.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_OUTPUT_FILE_H
#define IE_APPS_OUTPUT_FILE_H

#include "ledger.h"

/* false: it is not there, or no regular file. */
bool ie_output_size(int output_root, const char *output, int64_t *bytes);
bool ie_output_sha256(int output_root, const char *output, char sha256[IE_SHA256_HEX]);

/* Record the output's hash, then write it under its name. If the name is taken: by the same bytes,
 * or by bytes that a ledger says are the job's own (another attempt ran on another machine), that
 * file stays, and *w becomes what it is; by anything else, it is refused (IE_IO with EEXIST).
 * Folders on the way are made. Sets w->sha256 and w->bytes. */
ie_status ie_output_commit(ie_ledger *ledger, int output_root, const ie_item *item, ie_written *w,
                           const void *data, ie_error *err);

#endif
