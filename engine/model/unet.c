/* unet.c - one forward pass: embeddings, stem, the planned steps, head. MODEL.md section 4 is the
 * text of it.
 *
 * A map travels with its channel moments, which the convolution that made it computed in its
 * epilogue; the next norm needs nothing else. Maps are given back to the workspace as soon as
 * neither the main path nor a skip holds them. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "unet_layers.h"

typedef struct feature {
    ie_tensor map;     /* [N, H, W, C] act */
    ie_tensor moments; /* [N, C, 2] f32 */
} feature;

typedef struct forward {
    const ie_unet *u;
    const ie_unet_slots *slots;
    const ie_unet_lanes *lanes;
    ie_exec *x;
    int64_t count; /* N */
    ie_tensor film;
    feature now;  /* the main path */
    feature skip; /* joined and waiting for the next block; absent otherwise */
    feature kept[IE_UNET_MAX_SKIPS];
    int kept_count;
} forward;

/* ---- features -------------------------------------------------------------------------------- */

static ie_status feature_new(forward *f, feature *out, int64_t side, int64_t channels,
                             ie_error *err)
{
    *out = (feature){0};
    IE_TRY(ie_arena_tensor(f->x->arena, &out->map, f->u->backend->act, 4,
                           (int64_t[]){f->count, side, side, channels}, err));
    return ie_arena_tensor(f->x->arena, &out->moments, IE_F32, 3,
                           (int64_t[]){f->count, channels, 2}, err);
}

static bool is_kept(const forward *f, const feature *a)
{
    for (int i = 0; i < f->kept_count; i++) {
        if (f->kept[i].map.data == a->map.data) return true;
    }
    return false;
}

/* Give a feature back unless it is still a skip. */
static void drop(forward *f, feature *a)
{
    if (ie_present(a->map) && !is_kept(f, a)) {
        ie_arena_give(f->x->arena, a->map.data);
        ie_arena_give(f->x->arena, a->moments.data);
    }
    *a = (feature){0};
}

static void advance(forward *f, feature next)
{
    if (f->skip.map.data == f->now.map.data)
        f->skip = (feature){0}; /* joined with itself: one piece */
    drop(f, &f->skip);
    drop(f, &f->now);
    f->now = next;
}

static void tap(const forward *f, const char *name, ie_tensor map)
{
    if (f->lanes->tap && !f->x->arena->measuring) f->lanes->tap(f->lanes->user, name, map);
}

/* ---- embeddings ------------------------------------------------------------------------------ */

float ie_unet_time_input(const ie_unet_config *config, double lambda, double t)
{
    if (config->time.input == IE_TIME_T) return (float)(config->time.scale * t);
    const double clamp = config->time.clamp;
    return (float)(config->time.scale * (clamp - fmin(fmax(lambda, -clamp), clamp)));
}

/* out [N, 1, E] = linear2(silu(linear1(sinusoid(v)))) + residual */
static ie_status embed_scalar(forward *f, const ie_unet_embedding *e, ie_tensor out, ie_tensor v,
                              ie_tensor residual, ie_error *err)
{
    const ie_unet_config *c = &f->u->config;
    ie_tensor waves, hidden;
    IE_TRY(
        ie_arena_tensor(f->x->arena, &waves, IE_F32, 2, (int64_t[]){f->count, c->time.width}, err));
    IE_TRY(ie_arena_tensor(f->x->arena, &hidden, IE_F32, 3, out.dim, err));
    IE_TRY(ie_exec_sinusoid(f->x, waves, v, (float)c->time.max_period, err));
    const ie_tensor rows = ie_reshape(waves, 3, (int64_t[]){f->count, 1, c->time.width});
    IE_TRY(ie_exec_linear(f->x, &e->linear1, hidden, rows, (ie_tensor){0}, err));
    IE_TRY(ie_exec_linear(f->x, &e->linear2, out, hidden, residual, err));
    ie_arena_give(f->x->arena, hidden.data);
    ie_arena_give(f->x->arena, waves.data);
    return IE_OK;
}

/* Time, augmentation and pooled text to one vector, and from it the film vectors of all blocks. */
static ie_status embed(forward *f, ie_error *err)
{
    const ie_unet *u = f->u;
    const int64_t width = u->config.embedding;
    ie_tensor emb;
    IE_TRY(ie_arena_tensor(f->x->arena, &emb, IE_F32, 3, (int64_t[]){f->count, 1, width}, err));
    IE_TRY(embed_scalar(f, &u->time, emb, f->lanes->v, (ie_tensor){0}, err));
    if (u->config.low_resolution) IE_TRY(embed_scalar(f, &u->aug, emb, f->lanes->v_aug, emb, err));
    const ie_tensor rows = ie_reshape(emb, 2, (int64_t[]){f->count, width});
    IE_TRY(ie_exec_add_rows(f->x, rows, rows, f->slots->pooled, f->lanes->text, err));
    tap(f, "embedding", rows);
    IE_TRY(ie_arena_tensor(f->x->arena, &f->film, IE_F32, 3,
                           (int64_t[]){f->count, 1, u->film_width}, err));
    IE_TRY(ie_exec_linear(f->x, &u->film, f->film, emb, (ie_tensor){0}, err));
    ie_arena_give(f->x->arena, emb.data);
    return IE_OK;
}

