/* manifest_openai.c - fields of an images/edits request. SPDX-License-Identifier: Apache-2.0 */
#include "manifest_openai.h"

#include "manifest_json.h"
#include "mask.h"

#include <string.h>

typedef ie_status (*reader)(ie_item *item, const char *key, const json_t *value, ie_error *err);

bool ie_openai_is_form(const json_t *line)
{
    return json_object_get(line, "custom_id") || json_object_get(line, "body");
}

static ie_status wrong(const char *key, const char *why, ie_error *err)
{
    return ie_app_fail(err, IE_BAD_INPUT, "body.%s: %s", key, why);
}

/* ---- images ---------------------------------------------------------------------------------- */

/* What an image field holds: itself, or the one element of an array. */
static const json_t *single(const json_t *value)
{
    return json_is_array(value) && json_array_size(value) == 1 ? json_array_get(value, 0) : value;
}

static const char *url_in(const json_t *value)
{
    const json_t *one = single(value);
    const char *text = json_string_value(one);
    return text ? text : json_string_value(json_object_get(one, "image_url"));
}

const char *ie_openai_url(const json_t *line, bool mask)
{
    const json_t *body = json_object_get(line, "body");
    if (mask) return url_in(json_object_get(body, "mask"));
    const char *url = url_in(json_object_get(body, "images"));
    return url ? url : url_in(json_object_get(body, "image"));
}

static ie_status read_url(bool *inlined, const char *key, const json_t *value, ie_error *err)
{
    const json_t *one = single(value);
    if (json_is_array(one)) return wrong(key, "exactly one image is edited", err);
    if (json_object_get(one, "file_id")) {
        return wrong(key, "files uploaded elsewhere cannot be read: use a data: URL, or image_path",
                     err);
    }
    const char *url = url_in(value);
    if (!url) return wrong(key, "legal is {\"image_url\": \"data:...\"}", err);
    if (strncmp(url, "data:", 5) != 0 || !strstr(url, ";base64,")) {
        return wrong(key, "nothing is fetched: legal is data:TYPE;base64,...", err);
    }
    if (*inlined) return wrong(key, "the image is given twice", err);
    *inlined = true;
    return IE_OK;
}

static ie_status read_image(ie_item *item, const char *key, const json_t *value, ie_error *err)
{
    return read_url(&item->image_inline, key, value, err);
}

static ie_status read_mask(ie_item *item, const char *key, const json_t *value, ie_error *err)
{
    return read_url(&item->mask_inline, key, value, err);
}

/* ---- other fields ---------------------------------------------------------------------------- */

static ie_status read_mask_mode(ie_item *item, const char *key, const json_t *value, ie_error *err)
{
    static const struct {
        const char *name;
        ie_mask_edit edit;
    } modes[] = {{"auto", IE_MASK_EDIT_TRANSPARENT},
                 {"alpha", IE_MASK_EDIT_TRANSPARENT},
                 {"white", IE_MASK_EDIT_WHITE},
                 {"black", IE_MASK_EDIT_BLACK}};
    const char *text = json_string_value(value);
    for (size_t i = 0; text && i < sizeof modes / sizeof modes[0]; i++) {
        if (!strcmp(text, modes[i].name)) {
            item->mask_edit = modes[i].edit;
            return IE_OK;
        }
    }
    return wrong(key, "legal are auto, alpha, white, black", err);
}

static ie_status read_size(ie_item *item, const char *key, const json_t *value, ie_error *err)
{
    (void)item;
    const char *text = json_string_value(value);
    if (text && !strcmp(text, "auto")) return IE_OK;
    return wrong(key, "a result has its image's size: legal is auto", err);
}

static ie_status read_format(ie_item *item, const char *key, const json_t *value, ie_error *err)
{
    static const char *const extensions[] = {".png", ".jpeg", ".webp"};
    const char *text = json_string_value(value);
    for (size_t i = 0; text && i < sizeof extensions / sizeof extensions[0]; i++) {
        if (!strcmp(text, extensions[i] + 1)) {
            item->extension = extensions[i];
            return IE_OK;
        }
    }
    return wrong(key, "legal are png, jpeg, webp", err);
}

