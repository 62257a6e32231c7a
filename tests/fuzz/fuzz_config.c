/* fuzz_config.c - a configuration from anyone: refused, or what config.h promises of it is true.
 * The first byte says which kind: 'c'ascade, 'u'-net, 't'ext encoder.
 * SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "config.h"
#include "memory.h"

#include <math.h>
#include <string.h>

static ie_status try_cascade(const char *text, size_t size, ie_error *err)
{
    ie_cascade_config c;
    const ie_status status = ie_cascade_config_parse(&c, text, size, "fuzz", err);
    if (status != IE_OK) return status;
    FUZZ_CHECK(c.stage_count >= 1 && c.stage_count <= IE_MAX_STAGES);
    for (int i = 0; i < c.stage_count; i++) {
        const ie_stage_config *s = &c.stages[i];
        FUZZ_CHECK(s->directory[0] && s->directory[0] != '.' && !strchr(s->directory, '/'));
        FUZZ_CHECK(s->steps >= 1 && s->steps <= IE_MAX_STEPS);
        FUZZ_CHECK((s->guidance.kind == IE_GUIDANCE_LIST) == (s->guidance.weights != NULL));
        FUZZ_CHECK(s->end >= 0 && s->end < 1);
        if (s->guidance.weights) FUZZ_CHECK(s->guidance.count == s->steps);
        FUZZ_CHECK(isfinite(s->augmentation) && isfinite(s->gamma) && isfinite(s->schedule.s));
    }
    ie_cascade_config_release(&c);
    return status;
}

static ie_status try_unet(const char *text, size_t size, ie_error *err)
{
    ie_unet_config c;
    const ie_status status = ie_unet_config_parse(&c, text, size, "fuzz", err);
    if (status != IE_OK) return status;
    FUZZ_CHECK(c.level_count >= 1 && c.level_count <= IE_MAX_LEVELS);
    int side = c.resolution;
    for (int i = 0; i < c.level_count; i++) {
        FUZZ_CHECK(c.levels[i].channels % c.norm_groups == 0);
        FUZZ_CHECK(side % c.levels[i].stride == 0);
        side /= c.levels[i].stride;
    }
    FUZZ_CHECK((c.text.project ? c.text.project : c.text.width) % c.text.pool_heads == 0);
    FUZZ_CHECK(c.time.width % 2 == 0 && isfinite(c.time.scale) && c.norm_eps > 0);
    return status;
}

static ie_status try_text(const char *text, size_t size, ie_error *err)
{
    ie_text_config c;
    const ie_status status = ie_text_config_parse(&c, text, size, "fuzz", err);
    if (status != IE_OK) return status;
    FUZZ_CHECK(c.buckets % 2 == 0 && c.max_distance > c.buckets / 4 && c.eps > 0);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ie_error err = {0};
    if (size == 0) return 0;
    const int64_t live = ie_alloc_live();
    const char *text = (const char *)data + 1;
    ie_status status = IE_OK;
    switch (data[0]) {
    case 'c': status = try_cascade(text, size - 1, &err); break;
    case 'u': status = try_unet(text, size - 1, &err); break;
    case 't': status = try_text(text, size - 1, &err); break;
    default: return 0;
    }
    FUZZ_CHECK(status == IE_OK || (status == IE_BAD_MODEL && err.text[0]));
    FUZZ_CHECK(ie_alloc_live() == live);
    return 0;
}
