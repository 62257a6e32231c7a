/* manifest_jsonl.c - a JSON object a line: our short form, or OpenAI's.
 * SPDX-License-Identifier: Apache-2.0 */
#include "manifest.h"

#include "base64.h"
#include "manifest_json.h"
#include "manifest_openai.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_LINE = 1 << 28 }; /* two images of 50 MB in base64 fit */

/* ---- values ---------------------------------------------------------------------------------- */

/* "steps": [64, 32, 16], as the text 64,32,16. false when it is not a list of integers. */
static bool join_integers(const json_t *array, char *out, size_t room)
{
    size_t used = 0;
    for (size_t i = 0; i < json_array_size(array); i++) {
        const json_t *element = json_array_get(array, i);
        if (!json_is_integer(element) || used + 24 > room) return false;
        used += (size_t)snprintf(out + used, room - used, "%s%lld", i ? "," : "",
                                 (long long)json_integer_value(element));
    }
    return used > 0;
}

ie_status ie_item_set_json(ie_item *item, const char *key, const json_t *value, ie_error *err)
{
    char number[512];
    const bool takes_number = ie_item_takes_number(key), takes_text = ie_item_takes_text(key);
    if (!takes_number && !takes_text) return ie_item_set(item, key, "", err); /* unknown */
    if (takes_text && json_is_string(value)) {
        return ie_item_set(item, key, json_string_value(value), err);
    }
    if (takes_number && json_is_integer(value)) {
        (void)snprintf(number, sizeof number, "%lld", (long long)json_integer_value(value));
        return ie_item_set(item, key, number, err);
    }
    if (takes_number && takes_text && json_is_real(value)) {
        (void)snprintf(number, sizeof number, "%.9g", json_real_value(value));
        return ie_item_set(item, key, number, err);
    }
    if (!strcmp(key, "steps") && join_integers(value, number, sizeof number)) {
        return ie_item_set(item, key, number, err);
    }
    return ie_app_fail(err, IE_BAD_INPUT, "%s is not %s", key,
                       !takes_text     ? "an integer"
                       : !takes_number ? "a text"
                                       : "a text or a number");
}

/* ---- lines ----------------------------------------------------------------------------------- */

static ie_status parse(json_t **out, const char *text, size_t length, ie_error *err)
{
    json_error_t why;
    *out = NULL;
    if (length > MAX_LINE) {
        return ie_app_fail(err, IE_BAD_INPUT, "the line is over %d MiB", MAX_LINE >> 20);
    }
    *out = json_loadb(text, length, JSON_REJECT_DUPLICATES, &why);
    if (!*out) {
        return ie_app_fail(err, IE_BAD_INPUT, "not JSON: %s (column %d)", why.text, why.column);
    }
    if (json_is_object(*out)) return IE_OK;
    json_decref(*out);
    *out = NULL;
    return ie_app_fail(err, IE_BAD_INPUT, "not a JSON object");
}

static ie_status read_short_form(ie_item *item, json_t *line, ie_error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach(line, key, value) IE_APP_TRY(ie_item_set_json(item, key, value, err));
    return IE_OK;
}

static ie_status read_line(ie_item *item, const char *text, size_t length, ie_error *err)
{
    json_t *line;
    IE_APP_TRY(parse(&line, text, length, err));
    const ie_status status = ie_openai_is_form(line) ? ie_openai_read(item, line, err)
                                                     : read_short_form(item, line, err);
    json_decref(line);
    return status;
}

static bool is_blank(const char *text, size_t length)
{
    return strspn(text, " \t\r\n") >= length;
}

ie_status ie_manifest_read_jsonl(ie_manifest *m, FILE *file, ie_error *err)
{
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    char *text = NULL;
    size_t room = 0;
    ssize_t length;
    int64_t offset = 0;
    ie_status status = IE_OK;
    for (int line = 1; status == IE_OK && (length = getline(&text, &room, file)) >= 0; line++) {
        const size_t skip = line == 1 && !strncmp(text, byte_order_mark, 3) ? 3 : 0;
        const size_t size = (size_t)length - skip;
        ie_error wrong = {0};
        ie_item item = {.line = line, .offset = offset + (int64_t)skip, .length = size};
        offset += length;
        if (is_blank(text + skip, size)) continue;
        const ie_status read = read_line(&item, text + skip, size, &wrong);
        status = ie_manifest_take(m, &item, read, &wrong, err);
    }
    free(text);
    return status;
}

/* ---- data: URLs ------------------------------------------------------------------------------ */

static ie_status read_again(char **out, const char *file, const ie_item *item, ie_error *err)
{
    *out = NULL;
    FILE *stream = fopen(file, "rb");
    char *text = malloc(item->length);
    const bool good = stream && text && !fseeko(stream, item->offset, SEEK_SET) &&
                      fread(text, 1, item->length, stream) == item->length;
    const int code = errno;
    if (stream) (void)fclose(stream);
    if (good) {
        *out = text;
        return IE_OK;
    }
    free(text);
    return ie_app_fail(err, IE_BAD_INPUT, "cannot read line %d of %s again: %s", item->line, file,
                       strerror(code));
}

static ie_status decode_url(const char *url, uint8_t **data, size_t *bytes, ie_error *err)
{
    const char *comma = url ? strstr(url, ";base64,") : NULL;
    if (comma) *data = ie_base64_decode(comma + 8, strlen(comma + 8), bytes);
    if (comma && *data) return IE_OK;
    return ie_app_fail(err, IE_BAD_INPUT, "the data: URL is not base64");
}

ie_status ie_manifest_inline(const char *file, const ie_item *item, bool mask, uint8_t **data,
                             size_t *bytes, ie_error *err)
{
    char *text;
    json_t *line;
    *data = NULL;
    IE_APP_TRY(read_again(&text, file, item, err));
    ie_status status = parse(&line, text, item->length, err);
    free(text);
    IE_APP_TRY(status);
    const char *id = json_string_value(json_object_get(line, "custom_id"));
    if (id && !strcmp(id, item->id)) {
        status = decode_url(ie_openai_url(line, mask), data, bytes, err);
    } else {
        status = ie_app_fail(err, IE_BAD_INPUT, "line %d of %s is no longer the item's", item->line,
                             file);
    }
    json_decref(line);
    return status;
}
