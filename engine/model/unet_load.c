/* unet_load.c - opening a U-Net: every layer named, shaped and counted; and filling it.
 * SPDX-License-Identifier: Apache-2.0 */
#include "unet_layers.h"

/* A layer on vectors, one row a lane: f32 in and out whatever the weights are. */
static ie_linear_spec vector_spec(const ie_unet *u, int64_t inputs, int64_t outputs, ie_act act)
{
    return (ie_linear_spec){.rows = 1,
                            .inputs = inputs,
                            .outputs = outputs,
                            .x_dtype = IE_F32,
                            .w_dtype = u->backend->act,
                            .y_dtype = IE_F32,
                            .act = act};
}

/* A layer on the tokens of a prompt: activations. */
static ie_linear_spec token_spec(const ie_unet *u, int64_t inputs, int64_t outputs)
{
    const ie_dtype act = u->backend->act;
    return (ie_linear_spec){.rows = u->text_length,
                            .inputs = inputs,
                            .outputs = outputs,
                            .x_dtype = act,
                            .w_dtype = act,
                            .y_dtype = act};
}

static ie_conv_spec conv_spec(const ie_unet *u, int side, int64_t inputs, int64_t outputs,
                              int kernel)
{
    return (ie_conv_spec){.dtype = u->backend->act,
                          .height = side,
                          .width = side,
                          .channels = {inputs, 0},
                          .outputs = outputs,
                          .kernel = kernel,
                          .stride = 1,
                          .pad = kernel / 2};
}

static void normed(const ie_unet *u, ie_conv_spec *spec, ie_act act)
{
    spec->groups = u->config.norm_groups;
    spec->eps = (float)u->config.norm_eps;
    spec->act = act;
}

static ie_status load_embedding(const ie_unet *u, ie_loader *l, ie_unet_embedding *e,
                                int64_t inputs, const char *name, ie_error *err)
{
    const int64_t width = u->config.embedding;
    const ie_linear_spec first = vector_spec(u, inputs, width, IE_ACT_NONE);
    const ie_linear_spec second = vector_spec(u, width, width, IE_ACT_SILU);
    IE_TRY(ie_load_linear_one(l, &e->linear1, &first, ie_name_of("%s.linear1", name).text, err));
    return ie_load_linear_one(l, &e->linear2, &second, ie_name_of("%s.linear2", name).text, err);
}

static ie_status load_norm(ie_loader *l, ie_norm_layer *out, int64_t width, const char *name,
                           ie_error *err)
{
    out->eps = IE_LAYER_NORM_EPS;
    IE_TRY(ie_load_tensor(l, &out->w, IE_F32, ie_name_of("%s.weight", name).text, 1, &width, err));
    return ie_load_tensor(l, &out->b, IE_F32, ie_name_of("%s.bias", name).text, 1, &width, err);
}

static ie_status load_text(ie_unet *u, ie_loader *l, ie_error *err)
{
    const ie_unet_config *c = &u->config;
    const int64_t inner = u->text_inner;
    if (c->text.norm) IE_TRY(load_norm(l, &u->text.norm, c->text.width, "text.norm", err));
    if (c->text.project) {
        const ie_linear_spec project = token_spec(u, c->text.width, inner);
        IE_TRY(ie_load_linear_one(l, &u->text.project, &project, "text.project", err));
    }
    IE_TRY(ie_load_tensor(l, &u->text.query, u->backend->act, "text.pool.query", 1, &inner, err));
    const ie_linear_spec kv = token_spec(u, inner, 2 * inner);
    IE_TRY(ie_load_linear_one(l, &u->text.pool_kv, &kv, "text.pool.kv", err));
    IE_TRY(load_norm(l, &u->text.pool_norm, inner, "text.pool.norm", err));
    return load_embedding(u, l, &u->text.pool, inner, "text.pool", err);
}

