/* config_cascade.c - cascade.json. engine/MODEL.md section 1 defines the keys.
 * SPDX-License-Identifier: Apache-2.0 */
#include "config_parts.h"
#include "memory.h"

#include <string.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

enum { WEIGHT_MAX = 1000 };

/* ---- the parts of a stage whose keys depend on their kind ------------------------------------ */

static const char *const schedules[] = {"cosine", "linear", NULL};
static const char *const predictions[] = {"epsilon", "v", NULL};
static const char *const samplers[] = {"ddpm", "ddim", NULL};
static const char *const guidances[] = {"constant", "oscillate", "list", NULL};
static const char *const thresholds[] = {"none", "static", "dynamic", NULL};
static const char *const knowns[] = {"predicted", "kept", NULL};

static const ie_json_field cosine_fields[] = {
    IE_IGNORED("kind"),
    IE_NUMBER(ie_schedule, s, "s", 0, 1),
};
static const ie_json_field linear_fields[] = {
    IE_IGNORED("kind"),
    IE_NUMBER_ABOVE(ie_schedule, beta_first, "beta_first", 0, 1),
    IE_NUMBER_ABOVE(ie_schedule, beta_last, "beta_last", 0, 1),
    IE_NUMBER(ie_schedule, steps, "steps", 1, 1e6),
};

static ie_status read_schedule(void *out, const ie_json *at, ie_error *err)
{
    ie_schedule *s = &((ie_stage_config *)out)->schedule;
    int kind = 0;
    IE_TRY(ie_json_choice(&kind, at, "kind", schedules, err));
    s->kind = kind == 0 ? IE_SCHEDULE_COSINE : IE_SCHEDULE_LINEAR;
    if (s->kind == IE_SCHEDULE_COSINE) {
        return ie_json_read(s, at, cosine_fields, COUNT(cosine_fields), false, err);
    }
    IE_TRY(ie_json_read(s, at, linear_fields, COUNT(linear_fields), false, err));
    if (s->beta_last < s->beta_first) {
        return ie_json_fail(at, err, "has a beta_last below its beta_first");
    }
    return IE_OK;
}

static ie_status read_sampler(void *out, const ie_json *at, ie_error *err)
{
    ie_stage_config *stage = out;
    int kind = 0;
    IE_TRY(ie_json_choice(&kind, at, "kind", samplers, err));
    stage->sampler = kind == 0 ? IE_SAMPLER_DDPM : IE_SAMPLER_DDIM;
    stage->gamma = 0.3;
    ie_json_field fields[] = {
        IE_IGNORED("kind"),
        IE_NUMBER(ie_stage_config, gamma, "gamma", 0, 1),
        IE_NUMBER(ie_stage_config, end, "end", 0, 0.9),
    };
    fields[2].optional = true;
    fields[1].optional = stage->sampler == IE_SAMPLER_DDIM;
    return ie_json_read(stage, at, fields, COUNT(fields), false, err);
}

static ie_status read_weights(void *out, const ie_json *at, ie_error *err)
{
    ie_guidance *g = out;
    size_t count = 0;
    IE_TRY(ie_json_array(at, 1, IE_MAX_GUIDANCE_LIST, &count, err));
    float *weights = ie_alloc(count, sizeof *weights);
    if (!weights) return ie_fail(err, IE_NO_MEMORY, "no memory for %zu guidance weights", count);
    ie_status status = IE_OK;
    for (size_t i = 0; i < count; i++) {
        const ie_json weight = ie_json_element(at, i);
        IE_TRY_DONE(ie_json_float(&weights[i], &weight, 0, WEIGHT_MAX, err));
    }
    g->weights = weights;
    g->count = (int)count;
    weights = NULL;

done:
    ie_free(weights);
    return status;
}

static const ie_json_field constant_fields[] = {
    IE_IGNORED("kind"),
    IE_NUMBER(ie_guidance, high, "weight", 0, WEIGHT_MAX),
};
static const ie_json_field oscillate_fields[] = {
    IE_IGNORED("kind"),
    IE_NUMBER(ie_guidance, high, "high", 0, WEIGHT_MAX),
    IE_NUMBER(ie_guidance, low, "low", 0, WEIGHT_MAX),
    IE_NUMBER(ie_guidance, hold, "hold", 0, 1),
    {.key = "tail",
     .type = IE_JSON_NUMBER,
     .optional = true,
     .high = 1,
     IE_JSON_FIELD_(ie_guidance, tail)},
};
static const ie_json_field list_fields[] = {
    IE_IGNORED("kind"),
    IE_CUSTOM("weights", read_weights),
};

static ie_status read_guidance(void *out, const ie_json *at, ie_error *err)
{
    static const struct {
        ie_guidance_kind kind;
        const ie_json_field *fields;
        size_t count;
    } kinds[] = {
        {IE_GUIDANCE_CONSTANT, constant_fields, COUNT(constant_fields)},
        {IE_GUIDANCE_OSCILLATE, oscillate_fields, COUNT(oscillate_fields)},
        {IE_GUIDANCE_LIST, list_fields, COUNT(list_fields)},
    };
    ie_guidance *g = &((ie_stage_config *)out)->guidance;
    int kind = 0;
    IE_TRY(ie_json_choice(&kind, at, "kind", guidances, err));
    g->kind = kinds[kind].kind;
    return ie_json_read(g, at, kinds[kind].fields, kinds[kind].count, false, err);
}

