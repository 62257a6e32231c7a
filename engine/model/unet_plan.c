/* unet_plan.c - the two layouts spelled out as steps. SPDX-License-Identifier: Apache-2.0 */
#include "unet_plan.h"

typedef struct builder {
    const ie_unet_config *config;
    ie_unet_step *steps; /* NULL: only count */
    ie_unet_step counted;
    int count;
    int side, channels; /* of the current map */
    int pending;        /* channels of a skip that the next block will read */
    int kept[IE_UNET_MAX_SKIPS];
    int kept_count;
    bool overflow;
} builder;

static ie_unet_step *emit(builder *b, ie_unet_step_kind kind, ie_name name)
{
    ie_unet_step *step = b->steps ? &b->steps[b->count] : &b->counted;
    b->count++;
    *step = (ie_unet_step){
        .kind = kind, .name = name, .side = b->side, .inputs = b->channels, .outputs = b->channels};
    return step;
}

static void block(builder *b, ie_name name, int outputs, ie_resample resample)
{
    ie_unet_step *step = emit(b, IE_UNET_BLOCK, name);
    step->skip = b->pending;
    step->outputs = outputs;
    step->resample = resample;
    b->pending = 0;
    b->channels = outputs;
    b->side = (int)ie_resampled(b->side, resample);
}

static void attention(builder *b, ie_name name, ie_attention_config config)
{
    if (config.kind == IE_ATTENTION_NONE) return;
    emit(b, IE_UNET_ATTENTION, name)->attention = config;
}

static void conv(builder *b, ie_name name, int outputs, int stride, ie_resample resample)
{
    ie_unet_step *step = emit(b, IE_UNET_CONV, name);
    step->outputs = outputs;
    step->stride = stride;
    step->resample = resample;
    b->channels = outputs;
    b->side = (int)ie_resampled(b->side, resample) / stride;
}

static void keep(builder *b)
{
    emit(b, IE_UNET_KEEP, ie_name_of("keep"));
    if (b->kept_count == IE_UNET_MAX_SKIPS) {
        b->overflow = true;
        return;
    }
    b->kept[b->kept_count++] = b->channels;
}

static void join(builder *b)
{
    ie_unet_step *step = emit(b, IE_UNET_JOIN, ie_name_of("join"));
    step->skip = b->kept_count > 0 ? b->kept[--b->kept_count] : 0;
    b->pending = b->config->skip_concat ? step->skip : 0;
}

static void middle(builder *b)
{
    for (int j = 0; j < b->config->middle.blocks; j++) {
        block(b, ie_name_of("middle.blocks.%d", j), b->channels, IE_SAME);
        if (j == 0) attention(b, ie_name_of("middle.attention"), b->config->middle.attention);
    }
}

static void adm(builder *b)
{
    const ie_unet_config *c = b->config;
    keep(b);
    for (int i = 0; i < c->level_count; i++) {
        const ie_level_config *level = &c->levels[i];
        for (int j = 0; j < level->blocks; j++) {
            block(b, ie_name_of("down.%d.blocks.%d", i, j), level->channels, IE_SAME);
            attention(b, ie_name_of("down.%d.attentions.%d", i, j), level->attention);
            keep(b);
        }
        if (i + 1 == c->level_count) break;
        block(b, ie_name_of("down.%d.resample", i), b->channels, IE_DOWN2);
        keep(b);
    }
    middle(b);
    for (int i = c->level_count - 1; i >= 0; i--) {
        const ie_level_config *level = &c->levels[i];
        for (int j = 0; j <= level->blocks; j++) {
            join(b);
            block(b, ie_name_of("up.%d.blocks.%d", i, j), level->channels, IE_SAME);
            attention(b, ie_name_of("up.%d.attentions.%d", i, j), level->attention);
        }
        if (i > 0) block(b, ie_name_of("up.%d.resample", i), b->channels, IE_UP2);
    }
}

