/* text_encoder.c - T5 v1.1: pre-norm blocks of biased self-attention and gated GELU, residual
 * stream in f32. SPDX-License-Identifier: Apache-2.0 */
#include "text_encoder.h"

#include "layers.h"

#include <math.h>

typedef struct text_block {
    ie_tensor attention_norm, ff_norm; /* [D] f32 */
    ie_linear_layer qkv, out, wi, wo;  /* q, k, v stacked; wi_0 and wi_1 stacked */
} text_block;

struct ie_text_encoder {
    ie_text_config config;
    ie_backend *backend;
    int length;           /* T */
    ie_tensor table;      /* [V, D] act */
    ie_tensor buckets;    /* [buckets, h] f32: the learned biases, as in the file */
    ie_tensor bias;       /* [h, T, T] f32: buckets spread over positions; made once */
    ie_tensor final_norm; /* [D] f32 */
    text_block *blocks;
    uint64_t parameters, weight_bytes;
    ie_block weights; /* empty until loaded */
};

int ie_relative_bucket(int distance, int buckets, int max_distance)
{
    /* Half the buckets for keys after the query; of each half, the first half exact, the rest
     * logarithmic. All in f32 and in this order of operations, as the original computes it: at
     * bucket borders the last place decides. */
    const int half = buckets / 2, exact = half / 2;
    const int offset = distance > 0 ? half : 0;
    const int away = distance < 0 ? -distance : distance;
    if (away < exact) return offset + away;
    const float ratio = logf((float)away / (float)exact) / (float)log((double)max_distance / exact);
    const int large = exact + (int)(ratio * (float)(half - exact));
    return offset + (large < half - 1 ? large : half - 1);
}

static ie_status load_block(const ie_text_encoder *e, ie_loader *l, text_block *b, int index,
                            ie_error *err)
{
    const ie_text_config *c = &e->config;
    const ie_dtype act = e->backend->act;
    const int64_t inner = (int64_t)c->num_heads * c->d_kv, d = c->d_model;
    const ie_name at = ie_name_of("encoder.block.%d.layer.0", index);
    const ie_name ff = ie_name_of("encoder.block.%d.layer.1", index);
    const ie_name q[3] = {ie_name_of("%s.SelfAttention.q", at.text),
                          ie_name_of("%s.SelfAttention.k", at.text),
                          ie_name_of("%s.SelfAttention.v", at.text)};
    const ie_name o = ie_name_of("%s.SelfAttention.o", at.text);
    const ie_name wi[2] = {ie_name_of("%s.DenseReluDense.wi_0", ff.text),
                           ie_name_of("%s.DenseReluDense.wi_1", ff.text)};
    const ie_name wo = ie_name_of("%s.DenseReluDense.wo", ff.text);
    ie_linear_spec spec = {.rows = e->length, .x_dtype = act, .w_dtype = act};

    IE_TRY(ie_load_tensor(l, &b->attention_norm, IE_F32,
                          ie_name_of("%s.layer_norm.weight", at.text).text, 1, &d, err));
    spec.inputs = d, spec.outputs = 3 * inner, spec.y_dtype = act;
    IE_TRY(ie_load_linear(l, &b->qkv, &spec,
                          (ie_linear_parts){3, q, (int64_t[]){inner, inner, inner}, false}, err));
    spec.inputs = inner, spec.outputs = d, spec.y_dtype = IE_F32;
    IE_TRY(ie_load_linear(l, &b->out, &spec, (ie_linear_parts){1, &o, &d, false}, err));
    IE_TRY(ie_load_tensor(l, &b->ff_norm, IE_F32, ie_name_of("%s.layer_norm.weight", ff.text).text,
                          1, &d, err));
    spec.inputs = d, spec.outputs = c->d_ff, spec.y_dtype = act, spec.gated = true;
    IE_TRY(ie_load_linear(l, &b->wi, &spec,
                          (ie_linear_parts){2, wi, (int64_t[]){c->d_ff, c->d_ff}, false}, err));
    spec.inputs = c->d_ff, spec.outputs = d, spec.y_dtype = IE_F32, spec.gated = false;
    return ie_load_linear(l, &b->wo, &spec, (ie_linear_parts){1, &wo, &d, false}, err);
}

