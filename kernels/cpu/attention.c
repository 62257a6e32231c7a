/* attention.c - softmax(scale <q, k> + bias) v over two segments of keys, one tile of queries of
 * one head at a time.
 *
 *   numerics  f32 throughout; scores summed over d in order, the softmax over the keys in order
 *             (text, then image)
 *   cost      4 T L d flops; bf16 queries times keys run two at a time (vdpbf16ps), probabilities
 *             stay f32
 *   mapping   a task is (lane, head, a few tiles of 64 queries). It first lays the head's keys and
 *             values side by side: in place they are a power of two apart, and so much of a cache
 *             maps onto itself. Scores lie with the keys in rows and the queries in vector lanes,
 *             so the softmax runs down columns; they stay in L2 (L <= 2048: at most 512 KB, beyond
 *             that half the queries)
 * SPDX-License-Identifier: Apache-2.0 */
#include "attention.h"
#include "gemm_tile.h"
#include "threads.h"
#include "vec_math.h"

#include <string.h>

enum {
    QUERIES = 64, /* of a tile */
    LONG_KEYS = 2048,
    TILES = 4,  /* of a task, at most */
    TASKS = 16, /* of a lane, if there are tiles enough */
};

/* A thread's scratch. */
typedef struct tile {
    float *k, *v;  /* [L, d]: of one head; keys that go in pairs are [L, d/2] of two bf16 each */
    float *scores; /* [L, queries] */
    float *q;      /* [d, queries] */
    float *y;      /* [queries, d] */
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
    const uint64_t rows = ie_cpu_aligned((uint64_t)(most_keys(a) * d) * sizeof(float));
    const uint64_t scores = ie_cpu_aligned((uint64_t)(most_keys(a) * queries) * sizeof(float));
    const uint64_t q = ie_cpu_aligned((uint64_t)(d * queries) * sizeof(float));
    tile t = {.bytes = 2 * rows + scores + 2 * q};
    if (!base) return t;
    t.k = (float *)(void *)base;
    t.v = (float *)(void *)(base + rows);
    t.scores = (float *)(void *)(base + 2 * rows);
    t.q = (float *)(void *)(base + 2 * rows + scores);
    t.y = (float *)(void *)(base + 2 * rows + scores + q);
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

/* Row `row`, head h. Not ie_offset, which is also for tensors without data. */
static const void *head_of(ie_tensor t, int64_t row, int64_t h)
{
    return (const char *)t.data + (row * t.stride[0] + h * t.stride[2]) * ie_dtype_size(t.dtype);
}

static run keys_of(const ie_keys *s, int64_t n, int64_t h)
{
    run r;
    const int64_t row = ie_present(s->index) ? ((const int32_t *)s->index.data)[n] : n;
    r.count = ie_present(s->length) ? ((const int32_t *)s->length.data)[row] : s->k.dim[1];
    r.k = head_of(s->k, row, h);
    r.v = head_of(s->v, row, h);
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

/* count rows of d elements, `step` apart, to rows of d floats. */
static void gather(float *to, const void *x, int64_t step, int64_t count, int64_t d, ie_dtype type)
{
    for (int64_t l = 0; l < count; l++) {
        for (int64_t j = 0; j < d; j += IE_LANES) {
            ie_v_put(to, l * d + j, d - j, ie_v_get(x, l * step + j, d - j, type), IE_F32);
        }
    }
}

/* Keys and values of both segments of head h, one after the other; how many there are. */
static int64_t gather_keys(const ie_attention_args *a, const tile *t, int64_t n, int64_t h,
                           int64_t *text)
{
    const int64_t d = a->q.dim[3];
    int64_t rows = 0;
    for (int i = 0; i < 2; i++) {
        if (i == 1) *text = rows;
        if (!ie_present(a->keys[i].k)) continue;
        const run r = keys_of(&a->keys[i], n, h);
        if (in_pairs(a)) {
            gather(t->k + rows * (d / 2), r.k, r.k_step / 2, r.count, d / 2, IE_F32);
        } else {
            gather(t->k + rows * d, r.k, r.k_step, r.count, d, r.type);
        }
        gather(t->v + rows * d, r.v, r.v_step, r.count, d, r.type);
        rows += r.count;
    }
    return rows;
}

static void score(const ie_attention_args *a, const tile *t, int64_t rows)
{
    const int64_t queries = tile_queries(a), d = a->q.dim[3];
    ie_gemm g = {.a = t->k,
                 .a_row = d,
                 .a_step = 1,
                 .b = t->q,
                 .b_step = queries,
                 .c = t->scores,
                 .c_row = queries,
                 .rows = rows,
                 .columns = queries,
                 .depth = d};
    if (in_pairs(a)) {
        g.a_row = g.depth = d / 2;
        ie_gemm_run(g, IE_GEMM_PAIRS);
    } else {
        ie_gemm_run(g, IE_GEMM_F32);
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

/* t->y = sum over the keys of p v. */
static void weigh(const tile *t, int64_t queries, int64_t d, int64_t rows)
{
    const ie_gemm g = {.a = t->scores,
                       .a_row = 1,
                       .a_step = queries,
                       .b = t->v,
                       .b_step = d,
                       .c = t->y,
                       .c_row = d,
                       .rows = queries,
                       .columns = d,
                       .depth = rows};
    ie_gemm_run(g, IE_GEMM_F32);
}

/* Queries [first, first + queries) of head h of lane n; `rows` keys, of which `text` are text. */
static void attend(const ie_attention_args *a, const tile *t, int64_t n, int64_t h, int64_t first,
                   const int64_t keys[2])
{
    const int64_t queries = tile_queries(a), d = a->q.dim[3], left = a->q.dim[1] - first;
    const int64_t rows = keys[0], text = keys[1];
    if (rows > 0) {
        load_queries(a, t, n, h, first);
        score(a, t, rows);
        if (ie_present(a->bias)) add_bias(a, t, h, first, rows, text);
        soften(t, queries, rows, ie_present(a->bias) ? 1 : a->scale);
        weigh(t, queries, d, rows);
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

/* How many queries a task has: whole tiles, by the shape of one lane alone. */
static int64_t task_queries(const ie_attention_args *a)
{
    const int64_t queries = tile_queries(a);
    const int64_t tiles = (a->q.dim[1] + queries - 1) / queries * a->q.dim[2] / TASKS;
    return queries * (tiles < 1 ? 1 : tiles < TILES ? tiles : TILES);
}

int ie_cpu_attention(ie_stream *s, const ie_attention_args *a)
{
    (void)s;
    const int64_t queries = tile_queries(a), heads = a->q.dim[2], each = task_queries(a);
    const int64_t tasks = (a->q.dim[1] + each - 1) / each;
    const uint64_t bytes = lay_out(a, NULL).bytes;
#pragma omp parallel for num_threads(ie_cpu_thread_count()) schedule(dynamic)
    for (int64_t i = 0; i < a->q.dim[0] * heads * tasks; i++) {
        const tile t = lay_out(a, (char *)a->scratch + (uint64_t)omp_get_thread_num() * bytes);
        const int64_t n = i / tasks / heads, h = i / tasks % heads, begin = i % tasks * each;
        int64_t keys[2];
        keys[0] = gather_keys(a, &t, n, h, &keys[1]);
        for (int64_t q = begin; q < begin + each && q < a->q.dim[1]; q += queries) {
            attend(a, &t, n, h, q, keys);
        }
    }
    return 0;
}