static void level_blocks(builder *b, const char *side, int i)
{
    const ie_level_config *level = &b->config->levels[i];
    for (int j = 0; j < level->blocks; j++) {
        block(b, ie_name_of("%s.%d.blocks.%d", side, i, j), level->channels, IE_SAME);
    }
    attention(b, ie_name_of("%s.%d.attentions.%d", side, i, level->blocks - 1), level->attention);
}

static void efficient(builder *b)
{
    const ie_unet_config *c = b->config;
    for (int i = 0; i < c->level_count; i++) {
        const ie_level_config *level = &c->levels[i];
        if (level->stride == 2 || level->channels != b->channels) {
            conv(b, ie_name_of("down.%d.resample", i), level->channels, level->stride, IE_SAME);
        }
        level_blocks(b, "down", i);
        /* Nothing lies between the deepest level and its mirror unless there is a middle. */
        if (i + 1 < c->level_count || c->middle.blocks > 0) keep(b);
    }
    middle(b);
    for (int i = c->level_count - 1; i >= 0; i--) {
        const ie_level_config *level = &c->levels[i];
        const int above = i > 0 ? c->levels[i - 1].channels : c->width;
        if (i + 1 < c->level_count || c->middle.blocks > 0) join(b);
        level_blocks(b, "up", i);
        if (level->stride == 2 || level->channels != above) {
            conv(b, ie_name_of("up.%d.resample", i), above, 1,
                 level->stride == 2 ? IE_UP2 : IE_SAME);
        }
    }
}

bool ie_unet_has_shortcut(const ie_unet_config *config, const ie_unet_step *step)
{
    return config->shortcut_always || step->inputs + step->skip != step->outputs;
}

static ie_status check(const ie_unet_config *c, const builder *b, ie_error *err)
{
    for (int i = 1; c->layout == IE_LAYOUT_ADM && i < c->level_count; i++) {
        if (c->levels[i].stride != 2) {
            return ie_fail(err, IE_BAD_MODEL,
                           "level %d of an adm U-Net has stride %d; every level after the first "
                           "halves",
                           i, c->levels[i].stride);
        }
    }
    if (b->overflow)
        return ie_fail(err, IE_BAD_MODEL, "more than %d skips in one U-Net", IE_UNET_MAX_SKIPS);
    for (int i = 0; i < b->count; i++) {
        const ie_unet_step *s = &b->steps[i];
        if (s->kind == IE_UNET_BLOCK && s->skip > 0 && !ie_unet_has_shortcut(c, s)) {
            return ie_fail(err, IE_BAD_MODEL,
                           "%s: %d + %d joined channels equal its output; the shortcut must be "
                           "'conv'",
                           s->name.text, s->inputs, s->skip);
        }
        if (s->kind == IE_UNET_JOIN && !c->skip_concat && s->skip != s->inputs) {
            return ie_fail(err, IE_BAD_MODEL,
                           "a skip of %d channels cannot be added to a map of %d", s->skip,
                           s->inputs);
        }
    }
    return IE_OK;
}

ie_status ie_unet_plan(ie_unet_step **steps, int *count, const ie_unet_config *config,
                       ie_error *err)
{
    *steps = NULL;
    *count = 0;
    builder b = {.config = config};
    for (int pass = 0; pass < 2; pass++) {
        if (pass == 1) {
            *steps = ie_alloc((uint64_t)b.count, sizeof **steps);
            if (!*steps)
                return ie_fail(err, IE_NO_MEMORY, "no memory for a plan of %d steps", b.count);
        }
        b = (builder){.config = config,
                      .steps = *steps,
                      .side = config->resolution,
                      .channels = config->width};
        if (config->layout == IE_LAYOUT_ADM) {
            adm(&b);
        } else {
            efficient(&b);
        }
    }
    const ie_status status = check(config, &b, err);
    if (status == IE_OK) {
        *count = b.count;
        return IE_OK;
    }
    ie_free(*steps);
    *steps = NULL;
    return status;
}