static ie_status load_conditioning(ie_unet *u, ie_loader *l, ie_error *err)
{
    const ie_unet_config *c = &u->config;
    int side = c->conditioning.resolution, channels = side ? 4 : 0;
    for (int i = 0; i < c->conditioning.count; i++) {
        const int stride = c->conditioning.strides[i], kernel = c->conditioning.kernel;
        ie_conv_spec spec = conv_spec(u, side, channels, c->conditioning.widths[i], kernel);
        spec.stride = stride;
        spec.pad = kernel == stride ? 0 : (kernel - 1) / 2;
        spec.act = i > 0 ? IE_ACT_SILU : IE_ACT_NONE;
        if (ie_conv_out(&spec, side) != side / stride) {
            return ie_fail(err, IE_BAD_MODEL,
                           "conditioning.%d: kernel %d with stride %d does not divide %d exactly",
                           i, kernel, stride, side);
        }
        IE_TRY(ie_load_conv(l, &u->conditioning[i], &spec, ie_name_of("conditioning.%d", i).text,
                            NULL, err));
        channels = c->conditioning.widths[i];
        side /= stride;
    }
    u->condition_channels = channels;
    return IE_OK;
}

static ie_status load_block(ie_unet *u, ie_loader *l, ie_unet_node *n, ie_error *err)
{
    const ie_unet_step *s = &n->step;
    const char *name = s->name.text;
    ie_conv_spec first = conv_spec(u, s->side, s->inputs, s->outputs, 3);
    first.channels[1] = s->skip;
    first.resample = s->resample;
    if (ie_unet_has_shortcut(&u->config, s)) {
        ie_conv_spec shortcut = first;
        shortcut.kernel = 1;
        shortcut.pad = 0;
        IE_TRY(ie_load_conv(l, &n->shortcut, &shortcut, ie_name_of("%s.shortcut", name).text, NULL,
                            err));
    }
    normed(u, &first, u->config.activation);
    IE_TRY(ie_load_conv(l, &n->conv1, &first, ie_name_of("%s.conv1", name).text,
                        ie_name_of("%s.norm1", name).text, err));
    ie_conv_spec second =
        conv_spec(u, (int)ie_resampled(s->side, s->resample), s->outputs, s->outputs, 3);
    normed(u, &second, u->config.activation);
    return ie_load_conv(l, &n->conv2, &second, ie_name_of("%s.conv2", name).text,
                        ie_name_of("%s.norm2", name).text, err);
}

static ie_status load_attention(ie_unet *u, ie_loader *l, ie_unet_node *n, ie_error *err)
{
    const ie_unet_step *s = &n->step;
    const char *name = s->name.text;
    const bool self = s->attention.kind == IE_ATTENTION_SELF_TEXT;
    const int64_t inner = (int64_t)s->attention.heads * s->attention.head_width;
    ie_conv_spec query = conv_spec(u, s->side, s->inputs, self ? 3 * inner : inner, 1);
    normed(u, &query, IE_ACT_NONE);
    IE_TRY(ie_load_projection(l, &n->query, &query,
                              ie_name_of("%s.%s", name, self ? "qkv" : "q").text,
                              ie_name_of("%s.norm", name).text, err));
    if (u->config.text.kv_norm) {
        IE_TRY(
            load_norm(l, &n->text_norm, u->text_inner, ie_name_of("%s.text_norm", name).text, err));
    }
    const ie_linear_spec kv = token_spec(u, u->text_inner, 2 * inner);
    IE_TRY(ie_load_linear_one(l, &n->text_kv, &kv, ie_name_of("%s.text_kv", name).text, err));
    const ie_conv_spec out = conv_spec(u, s->side, inner, s->inputs, 1);
    return ie_load_projection(l, &n->out, &out, ie_name_of("%s.out", name).text, NULL, err);
}

