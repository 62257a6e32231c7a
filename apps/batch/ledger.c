/* ledger.c - appending events. SPDX-License-Identifier: Apache-2.0 */
#include "ledger.h"

#include "args.h"
#include "beneath.h"
#include "json_lines.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { MAX_ATTEMPTS = 100000 };

static ie_status fail(const char *name, int code, ie_error *err)
{
    (void)ie_app_fail(err, IE_IO, "cannot write %s/%s: %s", IE_LEDGER_FOLDER, name, strerror(code));
    if (err) err->native = code;
    return IE_IO;
}

/* ---- files ----------------------------------------------------------------------------------- */

static void make_name(char out[IE_LEDGER_NAME], ie_shard shard, int attempt)
{
    (void)snprintf(out, IE_LEDGER_NAME, "shard-%05d-of-%05d.attempt-%05d.jsonl", shard.index,
                   shard.count, attempt);
}

bool ie_ledger_parse_name(const char *name, ie_shard *shard, int *attempt)
{
    static const int at[] = {6, 15, 29}; /* of the three numbers, five digits each */
    int *const numbers[] = {&shard->index, &shard->count, attempt};
    char again[IE_LEDGER_NAME], digits[6];
    make_name(again, (ie_shard){0, 0}, 0);
    if (strlen(name) != strlen(again)) return false;
    for (int i = 0; i < 3; i++) {
        (void)snprintf(digits, sizeof digits, "%s", name + at[i]);
        if (!ie_parse_int(digits, 0, MAX_ATTEMPTS, numbers[i])) return false;
    }
    make_name(again, *shard, *attempt);
    return !strcmp(name, again);
}

/* The largest number of an attempt of this shard so far; 0 when there is none. */
static int last_attempt(int folder, ie_shard shard)
{
    const int copy = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = copy >= 0 ? fdopendir(copy) : NULL;
    int last = 0;
    if (!d) return last;
    for (const struct dirent *entry; (entry = readdir(d));) {
        ie_shard other;
        int attempt;
        if (ie_ledger_parse_name(entry->d_name, &other, &attempt) && other.index == shard.index &&
            other.count == shard.count && attempt > last) {
            last = attempt;
        }
    }
    (void)closedir(d);
    return last;
}

