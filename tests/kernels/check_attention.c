/* check_attention.c - attention over [text ; image], text alone, the text encoder's, pooling.
 *
 * Keys and values past a length are NaN here: they do not exist, so nothing may touch them.
 * SPDX-License-Identifier: Apache-2.0 */
#include "bounds.h"

#include <stdlib.h>

enum { LENGTHS = 1, IMAGE_LENGTHS = 2, BIAS = 4, SHARED_QUERY = 8, PLAIN = 16, ZERO_QUERY = 32 };
enum { LANES = 3, SLOTS = 4 };

static const struct attention_case {
    const char *name;
    int64_t tokens, heads, width, text, image; /* keys: 0, no such segment */
    float scale;
    int flags;
} cases[] = {
    {"self and text", 64, 4, 16, 20, 64, 0.25f, LENGTHS},
    {"level", 144, 2, 32, 40, 144, 0.17677669f, LENGTHS},
    {"self and text, 64 wide", 16, 2, 64, 9, 16, 0.125f, 0},
    {"self and text, odd", 49, 3, 24, 5, 49, 0.2f, LENGTHS},
    {"text", 30, 4, 32, 24, 0, 0.17677669f, LENGTHS},
    {"self", 36, 2, 32, 0, 36, 0.17677669f, 0},
    {"T5", 17, 4, 16, 0, 17, 1, BIAS | IMAGE_LENGTHS | PLAIN},
    {"pooling", 1, 8, 16, 20, 0, 0.25f, LENGTHS | SHARED_QUERY},
    {"128 wide", 70, 1, 128, 70, 0, 0.08838835f, LENGTHS},
    {"256 wide", 20, 2, 256, 40, 33, 0.0625f, LENGTHS},
    {"many keys", 5, 1, 8, 77, 300, 0.35355339f, LENGTHS},
    {"one of all", 1, 1, 1, 1, 0, 1, PLAIN},
    {"one and one", 1, 1, 3, 1, 1, 1, BIAS},
    {"primes", 7, 3, 5, 3, 11, 0.4f, BIAS | LENGTHS | IMAGE_LENGTHS},
    {"powers of two", 4, 2, 8, 4, 4, 0.5f, PLAIN | ZERO_QUERY}, /* exact weights */
};

/* What every tensor is part of: [rows, tokens, parts * heads * width], the part seen by heads. */
static ie_tensor part(ie_tensor whole, int64_t which, int64_t heads, int64_t width)
{
    const int64_t inner = heads * width;
    return ie_split_heads(ie_slice(whole, 2, which * inner, (which + 1) * inner), heads);
}

static double at(ie_tensor x, int64_t row, int64_t token, int64_t head, int64_t d)
{
    ie_tensor element = x;
    element.data = ie_offset(x, row * x.stride[0] + token * x.stride[1] + head * x.stride[2] + d);
    return check_load(element, 0);
}

/* All keys of one query. */
typedef struct key_list {
    int64_t count;
    int segment[512];
    int64_t row[512], l[512];
    approx score[512];
} key_list;

static void score_keys(const ie_attention_args *a, int64_t n, int64_t t, int64_t h, key_list *list)
{
    const int64_t width = a->q.dim[3];
    list->count = 0;
    for (int s = 0; s < 2; s++) {
        const ie_keys *keys = &a->keys[s];
        if (!ie_present(keys->k)) continue;
        const int64_t row = ie_present(keys->index) ? (int64_t)check_load(keys->index, n) : n;
        const int64_t length =
            ie_present(keys->length) ? (int64_t)check_load(keys->length, row) : keys->k.dim[1];
        for (int64_t l = 0; l < length; l++) {
            double dot = 0, size = 0, bias = 0;
            for (int64_t d = 0; d < width; d++) {
                const double term = at(a->q, n, t, h, d) * at(keys->k, row, l, h, d);
                dot += (double)a->scale * term;
                size += fabs((double)a->scale * term);
            }
            if (s == 1 && ie_present(a->bias)) {
                bias = check_load(a->bias, (h * a->bias.dim[1] + t) * a->bias.dim[2] + l);
            }
            const int64_t i = list->count++;
            const double error = check_sum_error(width + 2) * size + CHECK_U * fabs(dot + bias);
            list->segment[i] = s, list->row[i] = row, list->l[i] = l;
            list->score[i] = (approx){dot + bias, error};
        }
    }
}

