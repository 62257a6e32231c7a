/* item.h - one edit of a job: what a line of a manifest asks for.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_ITEM_H
#define IE_APPS_ITEM_H

#include "edit_job.h"

enum { IE_ITEM_MAX_ID = 1000, IE_ITEM_REQUEST = 17 };

typedef struct ie_item {
    int line; /* of the manifest, from 1 */
    char *id;
    char *image, *mask;     /* beneath the input folders; NULL: a data: URL in the line itself */
    char *prompt;           /* may be empty: the item fails then, the job does not */
    char *output;           /* beneath the output folder; several are numbered as by `edit` */
    const char *extension;  /* of the output when it is named for the id; NULL: the job's */
    char *steps, *guidance; /* as --steps and --guidance; NULL: the job's */
    uint64_t seed;
    bool seed_given;
    int count, quality; /* 0: the job's */
    int mask_edit;      /* ie_mask_edit; unsaid: the job's */
    bool image_inline, mask_inline;
    bool mask_is_image; /* OpenAI's: the image's own transparency is the mask */
    int64_t offset;     /* of the line in the manifest, and its length, where something is inline */
    size_t length;
    /* Names the request: the same id with another one is another edit. Hex. */
    char request[IE_ITEM_REQUEST];
} ie_item;

/* What holds for every item that does not say otherwise. */
typedef struct ie_item_defaults {
    uint64_t seed;         /* of the job: items' seeds follow from it and their ids */
    const char *extension; /* of outputs, ".png" */
    const char *settings;  /* the job's other settings in words: part of every item's `request` */
} ie_item_defaults;

/* The keys of the short form, in JSON and CSV: id, image, mask, prompt, output, steps, guidance,
 * seed, count. Ends with NULL. */
extern const char *const ie_item_keys[];

/* Set a field from text. IE_BAD_INPUT with the legal range, or for an unknown key. */
ie_status ie_item_set(ie_item *item, const char *key, const char *text, ie_error *err);
/* May the key's value be a number in JSON; must it be one? */
bool ie_item_takes_number(const char *key);
bool ie_item_takes_text(const char *key);

/* All that can be checked without a file; defaults are filled in. IE_BAD_INPUT. */
ie_status ie_item_finish(ie_item *item, const ie_item_defaults *defaults, ie_error *err);

void ie_item_release(ie_item *item);

#endif
