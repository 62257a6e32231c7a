/* json_lines.h - one JSON object per line on a stream: what --json prints.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_JSON_LINES_H
#define IE_APPS_JSON_LINES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct ie_jsonl {
    FILE *stream;
    bool filled; /* something was written on this level: a comma comes first */
} ie_jsonl;

/* ie_jsonl_begin(&j, stdout); ie_jsonl_text(&j, "event", "start"); ie_jsonl_end(&j): a line,
 * flushed. */
void ie_jsonl_begin(ie_jsonl *j, FILE *stream);
void ie_jsonl_end(ie_jsonl *j);

/* Strings are escaped; bytes that are not UTF-8, which file names may hold, become U+FFFD. NULL is
 * null. */
void ie_jsonl_text(ie_jsonl *j, const char *key, const char *value);
void ie_jsonl_int(ie_jsonl *j, const char *key, int64_t value);
void ie_jsonl_uint(ie_jsonl *j, const char *key, uint64_t value);
void ie_jsonl_real(ie_jsonl *j, const char *key, double value); /* not finite: null */
void ie_jsonl_bool(ie_jsonl *j, const char *key, bool value);

/* Nesting: key NULL inside an array. */
void ie_jsonl_open(ie_jsonl *j, const char *key, char bracket); /* '{' or '[' */
void ie_jsonl_close(ie_jsonl *j, char bracket);                 /* '}' or ']' */

#endif