static ie_status load_all(ie_text_encoder *e, ie_loader *l, ie_error *err)
{
    const ie_text_config *c = &e->config;
    const int64_t d = c->d_model;
    IE_TRY(ie_load_tensor(l, &e->table, e->backend->act, "shared.weight", 2,
                          (int64_t[]){c->vocab_size, d}, err));
    IE_TRY(ie_load_tensor(l, &e->buckets, IE_F32,
                          "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight", 2,
                          (int64_t[]){c->buckets, c->num_heads}, err));
    IE_TRY(
        ie_load_tensor(l, &e->final_norm, IE_F32, "encoder.final_layer_norm.weight", 1, &d, err));
    for (int i = 0; i < c->num_layers; i++) IE_TRY(load_block(e, l, &e->blocks[i], i, err));
    e->bias = ie_view(l->memory ? l->memory + l->used : NULL, IE_F32, 3,
                      (int64_t[]){c->num_heads, e->length, e->length});
    l->used += (uint64_t)ie_bytes(e->bias);
    return IE_OK;
}

/* Spread the learned biases over all pairs of positions, once. */
static ie_status make_bias(ie_text_encoder *e, ie_error *err)
{
    const int64_t heads = e->config.num_heads, length = e->length;
    float *table = ie_alloc((uint64_t)ie_numel(e->buckets), sizeof *table);
    float *bias = ie_alloc((uint64_t)ie_numel(e->bias), sizeof *bias);
    ie_status status = IE_OK;
    if (!table || !bias) {
        status = ie_fail(err, IE_NO_MEMORY, "no memory for the relative position bias");
        goto done;
    }
    IE_TRY_DONE(ie_download(e->backend, table, e->buckets, err));
    for (int64_t h = 0; h < heads; h++) {
        for (int64_t q = 0; q < length; q++) {
            for (int64_t k = 0; k < length; k++) {
                const int bucket =
                    ie_relative_bucket((int)(k - q), e->config.buckets, e->config.max_distance);
                bias[(h * length + q) * length + k] = table[bucket * heads + h];
            }
        }
    }
    IE_TRY_DONE(ie_upload(e->backend, e->bias, bias, err));
done:
    ie_free(bias);
    ie_free(table);
    return status;
}

ie_status ie_text_encoder_open(ie_text_encoder **out, const ie_text_config *config, int length,
                               ie_weights *weights, ie_backend *backend, ie_error *err)
{
    *out = NULL;
    ie_text_encoder *e = ie_alloc(1, sizeof *e);
    if (!e) return ie_fail(err, IE_NO_MEMORY, "no memory for the text encoder");
    ie_status status = IE_OK;
    e->config = *config;
    e->backend = backend;
    e->length = length;
    e->blocks = ie_alloc((uint64_t)config->num_layers, sizeof *e->blocks);
    if (!e->blocks) {
        status = ie_fail(err, IE_NO_MEMORY, "no memory for %d layers of text", config->num_layers);
        goto done;
    }
    ie_loader l = {.backend = backend, .weights = weights};
    IE_TRY_DONE(load_all(e, &l, err));
    e->parameters = l.parameters;
    e->weight_bytes = l.used;
    *out = e;
    e = NULL;
done:
    ie_text_encoder_close(&e);
    return status;
}

ie_status ie_text_encoder_load(ie_text_encoder *e, ie_weights *weights, ie_load_watch watch,
                               ie_error *err)
{
    assert(weights && !e->weights.data);
    IE_TRY(ie_block_alloc(&e->weights, e->backend, e->weight_bytes, "weights of the text encoder",
                          err));
    ie_loader l = {
        .backend = e->backend, .weights = weights, .memory = e->weights.data, .watch = watch};
    IE_TRY(load_all(e, &l, err));
    IE_TRY(make_bias(e, err));
    return watch.layer ? watch.layer(watch.user, e->weight_bytes, err) : IE_OK;
}

void ie_text_encoder_close(ie_text_encoder **encoder)
{
    if (!encoder || !*encoder) return;
    ie_text_encoder *e = *encoder;
    for (int i = 0; e->blocks && i < e->config.num_layers; i++) {
        text_block *b = &e->blocks[i];
        ie_linear_layer *layers[] = {&b->qkv, &b->out, &b->wi, &b->wo};
        for (int k = 0; k < 4; k++) ie_linear_layer_release(layers[k], e->backend);
    }
    ie_block_free(&e->weights);
    ie_free(e->blocks);
    ie_free(e);
    *encoder = NULL;
}

uint64_t ie_text_encoder_parameters(const ie_text_encoder *encoder)
{
    return encoder->parameters;
}

uint64_t ie_text_encoder_weight_bytes(const ie_text_encoder *encoder)
{
    return encoder->weight_bytes;
}