static ie_status load_node(ie_unet *u, ie_loader *l, ie_unet_node *n, ie_error *err)
{
    switch (n->step.kind) {
    case IE_UNET_BLOCK: return load_block(u, l, n, err);
    case IE_UNET_ATTENTION: return load_attention(u, l, n, err);
    case IE_UNET_CONV: {
        ie_conv_spec spec = conv_spec(u, n->step.side, n->step.inputs, n->step.outputs, 3);
        spec.stride = n->step.stride;
        spec.resample = n->step.resample;
        return ie_load_conv(l, &n->conv1, &spec, n->step.name.text, NULL, err);
    }
    case IE_UNET_KEEP:
    case IE_UNET_JOIN: return IE_OK;
    }
    return IE_OK;
}

/* All blocks' film layers read the same vector: one matrix. */
static ie_status load_film(ie_unet *u, ie_loader *l, ie_error *err)
{
    ie_name *names = ie_alloc((uint64_t)u->count, sizeof *names);
    int64_t *outputs = ie_alloc((uint64_t)u->count, sizeof *outputs);
    ie_status status = IE_OK;
    if (!names || !outputs) {
        status = ie_fail(err, IE_NO_MEMORY, "no memory for the names of %d layers", u->count);
        goto done;
    }
    int count = 0;
    for (int i = 0; i < u->count; i++) {
        if (u->nodes[i].step.kind != IE_UNET_BLOCK) continue;
        names[count] = ie_name_of("%s.film", u->nodes[i].step.name.text);
        outputs[count++] = 2 * (int64_t)u->nodes[i].step.outputs;
    }
    const ie_linear_spec spec = vector_spec(u, u->config.embedding, u->film_width, IE_ACT_SILU);
    IE_TRY_DONE(
        ie_load_linear(l, &u->film, &spec, (ie_linear_parts){count, names, outputs, true}, err));
done:
    ie_free(names);
    ie_free(outputs);
    return status;
}

static ie_status load_stem_and_head(ie_unet *u, ie_loader *l, ie_error *err)
{
    const ie_unet_config *c = &u->config;
    u->stem_inputs =
        c->image_channels + (c->low_resolution ? c->image_channels : 0) + u->condition_channels;
    const ie_conv_spec stem = conv_spec(u, c->resolution, u->stem_inputs, c->width, 3);
    IE_TRY(ie_load_conv(l, &u->stem, &stem, "stem", NULL, err));
    const int last = u->nodes[u->count - 1].step.outputs;
    ie_conv_spec head = conv_spec(u, c->resolution, last, c->output_channels, c->head.kernel);
    head.y_f32 = true;
    if (c->head.norm) normed(u, &head, c->activation);
    return ie_load_conv(l, &u->head, &head, "head.conv", c->head.norm ? "head.norm" : NULL, err);
}

static ie_status load_all(ie_unet *u, ie_loader *l, ie_error *err)
{
    IE_TRY(load_embedding(u, l, &u->time, u->config.time.width, "time", err));
    if (u->config.low_resolution)
        IE_TRY(load_embedding(u, l, &u->aug, u->config.time.width, "aug", err));
    IE_TRY(load_text(u, l, err));
    IE_TRY(load_conditioning(u, l, err));
    IE_TRY(load_stem_and_head(u, l, err));
    for (int i = 0; i < u->count; i++) IE_TRY(load_node(u, l, &u->nodes[i], err));
    return load_film(u, l, err);
}

static ie_status plan_nodes(ie_unet *u, ie_error *err)
{
    ie_unet_step *steps;
    int count;
    IE_TRY(ie_unet_plan(&steps, &count, &u->config, err));
    u->nodes = ie_alloc((uint64_t)count, sizeof *u->nodes);
    if (u->nodes) {
        u->count = count;
        for (int i = 0; i < count; i++) {
            ie_unet_node *n = &u->nodes[i];
            n->step = steps[i];
            n->film_at = u->film_width;
            n->kv_at = u->kv_width;
            if (n->step.kind == IE_UNET_BLOCK) u->film_width += 2 * (int64_t)n->step.outputs;
            if (n->step.kind == IE_UNET_ATTENTION) {
                u->kv_width += 2 * (int64_t)n->step.attention.heads * n->step.attention.head_width;
            }
        }
    }
    ie_free(steps);
    return u->nodes ? IE_OK
                    : ie_fail(err, IE_NO_MEMORY, "no memory for a U-Net of %d steps", count);
}

