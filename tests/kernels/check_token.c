/* check_token.c - row sums, sinusoids, look-ups. SPDX-License-Identifier: Apache-2.0 */
#include "bounds.h"

enum { LANES = 3, SLOTS = 5 };

typedef struct row_problem {
    ie_tensor y, x, other, index;
    float max_period;
} row_problem;

static int run_add_rows(check *t, const void *self, int64_t begin, int64_t end)
{
    const row_problem *p = self;
    return t->ops->add_rows(NULL, ie_slice(p->y, 0, begin, end), ie_slice(p->x, 0, begin, end),
                            p->other, ie_slice(p->index, 0, begin, end));
}

void check_add_rows(check *t)
{
    static const int64_t widths[] = {1, 13, 128, 2048};
    const int32_t index[LANES] = {4, 0, 4};
    for (int i = 0; i < 4 * CHECK_PATTERNS * 2; i++) {
        const bool in_place = i % 2;
        const check_pattern pattern = (check_pattern)(i / 2 % CHECK_PATTERNS);
        const int64_t width = widths[i / 2 / CHECK_PATTERNS], dim[] = {LANES, width};
        row_problem p = {0};
        check_label(t, "%lld, %s%s", (long long)width, check_pattern_name(pattern),
                    in_place ? ", in place" : "");
        p.x = (in_place ? check_both : check_input)(t, IE_F32, 2, dim, pattern);
        p.other = check_input(t, IE_F32, 2, (const int64_t[]){SLOTS, width}, CHECK_UNIFORM);
        p.index = check_int(t, LANES, index);
        check_output *y = in_place ? check_in_place(t, p.x) : check_result(t, IE_F32, 2, dim);
        p.y = y->t;
        for (int64_t k = 0; k < LANES * width; k++) {
            const double other = check_load(p.other, index[k / width] * width + k % width);
            check_expect(y, k, (approx){check_load(p.x, k) + other, 0});
        }
        check_case(t, run_add_rows, &p, LANES);
    }
}

static int run_sinusoid(check *t, const void *self, int64_t begin, int64_t end)
{
    const row_problem *p = self;
    return t->ops->sinusoid(NULL, ie_slice(p->y, 0, begin, end), ie_slice(p->x, 0, begin, end),
                            p->max_period);
}

void check_sinusoid(check *t)
{
    static const int64_t widths[] = {2, 6, 64, 512};
    for (int i = 0; i < 4 * 8; i++) {
        const int64_t lanes = 4, width = widths[i / 8], half = width / 2;
        const double v[] = {0, 1000, 500 * check_uniform(t), 1000 * check_uniform(t)};
        row_problem p = {.max_period = i % 2 ? 10000.0f : 100.0f};
        check_label(t, "%lld, period %g", (long long)width, (double)p.max_period);
        p.x = check_values(t, IE_F32, 1, &lanes, v);
        check_output *y = check_result(t, IE_F32, 2, (const int64_t[]){lanes, width});
        p.y = y->t;
        for (int64_t k = 0; k < lanes * width; k++) {
            const int64_t lane = k / width, column = k % width;
            const double share = (double)(column % half) / (double)half;
            const double angle = check_load(p.x, lane) * pow((double)p.max_period, -share);
            /* The frequency and the angle may each be rounded to f32 once: no more than that. */
            const double error = 2 * CHECK_U * fabs(angle) + 2 * CHECK_U;
            check_expect(y, k, (approx){column < half ? cos(angle) : sin(angle), error});
        }
        check_case(t, run_sinusoid, &p, lanes);
    }
}

static int run_embed(check *t, const void *self, int64_t begin, int64_t end)
{
    const row_problem *p = self;
    return t->ops->embed(NULL, ie_slice(p->y, 0, begin, end), p->other,
                         ie_slice(p->index, 0, begin, end));
}

static void embed_case(check *t, const int64_t *shape, ie_dtype dtype, check_pattern pattern)
{
    const int64_t tokens = shape[0], width = shape[1], vocabulary = shape[2];
    const int64_t dim[] = {LANES, tokens};
    row_problem p = {0};
    int32_t ids[LANES * 17];
    check_label(t, "%lldx%lld of %lld, table %s, %s", (long long)tokens, (long long)width,
                (long long)vocabulary, dtype == IE_F32 ? "f32" : "bf16",
                check_pattern_name(pattern));
    for (int64_t k = 0; k < LANES * tokens; k++) ids[k] = (int32_t)check_below(t, vocabulary);
    ids[0] = (int32_t)vocabulary - 1;
    p.index = ie_reshape(check_int(t, LANES * tokens, ids), 2, dim);
    p.other = check_input(t, dtype, 2, (const int64_t[]){vocabulary, width}, pattern);
    check_output *y = check_result(t, IE_F32, 3, (const int64_t[]){LANES, tokens, width});
    p.y = y->t;
    for (int64_t k = 0; k < LANES * tokens * width; k++) { /* exact: bounds stay zero */
        y->want[k] = check_load(p.other, ids[k / width] * width + k % width);
    }
    check_case(t, run_embed, &p, LANES);
}

void check_embed(check *t)
{
    static const int64_t shapes[][3] = {{1, 1, 1}, {7, 13, 11}, {17, 64, 50}, {3, 300, 2}};
    for (int i = 0; i < 4; i++) {
        for (int k = 0; k < CHECK_PATTERNS; k++) {
            embed_case(t, shapes[i], t->act, (check_pattern)k);
        }
        embed_case(t, shapes[i], IE_F32, CHECK_UNIFORM); /* whatever the activations are */
    }
}
