/* toy.c - see toy.h. SPDX-License-Identifier: Apache-2.0 */
#include "toy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ie_tensor part(const golden *io, int index, const char *what)
{
    char name[64];
    snprintf(name, sizeof name, "edit%d.%s", index, what);
    return golden_get(io, name);
}

void toy_fill(toy_edit *e, const golden *io, int index)
{
    memset(e, 0, sizeof *e);
    const ie_tensor prompt = part(io, index, "prompt");
    memcpy(e->prompt, prompt.data, (size_t)ie_numel(prompt));
    memcpy(e->image, part(io, index, "rgb").data, sizeof e->image);
    const uint8_t *fill = part(io, index, "mask").data;
    for (size_t i = 0; i < sizeof e->mask; i++) e->mask[i] = fill[i] ? 255 : 0;
    const uint32_t *seed = part(io, index, "seed").data;
    ie_request_default(&e->request);
    e->request.seed = (uint64_t)seed[1] << 32 | seed[0];
    e->request.prompt = e->prompt;
    e->request.image = (ie_pixels){e->image, TOY_SIDE, TOY_SIDE, 3, 8, (size_t)TOY_SIDE * 3};
    e->request.mask = (ie_pixels){e->mask, TOY_SIDE, TOY_SIDE, 1, 8, TOY_SIDE};
    e->request.output = e->request.image;
    e->request.output.data = e->output;
}

static ie_engine *open_model(const char *model, const char *device, bool bf16, int threads,
                             int requests)
{
    ie_options options;
    ie_options_default(&options);
    options.device = device;
    options.precision = bf16 ? IE_PRECISION_BF16 : IE_PRECISION_F32;
    options.threads = threads;
    for (int i = 0; i < IE_MAX_STAGES; i++) options.lanes[i] = 2 * requests;
    ie_engine *engine = NULL;
    ie_error err = {0};
    const ie_status status = ie_engine_open(&engine, golden_path(model), &options, &err);
    if (status == IE_OK || status == IE_DEVICE) return engine;
    fprintf(stderr, "opening the toy cascade: %s (%s)\n", err.text, err.where);
    exit(1);
}

ie_engine *toy_open(const char *device, bool bf16, int threads, int requests)
{
    return open_model("cascade", device, bf16, threads, requests);
}

ie_engine *toy_open_kept(const char *device, bool bf16, int threads, int requests)
{
    return open_model("cascade-kept", device, bf16, threads, requests);
}
