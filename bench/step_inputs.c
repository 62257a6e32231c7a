/* step_inputs.c - see step_inputs.h.  SPDX-License-Identifier: Apache-2.0 */
#include "step_inputs.h"

#include "memory.h"

#include <string.h>

static ie_status find(const bench_inputs *in, ie_tensor *out, const char *name, const char *path,
                      ie_error *err)
{
    for (uint64_t i = 0; i < ie_weights_count(in->index); i++) {
        if (!strcmp(ie_weights_at(in->index, i, out), name)) return IE_OK;
    }
    *out = (ie_tensor){0};
    return ie_fail(err, IE_BAD_INPUT, "%s has no tensor '%s'", path, name);
}

ie_status bench_inputs_read(bench_inputs *in, const char *path, ie_error *err)
{
    *in = (bench_inputs){0};
    IE_TRY(ie_file_open(&in->file, path, IE_BAD_INPUT, err));
    IE_TRY(ie_weights_open_memory(&in->index, in->file.data, in->file.size, path, err));
    IE_TRY(find(in, &in->v, "v", path, err));
    IE_TRY(find(in, &in->z, "z", path, err));
    IE_TRY(find(in, &in->tokens, "text.tokens", path, err));
    IE_TRY(find(in, &in->length, "text.length", path, err));
    IE_TRY(find(in, &in->rgb, "canvas.rgb", path, err));
    IE_TRY(find(in, &in->mask, "canvas.mask", path, err));
    if (find(in, &in->low, "low", path, NULL)) return IE_OK;
    return find(in, &in->v_aug, "v_aug", path, err);
}

/* A contiguous tensor of numbers in [-1, 1), or of bytes that are 0 or 1. */
static ie_status make(ie_tensor *out, ie_dtype dtype, int rank, const int64_t *dim, ie_error *err)
{
    *out = ie_view(NULL, dtype, rank, dim);
    const int64_t count = ie_numel(*out);
    out->data = ie_alloc((uint64_t)count, (uint64_t)ie_dtype_size(dtype));
    if (!out->data)
        return ie_fail(err, IE_NO_MEMORY, "no memory for %lld inputs", (long long)count);
    uint32_t state = 1;
    for (int64_t i = 0; i < count; i++) {
        state = state * 1664525u + 1013904223u;
        if (dtype == IE_F32) {
            ((float *)out->data)[i] = (float)(state >> 8) * 0x1p-23f - 1.0f;
        } else {
            ((uint8_t *)out->data)[i] = (uint8_t)(state >> 31);
        }
    }
    return IE_OK;
}

ie_status bench_inputs_make(bench_inputs *in, const ie_unet_config *config, int lanes, int tokens,
                            ie_error *err)
{
    *in = (bench_inputs){0};
    const int64_t n = lanes, side = config->resolution, canvas = config->conditioning.resolution;
    const int64_t image[4] = {n, side, side, config->image_channels};
    const int64_t text[3] = {n, tokens, config->text.width}, bytes[2] = {n, sizeof(int32_t)};
    const int64_t rgb[4] = {n, canvas, canvas, 3}, mask[4] = {n, canvas, canvas, 1};
    IE_TRY(make(&in->v, IE_F32, 1, &n, err));
    IE_TRY(make(&in->z, IE_F32, 4, image, err));
    IE_TRY(make(&in->tokens, IE_F32, 3, text, err));
    IE_TRY(make(&in->rgb, IE_U8, 4, rgb, err));
    IE_TRY(make(&in->mask, IE_U8, 4, mask, err));
    IE_TRY(make(&in->length, IE_U8, 2, bytes, err));
    in->length = ie_view(in->length.data, IE_I32, 1, &n);
    for (int i = 0; i < lanes; i++) ((int32_t *)in->length.data)[i] = tokens;
    if (!config->low_resolution) return IE_OK;
    IE_TRY(make(&in->v_aug, IE_F32, 1, &n, err));
    return make(&in->low, IE_F32, 4, image, err);
}

void bench_inputs_close(bench_inputs *in)
{
    ie_tensor *const all[] = {&in->v,      &in->v_aug,  &in->z,   &in->low,
                              &in->tokens, &in->length, &in->rgb, &in->mask};
    for (size_t i = 0; !in->index && i < sizeof all / sizeof all[0]; i++) ie_free(all[i]->data);
    ie_weights_close(&in->index);
    ie_file_close(&in->file);
    *in = (bench_inputs){0};
}
