/* csv.h - comma-separated values (RFC 4180), a record at a time.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_CSV_H
#define IE_APPS_CSV_H

#include "fail.h"

#include <stdbool.h>
#include <stdio.h>

enum { IE_CSV_MAX_CELLS = 64 };

typedef struct ie_csv {
    FILE *file;
    int next_line; /* lines read so far + 1 */
    /* Of the record: */
    int line; /* where it begins */
    int count;
    const char *cells[IE_CSV_MAX_CELLS]; /* into `text` */
    char *text;
    size_t used, room;
} ie_csv;

void ie_csv_begin(ie_csv *csv, FILE *file);
void ie_csv_release(ie_csv *csv);

/* The next record that is not an empty line; *more is false at the end. A quote where none may be,
 * one that is not closed, too many cells: IE_BAD_INPUT; reading goes on with the next line. */
ie_status ie_csv_next(ie_csv *csv, bool *more, ie_error *err);

#endif
