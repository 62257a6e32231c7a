/* unet_inputs.c - what a request computes once per stage: text keys and values, pooled text,
 * encoded image and mask. SPDX-License-Identifier: Apache-2.0 */
#include "unet_layers.h"

#include <math.h>

/* The one list of a slot's tensors: over a measuring arena for the size, then over the block. */
static ie_status lay_out(ie_unet_slots *s, const ie_unet *u, ie_arena *arena, ie_error *err)
{
    const ie_unet_config *c = &u->config;
    const int64_t requests = s->requests, side = c->resolution, texts = requests + 1;
    const int64_t image[4] = {requests, side, side, c->image_channels};
    const int64_t condition[4] = {requests, side, side, u->condition_channels};
    const int64_t known[4] = {requests, side, side, c->image_channels + 1};
    IE_TRY(ie_arena_tensor(arena, &s->z, IE_F32, 4, image, err));
    if (c->low_resolution) IE_TRY(ie_arena_tensor(arena, &s->low, IE_F32, 4, image, err));
    if (u->condition_channels)
        IE_TRY(ie_arena_tensor(arena, &s->condition, u->backend->act, 4, condition, err));
    if (s->keeps_known) IE_TRY(ie_arena_tensor(arena, &s->known, IE_U8, 4, known, err));
    IE_TRY(ie_arena_tensor(arena, &s->text_kv, u->backend->act, 3,
                           (int64_t[]){texts, u->text_length, u->kv_width}, err));
    IE_TRY(ie_arena_tensor(arena, &s->pooled, IE_F32, 2, (int64_t[]){texts, c->embedding}, err));
    IE_TRY(ie_arena_tensor(arena, &s->length, IE_I32, 1, &texts, err));
    return ie_arena_tensor(arena, &s->zero, IE_I32, 1, (int64_t[]){1}, err);
}

/* Addresses that are measured for the workspace are never the same. */
ie_status ie_unet_slots_plan(ie_unet_slots *out, const ie_unet *unet, int requests,
                             bool keeps_known, ie_error *err)
{
    *out = (ie_unet_slots){.requests = requests, .keeps_known = keeps_known};
    ie_arena arena;
    ie_arena_measure(&arena);
    arena.base += UINT64_MAX / 4;
    IE_TRY(lay_out(out, unet, &arena, err));
    out->bytes = arena.peak;
    return IE_OK;
}

ie_status ie_unet_slots_open(ie_unet_slots *slots, const ie_unet *unet, ie_error *err)
{
    ie_arena arena;
    IE_TRY(ie_block_alloc(&slots->block, unet->backend, slots->bytes, "requests of a stage", err));
    /* A planning backend has no memory: its slots keep measured addresses, which nobody reads. */
    if (!slots->block.data) return IE_OK;
    ie_arena_over(&arena, slots->block.data, slots->block.bytes);
    return lay_out(slots, unet, &arena, err);
}

void ie_unet_slots_close(ie_unet_slots *slots)
{
    ie_block_free(&slots->block);
    *slots = (ie_unet_slots){0};
}

/* Keys and values of one attention layer: [S+1, T, 2 inner]. */
ie_tensor ie_unet_text_kv(const ie_unet *u, const ie_unet_slots *slots, const ie_unet_node *n)
{
    const int64_t rows = (slots->requests + 1) * (int64_t)u->text_length;
    const int64_t width = n->text_kv.spec.outputs;
    return ie_view(ie_offset(slots->text_kv, n->kv_at * rows), u->backend->act, 3,
                   (int64_t[]){slots->requests + 1, u->text_length, width});
}

/* ---- text ------------------------------------------------------------------------------------ */

static ie_status tokens_like(const ie_unet *u, ie_exec *x, ie_tensor *out, int64_t width,
                             ie_error *err)
{
    return ie_arena_tensor(x->arena, out, u->backend->act, 3, (int64_t[]){1, u->text_length, width},
                           err);
}