static int open_folder(int output_root)
{
    int folder;
    if (!ie_beneath_make(output_root, IE_LEDGER_FOLDER)) return -1;
    do {
        folder =
            openat(output_root, IE_LEDGER_FOLDER, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    } while (folder < 0 && errno == EINTR);
    return folder;
}

ie_status ie_ledger_open(ie_ledger *l, int output_root, ie_shard shard, ie_error *err)
{
    *l = (ie_ledger){.lock = PTHREAD_MUTEX_INITIALIZER, .descriptor = -1};
    const int folder = open_folder(output_root);
    if (folder < 0) return fail("", errno, err);
    for (int k = last_attempt(folder, shard) + 1; k < MAX_ATTEMPTS; k++) {
        make_name(l->name, shard, k);
        l->descriptor =
            openat(folder, l->name, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
        /* Taken: by another process that began at the same time. */
        if (l->descriptor >= 0 || (errno != EEXIST && errno != EINTR)) break;
    }
    const int code = errno;
    if (l->descriptor >= 0) {
        (void)fsync(folder);
        (void)fsync(output_root);
    }
    (void)close(folder);
    return l->descriptor >= 0 ? IE_OK : fail(l->name, code, err);
}

void ie_ledger_close(ie_ledger *l)
{
    if (l->name[0] && l->descriptor >= 0) (void)close(l->descriptor);
    *l = (ie_ledger){.descriptor = -1};
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* Returns 0 or errno. */
static int write_all(ie_ledger *l, const char *text, size_t bytes)
{
    while (bytes) {
        const ssize_t written = write(l->descriptor, text, bytes);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return errno;
        l->torn = true;
        text += written;
        bytes -= (size_t)written;
    }
    l->torn = false;
    return 0;
}

static ie_status append(ie_ledger *l, const char *text, size_t bytes, ie_error *err)
{
    (void)pthread_mutex_lock(&l->lock);
    int code = l->torn ? write_all(l, "\n", 1) : 0;
    if (!code) code = write_all(l, text, bytes);
    while (!code && fdatasync(l->descriptor)) {
        if (errno != EINTR) code = errno;
    }
    (void)pthread_mutex_unlock(&l->lock);
    return code ? fail(l->name, code, err) : IE_OK;
}

typedef struct event {
    ie_jsonl json;
    FILE *stream;
    char *text;
    size_t bytes;
} event;

static bool begin_event(event *e, const char *name, const char *id)
{
    struct timespec now;
    *e = (event){.text = NULL};
    e->stream = open_memstream(&e->text, &e->bytes);
    if (!e->stream) return false;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    ie_jsonl_begin(&e->json, e->stream);
    ie_jsonl_text(&e->json, "event", name);
    ie_jsonl_int(&e->json, "time_ms", (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
    if (id) ie_jsonl_text(&e->json, "id", id);
    return true;
}

static ie_status no_event(ie_error *err)
{
    return ie_app_fail(err, IE_NO_MEMORY, "no memory for a ledger's line");
}

static ie_status end_event(ie_ledger *l, event *e, ie_error *err)
{
    ie_jsonl_end(&e->json);
    ie_status status;
    if (fclose(e->stream)) {
        status = no_event(err);
    } else {
        status = append(l, e->text, e->bytes, err);
    }
    free(e->text);
    return status;
}

ie_status ie_ledger_start(ie_ledger *l, ie_shard shard, size_t items, size_t lines, ie_error *err)
{
    event e;
    char host[256] = "";
    (void)gethostname(host, sizeof host - 1);
    if (!begin_event(&e, "start", NULL)) return no_event(err);
    ie_jsonl_int(&e.json, "shard", shard.index);
    ie_jsonl_int(&e.json, "shards", shard.count);
    ie_jsonl_uint(&e.json, "items", items);
    ie_jsonl_uint(&e.json, "lines", lines);
    ie_jsonl_text(&e.json, "host", host);
    ie_jsonl_int(&e.json, "process", getpid());
    return end_event(l, &e, err);
}

ie_status ie_ledger_model(ie_ledger *l, const ie_engine_info *info, ie_error *err)
{
    event e;
    if (!begin_event(&e, "model", NULL)) return no_event(err);
    ie_jsonl_text(&e.json, "model", info->model_name);
    ie_jsonl_text(&e.json, "sha256", info->model_hash);
    ie_jsonl_text(&e.json, "device", info->device);
    ie_jsonl_text(&e.json, "precision", info->precision == IE_PRECISION_BF16 ? "bf16" : "f32");
    return end_event(l, &e, err);
}

ie_status ie_ledger_begin(ie_ledger *l, const ie_item *item, ie_error *err)
{
    event e;
    if (!begin_event(&e, "begin", item->id)) return no_event(err);
    return end_event(l, &e, err);
}

static void put_written(ie_jsonl *j, const ie_written *w)
{
    ie_jsonl_text(j, "output", w->output);
    ie_jsonl_text(j, "sha256", w->sha256);
    ie_jsonl_uint(j, "bytes", w->bytes);
    ie_jsonl_uint(j, "seed", w->seed);
}

ie_status ie_ledger_commit(ie_ledger *l, const ie_item *item, const ie_written *output,
                           ie_error *err)
{
    event e;
    if (!begin_event(&e, "commit", item->id)) return no_event(err);
    put_written(&e.json, output);
    return end_event(l, &e, err);
}

ie_status ie_ledger_done(ie_ledger *l, const ie_item *item, const ie_written *outputs,
                         double seconds, ie_error *err)
{
    event e;
    if (!begin_event(&e, "done", item->id)) return no_event(err);
    ie_jsonl_text(&e.json, "request", item->request);
    ie_jsonl_int(&e.json, "ms", (int64_t)(1e3 * seconds + 0.5));
    ie_jsonl_open(&e.json, "outputs", '[');
    for (int i = 0; i < item->count; i++) {
        ie_jsonl_open(&e.json, NULL, '{');
        put_written(&e.json, &outputs[i]);
        ie_jsonl_close(&e.json, '}');
    }
    ie_jsonl_close(&e.json, ']');
    return end_event(l, &e, err);
}

ie_status ie_ledger_failed(ie_ledger *l, const ie_item *item, const char *kind, const char *reason,
                           ie_error *err)
{
    event e;
    if (!begin_event(&e, "failed", item->id)) return no_event(err);
    ie_jsonl_text(&e.json, "request", item->request);
    ie_jsonl_int(&e.json, "line", item->line);
    ie_jsonl_text(&e.json, "class", kind);
    ie_jsonl_text(&e.json, "reason", reason);
    return end_event(l, &e, err);
}

ie_status ie_ledger_mark(ie_ledger *l, const char *id, ie_ledger_mark_kind kind, ie_error *err)
{
    static const char *const names[] = {"killed", "stopped", "cleared", "retried"};
    event e;
    if (!begin_event(&e, names[kind], id)) return no_event(err);
    return end_event(l, &e, err);
}

ie_status ie_ledger_end(ie_ledger *l, ie_status status, ie_error *err)
{
    event e;
    if (!begin_event(&e, "end", NULL)) return no_event(err);
    ie_jsonl_int(&e.json, "status", status);
    return end_event(l, &e, err);
}
