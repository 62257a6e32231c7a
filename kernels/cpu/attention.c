/* attention.c - softmax(scale <q, k> + bias) v over two segments of keys, one tile of queries of
 * one head at a time.
 *
 *   numerics  f32 throughout; scores summed over d in order, the softmax over the keys in order
 *             (text, then image)
 *   cost      4 T L d flops; K is read once per tile of 64 queries, V likewise, neither is packed
 *             or transposed; bf16 queries times keys run two at a time (vdpbf16ps), probabilities
 *             stay f32
 *   mapping   a task is (lane, head, tile). Scores lie with the keys in rows and the queries in
 *             vector lanes, so the softmax runs down columns; they stay in L2 (L <= 2048: at most
 *             512 KB, beyond that half the queries)
 * SPDX-License-Identifier: Apache-2.0 */
#include "attention.h"
#include "gemm_tile.h"
#include "threads.h"
#include "vec_math.h"

#include <string.h>

enum { QUERIES = 64, LONG_KEYS = 2048, KEY_BLOCK = 64 };

/* A thread's scratch. */
typedef struct tile {
    float *scores; /* [L, queries] */
    float *q;      /* [d, queries] */
    float *y;      /* [queries, d] */
    float *k;      /* [KEY_BLOCK, d]: keys of a bf16 segment as floats */
    uint64_t bytes;
} tile;

static int64_t most_keys(const ie_attention_args *a)
{
    int64_t most = 0;
    for (int i = 0; i < 2; i++) most += ie_present(a->keys[i].k) ? a->keys[i].k.dim[1] : 0;
    return most;
}

/* Queries of a tile: whole vectors, no more than there are. */
static int64_t tile_queries(const ie_attention_args *a)
{
    const int64_t vectors = (a->q.dim[1] + IE_LANES - 1) / IE_LANES * IE_LANES;
    const int64_t most = most_keys(a) > LONG_KEYS ? QUERIES / 2 : QUERIES;
    return vectors < most ? vectors : most;
}

static tile lay_out(const ie_attention_args *a, char *base)
{
    const int64_t queries = tile_queries(a), d = a->q.dim[3];
    const uint64_t scores = ie_cpu_aligned((uint64_t)(most_keys(a) * queries) * sizeof(float));
    const uint64_t q = ie_cpu_aligned((uint64_t)(d * queries) * sizeof(float));
    const uint64_t k = ie_cpu_aligned((uint64_t)(KEY_BLOCK * d) * sizeof(float));
    tile t = {.bytes = scores + 2 * q + k};
    if (!base) return t;
    t.scores = (float *)(void *)base;
    t.q = (float *)(void *)(base + scores);
    t.y = (float *)(void *)(base + scores + q);
    t.k = (float *)(void *)(base + scores + 2 * q);
    return t;
}

uint64_t ie_cpu_attention_scratch(const ie_attention_args *a)
{
    return (uint64_t)ie_cpu_thread_limit() * lay_out(a, NULL).bytes;
}

/* What lane n sees of a segment for head h. */
typedef struct run {
    const void *k, *v;
    int64_t k_step, v_step, count;
    ie_dtype type;
} run;

static run keys_of(const ie_keys *s, int64_t n, int64_t h)
{
    run r = {0};
    if (!ie_present(s->k)) return r;
    const int64_t row = ie_present(s->index) ? ((const int32_t *)s->index.data)[n] : n;
    r.count = ie_present(s->length) ? ((const int32_t *)s->length.data)[row] : s->k.dim[1];
    r.k = ie_offset(s->k, row * s->k.stride[0] + h * s->k.stride[2]);
    r.v = ie_offset(s->v, row * s->v.stride[0] + h * s->v.stride[2]);
    r.k_step = s->k.stride[1];
    r.v_step = s->v.stride[1];
    r.type = s->k.dtype;
    return r;
}

/* bf16 queries and keys are multiplied two at a time, the keys where they are. Decided by what all
 * lanes share. */
