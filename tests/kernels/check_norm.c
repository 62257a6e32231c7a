/* check_norm.c - moments, sums with moments, layer norm and RMS norm.
 * SPDX-License-Identifier: Apache-2.0 */
#include "bounds.h"

/* ---- moments, and alpha a + beta b
 * ------------------------------------------------------------- */

static const int64_t images[][4] = {
    {3, 8, 8, 64},  {3, 32, 32, 20}, {3, 1, 1, 1},   {3, 7, 5, 13},   {3, 1, 37, 3},
    {2, 64, 64, 5}, {3, 4, 4, 130},  {3, 16, 16, 1}, {2, 36, 32, 24}, {2, 64, 65, 8}};
enum { IMAGES = sizeof images / sizeof *images };

typedef struct sum_problem {
    ie_tensor y, y_moments, a, b;
    float alpha, beta;
} sum_problem;

static ie_tensor lanes_of(ie_tensor t, int64_t begin, int64_t end)
{
    return ie_present(t) ? ie_slice(t, 0, begin, end) : t;
}

static int run_moments(check *t, const void *self, int64_t begin, int64_t end)
{
    const sum_problem *p = self;
    return t->ops->moments(NULL, lanes_of(p->y_moments, begin, end), lanes_of(p->a, begin, end));
}

static int run_add(check *t, const void *self, int64_t begin, int64_t end)
{
    const sum_problem *p = self;
    return t->ops->add(NULL, lanes_of(p->y, begin, end), lanes_of(p->y_moments, begin, end),
                       lanes_of(p->a, begin, end), lanes_of(p->b, begin, end), p->alpha, p->beta);
}

static approx sum_at(const sum_problem *p, int64_t i)
{
    const double a = (double)p->alpha * check_load(p->a, i);
    const double b = ie_present(p->b) ? (double)p->beta * check_load(p->b, i) : 0;
    const bool exact = !ie_present(p->b) && p->alpha == 1;
    return (approx){a + b, exact ? 0 : 2 * CHECK_U * (fabs(a) + fabs(b))};
}

static void oracle_moments(const sum_problem *p, check_output *m)
{
    const int64_t pixels = p->a.dim[1] * p->a.dim[2], channels = p->a.dim[3];
    for (int64_t i = 0; i < p->a.dim[0] * channels; i++) {
        const int64_t first = i / channels * pixels * channels + i % channels;
        check_spread s = {0};
        for (int64_t k = 0; k < pixels; k++) check_spread_mean(&s, sum_at(p, first + k * channels));
        for (int64_t k = 0; k < pixels; k++) check_spread_var(&s, sum_at(p, first + k * channels));
        check_expect_moments(m, i, &s);
    }
}

void check_moments(check *t)
{
    for (int i = 0; i < IMAGES * CHECK_PATTERNS; i++) {
        const int64_t *dim = images[i / CHECK_PATTERNS];
        const check_pattern pattern = (check_pattern)(i % CHECK_PATTERNS);
        sum_problem p = {.alpha = 1};
        check_label(t, "%lldx%lldx%lld, %s", (long long)dim[1], (long long)dim[2],
                    (long long)dim[3], check_pattern_name(pattern));
        p.a = check_input(t, t->act, 4, dim, pattern);
        check_output *m = check_result(t, IE_F32, 3, (const int64_t[]){dim[0], dim[3], 2});
        p.y_moments = m->t;
        oracle_moments(&p, m);
        check_case(t, run_moments, &p, dim[0]);
    }
}

enum { APART, IN_A, IN_B, ALONE, ALONE_IN_A, WAYS }; /* where y is, and whether there is a b */

static void one_add(check *t, const int64_t *dim, check_pattern pattern, int way, bool moments)
{
    static const char *const names[] = {"y apart", "y in a", "y in b", "no b", "no b, y in a"};
    sum_problem p = {.alpha = way == ALONE ? 0.70710678f : 1, .beta = -0.70710678f};
    const bool two = way < ALONE;
    check_label(t, "%lldx%lldx%lld, %s, %s%s", (long long)dim[1], (long long)dim[2],
                (long long)dim[3], check_pattern_name(pattern), names[way],
                moments ? ", moments" : "");
    const bool in_a = way == IN_A || way == ALONE_IN_A;
    p.a = (in_a ? check_both : check_input)(t, t->act, 4, dim, pattern);
    if (two) p.b = (way == IN_B ? check_both : check_input)(t, t->act, 4, dim, CHECK_UNIFORM);
    check_output *y = in_a          ? check_in_place(t, p.a)
                      : way == IN_B ? check_in_place(t, p.b)
                                    : check_result(t, t->act, 4, dim);
    p.y = y->t;
    for (int64_t i = 0; i < ie_numel(p.y); i++) check_expect(y, i, sum_at(&p, i));
    if (moments) {
        check_output *m = check_result(t, IE_F32, 3, (const int64_t[]){dim[0], dim[3], 2});
        p.y_moments = m->t;
        oracle_moments(&p, m);
    }
    check_case(t, run_add, &p, dim[0]);
}

