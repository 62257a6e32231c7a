/* attention.c - softmax attention over two runs of keys, by its definition.
 *
 * Two passes over the keys, the first for the largest score alone, so nothing of the size T x L is
 * ever stored. SPDX-License-Identifier: Apache-2.0 */
#include "numbers.h"
#include "ref.h"

/* One query and the place of its result. */
typedef struct query {
    int64_t lane, token, head;
    double *sum; /* [d] */
} query;

/* The row of k and v that `lane` reads, and how many keys it has. */
static int64_t find_keys(const ie_keys *keys, int64_t lane, int64_t *row)
{
    *row = 0;
    if (!ie_present(keys->k)) return 0;
    *row = ie_present(keys->index) ? ((const int32_t *)keys->index.data)[lane] : lane;
    if (!ie_present(keys->length)) return keys->k.dim[1];
    return ((const int32_t *)keys->length.data)[*row];
}

static int64_t element(ie_tensor t, int64_t row, int64_t token, int64_t head)
{
    return row * t.stride[0] + token * t.stride[1] + head * t.stride[2];
}

static double score(const ie_attention_args *a, query q, int segment, int64_t row, int64_t l)
{
    const ie_tensor k = a->keys[segment].k;
    const int64_t qi = element(a->q, q.lane, q.token, q.head), ki = element(k, row, l, q.head);
    double dot = 0;
    for (int64_t d = 0; d < a->q.dim[3]; d++) {
        dot += ie_ref_load(a->q.data, a->q.dtype, qi + d) * ie_ref_load(k.data, k.dtype, ki + d);
    }
    dot *= (double)a->scale;
    if (segment == 1 && ie_present(a->bias)) {
        const int64_t i = (q.head * a->bias.dim[1] + q.token) * a->bias.dim[2] + l;
        dot += (double)((const float *)a->bias.data)[i];
    }
    return dot;
}

static double largest_score(const ie_attention_args *a, query q)
{
    double largest = -INFINITY;
    for (int segment = 0; segment < 2; segment++) {
        int64_t row;
        const int64_t count = find_keys(&a->keys[segment], q.lane, &row);
        for (int64_t l = 0; l < count; l++) largest = fmax(largest, score(a, q, segment, row, l));
    }
    return largest;
}

static void attend(const ie_attention_args *a, query q)
{
    const int64_t width = a->q.dim[3];
    const double largest = largest_score(a, q);
    double total = 0;
    memset(q.sum, 0, (size_t)width * sizeof *q.sum);
    for (int segment = 0; segment < 2; segment++) {
        const ie_tensor v = a->keys[segment].v;
        int64_t row;
        const int64_t count = find_keys(&a->keys[segment], q.lane, &row);
        for (int64_t l = 0; l < count; l++) {
            const double p = exp(score(a, q, segment, row, l) - largest);
            const int64_t vi = element(v, row, l, q.head);
            for (int64_t d = 0; d < width; d++) {
                q.sum[d] += p * ie_ref_load(v.data, v.dtype, vi + d);
            }
            total += p;
        }
    }
    const int64_t yi = element(a->y, q.lane, q.token, q.head);
    for (int64_t d = 0; d < width; d++) {
        /* No key at all: total is 0 and the result is zero. */
        const double value = total > 0 ? q.sum[d] / total : q.sum[d];
        ie_ref_store(a->y.data, a->y.dtype, yi + d, value);
    }
}

uint64_t ie_ref_attention_scratch(const ie_attention_args *a)
{
    return (uint64_t)(a->y.dim[1] * a->y.dim[2] * a->y.dim[3]) * sizeof(double);
}

int ie_ref_attention(ie_stream *s, const ie_attention_args *a)
{
    (void)s;
    const int64_t tokens = a->y.dim[1], heads = a->y.dim[2], width = a->y.dim[3];
    double *sums = a->scratch;
    for (int64_t lane = 0; lane < a->y.dim[0]; lane++) {
#pragma omp parallel for schedule(static)
        for (int64_t i = 0; i < tokens * heads; i++) {
            attend(a, (query){lane, i / heads, i % heads, sums + i * width});
        }
    }
    return 0;
}