static ie_status read_compression(ie_item *item, const char *key, const json_t *value,
                                  ie_error *err)
{
    const json_int_t quality = json_integer_value(value);
    if (!json_is_integer(value) || quality < 1 || quality > 100) {
        return wrong(key, "legal is 1 to 100", err);
    }
    item->quality = (int)quality;
    return IE_OK;
}

static ie_status ignore(ie_item *item, const char *key, const json_t *value, ie_error *err)
{
    (void)item, (void)key, (void)value, (void)err;
    return IE_OK;
}

/* `ours`: the key of the short form that the field is read as. */
static const struct {
    const char *key, *ours;
    reader read;
} body_fields[] = {
    {"images", NULL, read_image},
    {"image", NULL, read_image},
    {"mask", NULL, read_mask},
    {"mask_mode", NULL, read_mask_mode},
    {"prompt", "prompt", NULL},
    {"n", "count", NULL},
    {"seed", "seed", NULL},
    {"steps", "steps", NULL},
    {"num_inference_steps", "steps", NULL},
    {"guidance", "guidance", NULL},
    {"guidance_scale", "guidance", NULL},
    {"image_path", "image", NULL},
    {"mask_path", "mask", NULL},
    {"output", "output", NULL},
    {"output_format", NULL, read_format},
    {"output_compression", NULL, read_compression},
    {"size", NULL, read_size},
    /* No meaning here, and no harm: which service, and how it would answer. */
    {"model", NULL, ignore},
    {"user", NULL, ignore},
    {"response_format", NULL, ignore},
    {"quality", NULL, ignore},
    {"background", NULL, ignore},
    {"input_fidelity", NULL, ignore},
    {"moderation", NULL, ignore},
};

static ie_status read_field(ie_item *item, const char *key, const json_t *value, ie_error *err)
{
    for (size_t i = 0; i < sizeof body_fields / sizeof body_fields[0]; i++) {
        if (strcmp(body_fields[i].key, key) != 0) continue;
        if (!body_fields[i].ours) return body_fields[i].read(item, key, value, err);
        return ie_item_set_json(item, body_fields[i].ours, value, err);
    }
    return wrong(key, "this field is unknown here", err);
}

static ie_status check_envelope(const json_t *line, ie_error *err)
{
    static const char *const legal[] = {"custom_id", "method", "url", "body"};
    const char *method = json_string_value(json_object_get(line, "method"));
    const char *url = json_string_value(json_object_get(line, "url"));
    for (size_t i = 0; i < 4; i++) {
        if (!json_object_get(line, legal[i])) {
            return ie_app_fail(err, IE_BAD_INPUT, "%s is missing", legal[i]);
        }
    }
    if (json_object_size(line) != 4) {
        return ie_app_fail(err, IE_BAD_INPUT,
                           "legal fields are custom_id, method, url and body, and no others");
    }
    if (!method || strcmp(method, "POST") != 0) {
        return ie_app_fail(err, IE_BAD_INPUT, "method: legal is POST");
    }
    if (!url || strcmp(url, "/v1/images/edits") != 0) {
        return ie_app_fail(err, IE_BAD_INPUT, "url: legal is /v1/images/edits");
    }
    return IE_OK;
}

ie_status ie_openai_read(ie_item *item, const json_t *line, ie_error *err)
{
    IE_APP_TRY(check_envelope(line, err));
    IE_APP_TRY(ie_item_set_json(item, "id", json_object_get(line, "custom_id"), err));
    json_t *body = json_object_get(line, "body");
    if (!json_is_object(body)) return ie_app_fail(err, IE_BAD_INPUT, "body is not an object");
    item->mask_edit = IE_MASK_EDIT_TRANSPARENT;
    const char *key;
    json_t *value;
    json_object_foreach(body, key, value) IE_APP_TRY(read_field(item, key, value, err));
    if (item->image && item->image_inline)
        return wrong("image_path", "the image is given twice", err);
    if (item->mask && item->mask_inline) return wrong("mask_path", "the mask is given twice", err);
    item->mask_is_image = !item->mask && !item->mask_inline;
    return IE_OK;
}
