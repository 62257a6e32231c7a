/* config_unet.c - a U-Net's config.json: keys and ranges. What its values must agree on among
 * themselves is config_unet_check.c. SPDX-License-Identifier: Apache-2.0 */
#include "config_parts.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum { SIDE_MIN = 8, SIDE_MAX = 4096, CHANNELS_MAX = 16384, WIDEST = 65536 };

static const char *const layouts[] = {"adm", "efficient", NULL};
static const char *const time_inputs[] = {"log_snr", "time", NULL};
static const char *const norms[] = {"none", "layer", NULL};
static const char *const activations[] = {"silu", "gelu", NULL};
static const char *const shortcuts[] = {"auto", "conv", NULL};
static const char *const skip_joins[] = {"add", "concat", NULL};
static const char *const attentions[] = {"none", "self_text", "text", NULL};

/* ---- lists ----------------------------------------------------------------------------------- */

static ie_status read_ints(int *out, int *count, const ie_json *at, int high, ie_error *err)
{
    size_t n = 0;
    IE_TRY(ie_json_array(at, 0, IE_MAX_CONDITIONING, &n, err));
    for (size_t i = 0; i < n; i++) {
        const ie_json element = ie_json_element(at, i);
        IE_TRY(ie_json_int(&out[i], &element, 1, high, err));
    }
    *count = (int)n;
    return IE_OK;
}

static ie_status read_strides(void *out, const ie_json *at, ie_error *err)
{
    ie_unet_config *c = out;
    return read_ints(c->conditioning.strides, &c->conditioning.count, at, 16, err);
}

static ie_status read_widths(void *out, const ie_json *at, ie_error *err)
{
    ie_unet_config *c = out;
    int count = 0;
    IE_TRY(read_ints(c->conditioning.widths, &count, at, CHANNELS_MAX, err));
    if (count != c->conditioning.count) {
        return ie_json_fail(at, err, "has %d entries, but strides has %d", count,
                            c->conditioning.count);
    }
    return IE_OK;
}

/* ---- sections: their rows are written against the whole configuration ------------------------ */

static ie_status read_conditioning(void *out, const ie_json *at, ie_error *err)
{
    static const ie_json_field fields[] = {
        IE_INT(ie_unet_config, conditioning.resolution, "resolution", 0, SIDE_MAX),
        IE_INT(ie_unet_config, conditioning.kernel, "kernel", 1, 16),
        IE_CUSTOM("strides", read_strides), /* before widths, which must be as many */
        IE_CUSTOM("widths", read_widths),
    };
    return ie_json_read(out, at, fields, COUNT(fields), false, err);
}

static ie_status read_time(void *out, const ie_json *at, ie_error *err)
{
    static const ie_json_field fields[] = {
        IE_CHOICE(ie_unet_config, time.input, "input", time_inputs),
        IE_NUMBER_ABOVE(ie_unet_config, time.clamp, "clamp", 0, 100),
        IE_NUMBER_ABOVE(ie_unet_config, time.scale, "scale", 0, 1e6),
        IE_INT(ie_unet_config, time.width, "width", 2, CHANNELS_MAX),
        IE_NUMBER_ABOVE(ie_unet_config, time.max_period, "max_period", 1, 1e9),
    };
    return ie_json_read(out, at, fields, COUNT(fields), false, err);
}

static ie_status read_text(void *out, const ie_json *at, ie_error *err)
{
    static const ie_json_field fields[] = {
        IE_INT(ie_unet_config, text.width, "width", 1, WIDEST),
        IE_CHOICE(ie_unet_config, text.norm, "norm", norms),
        IE_INT(ie_unet_config, text.project, "project", 0, WIDEST),
        IE_CHOICE(ie_unet_config, text.kv_norm, "kv_norm", norms),
        IE_INT(ie_unet_config, text.pool_heads, "pool_heads", 1, 1024),
    };
    return ie_json_read(out, at, fields, COUNT(fields), false, err);
}

#define ATTENTION_FIELDS(S, F)                                                           \
    IE_CHOICE(S, F.kind, "attention", attentions), IE_INT(S, F.heads, "heads", 0, 1024), \
        IE_INT(S, F.head_width, "head_width", 0, 256)

static ie_status check_attention(const ie_attention_config *a, const ie_json *at, ie_error *err)
{
    const bool none = a->kind == IE_ATTENTION_NONE;
    if (none && (a->heads || a->head_width)) {
        return ie_json_fail(at, err, "has attention \"none\": heads and head_width must be 0");
    }
    if (!none && (!a->heads || !a->head_width)) {
        return ie_json_fail(at, err, "has attention: heads and head_width must be at least 1");
    }
    return IE_OK;
}