/* Backends may round the softmax weights once to the act type for their product with v. Equal
 * weights of a power of two of keys are exact in every type, whether they are divided by their sum
 * before that rounding or after. */
static bool exact_weights(const key_list *list)
{
    for (int64_t i = 0; i < list->count; i++) {
        if (list->score[i].v != list->score[0].v || list->score[i].e > 0) return false;
    }
    return (list->count & (list->count - 1)) == 0;
}

/* exp(score - largest) of every key with the relative error it may have; returns their sum. */
static double weigh(const key_list *list, approx *p)
{
    double largest = -INFINITY, total = 0;
    for (int64_t i = 0; i < list->count; i++) largest = fmax(largest, list->score[i].v);
    for (int64_t i = 0; i < list->count; i++) {
        const double x = list->score[i].v - largest;
        p[i].v = exp(x);
        /* The error of the score, of the difference, of exp; the sum of the weights and their
         * division. */
        p[i].e = expm1(list->score[i].e + 2 * CHECK_U * fabs(x) + 4 * CHECK_U) +
                 check_sum_error(list->count + 2);
        total += p[i].v;
    }
    return total;
}

static void oracle_query(const ie_attention_args *a, check_output *y, int64_t n, int64_t t,
                         int64_t h, key_list *list)
{
    const int64_t width = a->q.dim[3];
    approx p[512];
    score_keys(a, n, t, h, list);
    const double total = weigh(list, p);
    const double rounding = exact_weights(list) ? 0 : check_unit(a->q.dtype);
    for (int64_t d = 0; d < width; d++) {
        double sum = 0, size = 0, error = 0, p_error = 0;
        for (int64_t i = 0; i < list->count; i++) {
            const double v = at(a->keys[list->segment[i]].v, list->row[i], list->l[i], h, d);
            const double share = p[i].v / total;
            sum += share * v;
            size += share * fabs(v);
            error += (share * (p[i].e + rounding) + CHECK_SMALLEST) * fabs(v);
            p_error += share * p[i].e; /* of the divisor */
        }
        error += p_error * fabs(sum) + check_sum_error(list->count + 2) * size;
        const int64_t i = ((n * y->t.dim[1] + t) * y->t.dim[2] + h) * width + d;
        check_expect(y, i, (approx){sum, error});
        if (list->count == 0) y->bound[i] = 0; /* zeros, exactly */
    }
}

static void oracle(const ie_attention_args *a, check_output *y)
{
    key_list *list = malloc(sizeof *list);
    if (!list) abort();
    const int64_t tokens = y->t.dim[1], heads = y->t.dim[2];
    for (int64_t i = 0; i < y->t.dim[0] * tokens * heads; i++) {
        oracle_query(a, y, i / heads / tokens, i / heads % tokens, i % heads, list);
    }
    free(list);
}

static void slice_keys(ie_keys *keys, int64_t begin, int64_t end)
{
    if (!ie_present(keys->k)) return;
    if (ie_present(keys->index)) {
        keys->index = ie_slice(keys->index, 0, begin, end);
        return; /* rows and lengths stay: the index names them */
    }
    keys->k = ie_slice(keys->k, 0, begin, end);
    keys->v = ie_slice(keys->v, 0, begin, end);
    if (ie_present(keys->length)) keys->length = ie_slice(keys->length, 0, begin, end);
}

static int run(check *t, const void *self, int64_t begin, int64_t end)
{
    ie_attention_args a = *(const ie_attention_args *)self;
    a.y = ie_slice(a.y, 0, begin, end);
    a.q = ie_slice(a.q, 0, begin, end);
    for (int s = 0; s < 2; s++) slice_keys(&a.keys[s], begin, end);
    a.scratch = check_scratch(t, t->ops->attention_scratch(&a));
    return t->ops->attention(NULL, &a);
}