static ie_status read_threshold(void *out, const ie_json *at, ie_error *err)
{
    static const ie_json_field fields[] = {
        IE_IGNORED("kind"),
        IE_NUMBER_ABOVE(ie_stage_config, percentile, "percentile", 0, 1),
        IE_NUMBER(ie_stage_config, cap, "cap", 0, 1000),
    };
    ie_stage_config *stage = out;
    int kind = 0;
    IE_TRY(ie_json_choice(&kind, at, "kind", thresholds, err));
    stage->threshold = (ie_threshold)kind;
    const bool dynamic = stage->threshold == IE_THRESHOLD_DYNAMIC;
    IE_TRY(ie_json_read(stage, at, fields, dynamic ? COUNT(fields) : 1, false, err));
    /* The threshold is never below 1, so a lower cap could not be kept. */
    if (stage->cap > 0 && stage->cap < 1) {
        return ie_json_fail(at, err, "has cap %g; it must be 0 (none) or in 1 .. 1000", stage->cap);
    }
    return IE_OK;
}

/* ---- a stage --------------------------------------------------------------------------------- */

enum { STAGE_FIELDS_FIRST = 9 }; /* the rows a first stage has: all but the last */

static const ie_json_field stage_fields[] = {
    IE_TEXT(ie_stage_config, name, "name"),
    IE_TEXT(ie_stage_config, directory, "directory"),
    IE_CUSTOM("schedule", read_schedule),
    IE_CHOICE(ie_stage_config, prediction, "prediction", predictions),
    IE_CUSTOM("sampler", read_sampler),
    IE_INT(ie_stage_config, steps, "steps", 1, IE_MAX_STEPS),
    IE_CUSTOM("guidance", read_guidance),
    IE_CUSTOM("threshold", read_threshold),
    {.key = "known",
     .type = IE_JSON_CHOICE,
     .optional = true,
     .choices = knowns,
     IE_JSON_FIELD_(ie_stage_config, keeps_known)},
    IE_NUMBER(ie_stage_config, augmentation, "augmentation", 0, 1),
};

/* Both become names of files: the directory below the model, the name where stages are saved. */
static bool safe_name(const char *name)
{
    return name[0] != '.' && !strchr(name, '/');
}

static ie_status read_stage(ie_stage_config *stage, const ie_json *at, bool first, ie_error *err)
{
    const size_t rows = first ? STAGE_FIELDS_FIRST : COUNT(stage_fields);
    IE_TRY(ie_json_read(stage, at, stage_fields, rows, false, err));
    if (!safe_name(stage->name)) {
        return ie_json_fail(at, err, "has a name with '/' or a leading '.'");
    }
    if (!safe_name(stage->directory)) {
        return ie_json_fail(at, err, "has a directory with '/' or a leading '.'");
    }
    if (!strcmp(stage->directory, "tokenizer") || !strcmp(stage->directory, "text_encoder")) {
        return ie_json_fail(at, err, "has directory \"%s\", which is not a stage's",
                            stage->directory);
    }
    if (stage->guidance.kind == IE_GUIDANCE_LIST && stage->guidance.count != stage->steps) {
        return ie_json_fail(at, err, "has %d steps but %d guidance weights", stage->steps,
                            stage->guidance.count);
    }
    return IE_OK;
}

static ie_status read_stages(void *out, const ie_json *at, ie_error *err)
{
    ie_cascade_config *c = out;
    size_t count = 0;
    IE_TRY(ie_json_array(at, 1, IE_MAX_STAGES, &count, err));
    for (size_t i = 0; i < count; i++) {
        const ie_json element = ie_json_element(at, i);
        c->stage_count = (int)i + 1; /* counted before it is read: its weights may need releasing */
        IE_TRY(read_stage(&c->stages[i], &element, i == 0, err));
        for (size_t k = 0; k < i; k++) {
            const bool same_name = strcmp(c->stages[i].name, c->stages[k].name) == 0;
            if (same_name || strcmp(c->stages[i].directory, c->stages[k].directory) == 0) {
                return ie_json_fail(&element, err, "has the %s of stages[%zu]",
                                    same_name ? "name" : "directory", k);
            }
        }
    }
    return IE_OK;
}

/* ---- the cascade ----------------------------------------------------------------------------- */

static const ie_json_field cascade_fields[] = {
    IE_IGNORED("format"),
    IE_IGNORED("version"),
    IE_TEXT(ie_cascade_config, name, "name"),
    IE_INT(ie_cascade_config, text_length, "text_length", 1, 1024),
    IE_CUSTOM("stages", read_stages),
};

static ie_status read_cascade(void *out, const ie_json *root, ie_error *err)
{
    *(ie_cascade_config *)out = (ie_cascade_config){0};
    IE_TRY(ie_config_check_format(root, "imagen-editor-cascade", err));
    const ie_status status =
        ie_json_read(out, root, cascade_fields, COUNT(cascade_fields), false, err);
    if (status != IE_OK) ie_cascade_config_release(out);
    return status;
}

ie_status ie_cascade_config_parse(ie_cascade_config *out, const char *text, size_t bytes,
                                  const char *name, ie_error *err)
{
    return ie_config_from_text(out, text, bytes, name, read_cascade, err);
}

ie_status ie_cascade_config_read(ie_cascade_config *out, const char *path, ie_error *err)
{
    return ie_config_from_file(out, path, read_cascade, err);
}

void ie_cascade_config_release(ie_cascade_config *c)
{
    if (!c) return;
    for (int i = 0; i < c->stage_count; i++) {
        ie_free((void *)c->stages[i].guidance.weights);
        c->stages[i].guidance.weights = NULL;
    }
}
