/* file.h - a whole file as read-only memory.
 *
 * The mapping must not outlive the file's content: a file cut short by someone else while it is
 * mapped ends the process with SIGBUS, as for every program that maps files.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_GROUND_FILE_H
#define IE_GROUND_FILE_H

#include "error.h"

#include <stdbool.h>

typedef struct ie_file {
    const unsigned char *data; /* NULL: closed, or a file of no bytes */
    uint64_t size;
} ie_file;

/* Map `path`. Missing, unreadable or not a regular file: `status_if_bad`, naming the file and the
 * reason. */
ie_status ie_file_open(ie_file *out, const char *path, ie_status status_if_bad, ie_error *err);
void ie_file_close(ie_file *f); /* *f becomes empty; an empty one is fine */

/* Does something exist at `path`? */
bool ie_file_exists(const char *path);

/* folder/name in memory of ie_alloc (the caller frees it); NULL when there is none. */
char *ie_path_join(const char *folder, const char *name);

#endif
