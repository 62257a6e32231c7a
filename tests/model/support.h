/* support.h - what the tests of engine/model share: cmocka, folders that vanish, edited JSON, and
 * the sweep that lets every allocation fail once. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_TESTS_MODEL_SUPPORT_H
#define IE_TESTS_MODEL_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "error.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* One way to break a valid document, and words that the refusal must contain. */
typedef struct edit {
    const char *name;
    const char *place; /* "stages.1.guidance.high"; numbers index arrays */
    const char *value; /* JSON; NULL: the member or element is removed */
    const char *says;
} edit;

/* `base` with one edit, as text in `out`; returns its length. */
size_t edited(char *out, size_t size, const char *base, const char *place, const char *value);

/* Fails, printing `name` and the sentence, unless `status` is `wanted` and the sentence has the
 * words. */
void assert_refused(const char *name, ie_status status, ie_status wanted, const ie_error *err,
                    const char *says);

/* A new empty folder; the files written into it vanish with it. */
char *folder_make(void);
void folder_remove(char *folder);
void folder_write(const char *folder, const char *name, const void *bytes, size_t size);

/* A small safetensors file in memory: this header, padded with spaces to 8 bytes, and then `data`
 * bytes 0, 1, 2, ... */
typedef struct image {
    _Alignas(8) unsigned char bytes[4096];
    size_t size;
} image;

image image_build(const char *header, size_t data);

/* Run `open`, which releases what it opened, with each single allocation of ours failing once: it
 * must return IE_NO_MEMORY and leave nothing behind. Then with all of jansson's failing from the
 * first, the second, ... on: IE_NO_MEMORY, or a syntax error (which is what jansson makes of some),
 * and nothing left behind. At least `least` failures must be seen in all. */
void sweep_allocations(ie_status (*open)(void *context, ie_error *err), void *context, int least);

#endif