static bool in_pairs(const ie_attention_args *a)
{
    bool even = a->q.dtype == IE_BF16 && a->q.dim[3] % 2 == 0;
    for (int i = 0; i < 2; i++) {
        const ie_tensor k = a->keys[i].k;
        if (ie_present(k)) {
            even = even && k.stride[0] % 2 == 0 && k.stride[1] % 2 == 0 && k.stride[2] % 2 == 0 &&
                   (uintptr_t)k.data % sizeof(float) == 0;
        }
    }
    return even;
}

/* t->q[j, i] = element j of query first + i, zero past the last query; two elements as one where
 * they go in pairs. */
static void load_queries(const ie_attention_args *a, const tile *t, int64_t n, int64_t h,
                         int64_t first)
{
    const int64_t queries = tile_queries(a), d = a->q.dim[3], left = a->q.dim[1] - first;
    const int64_t real = left < queries ? left : queries;
    const bool pairs = in_pairs(a);
    if (real < queries) memset(t->q, 0, (size_t)(queries * d) * sizeof *t->q);
    for (int64_t i = 0; i < real; i++) {
        const int64_t at = n * a->q.stride[0] + (first + i) * a->q.stride[1] + h * a->q.stride[2];
        if (pairs) {
            const uint16_t *q = (const uint16_t *)a->q.data + at;
            for (int64_t j = 0; j < d / 2; j++)
                memcpy(&t->q[j * queries + i], q + 2 * j, sizeof(float));
            continue;
        }
        for (int64_t j = 0; j < d; j += IE_LANES) {
            const int64_t lanes = d - j < IE_LANES ? d - j : IE_LANES;
            const ie_v x = ie_v_get(a->q.data, at + j, lanes, a->q.dtype);
            for (int64_t c = 0; c < lanes; c++) t->q[(j + c) * queries + i] = x[c];
        }
    }
}

/* `rows` bf16 keys from key l on as floats. */
static const float *widen_keys(const tile *t, const run *r, int64_t l, int64_t rows, int64_t d)
{
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < d; j += IE_LANES) {
            const ie_v x = ie_v_get(r->k, (l + i) * r->k_step + j, d - j, IE_BF16);
            ie_v_put(t->k, i * d + j, d - j, x, IE_F32);
        }
    }
    return t->k;
}

/* Scores of one segment into rows [row, row + count). */
static void score(const ie_attention_args *a, const tile *t, const run *r, int64_t row)
{
    const int64_t queries = tile_queries(a), d = a->q.dim[3];
    ie_gemm g = {.a = r->k,
                 .a_row = r->k_step,
                 .a_step = 1,
                 .b = t->q,
                 .b_step = queries,
                 .c = t->scores + row * queries,
                 .c_row = queries,
                 .rows = r->count,
                 .columns = queries,
                 .depth = d};
    if (in_pairs(a)) {
        g.a_row /= 2;
        g.depth /= 2;
        ie_gemm_run(&g, IE_GEMM_PAIRS);
        return;
    }
    for (int64_t l = 0; l < r->count; l += KEY_BLOCK) {
        g.rows = r->count - l < KEY_BLOCK ? r->count - l : KEY_BLOCK;
        g.c = t->scores + (row + l) * queries;
        if (r->type == IE_F32) {
            g.a = (const float *)r->k + l * r->k_step;
        } else {
            g.a = widen_keys(t, r, l, g.rows, d);
            g.a_row = d;
        }
        ie_gemm_run(&g, IE_GEMM_F32);
    }
}

/* scores * scale + bias, where there is a bias [h, T, L1] of the image segment; queries from
 * `first`. */
static void add_bias(const ie_attention_args *a, const tile *t, int64_t h, int64_t first,
                     int64_t rows, int64_t image)
{
    const int64_t queries = tile_queries(a);
    for (int64_t i = 0; i < rows * queries; i += IE_LANES) {
        ie_v_store(t->scores, i, ie_v_load(t->scores, i, IE_F32) * a->scale, IE_F32);
    }
    for (int64_t i = 0; i < queries && first + i < a->q.dim[1]; i++) {
        const float *bias =
            (const float *)a->bias.data + h * a->bias.stride[0] + (first + i) * a->bias.stride[1];
        for (int64_t l = image; l < rows; l++) t->scores[l * queries + i] += bias[l - image];
    }
}

