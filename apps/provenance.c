/* provenance.c - texts about an edit. SPDX-License-Identifier: Apache-2.0 */
#include "provenance.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TEXT(x)         #x
#define DOTTED(a, b, c) TEXT(a) "." TEXT(b) "." TEXT(c)

/* The text is kept by the caller. */
static void refer(ie_provenance *p, const char *key, const char *text)
{
    p->entries[p->count++] = (ie_text_entry){key, text};
}

static char *store(ie_provenance *p, const char *key)
{
    char *text = p->storage[p->count];
    refer(p, key, text);
    return text;
}

static void store_steps(ie_provenance *p, const ie_request *request, const ie_engine_info *info)
{
    char *text = store(p, "Steps");
    size_t used = 0;
    for (int i = 0; i < info->stage_count && used < IE_PROVENANCE_TEXT; i++) {
        const int steps = request->steps[i] ? request->steps[i] : info->stages[i].default_steps;
        const int written =
            snprintf(text + used, IE_PROVENANCE_TEXT - used, "%s%d", i ? "," : "", steps);
        used += (size_t)written;
    }
}

void ie_provenance_fill(ie_provenance *out, const ie_request *request, const ie_engine_info *info,
                        const char *guidance)
{
    static const char *const samplers[] = {"model's default", "ddpm", "ddim"};
    *out = (ie_provenance){.count = 0};
    refer(out, "Software",
          "imagen-editor " DOTTED(IE_VERSION_MAJOR, IE_VERSION_MINOR, IE_VERSION_PATCH));
    refer(out, "Prompt", request->prompt);
    (void)snprintf(store(out, "Seed"), IE_PROVENANCE_TEXT, "%" PRIu64, request->seed);
    (void)snprintf(store(out, "Model"), IE_PROVENANCE_TEXT, "%s", info->model_name);
    (void)snprintf(store(out, "Model SHA-256"), IE_PROVENANCE_TEXT, "%s", info->model_hash);
    store_steps(out, request, info);
    refer(out, "Guidance", guidance ? guidance : "model's default");
    refer(out, "Sampler", samplers[request->sampler]);
    (void)snprintf(store(out, "Feather"), IE_PROVENANCE_TEXT, "%d", request->feather);
    refer(out, "Precision", info->precision == IE_PRECISION_BF16 ? "bf16" : "f32");
    (void)snprintf(store(out, "Device"), IE_PROVENANCE_TEXT, "%s", info->device);
}
