/* json.c - tables over jansson. SPDX-License-Identifier: Apache-2.0 */
#include "json.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { SHOWN = 80 }; /* bytes of a foreign name that a message repeats */

const char *ie_printable(char *out, size_t size, const char *text)
{
    size_t n = 0;
    for (; text[n] && n + 1 < size; n++) {
        const unsigned char c = (unsigned char)text[n];
        if (c < 0x20 || c == 0x7f) {
            out[n] = '?';
        } else {
            out[n] = text[n];
        }
    }
    out[n] = '\0';
    return out;
}

/* ---- places and messages --------------------------------------------------------------------- */

static const char *file_of(const ie_json *at)
{
    while (at->parent) at = at->parent;
    return at->key;
}

/* Append the place, outermost first: stages[1].guidance.high */
static void write_place(char *out, size_t size, const ie_json *at)
{
    if (!at->parent) return;
    write_place(out, size, at->parent);
    const size_t used = strlen(out);
    char key[SHOWN];
    if (at->key) {
        snprintf(out + used, size - used, "%s%s", used ? "." : "",
                 ie_printable(key, sizeof key, at->key));
    } else {
        snprintf(out + used, size - used, "[%zu]", at->index);
    }
}

ie_status ie_json_fail(const ie_json *at, ie_error *err, const char *format, ...)
{
    char place[160] = "", sentence[240];
    write_place(place, sizeof place, at);
    va_list args;
    va_start(args, format);
    vsnprintf(sentence, sizeof sentence, format, args);
    va_end(args);
    return ie_fail(err, IE_BAD_MODEL, "%s: %s%s%s", file_of(at), place, place[0] ? " " : "",
                   sentence);
}

static ie_json member(const ie_json *at, const char *key)
{
    return (ie_json){.parent = at, .key = key, .value = json_object_get(at->value, key)};
}

ie_json ie_json_element(const ie_json *array, size_t index)
{
    return (ie_json){.parent = array, .index = index, .value = json_array_get(array->value, index)};
}

/* ---- parsing --------------------------------------------------------------------------------- */

ie_status ie_json_parse(json_t **out, const char *text, size_t bytes, const char *name,
                        ie_error *err)
{
    *out = NULL;
    json_error_t problem = {0};
    json_t *root = json_loadb(bytes ? text : "", bytes, JSON_REJECT_DUPLICATES, &problem);
    /* jansson has nothing to say where it ran out of memory. */
    const bool no_memory = json_error_code(&problem) == json_error_out_of_memory;
    if (!root && (no_memory || !problem.text[0])) {
        return ie_fail(err, IE_NO_MEMORY, "%s: no memory to parse it", name);
    }
    if (!root) {
        char what[SHOWN];
        return ie_fail(err, IE_BAD_MODEL, "%s is not valid JSON: line %d, column %d: %s", name,
                       problem.line, problem.column, ie_printable(what, sizeof what, problem.text));
    }
    if (!json_is_object(root)) {
        json_decref(root);
        return ie_fail(err, IE_BAD_MODEL, "%s must be a JSON object", name);
    }
    *out = root;
    return IE_OK;
}

/* ---- values ---------------------------------------------------------------------------------- */

ie_status ie_json_int(int *out, const ie_json *at, int low, int high, ie_error *err)
{
    const json_int_t v = json_integer_value(at->value);
    if (!json_is_integer(at->value) || v < low || v > high) {
        return low == high ? ie_json_fail(at, err, "must be %d", low)
                           : ie_json_fail(at, err, "must be a whole number in %d .. %d", low, high);
    }
    *out = (int)v;
    return IE_OK;
}

static ie_status read_number(double *out, const ie_json *at, double low, double high, bool above,
                             ie_error *err)
{
    const double v = json_number_value(at->value);
    const bool legal =
        json_is_number(at->value) && isfinite(v) && v <= high && (above ? v > low : v >= low);
    if (!legal) {
        return above ? ie_json_fail(at, err, "must be a number above %g and at most %g", low, high)
                     : ie_json_fail(at, err, "must be a number in %g .. %g", low, high);
    }
    *out = v;
    return IE_OK;
}

ie_status ie_json_float(float *out, const ie_json *at, double low, double high, ie_error *err)
{
    double v = 0;
    IE_TRY(read_number(&v, at, low, high, false, err));
    *out = (float)v;
    return IE_OK;
}