/* Scores to exp(scale * score - maximum), 16 queries at a time; the inverse of their sum to t->q,
 * no longer needed. */
static void soften(const tile *t, int64_t queries, int64_t rows, float scale)
{
    for (int64_t j = 0; j < queries; j += IE_LANES) {
        float *s = t->scores + j;
        ie_v most = ie_v_load(s, 0, IE_F32) * scale, sum = ie_v_set(0.0f);
        for (int64_t l = 1; l < rows; l++)
            most = ie_v_max(most, ie_v_load(s, l * queries, IE_F32) * scale);
        for (int64_t l = 0; l < rows; l++) {
            const ie_v p =
                ie_v_exp(ie_v_fma(ie_v_load(s, l * queries, IE_F32), ie_v_set(scale), -most));
            sum += p;
            ie_v_store(s, l * queries, p, IE_F32);
        }
        ie_v_store(t->q, j, 1.0f / sum, IE_F32);
    }
}

/* t->y = sum over one segment of p v; the first segment with keys starts the sum. */
static void weigh(const tile *t, const run *r, int64_t queries, int64_t d, int64_t row)
{
    const ie_gemm g = {.a = t->scores + row * queries,
                       .a_row = 1,
                       .a_step = queries,
                       .b = r->v,
                       .b_step = r->v_step,
                       .c = t->y,
                       .c_row = d,
                       .rows = queries,
                       .columns = d,
                       .depth = r->count,
                       .add = row > 0};
    if (r->count == 0) return;
    if (r->type == IE_F32) {
        ie_gemm_run(&g, IE_GEMM_F32);
    } else {
        ie_gemm_run(&g, IE_GEMM_BF16);
    }
}

static void attend(const ie_attention_args *a, const tile *t, int64_t n, int64_t h, int64_t first)
{
    const int64_t queries = tile_queries(a), d = a->q.dim[3], left = a->q.dim[1] - first;
    const run text = keys_of(&a->keys[0], n, h), image = keys_of(&a->keys[1], n, h);
    const int64_t rows = text.count + image.count;
    if (rows > 0) {
        load_queries(a, t, n, h, first);
        score(a, t, &text, 0);
        score(a, t, &image, text.count);
        if (ie_present(a->bias)) add_bias(a, t, h, first, rows, text.count);
        soften(t, queries, rows, ie_present(a->bias) ? 1 : a->scale);
        weigh(t, &text, queries, d, 0);
        weigh(t, &image, queries, d, text.count);
    }
    for (int64_t i = 0; i < queries && i < left; i++) {
        const int64_t at = ((n * a->q.dim[1] + first + i) * a->q.dim[2] + h) * d;
        for (int64_t j = 0; j < d; j += IE_LANES) {
            const ie_v y =
                rows > 0 ? ie_v_get(t->y, i * d + j, d - j, IE_F32) * t->q[i] : ie_v_set(0.0f);
            ie_v_put(a->y.data, at + j, d - j, y, a->y.dtype);
        }
    }
}

int ie_cpu_attention(ie_stream *s, const ie_attention_args *a)
{
    (void)s;
    const int64_t queries = tile_queries(a), heads = a->q.dim[2];
    const int64_t tiles = (a->q.dim[1] + queries - 1) / queries;
    const uint64_t bytes = lay_out(a, NULL).bytes;
#pragma omp parallel for num_threads(ie_cpu_thread_count()) schedule(dynamic)
    for (int64_t i = 0; i < a->q.dim[0] * heads * tiles; i++) {
        const tile t = lay_out(a, (char *)a->scratch + (uint64_t)omp_get_thread_num() * bytes);
        attend(a, &t, i / tiles / heads, i / tiles % heads, i % tiles * queries);
    }
    return 0;
}
