/* unet_rig.c - see unet_rig.h. SPDX-License-Identifier: Apache-2.0 */
#include "unet_rig.h"

#include <stdio.h>
#include <stdlib.h>

enum { WORKSPACE = 64 << 20, MAX_LANES = 8 };

#define MUST(call)                                                      \
    do {                                                                \
        ie_error must_err_ = {0};                                       \
        ie_error *const err = &must_err_;                               \
        if (call) {                                                     \
            fprintf(stderr, "U-Net: %s (%s)\n", err->text, err->where); \
            exit(1);                                                    \
        }                                                               \
    } while (0)

static ie_tensor row(ie_tensor t, int i)
{
    return ie_slice(t, 0, i, i + 1);
}

void unet_rig_set_text(unet_rig *u, int slot, ie_tensor tokens, int length)
{
    const ie_tensor device = rig_upload(&u->r, tokens);
    MUST(ie_unet_set_text(u->unet, &u->slots, slot, device, length, &u->r.x, err));
}

void unet_rig_set_canvas(unet_rig *u, int slot, ie_tensor rgb, ie_tensor mask)
{
    const ie_tensor device_rgb = rig_upload(&u->r, rgb), device_mask = rig_upload(&u->r, mask);
    MUST(ie_unet_set_condition(u->unet, &u->slots, slot, device_rgb, device_mask, &u->r.x, err));
}

/* The last row of the golden texts is the null text, which the engine makes for itself. */
static void set_inputs(unet_rig *u)
{
    const int32_t *length = golden_get(&u->io, "text.length").data;
    for (int i = 0; i < UNET_RIG_LANES; i++) {
        if (i < UNET_RIG_LANES - 1)
            unet_rig_set_text(u, i, row(golden_get(&u->io, "text.tokens"), i), length[i]);
        unet_rig_set_canvas(u, i, row(golden_get(&u->io, "canvas.rgb"), i),
                            row(golden_get(&u->io, "canvas.mask"), i));
    }
    MUST(ie_unet_set_null_text(u->unet, &u->slots, &u->r.x, err));
    MUST(ie_upload(u->r.backend, u->slots.z, golden_get(&u->io, "z").data, err));
    if (u->config.low_resolution)
        MUST(ie_upload(u->r.backend, u->slots.low, golden_get(&u->io, "low").data, err));
}

bool unet_rig_open(unet_rig *u, const char *name, const char *device, bool bf16)
{
    char below[128];
    *u = (unet_rig){0};
    if (!rig_open(&u->r, device, bf16, WORKSPACE)) return false;
    snprintf(below, sizeof below, "%s/config.json", name);
    MUST(ie_unet_config_read(&u->config, golden_path(below), err));
    MUST(ie_weights_open(&u->weights, golden_path(name), err));
    snprintf(below, sizeof below, "%s/io.safetensors", name);
    u->io = golden_open(below);
    const int length = (int)golden_get(&u->io, "text.tokens").dim[1];
    MUST(ie_unet_open(&u->unet, &u->config, length, u->weights, u->r.backend, err));
    MUST(ie_unet_load(u->unet, u->weights, (ie_load_watch){0}, err));
    MUST(ie_unet_slots_plan(&u->slots, u->unet, UNET_RIG_LANES, false, err));
    MUST(ie_unet_slots_open(&u->slots, u->unet, err));
    set_inputs(u);
    return true;
}

void unet_rig_close(unet_rig *u)
{
    golden_close(&u->io);
    ie_unet_slots_close(&u->slots);
    ie_unet_close(&u->unet);
    ie_weights_close(&u->weights);
    rig_close(&u->r);
}

ie_unet_lanes unet_rig_lanes(unet_rig *u, const int *order, int count)
{
    const ie_unet_config *c = &u->config;
    const bool log_snr = c->time.input == IE_TIME_LOG_SNR;
    const int32_t *slot = golden_get(&u->io, "text_slot").data;
    const float *time = golden_get(&u->io, log_snr ? "lambda" : "t").data, *aug = NULL;
    if (c->low_resolution) aug = golden_get(&u->io, log_snr ? "lambda_aug" : "t_aug").data;
    int32_t text[MAX_LANES], request[MAX_LANES];
    float v[MAX_LANES], v_aug[MAX_LANES];
    for (int i = 0; i < count; i++) {
        const int from = order ? order[i] : i;
        request[i] = from;
        text[i] = slot[from] == UNET_RIG_LANES - 1 ? u->slots.requests : slot[from];
        v[i] = ie_unet_time_input(c, (double)time[from], (double)time[from]);
        if (aug) v_aug[i] = ie_unet_time_input(c, (double)aug[from], (double)aug[from]);
    }
    const int64_t n = count;
    ie_unet_lanes lanes = {.v = rig_upload(&u->r, ie_view(v, IE_F32, 1, &n)),
                           .request = rig_upload(&u->r, ie_view(request, IE_I32, 1, &n)),
                           .text = rig_upload(&u->r, ie_view(text, IE_I32, 1, &n))};
    if (aug) lanes.v_aug = rig_upload(&u->r, ie_view(v_aug, IE_F32, 1, &n));
    return lanes;
}

float *unet_rig_forward(unet_rig *u, const ie_unet_lanes *lanes)
{
    const int64_t side = u->config.resolution;
    ie_tensor pred;
    MUST(ie_arena_tensor(&u->r.arena, &pred, IE_F32, 4,
                         (int64_t[]){lanes->v.dim[0], side, side, u->config.output_channels}, err));
    MUST(ie_unet_forward(u->unet, &u->slots, lanes, pred, &u->r.x, err));
    float *values = rig_values(&u->r, pred);
    ie_arena_give(&u->r.arena, pred.data);
    return values;
}

int64_t unet_rig_prediction(const unet_rig *u)
{
    return (int64_t)u->config.resolution * u->config.resolution * u->config.output_channels;
}