/* ---- steps ----------------------------------------------------------------------------------- */

static ie_status stem(forward *f, ie_error *err)
{
    const ie_unet *u = f->u;
    const int64_t side = u->config.resolution;
    ie_source sources[3];
    int count = 0;
    sources[count++] = (ie_source){f->slots->z, f->lanes->request};
    if (u->config.low_resolution) sources[count++] = (ie_source){f->slots->low, f->lanes->request};
    if (u->condition_channels)
        sources[count++] = (ie_source){f->slots->condition, f->lanes->request};
    ie_tensor input;
    IE_TRY(ie_arena_tensor(f->x->arena, &input, u->backend->act, 4,
                           (int64_t[]){f->count, side, side, u->stem_inputs}, err));
    IE_TRY(ie_exec_gather(f->x, input, sources, count, err));
    IE_TRY(feature_new(f, &f->now, side, u->config.width, err));
    IE_TRY(ie_exec_conv(
        f->x, &u->stem,
        (ie_conv_args){.y = f->now.map, .x = {input}, .scale = 1.0f, .y_moments = f->now.moments},
        err));
    ie_arena_give(f->x->arena, input.data);
    tap(f, "stem", f->now.map);
    return IE_OK;
}

static ie_status block(forward *f, const ie_unet_node *n, ie_error *err)
{
    const ie_unet_step *s = &n->step;
    const int64_t side = ie_resampled(s->side, s->resample);
    const bool convolved = ie_unet_has_shortcut(&f->u->config, s);
    const ie_conv_args input = {.x = {f->now.map, f->skip.map},
                                .moments = {f->now.moments, f->skip.moments},
                                .scale = 1.0f};
    feature y, h;
    IE_TRY(feature_new(f, &y, side, s->outputs, err));
    if (convolved) {
        ie_conv_args shortcut = input;
        shortcut.y = y.map;
        IE_TRY(ie_exec_conv(f->x, &n->shortcut, shortcut, err));
    }
    IE_TRY(feature_new(f, &h, side, s->outputs, err));
    ie_conv_args first = input;
    first.y = h.map;
    first.y_moments = h.moments;
    IE_TRY(ie_exec_conv(f->x, &n->conv1, first, err));
    const int64_t width = f->u->film_width;
    const ie_tensor film = ie_slice(ie_reshape(f->film, 2, (int64_t[]){f->count, width}), 1,
                                    n->film_at, n->film_at + 2 * (int64_t)s->outputs);
    const ie_conv_args second = {
        .y = y.map,
        .x = {h.map},
        .moments = {h.moments},
        .film = film,
        .residual = convolved ? y.map : f->now.map,
        .residual_resample = convolved ? IE_SAME : s->resample,
        .scale = (float)f->u->config.residual_scale,
        .y_moments = y.moments,
    };
    IE_TRY(ie_exec_conv(f->x, &n->conv2, second, err));
    drop(f, &h);
    advance(f, y);
    return IE_OK;
}

