/* config.c - what all configuration files share: opening, the format line, and the contradictions
 * that take two files. SPDX-License-Identifier: Apache-2.0 */
#include "config_parts.h"
#include "file.h"

ie_status ie_config_from_text(void *out, const char *text, size_t bytes, const char *name,
                              ie_config_reader *read, ie_error *err)
{
    if (bytes > IE_CONFIG_BYTES_MAX) {
        return ie_fail(err, IE_BAD_MODEL, "%s has %zu bytes; a configuration has at most %d", name,
                       bytes, IE_CONFIG_BYTES_MAX);
    }
    json_t *value = NULL;
    IE_TRY(ie_json_parse(&value, text, bytes, name, err));
    const ie_json root = {.key = name, .value = value};
    const ie_status status = read(out, &root, err);
    json_decref(value);
    return status;
}

ie_status ie_config_from_file(void *out, const char *path, ie_config_reader *read, ie_error *err)
{
    ie_file file;
    IE_TRY(ie_file_open(&file, path, IE_BAD_MODEL, err));
    const ie_status status =
        ie_config_from_text(out, (const char *)file.data, (size_t)file.size, path, read, err);
    ie_file_close(&file);
    return status;
}

ie_status ie_config_check_format(const ie_json *root, const char *format, ie_error *err)
{
    int version = 0;
    const char *const formats[] = {format, NULL};
    IE_TRY(ie_json_choice(&version, root, "format", formats, err));
    const ie_json_field field = {.key = "version", .type = IE_JSON_INT, .low = 1, .high = 1};
    return ie_json_read(&version, root, &field, 1, true, err);
}

ie_status ie_cascade_config_check(const ie_cascade_config *c, const ie_unet_config *unets,
                                  const ie_text_config *text, ie_error *err)
{
    const int canvas = unets[c->stage_count - 1].resolution;
    for (int i = 0; i < c->stage_count; i++) {
        const ie_unet_config *u = &unets[i];
        const char *name = c->stages[i].name;
        const int before = i > 0 ? unets[i - 1].resolution : 0;
        if (u->low_resolution != before) {
            return ie_fail(err, IE_BAD_MODEL, "stage %s: low_resolution is %d, but must be %d (%s)",
                           name, u->low_resolution, before,
                           i > 0 ? "the resolution of the stage before"
                                 : "the first stage has none");
        }
        if (u->conditioning.resolution != canvas) {
            return ie_fail(err, IE_BAD_MODEL,
                           "stage %s: conditioning.resolution is %d, but must be %d (the last "
                           "stage's resolution)",
                           name, u->conditioning.resolution, canvas);
        }
        if (u->text.width != text->d_model) {
            return ie_fail(err, IE_BAD_MODEL,
                           "stage %s: text.width is %d, but the text encoder's d_model is %d", name,
                           u->text.width, text->d_model);
        }
    }
    return IE_OK;
}