static ie_status read_levels(void *out, const ie_json *at, ie_error *err)
{
    static const ie_json_field fields[] = {
        IE_INT(ie_level_config, channels, "channels", 1, CHANNELS_MAX),
        IE_INT(ie_level_config, stride, "stride", 1, 2),
        IE_INT(ie_level_config, blocks, "blocks", 1, IE_MAX_BLOCKS),
        ATTENTION_FIELDS(ie_level_config, attention),
    };
    ie_unet_config *c = out;
    size_t count = 0;
    IE_TRY(ie_json_array(at, 1, IE_MAX_LEVELS, &count, err));
    for (size_t i = 0; i < count; i++) {
        const ie_json element = ie_json_element(at, i);
        IE_TRY(ie_json_read(&c->levels[i], &element, fields, COUNT(fields), false, err));
        IE_TRY(check_attention(&c->levels[i].attention, &element, err));
    }
    c->level_count = (int)count;
    return IE_OK;
}

static ie_status read_middle(void *out, const ie_json *at, ie_error *err)
{
    static const ie_json_field fields[] = {
        IE_INT(ie_unet_config, middle.blocks, "blocks", 0, IE_MAX_BLOCKS),
        ATTENTION_FIELDS(ie_unet_config, middle.attention),
    };
    ie_unet_config *c = out;
    IE_TRY(ie_json_read(c, at, fields, COUNT(fields), false, err));
    IE_TRY(check_attention(&c->middle.attention, at, err));
    if (c->middle.blocks == 0 && c->middle.attention.kind != IE_ATTENTION_NONE) {
        return ie_json_fail(at, err, "has no blocks: its attention must be \"none\"");
    }
    return IE_OK;
}

static ie_status read_head(void *out, const ie_json *at, ie_error *err)
{
    static const ie_json_field fields[] = {
        IE_BOOL(ie_unet_config, head.norm, "norm"),
        IE_INT(ie_unet_config, head.kernel, "kernel", 1, 3),
    };
    ie_unet_config *c = out;
    IE_TRY(ie_json_read(c, at, fields, COUNT(fields), false, err));
    if (c->head.kernel == 2) return ie_json_fail(at, err, "has kernel 2; it must be 1 or 3");
    return IE_OK;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static const ie_json_field unet_fields[] = {
    IE_IGNORED("format"),
    IE_IGNORED("version"),
    IE_CHOICE(ie_unet_config, layout, "layout", layouts),
    IE_INT(ie_unet_config, resolution, "resolution", SIDE_MIN, SIDE_MAX),
    IE_INT(ie_unet_config, image_channels, "image_channels", 3, 3),
    IE_INT(ie_unet_config, output_channels, "output_channels", 3, 64),
    IE_INT(ie_unet_config, low_resolution, "low_resolution", 0, SIDE_MAX),
    IE_CUSTOM("conditioning", read_conditioning),
    IE_INT(ie_unet_config, width, "width", 1, CHANNELS_MAX),
    IE_INT(ie_unet_config, embedding, "embedding", 1, WIDEST),
    IE_CUSTOM("time", read_time),
    IE_CUSTOM("text", read_text),
    IE_INT(ie_unet_config, norm_groups, "norm_groups", 1, 1024),
    IE_NUMBER_ABOVE(ie_unet_config, norm_eps, "norm_eps", 0, 1),
    IE_CHOICE(ie_unet_config, activation, "activation", activations),
    IE_NUMBER_ABOVE(ie_unet_config, residual_scale, "residual_scale", 0, 10),
    IE_CHOICE(ie_unet_config, shortcut_always, "shortcut", shortcuts),
    IE_CHOICE(ie_unet_config, skip_concat, "skip_join", skip_joins),
    IE_NUMBER_ABOVE(ie_unet_config, skip_scale, "skip_scale", 0, 10),
    IE_CUSTOM("levels", read_levels),
    IE_CUSTOM("middle", read_middle),
    IE_CUSTOM("head", read_head),
};

static ie_status read_unet(void *out, const ie_json *root, ie_error *err)
{
    ie_unet_config *c = out;
    *c = (ie_unet_config){0};
    IE_TRY(ie_config_check_format(root, "imagen-editor-unet", err));
    IE_TRY(ie_json_read(c, root, unet_fields, COUNT(unet_fields), false, err));
    c->activation =
        c->activation == 0 ? IE_ACT_SILU : IE_ACT_GELU; /* as `activations` lists them */
    return ie_unet_config_check(c, root, err);
}

ie_status ie_unet_config_parse(ie_unet_config *out, const char *text, size_t bytes,
                               const char *name, ie_error *err)
{
    return ie_config_from_text(out, text, bytes, name, read_unet, err);
}

ie_status ie_unet_config_read(ie_unet_config *out, const char *path, ie_error *err)
{
    return ie_config_from_file(out, path, read_unet, err);
}