static ie_status attention(forward *f, const ie_unet_node *n, ie_error *err)
{
    const ie_unet_step *s = &n->step;
    const int64_t tokens = (int64_t)s->side * s->side, heads = s->attention.heads;
    const int64_t inner = heads * s->attention.head_width, width = n->query.spec.outputs;
    const int64_t map[4] = {f->count, s->side, s->side, width};
    ie_tensor q, mixed;
    IE_TRY(ie_arena_tensor(f->x->arena, &q, f->u->backend->act, 4, map, err));
    const ie_conv_args project = {
        .y = q, .x = {f->now.map}, .moments = {f->now.moments}, .scale = 1.0f};
    IE_TRY(ie_exec_conv(f->x, &n->query, project, err));
    IE_TRY(ie_arena_tensor(f->x->arena, &mixed, f->u->backend->act, 3,
                           (int64_t[]){f->count, tokens, inner}, err));
    const ie_tensor rows = ie_reshape(q, 3, (int64_t[]){f->count, tokens, width});
    const ie_tensor text = ie_unet_text_kv(f->u, f->slots, n);
    ie_attention_args args = {
        .y = ie_split_heads(mixed, heads),
        .q = ie_split_heads(ie_slice(rows, 2, 0, inner), heads),
        .keys[0] = {.k = ie_split_heads(ie_slice(text, 2, 0, inner), heads),
                    .v = ie_split_heads(ie_slice(text, 2, inner, 2 * inner), heads),
                    .index = f->lanes->text,
                    .length = f->slots->length},
        .scale = 1.0f / sqrtf((float)s->attention.head_width),
    };
    if (s->attention.kind == IE_ATTENTION_SELF_TEXT) {
        args.keys[1].k = ie_split_heads(ie_slice(rows, 2, inner, 2 * inner), heads);
        args.keys[1].v = ie_split_heads(ie_slice(rows, 2, 2 * inner, 3 * inner), heads);
    }
    IE_TRY(ie_exec_attention(f->x, args, err));
    ie_arena_give(f->x->arena, q.data);
    feature y;
    IE_TRY(feature_new(f, &y, s->side, s->outputs, err));
    const ie_conv_args out = {
        .y = y.map,
        .x = {ie_reshape(mixed, 4, (int64_t[]){f->count, s->side, s->side, inner})},
        .residual = f->now.map,
        .scale = (float)f->u->config.residual_scale,
        .y_moments = y.moments,
    };
    IE_TRY(ie_exec_conv(f->x, &n->out, out, err));
    ie_arena_give(f->x->arena, mixed.data);
    advance(f, y);
    return IE_OK;
}

static ie_status resample(forward *f, const ie_unet_node *n, ie_error *err)
{
    feature y;
    IE_TRY(feature_new(f, &y, ie_conv_out(&n->conv1.spec, n->step.side), n->step.outputs, err));
    const ie_conv_args args = {
        .y = y.map, .x = {f->now.map}, .scale = 1.0f, .y_moments = y.moments};
    IE_TRY(ie_exec_conv(f->x, &n->conv1, args, err));
    advance(f, y);
    return IE_OK;
}

/* The latest skip: added to the main path, or put beside it for the next block; scaled if the model
 * says so. */
static ie_status join(forward *f, const ie_unet_step *s, ie_error *err)
{
    const float scale = (float)f->u->config.skip_scale;
    feature skip = f->kept[--f->kept_count], y;
    if (f->u->config.skip_concat && scale == 1.0f) {
        f->skip = skip;
        return IE_OK;
    }
    IE_TRY(feature_new(f, &y, s->side, skip.map.dim[3], err));
    const ie_term scaled = {skip.map, scale};
    if (f->u->config.skip_concat) {
        IE_TRY(ie_exec_add(f->x, y.map, y.moments, scaled, (ie_term){0}, err));
        if (skip.map.data != f->now.map.data) drop(f, &skip);
        f->skip = y;
        return IE_OK;
    }
    const ie_term now = {f->now.map, 1.0f};
    IE_TRY(ie_exec_add(f->x, y.map, y.moments, now, scaled, err));
    if (skip.map.data != f->now.map.data) drop(f, &skip);
    advance(f, y);
    return IE_OK;
}

static ie_status run_step(forward *f, const ie_unet_node *n, ie_error *err)
{
    switch (n->step.kind) {
    case IE_UNET_BLOCK: IE_TRY(block(f, n, err)); break;
    case IE_UNET_ATTENTION: IE_TRY(attention(f, n, err)); break;
    case IE_UNET_CONV: IE_TRY(resample(f, n, err)); break;
    case IE_UNET_KEEP: f->kept[f->kept_count++] = f->now; return IE_OK;
    case IE_UNET_JOIN: return join(f, &n->step, err);
    }
    tap(f, n->step.name.text, f->now.map);
    return IE_OK;
}

ie_status ie_unet_forward(const ie_unet *unet, const ie_unet_slots *slots,
                          const ie_unet_lanes *lanes, ie_tensor pred, ie_exec *x, ie_error *err)
{
    forward f = {.u = unet, .slots = slots, .lanes = lanes, .x = x, .count = lanes->v.dim[0]};
    IE_TRY(embed(&f, err));
    IE_TRY(stem(&f, err));
    for (int i = 0; i < unet->count; i++) IE_TRY(run_step(&f, &unet->nodes[i], err));
    IE_TRY(ie_exec_conv(
        x, &unet->head,
        (ie_conv_args){.y = pred, .x = {f.now.map}, .moments = {f.now.moments}, .scale = 1.0f},
        err));
    drop(&f, &f.now);
    ie_arena_give(x->arena, f.film.data);
    tap(&f, "prediction", pred);
    return IE_OK;
}
