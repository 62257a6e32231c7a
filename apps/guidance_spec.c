/* guidance_spec.c - parsing --guidance and --steps. SPDX-License-Identifier: Apache-2.0 */
#include "guidance_spec.h"

#include "args.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_STEPS = 4096 };
static const float max_weight = 1000, default_hold = 0.1F;

/* A number from 0 to `most` at the start of text; *after is the rest. */
static bool read_number(const char *text, float most, float *out, char **after)
{
    *out = strtof(text, after);
    return *after != text && *out >= 0 && *out <= most;
}

static bool parse_oscillate(ie_guidance *g, const char *text)
{
    char *rest;
    g->kind = IE_GUIDANCE_OSCILLATE;
    g->hold = default_hold;
    if (!read_number(text, max_weight, &g->high, &rest) || *rest != '~') return false;
    if (!read_number(rest + 1, max_weight, &g->low, &rest)) return false;
    if (*rest == '@' && !read_number(rest + 1, 1, &g->hold, &rest)) return false;
    if (*rest == '@' && !read_number(rest + 1, 1, &g->tail, &rest)) return false;
    return *rest == '\0';
}

static bool parse_list(ie_guidance *g, const char *text, float *weights)
{
    char *rest = NULL;
    g->kind = IE_GUIDANCE_LIST;
    g->weights = weights;
    for (g->count = 0; g->count < MAX_STEPS; text = rest + 1) {
        if (!read_number(text, max_weight, &weights[g->count], &rest)) return false;
        g->count++;
        if (*rest == '\0') return true;
        if (*rest != ',') return false;
    }
    return false;
}

/* One stage: `text` is its part alone. A list of weights is *list, the caller's to free. */
static ie_status parse_stage(ie_guidance *g, float **list, const char *text, ie_error *err)
{
    char *rest;
    bool legal = true;
    if (*text == '\0') return IE_OK;
    if (strchr(text, '~')) {
        legal = parse_oscillate(g, text);
    } else if (strchr(text, ',')) {
        *list = calloc(MAX_STEPS, sizeof **list);
        if (!*list) return ie_app_fail(err, IE_NO_MEMORY, "no memory for --guidance");
        legal = parse_list(g, text, *list);
    } else {
        g->kind = IE_GUIDANCE_CONSTANT;
        legal = read_number(text, max_weight, &g->high, &rest) && *rest == '\0';
    }
    if (legal) return IE_OK;
    return ie_app_fail(err, IE_BAD_ARGUMENT,
                       "--guidance: \"%s\" is not W, HIGH~LOW, HIGH~LOW@HOLD, HIGH~LOW@HOLD@TAIL "
                       "or W1,W2,... with weights 0 to 1000, HOLD and TAIL 0 to 1",
                       text);
}

ie_status ie_guidance_spec_parse(ie_guidance_spec *out, const char *text, ie_error *err)
{
    *out = (ie_guidance_spec){.text = text};
    ie_status status = IE_OK;
    char *copy = strdup(text);
    if (!copy) return ie_app_fail(err, IE_NO_MEMORY, "no memory for --guidance");
    for (char *part = copy, *next; part; part = next) {
        next = strchr(part, '/');
        if (next) *next++ = '\0';
        if (out->count == IE_MAX_STAGES) {
            status = ie_app_fail(err, IE_BAD_ARGUMENT, "--guidance %s: at most %d stages", text,
                                 IE_MAX_STAGES);
            goto done;
        }
        const int stage = out->count++;
        IE_APP_TRY_DONE(parse_stage(&out->stages[stage], &out->lists[stage], part, err));
    }
done:
    free(copy);
    if (status != IE_OK) ie_guidance_spec_release(out);
    return status;
}

void ie_guidance_spec_release(ie_guidance_spec *spec)
{
    for (int i = 0; i < spec->count; i++) free(spec->lists[i]);
    *spec = (ie_guidance_spec){0};
}

ie_status ie_steps_spec_parse(ie_steps_spec *out, const char *text, ie_error *err)
{
    *out = (ie_steps_spec){0};
    for (const char *part = text;;) {
        char number[16] = "";
        const size_t length = strcspn(part, ",");
        if (out->count == IE_MAX_STAGES) {
            return ie_app_fail(err, IE_BAD_ARGUMENT, "--steps %s: at most %d stages", text,
                               IE_MAX_STAGES);
        }
        if (length < sizeof number) memcpy(number, part, length);
        int *steps = &out->steps[out->count++];
        if (length && !ie_parse_int(number, 0, MAX_STEPS, steps)) {
            return ie_app_fail(err, IE_BAD_ARGUMENT,
                               "--steps %s: legal is 1 to %d for each stage (0 or empty: the "
                               "model's default)",
                               text, MAX_STEPS);
        }
        if (part[length] == '\0') return IE_OK;
        part += length + 1;
    }
}
