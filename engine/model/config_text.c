/* config_text.c - the T5 encoder's config.json, as Hugging Face writes it. It is not our file: keys
 * we do not use are not looked at. SPDX-License-Identifier: Apache-2.0 */
#include "config_parts.h"

enum { WIDEST = 65536 };

static const char *const feed_forwards[] = {"gated-gelu", NULL};

static const ie_json_field fields[] = {
    IE_INT(ie_text_config, vocab_size, "vocab_size", 3, 10000000),
    IE_INT(ie_text_config, d_model, "d_model", 1, WIDEST),
    IE_INT(ie_text_config, d_kv, "d_kv", 1, 256),
    IE_INT(ie_text_config, d_ff, "d_ff", 1, 4 * WIDEST),
    IE_INT(ie_text_config, num_layers, "num_layers", 1, 256),
    IE_INT(ie_text_config, num_heads, "num_heads", 1, 1024),
    IE_INT(ie_text_config, buckets, "relative_attention_num_buckets", 4, 4096),
    {.key = "relative_attention_max_distance",
     .type = IE_JSON_INT,
     .optional = true,
     .low = 2,
     .high = 65536,
     IE_JSON_FIELD_(ie_text_config, max_distance)},
    IE_NUMBER_ABOVE(ie_text_config, eps, "layer_norm_epsilon", 0, 1),
    IE_IGNORED("feed_forward_proj"),
};

static ie_status read_text_config(void *out, const ie_json *root, ie_error *err)
{
    int gated = 0;
    ie_text_config *c = out;
    *c = (ie_text_config){.max_distance = 128};
    IE_TRY(ie_json_read(c, root, fields, sizeof fields / sizeof fields[0], true, err));
    IE_TRY(ie_json_choice(&gated, root, "feed_forward_proj", feed_forwards, err));
    /* Half of the buckets are for keys to the right, half of each half for exact distances. */
    if (c->buckets % 2) {
        return ie_json_fail(root, err, "relative_attention_num_buckets must be even");
    }
    if (c->max_distance <= c->buckets / 4) {
        return ie_json_fail(root, err,
                            "relative_attention_max_distance must be above %d, a quarter "
                            "of relative_attention_num_buckets",
                            c->buckets / 4);
    }
    return IE_OK;
}

ie_status ie_text_config_parse(ie_text_config *out, const char *text, size_t bytes,
                               const char *name, ie_error *err)
{
    return ie_config_from_text(out, text, bytes, name, read_text_config, err);
}

ie_status ie_text_config_read(ie_text_config *out, const char *path, ie_error *err)
{
    return ie_config_from_file(out, path, read_text_config, err);
}
