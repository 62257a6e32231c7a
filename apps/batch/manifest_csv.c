/* manifest_csv.c - a header, then an item a record. SPDX-License-Identifier: Apache-2.0 */
#include "manifest_csv.h"

#include <stdlib.h>
#include <string.h>

typedef struct header {
    char *keys[IE_CSV_MAX_CELLS];
    int count;
} header;

static void release_header(header *h)
{
    for (int i = 0; i < h->count; i++) free(h->keys[i]);
}

/* Every column must be a field; one that is not is the header's error, once. */
static ie_status read_header(header *h, const ie_csv *csv, ie_error *err)
{
    for (int i = 0; i < csv->count; i++) {
        ie_item probe = {0};
        const char *name = csv->cells[i];
        if (i == 0 && !strncmp(name, "\xef\xbb\xbf", 3)) name += 3; /* spreadsheets write it */
        if (!ie_item_takes_number(name) && !ie_item_takes_text(name)) {
            return ie_item_set(&probe, name, "", err);
        }
        for (int k = 0; k < i; k++) {
            if (!strcmp(h->keys[k], name)) {
                return ie_app_fail(err, IE_BAD_INPUT, "the header names %s twice", name);
            }
        }
        h->keys[i] = strdup(name);
        if (!h->keys[i]) return ie_app_fail(err, IE_NO_MEMORY, "no memory for a CSV file");
        h->count++;
    }
    return IE_OK;
}

/* An empty cell is a field that is left out, but an empty prompt. */
static ie_status read_item(ie_item *item, const header *h, const ie_csv *csv, ie_error *err)
{
    if (csv->count != h->count) {
        return ie_app_fail(err, IE_BAD_INPUT, "%d cells, but the header has %d", csv->count,
                           h->count);
    }
    for (int i = 0; i < h->count; i++) {
        if (csv->cells[i][0] == '\0' && strcmp(h->keys[i], "prompt") != 0) continue;
        IE_APP_TRY(ie_item_set(item, h->keys[i], csv->cells[i], err));
    }
    return IE_OK;
}

static ie_status read_rows(ie_manifest *m, ie_csv *csv, const header *h, ie_csv_complete complete,
                           void *user, ie_error *err)
{
    for (;;) {
        bool more;
        ie_error wrong = {0};
        ie_status read = ie_csv_next(csv, &more, &wrong);
        if (read == IE_OK && !more) return IE_OK;
        ie_item item = {.line = csv->line};
        if (read == IE_OK) read = read_item(&item, h, csv, &wrong);
        if (read == IE_OK && complete) read = complete(user, &item, &wrong);
        IE_APP_TRY(ie_manifest_take(m, &item, read, &wrong, err));
    }
}

ie_status ie_manifest_read_records(ie_manifest *m, FILE *file, ie_csv_complete complete, void *user,
                                   ie_error *err)
{
    ie_csv csv;
    header h = {.count = 0};
    bool more;
    ie_error wrong = {0};
    ie_csv_begin(&csv, file);
    ie_status status = ie_csv_next(&csv, &more, &wrong);
    if (status == IE_OK && more) status = read_header(&h, &csv, &wrong);
    if (status == IE_OK) {
        status = read_rows(m, &csv, &h, complete, user, err);
    } else {
        status = ie_manifest_wrong(m, csv.line, wrong.text, err);
    }
    release_header(&h);
    ie_csv_release(&csv);
    return status;
}

ie_status ie_manifest_read_csv(ie_manifest *m, FILE *file, ie_error *err)
{
    return ie_manifest_read_records(m, file, NULL, NULL, err);
}
