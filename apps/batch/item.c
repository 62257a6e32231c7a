/* item.c - fields of an item and their rules. SPDX-License-Identifier: Apache-2.0 */
#include "item.h"

#include "args.h"
#include "beneath.h"
#include "digest.h"
#include "ledger.h"
#include "output_name.h"
#include "utf8.h"

#include <stdlib.h>
#include <string.h>

typedef enum field_kind {
    FIELD_TEXT,
    FIELD_STEPS,
    FIELD_GUIDANCE,
    FIELD_SEED,
    FIELD_COUNT
} field_kind;

typedef struct field {
    field_kind kind;
    size_t offset; /* of a char * for the first three */
} field;

const char *const ie_item_keys[] = {"id",    "image",    "mask", "prompt", "output",
                                    "steps", "guidance", "seed", "count",  NULL};

/* In the order of ie_item_keys. */
static const field fields[] = {
    {FIELD_TEXT, offsetof(ie_item, id)},
    {FIELD_TEXT, offsetof(ie_item, image)},
    {FIELD_TEXT, offsetof(ie_item, mask)},
    {FIELD_TEXT, offsetof(ie_item, prompt)},
    {FIELD_TEXT, offsetof(ie_item, output)},
    {FIELD_STEPS, offsetof(ie_item, steps)},
    {FIELD_GUIDANCE, offsetof(ie_item, guidance)},
    {FIELD_SEED, 0},
    {FIELD_COUNT, 0},
};

static const field *find_field(const char *key)
{
    for (int i = 0; ie_item_keys[i]; i++) {
        if (!strcmp(ie_item_keys[i], key)) return &fields[i];
    }
    return NULL;
}

bool ie_item_takes_number(const char *key)
{
    const field *f = find_field(key);
    return f && f->kind != FIELD_TEXT;
}

bool ie_item_takes_text(const char *key)
{
    const field *f = find_field(key);
    return f && f->kind != FIELD_SEED && f->kind != FIELD_COUNT;
}

static ie_status unknown_key(const char *key, ie_error *err)
{
    const char *near = ie_args_suggest(key, ie_item_keys);
    if (near) {
        return ie_app_fail(err, IE_BAD_INPUT, "there is no field \"%.60s\"; did you mean %s?", key,
                           near);
    }
    return ie_app_fail(err, IE_BAD_INPUT,
                       "there is no field \"%.60s\": legal are id, image, mask, prompt, output, "
                       "steps, guidance, seed, count",
                       key);
}

/* The specifications are those of the command line, checked here and read again at their turn: a
 * parsed one is large, and there may be a million items. */
static ie_status check_spec(field_kind kind, const char *text, ie_error *err)
{
    if (kind == FIELD_STEPS) {
        ie_steps_spec steps;
        return ie_steps_spec_parse(&steps, text, err);
    }
    ie_guidance_spec guidance = {0};
    IE_APP_TRY(ie_guidance_spec_parse(&guidance, text, err));
    ie_guidance_spec_release(&guidance);
    return IE_OK;
}

static ie_status set_text(char **out, const char *text, ie_error *err)
{
    free(*out);
    *out = strdup(text);
    return *out ? IE_OK : ie_app_fail(err, IE_NO_MEMORY, "no memory for a manifest's text");
}

ie_status ie_item_set(ie_item *item, const char *key, const char *text, ie_error *err)
{
    const field *f = find_field(key);
    if (!f) return unknown_key(key, err);
    switch (f->kind) {
    case FIELD_STEPS:
    case FIELD_GUIDANCE: IE_APP_TRY(check_spec(f->kind, text, err)); break;
    case FIELD_TEXT: break;
    case FIELD_SEED:
        if (!ie_parse_uint64(text, &item->seed) || item->seed >= INT64_MAX) {
            return ie_app_fail(err, IE_BAD_INPUT, "seed %.40s: legal is 0 to 9223372036854775806",
                               text);
        }
        item->seed_given = true;
        return IE_OK;
    case FIELD_COUNT:
        if (ie_parse_int(text, 1, IE_EDIT_MAX_COUNT, &item->count)) return IE_OK;
        return ie_app_fail(err, IE_BAD_INPUT, "count %.40s: legal is 1 to %d", text,
                           IE_EDIT_MAX_COUNT);
    }
    return set_text((char **)((char *)item + f->offset), text, err);
}

/* ---- finishing ------------------------------------------------------------------------------- */

