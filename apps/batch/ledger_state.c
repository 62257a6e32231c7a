/* ledger_state.c - reading ledgers, one after the other, event by event.
 * SPDX-License-Identifier: Apache-2.0 */
#include "ledger_state.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static ie_status no_memory(ie_error *err)
{
    return ie_app_fail(err, IE_NO_MEMORY, "no memory for the ledgers");
}

/* ---- files ----------------------------------------------------------------------------------- */

static int is_ledger(const struct dirent *entry)
{
    ie_shard shard;
    int attempt;
    return ie_ledger_parse_name(entry->d_name, &shard, &attempt);
}

/* The names, attempts of a shard in their order. count stays 0 when there is no folder. */
static ie_status list_ledgers(int output_root, struct dirent ***entries, int *count, ie_error *err)
{
    *entries = NULL;
    *count = 0;
    const int found = scandirat(output_root, IE_LEDGER_FOLDER, entries, is_ledger, alphasort);
    if (found >= 0) {
        *count = found;
        return IE_OK;
    }
    if (errno == ENOENT) return IE_OK;
    return ie_app_fail(err, IE_IO, "cannot read %s: %s", IE_LEDGER_FOLDER, strerror(errno));
}

static void release_list(struct dirent **entries, int count)
{
    for (int i = 0; i < count; i++) free(entries[i]);
    free(entries);
}

