/* atomic_file.h - a file that appears under its final name complete or not at all.
 *
 * A temporary file in the same folder is written, flushed to the disk and given its name. Until
 * then a file that already has the name is untouched; after a failure nothing new is left behind.
 * There are two ways to give the name: ie_atomic_open replaces a file that has it,
 * ie_atomic_open_new never does. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_ATOMIC_FILE_H
#define IE_APPS_ATOMIC_FILE_H

#include "fail.h"

#include <stdbool.h>
#include <stdio.h>

typedef struct ie_atomic_file {
    FILE *stream;    /* ie_atomic_open: write here */
    int descriptor;  /* ie_atomic_open_new: write here, with ie_atomic_write */
    int folder;      /* open while `name` is not NULL */
    char *path;      /* the final name in words, symbolic links followed */
    char *name;      /* in the folder; NULL: nothing is open */
    char *temporary; /* in the folder; NULL when there is nothing to remove */
    bool keep_old;
} ie_atomic_file;

/* Could `path` be written? Creates and removes a temporary file beside it, so a folder that is
 * missing, read-only or full is found before the work starts. IE_IO with the reason; a folder or a
 * device under that name is refused. */
ie_status ie_atomic_check(const char *path, ie_error *err);

ie_status ie_atomic_open(ie_atomic_file *file, const char *path, ie_error *err);

/* For a name that is to be new: `name` is one component in the folder open as `folder`, `path` what
 * messages call it. Where the file system can, the temporary file has no name at all, so that not
 * even a process that is killed leaves one. */
ie_status ie_atomic_open_new(ie_atomic_file *file, int folder, const char *name, const char *path,
                             ie_error *err);
ie_status ie_atomic_write(ie_atomic_file *file, const void *data, size_t bytes, ie_error *err);

/* Flush, fdatasync, give the name, sync the folder. On failure nothing is left, as after
 * ie_atomic_abandon; err->native is EEXIST when a new name was taken, by whomever. */
ie_status ie_atomic_commit(ie_atomic_file *file, ie_error *err);
/* Close and remove. Fine on a zeroed, committed or abandoned file. */
void ie_atomic_abandon(ie_atomic_file *file);

#endif