static ie_status check_id(const ie_item *item, ie_error *err)
{
    if (!item->id) return ie_app_fail(err, IE_BAD_INPUT, "id is missing");
    if (item->id[0] == '\0') return ie_app_fail(err, IE_BAD_INPUT, "the id is empty");
    if (strlen(item->id) > IE_ITEM_MAX_ID) {
        return ie_app_fail(err, IE_BAD_INPUT, "the id \"%.40s...\" is over %d bytes", item->id,
                           IE_ITEM_MAX_ID);
    }
    if (!ie_text_is_utf8(item->id)) return ie_app_fail(err, IE_BAD_INPUT, "the id is not UTF-8");
    for (const char *c = item->id; *c; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            return ie_app_fail(err, IE_BAD_INPUT, "the id has a control character");
        }
    }
    return IE_OK;
}

static ie_status check_inputs(const ie_item *item, ie_error *err)
{
    if (!item->image && !item->image_inline) {
        return ie_app_fail(err, IE_BAD_INPUT, "image is missing");
    }
    if (!item->mask && !item->mask_inline && !item->mask_is_image) {
        return ie_app_fail(err, IE_BAD_INPUT, "mask is missing");
    }
    if (!item->prompt) return ie_app_fail(err, IE_BAD_INPUT, "prompt is missing");
    if (item->image) IE_APP_TRY(ie_beneath_check(item->image, err));
    if (item->mask) IE_APP_TRY(ie_beneath_check(item->mask, err));
    return IE_OK;
}

static ie_status finish_output(ie_item *item, const char *extension, ie_error *err)
{
    char name[IE_OUTPUT_STEM + 16];
    ie_image_format format;
    if (!item->output) {
        if (item->extension) extension = item->extension;
        IE_APP_TRY(ie_output_name(name, item->id, extension, err));
        IE_APP_TRY(set_text(&item->output, name, err));
    }
    IE_APP_TRY(ie_beneath_check(item->output, err));
    const size_t first = strcspn(item->output, "/");
    if (first == strlen(IE_LEDGER_FOLDER) && !strncmp(item->output, IE_LEDGER_FOLDER, first)) {
        return ie_app_fail(err, IE_BAD_INPUT,
                           "the path \"%.200s\" is refused: %s/ is the job's own", item->output,
                           IE_LEDGER_FOLDER);
    }
    return ie_image_format_of(&format, item->output, err) == IE_OK ? IE_OK : IE_BAD_INPUT;
}

static ie_status name_request(ie_item *item, const char *settings, ie_error *err)
{
    char *text, hex[IE_DIGEST_TEXT];
    const char *image = item->image ? item->image : "", *mask = item->mask ? item->mask : "";
    const int length =
        asprintf(&text, "%s\x1f%s\x1f%s\x1f%s\x1f%s\x1f%s\x1f%llu\x1f%d\x1f%d\x1f%d\x1f%s", image,
                 mask, item->prompt, item->output, item->steps ? item->steps : "",
                 item->guidance ? item->guidance : "", (unsigned long long)item->seed, item->count,
                 item->quality, item->mask_edit, settings);
    if (length < 0) return ie_app_fail(err, IE_NO_MEMORY, "no memory for a manifest's text");
    (void)snprintf(item->request, sizeof item->request, "%.16s",
                   ie_digest(hex, text, (size_t)length));
    free(text);
    return IE_OK;
}

ie_status ie_item_finish(ie_item *item, const ie_item_defaults *defaults, ie_error *err)
{
    IE_APP_TRY(check_id(item, err));
    IE_APP_TRY(check_inputs(item, err));
    IE_APP_TRY(finish_output(item, defaults->extension, err));
    if (!item->count) item->count = 1;
    if (!item->seed_given) item->seed = ie_item_seed(defaults->seed, item->id);
    if (item->seed > (uint64_t)(INT64_MAX - item->count)) {
        return ie_app_fail(err, IE_BAD_INPUT, "seed %llu with count %d goes beyond %lld",
                           (unsigned long long)item->seed, item->count, (long long)INT64_MAX);
    }
    return name_request(item, defaults->settings, err);
}

void ie_item_release(ie_item *item)
{
    free(item->id);
    free(item->image);
    free(item->mask);
    free(item->prompt);
    free(item->output);
    free(item->steps);
    free(item->guidance);
    *item = (ie_item){0};
}