static FILE *open_ledger(int output_root, const char *name)
{
    char path[IE_LEDGER_NAME + 16];
    (void)snprintf(path, sizeof path, IE_LEDGER_FOLDER "/%.*s", IE_LEDGER_NAME - 1, name);
    const int descriptor = openat(output_root, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    FILE *file = descriptor >= 0 ? fdopen(descriptor, "rb") : NULL;
    if (!file && descriptor >= 0) (void)close(descriptor);
    return file;
}

/* ---- events ---------------------------------------------------------------------------------- */

static const char *text_of(const json_t *event, const char *key)
{
    const char *text = json_string_value(json_object_get(event, key));
    return text ? text : "";
}

static int64_t number_of(const json_t *event, const char *key)
{
    const json_t *value = json_object_get(event, key);
    return json_is_integer(value) ? (int64_t)json_integer_value(value) : -1;
}

static ie_item_state *state_for(ie_ledger_state *s, const char *id)
{
    const int64_t at = ie_id_find(&s->index, id);
    if (at != IE_ID_ABSENT) return &s->items[at];
    if (s->count == s->room) {
        const size_t room = s->room ? 2 * s->room : 1024;
        ie_item_state *items = realloc(s->items, room * sizeof *items);
        if (!items) return NULL;
        s->items = items;
        s->room = room;
    }
    ie_item_state *item = &s->items[s->count];
    *item = (ie_item_state){.id = strdup(id)};
    if (!item->id) return NULL;
    if (ie_id_add(&s->index, item->id, s->count, NULL) != IE_OK) {
        free(item->id);
        return NULL;
    }
    s->count++;
    return item;
}

static void forget_outputs(ie_item_state *item)
{
    for (int i = 0; i < item->output_count; i++) free(item->outputs[i].output);
    free(item->outputs);
    item->outputs = NULL;
    item->output_count = 0;
}

static bool keep_outputs(ie_item_state *item, const json_t *outputs)
{
    const size_t count = json_array_size(outputs);
    forget_outputs(item);
    item->outputs = calloc(count + 1, sizeof *item->outputs);
    if (!item->outputs) return false;
    for (size_t i = 0; i < count; i++) {
        const json_t *from = json_array_get(outputs, i);
        ie_recorded_output *o = &item->outputs[i];
        o->output = strdup(text_of(from, "output"));
        if (!o->output) return false;
        item->output_count++;
        (void)snprintf(o->sha256, sizeof o->sha256, "%s", text_of(from, "sha256"));
        o->bytes = number_of(from, "bytes");
        o->seed = (uint64_t)number_of(from, "seed");
    }
    return true;
}

static bool keep_failure(ie_item_state *item, const json_t *event)
{
    free(item->reason);
    item->reason = strdup(text_of(event, "reason"));
    item->failed = true;
    item->strikes = 0;
    item->line = (int)number_of(event, "line");
    (void)snprintf(item->kind, sizeof item->kind, "%s", text_of(event, "class"));
    return item->reason != NULL;
}

/* false: out of memory. */
static bool item_event(ie_ledger_state *s, int ledger, ie_shard shard, const json_t *event)
{
    const char *name = text_of(event, "event"), *id = text_of(event, "id");
    if (!id[0]) return true;
    ie_item_state *item = state_for(s, id);
    if (!item) return false;
    item->shard = shard;
    if (!strcmp(name, "begin")) {
        item->open_in = ledger + 1;
        return true;
    }
    if (!strcmp(name, "commit")) return true;
    if (item->open_in == ledger + 1) item->open_in = 0;
    if (!strcmp(name, "killed")) item->strikes++;
    if (!strcmp(name, "cleared")) item->strikes = item->open_in = 0;
    if (!strcmp(name, "retried")) item->failed = false;
    const bool done = !strcmp(name, "done"), failed = !strcmp(name, "failed");
    if (done || failed) {
        (void)snprintf(item->request, sizeof item->request, "%s", text_of(event, "request"));
    }
    if (failed) return keep_failure(item, event);
    if (!done) return true;
    item->done = true;
    return keep_outputs(item, json_object_get(event, "outputs"));
}

static void shard_event(ie_ledger_state *s, ie_shard_state *shard, const json_t *event)
{
    const char *name = text_of(event, "event");
    const int64_t time = number_of(event, "time_ms");
    if (time > shard->last_ms) shard->last_ms = time;
    if (!strcmp(name, "start")) {
        shard->items = number_of(event, "items");
        shard->lines = number_of(event, "lines");
        shard->begin_ms = time;
        shard->made = 0;
        shard->ended = false;
    } else if (!strcmp(name, "model")) {
        (void)snprintf(s->model, sizeof s->model, "%s", text_of(event, "sha256"));
    } else if (!strcmp(name, "done")) {
        shard->made++;
    } else if (!strcmp(name, "end")) {
        shard->ended = true;
    }
}

static ie_status read_ledger(ie_ledger_state *s, int ledger, ie_shard_state *shard, FILE *file,
                             ie_error *err)
{
    char *text = NULL;
    size_t room = 0;
    ssize_t length;
    bool good = true;
    while (good && (length = getline(&text, &room, file)) >= 0) {
        json_t *event = json_loadb(text, (size_t)length, 0, NULL);
        if (json_is_object(event)) {
            shard_event(s, shard, event);
            good = item_event(s, ledger, shard->shard, event);
        } else if (length > 1) { /* an empty line ends a torn one */
            s->damaged++;
        }
        json_decref(event);
    }
    const bool unread = ferror(file);
    free(text);
    if (!good) return no_memory(err);
    if (unread) return ie_app_fail(err, IE_IO, "cannot read a ledger: %s", strerror(errno));
    return IE_OK;
}

/* Names are sorted: a shard's attempts follow each other. */
static ie_shard_state *shard_for(ie_ledger_state *s, ie_shard shard)
{
    const int last = s->shard_count - 1;
    if (last < 0 || s->shards[last].shard.index != shard.index ||
        s->shards[last].shard.count != shard.count) {
        s->shards[s->shard_count++] = (ie_shard_state){.shard = shard, .items = -1, .lines = -1};
    }
    ie_shard_state *found = &s->shards[s->shard_count - 1];
    found->attempts++;
    return found;
}

ie_status ie_ledger_state_read(ie_ledger_state *out, int output_root, ie_error *err)
{
    struct dirent **entries;
    int count;
    *out = (ie_ledger_state){.items = NULL};
    IE_APP_TRY(list_ledgers(output_root, &entries, &count, err));
    ie_status status = IE_OK;
    out->shards = calloc((size_t)count + 1, sizeof *out->shards);
    out->ledgers = calloc((size_t)count + 1, sizeof *out->ledgers);
    if (!out->shards || !out->ledgers) status = no_memory(err);
    for (int i = 0; status == IE_OK && i < count; i++) {
        ie_shard shard;
        int attempt;
        FILE *file = open_ledger(output_root, entries[i]->d_name);
        if (!file) {
            status = ie_app_fail(err, IE_IO, "cannot read %s/%s: %s", IE_LEDGER_FOLDER,
                                 entries[i]->d_name, strerror(errno));
            break;
        }
        (void)ie_ledger_parse_name(entries[i]->d_name, &shard, &attempt);
        (void)snprintf(out->ledgers[i], IE_LEDGER_NAME, "%.*s", IE_LEDGER_NAME - 1,
                       entries[i]->d_name);
        out->ledger_count++;
        status = read_ledger(out, i, shard_for(out, shard), file, err);
        (void)fclose(file);
    }
    release_list(entries, count);
    return status;
}

void ie_ledger_state_release(ie_ledger_state *s)
{
    for (size_t i = 0; i < s->count; i++) {
        forget_outputs(&s->items[i]);
        free(s->items[i].id);
        free(s->items[i].reason);
    }
    free(s->items);
    free(s->shards);
    free(s->ledgers);
    ie_id_release(&s->index);
    *s = (ie_ledger_state){0};
}

const ie_item_state *ie_ledger_state_of(const ie_ledger_state *s, const char *id)
{
    const int64_t at = ie_id_find(&s->index, id);
    return at == IE_ID_ABSENT ? NULL : &s->items[at];
}

/* ---- one output ------------------------------------------------------------------------------ */

static bool has_commit(FILE *file, const char *output, const char *sha256)
{
    char *text = NULL;
    size_t room = 0;
    ssize_t length;
    bool found = false;
    while (!found && (length = getline(&text, &room, file)) >= 0) {
        if (!strstr(text, sha256)) continue;
        json_t *event = json_loadb(text, (size_t)length, 0, NULL);
        found = !strcmp(text_of(event, "event"), "commit") &&
                !strcmp(text_of(event, "output"), output) &&
                !strcmp(text_of(event, "sha256"), sha256);
        json_decref(event);
    }
    free(text);
    return found;
}

bool ie_ledger_has_commit(int output_root, const char *output, const char *sha256)
{
    struct dirent **entries;
    int count;
    bool found = false;
    if (list_ledgers(output_root, &entries, &count, NULL) != IE_OK) return false;
    for (int i = 0; !found && i < count; i++) {
        FILE *file = open_ledger(output_root, entries[i]->d_name);
        if (!file) continue;
        found = has_commit(file, output, sha256);
        (void)fclose(file);
    }
    release_list(entries, count);
    return found;
}