/* [rows, tokens, columns]; of tokens from length[row] on, only the first `kept` columns exist. */
static ie_tensor make_rows(check *t, const int64_t *dim, int64_t kept, const int32_t *length,
                           check_pattern pattern)
{
    const int64_t tokens = dim[1], columns = dim[2];
    const ie_tensor x = check_input(t, t->act, 3, dim, pattern);
    double *values = calloc((size_t)ie_numel(x) + 1, sizeof *values);
    if (!values) abort();
    /* Scores should spread over tens, not thousands, where softmax has one key left. */
    const double scale = pattern == CHECK_LARGE ? 2e-3 : pattern == CHECK_OFFSET ? 0.05 : 1;
    for (int64_t i = 0; i < ie_numel(x); i++) {
        const bool exists = !length || i / columns % tokens < length[i / columns / tokens];
        values[i] = exists || i % columns < kept ? scale * check_load(x, i) : NAN;
    }
    const ie_tensor y = check_values(t, t->act, 3, dim, values);
    free(values);
    return y;
}

static void one_case(check *t, const struct attention_case *c, check_pattern pattern)
{
    const int64_t inner = c->heads * c->width, h = c->heads, d = c->width;
    const int32_t text_length[SLOTS] = {(int32_t)c->text, 0, (int32_t)(c->text + 1) / 2, 1};
    const int32_t image_length[LANES] = {(int32_t)c->image, (int32_t)(c->image + 1) / 2, 1};
    const int32_t index[LANES] = {2, 0, 1};
    ie_attention_args a = {.scale = c->scale};
    check_label(t, "%s, %s", c->name, check_pattern_name(pattern));

    const int32_t *length = c->flags & IMAGE_LENGTHS ? image_length : NULL;
    if (c->image > 0) {
        const int64_t dim[] = {LANES, c->image, 3 * inner};
        const ie_tensor qkv = make_rows(t, dim, inner, length, pattern);
        const int64_t tokens = c->tokens < c->image ? c->tokens : c->image;
        a.q = part(ie_slice(qkv, 1, 0, tokens), 0, h, d);
        if (c->flags & ZERO_QUERY) {
            const int64_t zero[] = {LANES, tokens, h, d};
            a.q = check_input(t, t->act, 4, zero, CHECK_ZEROS);
        }
        a.keys[1] = (ie_keys){.k = part(qkv, 1, h, d), .v = part(qkv, 2, h, d)};
        if (length) a.keys[1].length = check_int(t, LANES, length);
    } else {
        const int64_t dim[] = {LANES, c->tokens, inner};
        a.q = part(make_rows(t, dim, inner, NULL, pattern), 0, h, d);
        if (c->flags & SHARED_QUERY) a.q.stride[0] = 0; /* one learned query for all lanes */
    }
    if (c->text > 0) {
        length = c->flags & LENGTHS ? text_length : NULL;
        const int64_t dim[] = {SLOTS, c->text, 2 * inner};
        const ie_tensor kv = make_rows(t, dim, 0, length, pattern);
        a.keys[0] = (ie_keys){.k = part(kv, 0, h, d), .v = part(kv, 1, h, d)};
        if (!(c->flags & PLAIN)) a.keys[0].index = check_int(t, LANES, index);
        if (length) a.keys[0].length = check_int(t, SLOTS, length);
    }
    if (c->flags & BIAS) {
        const int64_t dim[] = {h, c->tokens, c->image};
        a.bias = check_input(t, IE_F32, 3, dim, CHECK_UNIFORM);
        check_affine(t, a.bias, 0, 3);
    }
    check_output *y = check_result(t, t->act, 4, (const int64_t[]){LANES, c->tokens, h, d});
    a.y = y->t;
    oracle(&a, y);
    check_case(t, run, &a, LANES);
}

void check_attention(check *t)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct attention_case *c = &cases[i];
        const int64_t work = c->tokens * (c->text + c->image) * c->heads * c->width;
        const int patterns = work > 100000 ? 1 : CHECK_PATTERNS; /* large ones: uniform only */
        for (int k = 0; k < patterns; k++) one_case(t, c, (check_pattern)k);
    }
}
