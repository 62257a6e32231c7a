/* ledger_state.h - where a job stands, from the ledgers of all its attempts and shards.
 *
 * Lines that do not parse are counted and otherwise as if they were not there: a torn last line is
 * what a killed process leaves, and an event that is lost costs work, never a result.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_LEDGER_STATE_H
#define IE_APPS_LEDGER_STATE_H

#include "id_index.h"
#include "ledger.h"

typedef struct ie_recorded_output {
    char *output;
    char sha256[IE_SHA256_HEX];
    int64_t bytes;
    uint64_t seed;
} ie_recorded_output;

typedef struct ie_item_state {
    char *id;
    bool done, failed;
    int strikes;    /* processes it was in flight in when they died, since it last failed */
    int open_in;    /* 1 + index of the ledger that has its begin and no end; 0: none */
    ie_shard shard; /* of the last event */
    char request[IE_ITEM_REQUEST];
    char kind[16], *reason; /* of a failure */
    ie_recorded_output *outputs;
    int output_count;
    int line;
} ie_item_state;

typedef struct ie_shard_state {
    ie_shard shard;
    int attempts;
    int64_t items, lines;      /* as its last attempt saw them; -1: it has not said */
    int64_t begin_ms, last_ms; /* its last attempt's first event, and the last one of all */
    int64_t made;              /* items done by its last attempt */
    bool ended;                /* its last attempt ended by itself */
} ie_shard_state;

typedef struct ie_ledger_state {
    ie_item_state *items;
    size_t count, room;
    ie_id_index index;
    ie_shard_state *shards;
    int shard_count;
    char model[IE_SHA256_HEX];       /* of the last attempt that had one, "" before */
    char (*ledgers)[IE_LEDGER_NAME]; /* what open_in counts */
    int ledger_count;
    size_t damaged; /* lines */
} ie_ledger_state;

/* A job without a ledger has an empty state. IE_IO. ie_ledger_state_release in any case. */
ie_status ie_ledger_state_read(ie_ledger_state *out, int output_root, ie_error *err);
void ie_ledger_state_release(ie_ledger_state *s);

const ie_item_state *ie_ledger_state_of(const ie_ledger_state *s, const char *id); /* or NULL */

/* Does any ledger have a commit of this output with this SHA-256? Then a file that has it is the
 * job's own, made by another attempt. Reads the ledgers again: they may be growing. */
bool ie_ledger_has_commit(int output_root, const char *output, const char *sha256);

#endif
