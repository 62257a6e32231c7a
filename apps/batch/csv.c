/* csv.c - quotes, commas and line ends. SPDX-License-Identifier: Apache-2.0 */
#include "csv.h"

#include <stdlib.h>
#include <string.h>

void ie_csv_begin(ie_csv *csv, FILE *file)
{
    *csv = (ie_csv){.file = file, .next_line = 1};
}

void ie_csv_release(ie_csv *csv)
{
    free(csv->text);
    *csv = (ie_csv){0};
}

static ie_status put(ie_csv *csv, int c, ie_error *err)
{
    if (csv->used == csv->room) {
        const size_t room = csv->room ? 2 * csv->room : 4096;
        char *text = realloc(csv->text, room);
        if (!text) return ie_app_fail(err, IE_NO_MEMORY, "no memory for a line of a CSV file");
        csv->text = text;
        csv->room = room;
    }
    csv->text[csv->used++] = (char)c;
    return IE_OK;
}

static int get(ie_csv *csv)
{
    const int c = getc_unlocked(csv->file);
    if (c == '\n') csv->next_line++;
    return c;
}

static int peek(ie_csv *csv)
{
    return ungetc(getc_unlocked(csv->file), csv->file);
}

static ie_status skip_line(ie_csv *csv, const char *why, ie_error *err)
{
    int c;
    do c = get(csv);
    while (c != '\n' && c != EOF);
    return ie_app_fail(err, IE_BAD_INPUT, "%s", why);
}

/* One cell, with its NUL, and in *end what ended it: ',', '\n' or EOF. */
static ie_status read_cell(ie_csv *csv, int *end, ie_error *err)
{
    const bool quoted = peek(csv) == '"';
    if (quoted) (void)get(csv);
    for (;;) {
        int c = get(csv);
        if (quoted && c == EOF) {
            return ie_app_fail(err, IE_BAD_INPUT, "a quote is not closed");
        }
        if (quoted && c == '"') {
            if (peek(csv) != '"') break;
            (void)get(csv);
        } else if (!quoted) {
            if (c == '\r' && (peek(csv) == '\n' || peek(csv) == EOF)) c = get(csv);
            if (c == ',' || c == '\n' || c == EOF) {
                *end = c;
                return put(csv, '\0', err);
            }
            if (c == '"') return skip_line(csv, "a quote inside a cell that has none", err);
        }
        if (c == '\0') return skip_line(csv, "a NUL byte", err);
        IE_APP_TRY(put(csv, c, err));
    }
    int c = get(csv);
    if (c == '\r') c = get(csv);
    if (c != ',' && c != '\n' && c != EOF) {
        return skip_line(csv, "text after a closing quote", err);
    }
    *end = c;
    return put(csv, '\0', err);
}

static ie_status read_record(ie_csv *csv, ie_error *err)
{
    int end;
    csv->count = 0;
    csv->used = 0;
    do {
        if (csv->count == IE_CSV_MAX_CELLS) return skip_line(csv, "over 64 cells", err);
        IE_APP_TRY(read_cell(csv, &end, err));
        csv->count++;
    } while (end == ',');
    const char *at = csv->text; /* only now: the text may have moved while it grew */
    for (int i = 0; i < csv->count; i++) {
        csv->cells[i] = at;
        at += strlen(at) + 1;
    }
    return IE_OK;
}

ie_status ie_csv_next(ie_csv *csv, bool *more, ie_error *err)
{
    for (;;) {
        *more = peek(csv) != EOF;
        if (!*more) return IE_OK;
        csv->line = csv->next_line;
        IE_APP_TRY(read_record(csv, err));
        if (csv->count > 1 || csv->cells[0][0]) return IE_OK;
    }
}