static ie_status read_text(char *out, size_t size, const ie_json *at, ie_error *err)
{
    const char *text = json_string_value(at->value);
    const size_t bytes = text ? strlen(text) : 0;
    if (bytes == 0 || bytes >= size) {
        return ie_json_fail(at, err, "must be a string of 1 .. %zu bytes", size - 1);
    }
    for (size_t i = 0; i < bytes; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (c < 0x20 || c == 0x7f) {
            return ie_json_fail(at, err, "must not contain control characters");
        }
    }
    memcpy(out, text, bytes + 1);
    return IE_OK;
}

static ie_status read_choice(int *out, const ie_json *at, const char *const *choices, ie_error *err)
{
    const char *text = json_string_value(at->value);
    for (int i = 0; text && choices[i]; i++) {
        if (strcmp(text, choices[i]) == 0) {
            *out = i;
            return IE_OK;
        }
    }
    char list[160] = "";
    for (size_t i = 0, used = 0; choices[i] && used < sizeof list; used = strlen(list), i++) {
        const char *between = i == 0 ? "" : choices[i + 1] ? ", " : " or ";
        snprintf(list + used, sizeof list - used, "%s\"%s\"", between, choices[i]);
    }
    return ie_json_fail(at, err, "must be %s", list);
}

ie_status ie_json_choice(int *out, const ie_json *at, const char *key, const char *const *choices,
                         ie_error *err)
{
    if (!json_is_object(at->value)) return ie_json_fail(at, err, "must be an object");
    const ie_json value = member(at, key);
    if (!value.value) return ie_json_fail(&value, err, "is missing");
    return read_choice(out, &value, choices, err);
}

ie_status ie_json_array(const ie_json *at, size_t low, size_t high, size_t *count, ie_error *err)
{
    const size_t n = json_array_size(at->value);
    if (!json_is_array(at->value) || n < low || n > high) {
        return low == high
                   ? ie_json_fail(at, err, "must be an array of %zu elements", low)
                   : ie_json_fail(at, err, "must be an array of %zu .. %zu elements", low, high);
    }
    *count = n;
    return IE_OK;
}

/* ---- tables ---------------------------------------------------------------------------------- */

static ie_status read_field(void *out, const ie_json *at, const ie_json_field *f, ie_error *err)
{
    char *field = (char *)out + f->offset;
    int whole = 0;
    double number = 0;
    switch (f->type) {
    case IE_JSON_INT: return ie_json_int((int *)(void *)field, at, (int)f->low, (int)f->high, err);
    case IE_JSON_NUMBER:
        IE_TRY(read_number(&number, at, f->low, f->high, f->above, err));
        if (f->size == sizeof(float)) {
            memcpy(field, &(float){(float)number}, sizeof(float));
        } else {
            memcpy(field, &number, sizeof number);
        }
        return IE_OK;
    case IE_JSON_BOOL:
        if (!json_is_boolean(at->value)) return ie_json_fail(at, err, "must be true or false");
        *(bool *)field = json_is_true(at->value);
        return IE_OK;
    case IE_JSON_TEXT: return read_text(field, f->size, at, err);
    case IE_JSON_CHOICE:
        IE_TRY(read_choice(&whole, at, f->choices, err));
        if (f->size == sizeof(bool)) {
            *(bool *)field = whole != 0;
        } else {
            memcpy(field, &whole, sizeof whole); /* enums are as wide as int */
        }
        return IE_OK;
    case IE_JSON_CUSTOM: return f->read(out, at, err);
    case IE_JSON_IGNORED: break;
    }
    return IE_OK;
}

static bool has_row(const ie_json_field *fields, size_t count, const char *key)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(fields[i].key, key) == 0) return true;
    }
    return false;
}

ie_status ie_json_read(void *out, const ie_json *at, const ie_json_field *fields, size_t count,
                       bool others_allowed, ie_error *err)
{
    if (!json_is_object(at->value)) return ie_json_fail(at, err, "must be an object");
    const char *key;
    json_t *value;
    json_object_foreach(at->value, key, value)
    {
        if (others_allowed || has_row(fields, count, key)) continue;
        const ie_json unknown = {.parent = at, .key = key, .value = value};
        return ie_json_fail(&unknown, err, "is not a key that is known here");
    }
    for (size_t i = 0; i < count; i++) {
        const ie_json field = member(at, fields[i].key);
        if (field.value) {
            IE_TRY(read_field(out, &field, &fields[i], err));
        } else if (!fields[i].optional) {
            return ie_json_fail(&field, err, "is missing");
        }
    }
    return IE_OK;
}