/* The buffers of a run; one set serves all layers. */
typedef struct text_buffers {
    ie_tensor ids, length; /* [1, T], [1] i32 */
    ie_tensor stream;      /* [1, T, D] f32 */
    ie_tensor normed;      /* [1, T, D] act */
    ie_tensor qkv, mixed;  /* [1, T, 3 inner], [1, T, inner] act */
    ie_tensor gated;       /* [1, T, F] act */
} text_buffers;

static ie_status take_buffers(const ie_text_encoder *e, text_buffers *b, ie_arena *a, ie_error *err)
{
    const ie_text_config *c = &e->config;
    const ie_dtype act = e->backend->act;
    const int64_t t = e->length, inner = (int64_t)c->num_heads * c->d_kv;
    IE_TRY(ie_arena_tensor(a, &b->ids, IE_I32, 2, (int64_t[]){1, t}, err));
    IE_TRY(ie_arena_tensor(a, &b->length, IE_I32, 1, (int64_t[]){1}, err));
    IE_TRY(ie_arena_tensor(a, &b->stream, IE_F32, 3, (int64_t[]){1, t, c->d_model}, err));
    IE_TRY(ie_arena_tensor(a, &b->normed, act, 3, (int64_t[]){1, t, c->d_model}, err));
    IE_TRY(ie_arena_tensor(a, &b->qkv, act, 3, (int64_t[]){1, t, 3 * inner}, err));
    IE_TRY(ie_arena_tensor(a, &b->mixed, act, 3, (int64_t[]){1, t, inner}, err));
    return ie_arena_tensor(a, &b->gated, act, 3, (int64_t[]){1, t, c->d_ff}, err);
}

static void give_buffers(text_buffers *b, ie_arena *a)
{
    const ie_tensor all[] = {b->ids, b->length, b->stream, b->normed, b->qkv, b->mixed, b->gated};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) ie_arena_give(a, all[i].data);
}

static ie_status run_block(const ie_text_encoder *e, const text_block *w, const text_buffers *b,
                           ie_exec *x, ie_error *err)
{
    const int64_t heads = e->config.num_heads, inner = heads * e->config.d_kv;
    const float eps = (float)e->config.eps;
    const ie_tensor none = {0};
    IE_TRY(ie_exec_rms_norm(x, b->normed, b->stream, w->attention_norm, none, eps, err));
    IE_TRY(ie_exec_linear(x, &w->qkv, b->qkv, b->normed, none, err));
    const ie_attention_args args = {
        .y = ie_split_heads(b->mixed, heads),
        .q = ie_split_heads(ie_slice(b->qkv, 2, 0, inner), heads),
        .keys[1] = {.k = ie_split_heads(ie_slice(b->qkv, 2, inner, 2 * inner), heads),
                    .v = ie_split_heads(ie_slice(b->qkv, 2, 2 * inner, 3 * inner), heads),
                    .length = b->length},
        .bias = e->bias,
        .scale = 1.0f, /* T5 was trained without 1/sqrt(d) */
    };
    IE_TRY(ie_exec_attention(x, args, err));
    IE_TRY(ie_exec_linear(x, &w->out, b->stream, b->mixed, b->stream, err));
    IE_TRY(ie_exec_rms_norm(x, b->normed, b->stream, w->ff_norm, none, eps, err));
    IE_TRY(ie_exec_linear(x, &w->wi, b->gated, b->normed, none, err));
    return ie_exec_linear(x, &w->wo, b->stream, b->gated, b->stream, err);
}

ie_status ie_text_encoder_run(const ie_text_encoder *encoder, ie_tensor tokens, const int32_t *ids,
                              int used, ie_exec *x, ie_error *err)
{
    text_buffers b;
    const int32_t kept = used;
    IE_TRY(take_buffers(encoder, &b, x->arena, err));
    if (!x->arena->measuring) {
        IE_TRY(ie_upload(encoder->backend, b.ids, ids, err));
        IE_TRY(ie_upload(encoder->backend, b.length, &kept, err));
    }
    IE_TRY(ie_exec_embed(x, b.stream, encoder->table, b.ids, err));
    for (int i = 0; i < encoder->config.num_layers; i++) {
        IE_TRY(run_block(encoder, &encoder->blocks[i], &b, x, err));
    }
    IE_TRY(ie_exec_rms_norm(x, tokens, b.stream, encoder->final_norm, b.length,
                            (float)encoder->config.eps, err));
    give_buffers(&b, x->arena);
    return IE_OK;
}
