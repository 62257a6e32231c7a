/* json_lines.c - writing JSON objects. SPDX-License-Identifier: Apache-2.0 */
#include "json_lines.h"

#include "utf8.h"

#include <inttypes.h>
#include <math.h>

static void put_string(FILE *stream, const char *text)
{
    fputc('"', stream);
    while (*text) {
        const int bytes = ie_text_character(text);
        const unsigned char c = (unsigned char)*text;
        if (bytes == 0) {
            fputs("\\ufffd", stream);
            text++;
            continue;
        }
        if (c == '"' || c == '\\') {
            fprintf(stream, "\\%c", c);
        } else if (c < 0x20) {
            fprintf(stream, "\\u%04x", (unsigned)c);
        } else {
            fprintf(stream, "%.*s", bytes, text);
        }
        text += bytes;
    }
    fputc('"', stream);
}

static void put_key(ie_jsonl *j, const char *key)
{
    if (j->filled) fputs(", ", j->stream);
    j->filled = true;
    if (!key) return;
    put_string(j->stream, key);
    fputs(": ", j->stream);
}

void ie_jsonl_begin(ie_jsonl *j, FILE *stream)
{
    *j = (ie_jsonl){.stream = stream};
    fputc('{', stream);
}

void ie_jsonl_end(ie_jsonl *j)
{
    fputs("}\n", j->stream);
    (void)fflush(j->stream); /* a failure sticks to the stream: main looks at it */
}

void ie_jsonl_text(ie_jsonl *j, const char *key, const char *value)
{
    put_key(j, key);
    if (value) {
        put_string(j->stream, value);
    } else {
        fputs("null", j->stream);
    }
}

void ie_jsonl_int(ie_jsonl *j, const char *key, int64_t value)
{
    put_key(j, key);
    fprintf(j->stream, "%" PRId64, value);
}

void ie_jsonl_uint(ie_jsonl *j, const char *key, uint64_t value)
{
    put_key(j, key);
    fprintf(j->stream, "%" PRIu64, value);
}

void ie_jsonl_real(ie_jsonl *j, const char *key, double value)
{
    put_key(j, key);
    if (isfinite(value)) {
        fprintf(j->stream, "%.9g", value);
    } else {
        fputs("null", j->stream);
    }
}

void ie_jsonl_bool(ie_jsonl *j, const char *key, bool value)
{
    put_key(j, key);
    fputs(value ? "true" : "false", j->stream);
}

void ie_jsonl_open(ie_jsonl *j, const char *key, char bracket)
{
    put_key(j, key);
    fputc(bracket, j->stream);
    j->filled = false;
}

void ie_jsonl_close(ie_jsonl *j, char bracket)
{
    fputc(bracket, j->stream);
    j->filled = true;
}
