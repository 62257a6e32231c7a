/* atomic_file.h - a file that appears under its final name complete or not at all.
 *
 * A temporary file in the same folder is written, flushed to the disk and renamed. Until then a
 * file that already has the name is untouched; after a failure nothing new is left behind.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_ATOMIC_FILE_H
#define IE_APPS_ATOMIC_FILE_H

#include "fail.h"

#include <stdio.h>

typedef struct ie_atomic_file {
    FILE *stream;    /* write here */
    char *path;      /* the final name, symbolic links followed */
    char *temporary; /* NULL when there is nothing to remove */
} ie_atomic_file;

/* Could `path` be written? Creates and removes a temporary file beside it, so a folder that is
 * missing, read-only or full is found before the work starts. IE_IO with the reason; a folder or a
 * device under that name is refused. */
ie_status ie_atomic_check(const char *path, ie_error *err);

ie_status ie_atomic_open(ie_atomic_file *file, const char *path, ie_error *err);
/* Flush, fsync, rename. On failure nothing is left, as after ie_atomic_abandon. */
ie_status ie_atomic_commit(ie_atomic_file *file, ie_error *err);
/* Close and remove. Fine on a zeroed, committed or abandoned file. */
void ie_atomic_abandon(ie_atomic_file *file);

#endif
