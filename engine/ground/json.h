/* json.h - strict reading of JSON: one table per object, one loop that checks it.
 *
 * jansson parses; duplicate keys, trailing text and numbers that do not fit are refused there. A
 * table row names a key, its type, its legal values and the field it fills; a key without a row, a
 * row without a key, a wrong type and a value out of range are IE_BAD_MODEL, and the sentence says
 * file, place and legal values: "cascade.json: stages[1].steps must be a whole number in 1 .. 9".
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_GROUND_JSON_H
#define IE_GROUND_JSON_H

#include "error.h"

#include <jansson.h>
#include <stdbool.h>

/* A place in a document. It borrows value, key and parent. */
typedef struct ie_json {
    const struct ie_json *parent; /* NULL: the document itself */
    const char *key;              /* of a member; of the document: the name of the file */
    size_t index;                 /* of an element of an array; then key is NULL */
    json_t *value;
} ie_json;

typedef enum ie_json_type {
    IE_JSON_INT,     /* int in low .. high */
    IE_JSON_NUMBER,  /* float or double in low .. high, or above low */
    IE_JSON_BOOL,    /* bool */
    IE_JSON_TEXT,    /* char[size]: 1 .. size - 1 bytes, no control characters */
    IE_JSON_CHOICE,  /* bool, int or enum: which of `choices` */
    IE_JSON_CUSTOM,  /* read() does it; it is given the struct, not the field */
    IE_JSON_IGNORED, /* known, read elsewhere */
} ie_json_type;

typedef struct ie_json_field {
    const char *key;
    ie_json_type type;
    bool optional; /* absent: the field keeps the value it has */
    bool above;    /* low itself is not legal */
    size_t offset, size;
    double low, high;
    const char *const *choices; /* NULL-terminated */
    ie_status (*read)(void *out, const ie_json *value, ie_error *err);
} ie_json_field;

/* Rows, for a struct S and its field F. */
#define IE_JSON_FIELD_(S, F) .offset = offsetof(S, F), .size = sizeof(((S *)0)->F)
#define IE_INT(S, F, name, l, h)                                                          \
    {                                                                                     \
        .key = (name), .type = IE_JSON_INT, .low = (l), .high = (h), IE_JSON_FIELD_(S, F) \
    }
#define IE_NUMBER(S, F, name, l, h)                                                          \
    {                                                                                        \
        .key = (name), .type = IE_JSON_NUMBER, .low = (l), .high = (h), IE_JSON_FIELD_(S, F) \
    }
#define IE_NUMBER_ABOVE(S, F, name, l, h)                                              \
    {                                                                                  \
        .key = (name), .type = IE_JSON_NUMBER, .above = true, .low = (l), .high = (h), \
        IE_JSON_FIELD_(S, F)                                                           \
    }
#define IE_BOOL(S, F, name)                                       \
    {                                                             \
        .key = (name), .type = IE_JSON_BOOL, IE_JSON_FIELD_(S, F) \
    }
#define IE_TEXT(S, F, name)                                       \
    {                                                             \
        .key = (name), .type = IE_JSON_TEXT, IE_JSON_FIELD_(S, F) \
    }
#define IE_CHOICE(S, F, name, list)                                                    \
    {                                                                                  \
        .key = (name), .type = IE_JSON_CHOICE, .choices = (list), IE_JSON_FIELD_(S, F) \
    }
#define IE_CUSTOM(name, function)                                 \
    {                                                             \
        .key = (name), .type = IE_JSON_CUSTOM, .read = (function) \
    }
#define IE_IGNORED(name)                       \
    {                                          \
        .key = (name), .type = IE_JSON_IGNORED \
    }

/* Parse `bytes` of text: an object, or IE_BAD_MODEL with line and column. The caller releases it
 * with json_decref. jansson calls some failed allocations a syntax error: then so does this. */
ie_status ie_json_parse(json_t **out, const char *text, size_t bytes, const char *name,
                        ie_error *err);

/* Fill *out from the object `at` by its table. Keys without a row are refused unless
 * `others_allowed` (files that are not ours carry keys we do not need). */
ie_status ie_json_read(void *out, const ie_json *at, const ie_json_field *fields, size_t count,
                       bool others_allowed, ie_error *err);

/* One member of the object `at`, for objects whose keys depend on it: the index of the choice. */
ie_status ie_json_choice(int *out, const ie_json *at, const char *key, const char *const *choices,
                         ie_error *err);

/* An array of low .. high elements; ie_json_element names one of them. */
ie_status ie_json_array(const ie_json *at, size_t low, size_t high, size_t *count, ie_error *err);
ie_json ie_json_element(const ie_json *array, size_t index);

/* One element of an array. */
ie_status ie_json_int(int *out, const ie_json *at, int low, int high, ie_error *err);
ie_status ie_json_float(float *out, const ie_json *at, double low, double high, ie_error *err);

/* IE_BAD_MODEL: "<file>: <place> <sentence>". */
__attribute__((format(printf, 3, 4))) ie_status ie_json_fail(const ie_json *at, ie_error *err,
                                                             const char *format, ...);

/* `text` for a message: at most size - 1 bytes, control characters as '?'. Returns `out`. */
const char *ie_printable(char *out, size_t size, const char *text);

#endif