/* Encoder output to the tokens every layer reads: norm (or only the change of type), projection. */
static ie_status entry(const ie_unet *u, const ie_unet_slots *slots, ie_tensor *out,
                       ie_tensor tokens, ie_exec *x, ie_error *err)
{
    const int64_t length = u->text_length, width = u->config.text.width;
    ie_tensor normed;
    IE_TRY(tokens_like(u, x, &normed, width, err));
    if (u->config.text.norm) {
        IE_TRY(ie_exec_layer_norm(x, &u->text.norm, normed, tokens, (ie_tensor){0}, err));
    } else {
        const int64_t map[4] = {1, 1, length, width};
        const ie_source source = {.x = ie_reshape(tokens, 4, map), .index = slots->zero};
        IE_TRY(ie_exec_gather(x, ie_reshape(normed, 4, map), &source, 1, err));
    }
    *out = normed;
    if (!u->config.text.project) return IE_OK;
    IE_TRY(tokens_like(u, x, out, u->text_inner, err));
    IE_TRY(ie_exec_linear(x, &u->text.project, *out, normed, (ie_tensor){0}, err));
    ie_arena_give(x->arena, normed.data);
    return IE_OK;
}

/* One learned query over the tokens, then an embedding vector into slots->pooled. */
static ie_status pool(const ie_unet *u, ie_unet_slots *slots, int slot, ie_tensor tokens,
                      ie_exec *x, ie_error *err)
{
    const int64_t inner = u->text_inner, heads = u->config.text.pool_heads,
                  width = u->config.embedding;
    ie_tensor kv, pooled, normed, hidden;
    IE_TRY(tokens_like(u, x, &kv, 2 * inner, err));
    IE_TRY(ie_exec_linear(x, &u->text.pool_kv, kv, tokens, (ie_tensor){0}, err));
    IE_TRY(ie_arena_tensor(x->arena, &pooled, u->backend->act, 3, (int64_t[]){1, 1, inner}, err));
    IE_TRY(ie_arena_tensor(x->arena, &normed, IE_F32, 3, (int64_t[]){1, 1, inner}, err));
    IE_TRY(ie_arena_tensor(x->arena, &hidden, IE_F32, 3, (int64_t[]){1, 1, width}, err));
    const ie_tensor query =
        ie_split_heads(ie_reshape(u->text.query, 3, (int64_t[]){1, 1, inner}), heads);
    const ie_attention_args args = {
        .y = ie_split_heads(pooled, heads),
        .q = query,
        .keys[0] = {.k = ie_split_heads(ie_slice(kv, 2, 0, inner), heads),
                    .v = ie_split_heads(ie_slice(kv, 2, inner, 2 * inner), heads),
                    .length = ie_slice(slots->length, 0, slot, slot + 1)},
        .scale = 1.0f / sqrtf((float)query.dim[3]),
    };
    IE_TRY(ie_exec_attention(x, args, err));
    IE_TRY(ie_exec_layer_norm(x, &u->text.pool_norm, normed, pooled, (ie_tensor){0}, err));
    const ie_tensor out =
        ie_reshape(ie_slice(slots->pooled, 0, slot, slot + 1), 3, (int64_t[]){1, 1, width});
    IE_TRY(ie_exec_linear(x, &u->text.pool.linear1, hidden, normed, (ie_tensor){0}, err));
    IE_TRY(ie_exec_linear(x, &u->text.pool.linear2, out, hidden, (ie_tensor){0}, err));
    ie_arena_give(x->arena, hidden.data);
    ie_arena_give(x->arena, normed.data);
    ie_arena_give(x->arena, pooled.data);
    ie_arena_give(x->arena, kv.data);
    return IE_OK;
}