void check_add(check *t)
{
    for (int i = 0; i < IMAGES * WAYS; i++) {
        one_add(t, images[i / WAYS], (check_pattern)(i % CHECK_PATTERNS), i % WAYS, true);
        one_add(t, images[i / WAYS], CHECK_UNIFORM, i % WAYS, false);
    }
}

/* ---- layer norm and RMS norm
 * ------------------------------------------------------------------- */

typedef struct norm_problem {
    ie_tensor y, x, w, b, length;
    float eps;
} norm_problem;

static int run_norm(check *t, const void *self, int64_t begin, int64_t end)
{
    const norm_problem *p = self;
    const ie_tensor y = lanes_of(p->y, begin, end), x = lanes_of(p->x, begin, end);
    const ie_tensor length = lanes_of(p->length, begin, end);
    if (!ie_present(p->b)) return t->ops->rms_norm(NULL, y, x, p->w, length, p->eps);
    return t->ops->layer_norm(NULL, y, x, p->w, p->b, length, p->eps);
}

static void oracle_row(const norm_problem *p, check_output *y, int64_t begin)
{
    const int64_t channels = p->x.dim[2];
    const bool layer = ie_present(p->b);
    check_spread s = {0};
    for (int64_t c = 0; c < channels; c++) {
        check_spread_mean(&s, (approx){check_load(p->x, begin + c), 0});
    }
    if (!layer) s.mean = s.size = 0; /* RMS norm: deviations from zero, which is exact */
    for (int64_t c = 0; c < channels; c++) {
        check_spread_var(&s, (approx){check_load(p->x, begin + c), 0});
    }
    const approx mean = layer ? check_mean(&s) : (approx){0, 0};
    const approx inverse = check_inverse_root(check_variance(&s), (double)p->eps);
    for (int64_t c = 0; c < channels; c++) {
        const double x = check_load(p->x, begin + c), w = check_load(p->w, c);
        const double b = layer ? check_load(p->b, c) : 0;
        /* Backends may fold it into a x + (b - mean a): rounding relative to all the parts. */
        const double size = fabs(w) * inverse.v * (fabs(x) + fabs(mean.v)) + fabs(b);
        const double error =
            fabs(w) * (inverse.v * mean.e + fabs(x - mean.v) * inverse.e + inverse.e * mean.e) +
            4 * CHECK_U * size;
        check_expect(y, begin + c, (approx){(x - mean.v) * inverse.v * w + b, error});
    }
}

static void one_norm(check *t, bool layer, const int64_t *dim, check_pattern pattern, int variant)
{
    /* Types of x and y, and whether y is x. */
    const ie_dtype x_type = variant == 0 || variant == 2 ? t->act : IE_F32;
    const ie_dtype y_type = variant == 0 || variant == 3 ? t->act : IE_F32;
    const bool in_place = x_type == y_type && dim[1] % 2 == 1, lengths = variant % 2 == 0;
    const int32_t length[] = {(int32_t)(dim[1] + 1) / 2, 0, (int32_t)dim[1]};
    norm_problem p = {.eps = layer ? 1e-5f : 1e-6f};
    check_label(t, "%lldx%lld, %s, types %d%s%s", (long long)dim[1], (long long)dim[2],
                check_pattern_name(pattern), variant, in_place ? ", in place" : "",
                lengths ? ", lengths" : "");
    p.w = check_input(t, IE_F32, 1, dim + 2, CHECK_UNIFORM);
    if (layer) p.b = check_input(t, IE_F32, 1, dim + 2, CHECK_UNIFORM);
    if (lengths) p.length = check_int(t, dim[0], length);
    p.x = (in_place ? check_both : check_input)(t, x_type, 3, dim, pattern);
    check_output *y = in_place ? check_in_place(t, p.x) : check_result(t, y_type, 3, dim);
    p.y = y->t;
    for (int64_t row = 0; row < dim[0] * dim[1]; row++) {
        const bool exists = !lengths || row % dim[1] < length[row / dim[1]];
        if (exists) oracle_row(&p, y, row * dim[2]); /* else zeros with bound zero */
    }
    check_case(t, run_norm, &p, dim[0]);
}

static void check_norms(check *t, bool layer)
{
    static const int64_t rows[][3] = {{3, 17, 64}, {3, 5, 1},    {3, 6, 13},
                                      {3, 1, 100}, {2, 2, 4096}, {3, 3, 257}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int k = 0; k < CHECK_PATTERNS * 4; k++) {
            one_norm(t, layer, rows[i], (check_pattern)(k / 4), k % 4);
        }
    }
}

void check_layer_norm(check *t)
{
    check_norms(t, true);
}

void check_rms_norm(check *t)
{
    check_norms(t, false);
}