ie_status ie_unet_open(ie_unet **out, const ie_unet_config *config, int text_length,
                       ie_weights *weights, ie_backend *backend, ie_error *err)
{
    *out = NULL;
    assert(weights || backend->plan);
    ie_unet *u = ie_alloc(1, sizeof *u);
    if (!u) return ie_fail(err, IE_NO_MEMORY, "no memory for a U-Net");
    u->config = *config;
    u->backend = backend;
    u->text_length = text_length;
    u->text_inner = config->text.project ? config->text.project : config->text.width;
    ie_status status = plan_nodes(u, err);
    if (status) goto done;

    ie_loader l = {.backend = backend, .weights = weights};
    IE_TRY_DONE(load_all(u, &l, err));
    if (weights && ie_weights_unused(weights)) {
        status =
            ie_fail(err, IE_BAD_MODEL, "tensor '%s' is in the file but not in the configuration",
                    ie_weights_unused(weights));
        goto done;
    }
    u->parameters = l.parameters;
    u->weight_bytes = l.used;
    *out = u;
    u = NULL;
done:
    ie_unet_close(&u);
    return status;
}

ie_status ie_unet_load(ie_unet *unet, ie_weights *weights, ie_load_watch watch, ie_error *err)
{
    assert(weights && !unet->weights.data);
    IE_TRY(ie_block_alloc(&unet->weights, unet->backend, unet->weight_bytes, "weights of a U-Net",
                          err));
    ie_loader l = {
        .backend = unet->backend, .weights = weights, .memory = unet->weights.data, .watch = watch};
    return load_all(unet, &l, err);
}

static void release_embedding(ie_unet_embedding *e, const ie_backend *backend)
{
    ie_linear_layer_release(&e->linear1, backend);
    ie_linear_layer_release(&e->linear2, backend);
}

void ie_unet_close(ie_unet **unet)
{
    if (!unet || !*unet) return;
    ie_unet *u = *unet;
    const ie_backend *b = u->backend;
    for (int i = 0; i < u->count; i++) {
        ie_unet_node *n = &u->nodes[i];
        ie_conv_layer *convs[] = {&n->conv1, &n->conv2, &n->shortcut, &n->query, &n->out};
        for (size_t k = 0; k < sizeof convs / sizeof convs[0]; k++)
            ie_conv_layer_release(convs[k], b);
        ie_linear_layer_release(&n->text_kv, b);
    }
    for (int i = 0; i < IE_MAX_CONDITIONING; i++) ie_conv_layer_release(&u->conditioning[i], b);
    ie_conv_layer_release(&u->stem, b);
    ie_conv_layer_release(&u->head, b);
    release_embedding(&u->time, b);
    release_embedding(&u->aug, b);
    release_embedding(&u->text.pool, b);
    ie_linear_layer_release(&u->film, b);
    ie_linear_layer_release(&u->text.project, b);
    ie_linear_layer_release(&u->text.pool_kv, b);
    ie_block_free(&u->weights);
    ie_free(u->nodes);
    ie_free(u);
    *unet = NULL;
}

const ie_unet_config *ie_unet_configuration(const ie_unet *unet)
{
    return &unet->config;
}

uint64_t ie_unet_parameters(const ie_unet *unet)
{
    return unet->parameters;
}

uint64_t ie_unet_weight_bytes(const ie_unet *unet)
{
    return unet->weight_bytes;
}
