/* ledger.h - what a batch job has done: files of JSON lines that only grow.
 *
 * OUT/ledger/shard-I-of-N.attempt-K.jsonl is written by one attempt alone: none ever writes
 * into another one's file, so two that work on the same shard do not mix their lines. A line is on
 * the disk when its call returns. Events:
 *
 *     start   the attempt: shard, its items, the job's, host, process
 *     model   what it runs on
 *     begin   an item, before its input is opened
 *     commit  an output about to get its name, with its SHA-256
 *     done    an item: outputs, their SHA-256, sizes and seeds, and milliseconds
 *     failed  an item, with class and reason
 *     killed  an item that was in flight when the process died by a signal of its own making
 *     stopped an item that was in flight when the process was told to end
 *     cleared an item whose process died, but every process does there: nothing is held against it
 *     retried an item that had failed and is tried again
 *     end     the attempt, with its status
 *
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_LEDGER_H
#define IE_APPS_LEDGER_H

#include "item.h"
#include "shard.h"

#include <pthread.h>

#define IE_LEDGER_FOLDER "ledger"

enum { IE_LEDGER_NAME = 80, IE_SHA256_HEX = 65 };

typedef struct ie_ledger {
    pthread_mutex_t lock;
    int descriptor;
    bool torn;                 /* a line was written in part: the next one begins on a new line */
    char name[IE_LEDGER_NAME]; /* OUT/ledger/name */
} ie_ledger;

/* A new attempt's file. The folder is made. IE_IO. */
ie_status ie_ledger_open(ie_ledger *l, int output_root, ie_shard shard, ie_error *err);
void ie_ledger_close(ie_ledger *l);

typedef struct ie_written {
    char output[PATH_MAX], sha256[IE_SHA256_HEX];
    size_t bytes;
    uint64_t seed;
} ie_written;

/* Any thread; each returns IE_IO when the line may not be on the disk. */
ie_status ie_ledger_start(ie_ledger *l, ie_shard shard, size_t items, size_t lines, ie_error *err);
ie_status ie_ledger_model(ie_ledger *l, const ie_engine_info *info, ie_error *err);
ie_status ie_ledger_begin(ie_ledger *l, const ie_item *item, ie_error *err);
ie_status ie_ledger_commit(ie_ledger *l, const ie_item *item, const ie_written *output,
                           ie_error *err);
ie_status ie_ledger_done(ie_ledger *l, const ie_item *item, const ie_written *outputs,
                         double seconds, ie_error *err);
ie_status ie_ledger_failed(ie_ledger *l, const ie_item *item, const char *kind, const char *reason,
                           ie_error *err);
/* What happened to an item, mostly to one that was in flight when its process ended. */
typedef enum ie_ledger_mark_kind {
    IE_MARK_KILLED,  /* by a signal of the process's own making: one strike against the item */
    IE_MARK_STOPPED, /* because it was told to */
    IE_MARK_CLEARED, /* as every process does there: its strikes are forgotten */
    IE_MARK_RETRIED, /* it had failed, and is to be tried again */
} ie_ledger_mark_kind;

ie_status ie_ledger_mark(ie_ledger *l, const char *id, ie_ledger_mark_kind kind, ie_error *err);
ie_status ie_ledger_end(ie_ledger *l, ie_status status, ie_error *err);

/* "shard-00003-of-00008.attempt-00002.jsonl" into its parts. */
bool ie_ledger_parse_name(const char *name, ie_shard *shard, int *attempt);

#endif