static ie_status layer_keys(const ie_unet *u, const ie_unet_slots *slots, int slot,
                            const ie_unet_node *n, ie_tensor tokens, ie_exec *x, ie_error *err)
{
    const ie_tensor out = ie_slice(ie_unet_text_kv(u, slots, n), 0, slot, slot + 1);
    if (!u->config.text.kv_norm)
        return ie_exec_linear(x, &n->text_kv, out, tokens, (ie_tensor){0}, err);
    ie_tensor normed;
    IE_TRY(tokens_like(u, x, &normed, u->text_inner, err));
    IE_TRY(ie_exec_layer_norm(x, &n->text_norm, normed, tokens, (ie_tensor){0}, err));
    IE_TRY(ie_exec_linear(x, &n->text_kv, out, normed, (ie_tensor){0}, err));
    ie_arena_give(x->arena, normed.data);
    return IE_OK;
}

ie_status ie_unet_set_text(const ie_unet *unet, ie_unet_slots *slots, int slot, ie_tensor tokens,
                           int length, ie_exec *x, ie_error *err)
{
    const int32_t kept = length;
    if (!x->arena->measuring) {
        IE_TRY(ie_upload(unet->backend, ie_slice(slots->length, 0, slot, slot + 1), &kept, err));
    }
    ie_tensor own;
    IE_TRY(entry(unet, slots, &own, tokens, x, err));
    IE_TRY(pool(unet, slots, slot, own, x, err));
    for (int i = 0; i < unet->count; i++) {
        const ie_unet_node *n = &unet->nodes[i];
        if (n->step.kind == IE_UNET_ATTENTION)
            IE_TRY(layer_keys(unet, slots, slot, n, own, x, err));
    }
    ie_arena_give(x->arena, own.data);
    return IE_OK;
}

ie_status ie_unet_set_null_text(const ie_unet *unet, ie_unet_slots *slots, ie_exec *x,
                                ie_error *err)
{
    /* One token whose encoder output is zero (MODEL.md section 4). */
    const int64_t dim[3] = {1, unet->text_length, unet->config.text.width};
    ie_tensor tokens;
    IE_TRY(ie_arena_tensor(x->arena, &tokens, IE_F32, 3, dim, err));
    if (!x->arena->measuring) {
        void *zeros = ie_alloc((uint64_t)ie_bytes(tokens), 1);
        if (!zeros) return ie_fail(err, IE_NO_MEMORY, "no memory for the null text");
        const ie_status status = ie_upload(unet->backend, tokens, zeros, err);
        ie_free(zeros);
        IE_TRY(status);
    }
    IE_TRY(ie_unet_set_text(unet, slots, slots->requests, tokens, 1, x, err));
    ie_arena_give(x->arena, tokens.data);
    return IE_OK;
}

/* ---- image and mask -------------------------------------------------------------------------- */

ie_status ie_unet_set_condition(const ie_unet *unet, ie_unet_slots *slots, int slot, ie_tensor rgb,
                                ie_tensor mask, ie_exec *x, ie_error *err)
{
    const int count = unet->config.conditioning.count;
    const ie_tensor out = ie_slice(slots->condition, 0, slot, slot + 1);
    if (count == 0) return ie_exec_mask_image(x, out, rgb, mask, err);
    int64_t dim[4] = {1, rgb.dim[1], rgb.dim[2], 4};
    ie_tensor map;
    IE_TRY(ie_arena_tensor(x->arena, &map, unet->backend->act, 4, dim, err));
    IE_TRY(ie_exec_mask_image(x, map, rgb, mask, err));
    for (int i = 0; i < count; i++) {
        const ie_conv_layer *layer = &unet->conditioning[i];
        ie_tensor next = out;
        if (i + 1 < count) {
            dim[1] = ie_conv_out(&layer->spec, layer->spec.height);
            dim[2] = dim[1];
            dim[3] = layer->spec.outputs;
            IE_TRY(ie_arena_tensor(x->arena, &next, unet->backend->act, 4, dim, err));
        }
        IE_TRY(ie_exec_conv(x, layer, (ie_conv_args){.y = next, .x = {map}, .scale = 1.0f}, err));
        ie_arena_give(x->arena, map.data);
        map = next;
    }
    return IE_OK;
}
