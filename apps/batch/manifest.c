/* manifest.c - collecting items and errors. SPDX-License-Identifier: Apache-2.0 */
#include "manifest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static ie_status no_memory(ie_error *err)
{
    return ie_app_fail(err, IE_NO_MEMORY, "no memory for the manifest");
}

ie_status ie_manifest_wrong(ie_manifest *m, int line, const char *text, ie_error *err)
{
    if (m->error_count == m->error_room) {
        const size_t room = m->error_room ? 2 * m->error_room : 64;
        ie_line_error *errors = realloc(m->errors, room * sizeof *errors);
        if (!errors) return no_memory(err);
        m->errors = errors;
        m->error_room = room;
    }
    char *copy = strdup(text);
    if (!copy) return no_memory(err);
    m->errors[m->error_count++] = (ie_line_error){line, copy};
    return IE_OK;
}

/* An id or an output that an earlier item has. */
static ie_status check_new(const ie_manifest *m, const ie_id_index *index, const char *what,
                           const char *text, ie_error *err)
{
    const int64_t other = ie_id_find(index, text);
    if (other == IE_ID_ABSENT) return IE_OK;
    return ie_app_fail(err, IE_BAD_INPUT, "the %s \"%.200s\" is that of line %d", what, text,
                       m->items[other].line);
}

static ie_status keep(ie_manifest *m, ie_item *item, ie_error *err)
{
    if (m->count == m->room) {
        const size_t room = m->room ? 2 * m->room : 256;
        ie_item *items = realloc(m->items, room * sizeof *items);
        if (!items) return no_memory(err);
        m->items = items;
        m->room = room;
    }
    IE_APP_TRY(ie_id_add(&m->ids, item->id, m->count, err));
    IE_APP_TRY(ie_id_add(&m->outputs, item->output, m->count, err));
    m->items[m->count++] = *item;
    *item = (ie_item){0};
    return IE_OK;
}

ie_status ie_manifest_take(ie_manifest *m, ie_item *item, ie_status status,
                           const ie_error *line_err, ie_error *err)
{
    ie_error wrong = {0};
    if (status != IE_OK) {
        wrong = *line_err;
    } else {
        status = ie_item_finish(item, m->defaults, &wrong);
        if (status == IE_OK) status = check_new(m, &m->ids, "id", item->id, &wrong);
        if (status == IE_OK) status = check_new(m, &m->outputs, "output", item->output, &wrong);
    }
    if (status == IE_OK) {
        status = keep(m, item, err);
    } else if (status == IE_NO_MEMORY) {
        if (err) *err = wrong;
    } else {
        status = ie_manifest_wrong(m, item->line, wrong.text, err);
    }
    ie_item_release(item);
    return status;
}

static bool ends_with(const char *text, const char *end)
{
    const size_t length = strlen(text), size = strlen(end);
    return length > size && !strcasecmp(text + length - size, end);
}

static ie_status read_open(ie_manifest *m, const ie_manifest_source *source, FILE *file,
                           ie_error *err)
{
    if (source->images) {
        return ie_manifest_read_folders(m, file, source->images, source->masks, err);
    }
    if (ends_with(m->name, ".csv")) return ie_manifest_read_csv(m, file, err);
    if (ends_with(m->name, ".jsonl") || ends_with(m->name, ".ndjson")) {
        return ie_manifest_read_jsonl(m, file, err);
    }
    return ie_app_fail(err, IE_BAD_ARGUMENT,
                       "the extension of %s names no kind of manifest: legal are .jsonl, .ndjson, "
                       ".csv",
                       m->name);
}

ie_status ie_manifest_read(ie_manifest *out, const ie_manifest_source *source,
                           const ie_item_defaults *defaults, ie_error *err)
{
    *out =
        (ie_manifest){.name = source->file ? source->file : source->prompts, .defaults = defaults};
    FILE *file = fopen(out->name, "rb");
    if (!file) {
        return ie_app_fail(err, IE_BAD_ARGUMENT, "cannot read %s: %s", out->name, strerror(errno));
    }
    ie_status status = read_open(out, source, file, err);
    if (status == IE_OK && ferror(file)) {
        status = ie_app_fail(err, IE_BAD_ARGUMENT, "cannot read %s: %s", out->name,
                             strerror(errno ? errno : EIO));
    }
    (void)fclose(file);
    if (status == IE_OK && out->count == 0 && out->error_count == 0) {
        status = ie_app_fail(err, IE_BAD_ARGUMENT, "%s has no items", out->name);
    }
    return status;
}

void ie_manifest_release(ie_manifest *m)
{
    for (size_t i = 0; i < m->count; i++) ie_item_release(&m->items[i]);
    for (size_t i = 0; i < m->error_count; i++) free(m->errors[i].text);
    free(m->items);
    free(m->errors);
    ie_id_release(&m->ids);
    ie_id_release(&m->outputs);
    *m = (ie_manifest){0};
}
