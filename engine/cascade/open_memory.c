/* open_memory.c - see open_memory.h. SPDX-License-Identifier: Apache-2.0 */
#include "open_memory.h"

enum { FEWEST_LANES = 2 }; /* of a request with guidance */

static int lanes_of(const ie_engine *e, int stage, int most)
{
    return e->lanes[stage] < most ? e->lanes[stage] : most;
}

uint64_t ie_open_weights(const ie_engine *e)
{
    uint64_t bytes = ie_text_encoder_weight_bytes(e->text);
    for (int i = 0; i < e->stage_count; i++) bytes += ie_unet_weight_bytes(e->stages[i].unet);
    return bytes;
}

uint64_t ie_open_workspace(const ie_engine *e, const ie_open_memory *m, int lanes)
{
    uint64_t most = m->text_workspace;
    for (int i = 0; i < e->stage_count; i++) {
        for (int n = 1; n <= lanes_of(e, i, lanes); n++) {
            if (m->workspace[i][n] > most) most = m->workspace[i][n];
        }
    }
    return most;
}

/* Beside the weights; the slots as with these lanes. */
static ie_status lanes_bytes(const ie_engine *e, const ie_open_memory *m, int lanes,
                             uint64_t *bytes, ie_error *err)
{
    *bytes = ie_open_workspace(e, m, lanes);
    for (int i = 0; i < e->stage_count; i++) {
        ie_unet_slots slots;
        const ie_stage *s = &e->stages[i];
        IE_TRY(ie_unet_slots_plan(&slots, s->unet, lanes_of(e, i, lanes), s->config->keeps_known,
                                  err));
        *bytes += slots.bytes;
    }
    return IE_OK;
}

ie_status ie_open_fits(const ie_engine *e, const ie_open_memory *m, ie_error *err)
{
    ie_backend *b = e->backend;
    const uint64_t left = b->vtable->available ? b->vtable->available(b) : 0;
    const uint64_t weights = ie_open_weights(e);
    uint64_t bytes;
    int lanes = FEWEST_LANES;
    for (int i = 0; i < e->stage_count; i++) {
        if (e->lanes[i] > lanes) lanes = e->lanes[i];
    }
    IE_TRY(lanes_bytes(e, m, lanes, &bytes, err));
    if (left == 0 || weights + bytes <= left) return IE_OK;
    char is_free[IE_BYTES_TEXT], of_weights[IE_BYTES_TEXT], of_lanes[IE_BYTES_TEXT],
        sum[IE_BYTES_TEXT];
    ie_bytes_text(is_free, left);
    ie_bytes_text(of_weights, weights);
    ie_bytes_text(of_lanes, bytes);
    ie_bytes_text(sum, weights + bytes);
    if (weights > left) {
        return ie_fail(err, IE_NO_MEMORY,
                       "not enough memory for %s on %s: %s are free, and its weights alone are %s",
                       e->cascade.name, b->text, is_free, of_weights);
    }
    int fit = lanes;
    while (fit >= FEWEST_LANES && weights + bytes > left) {
        if (--fit >= FEWEST_LANES) IE_TRY(lanes_bytes(e, m, fit, &bytes, err));
    }
    if (fit < FEWEST_LANES) {
        ie_bytes_text(sum, weights + bytes);
        return ie_fail(
            err, IE_NO_MEMORY,
            "not enough memory for %s on %s: %s are free, and with %d lanes, the fewest, "
            "it needs %s",
            e->cascade.name, b->text, is_free, FEWEST_LANES, sum);
    }
    return ie_fail(
        err, IE_NO_MEMORY,
        "not enough memory for %s with %d lanes on %s: it needs %s, %s of weights and %s "
        "of lanes; %s are free, in which %d lanes would fit",
        e->cascade.name, lanes, b->text, sum, of_weights, of_lanes, is_free, fit);
}
