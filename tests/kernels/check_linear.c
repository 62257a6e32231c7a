/* check_linear.c - linear layers: embeddings (one row per lane) and tokens, every mix of types.
 * SPDX-License-Identifier: Apache-2.0 */
#include "bounds.h"
#include "check_data.h"

enum { RESIDUAL = 1, IN_PLACE = 2, NO_BIAS = 4, X_F32 = 8, W_F32 = 16, Y_F32 = 32 };

static const struct linear_case {
    const char *name;
    int64_t rows, inputs, outputs;
    ie_act act;
    int flags;
} cases[] = {
    {"time 1", 1, 64, 128, IE_ACT_NONE, X_F32 | Y_F32},
    {"time 2", 1, 128, 128, IE_ACT_SILU, X_F32 | Y_F32},
    {"film", 1, 256, 130, IE_ACT_SILU, X_F32 | Y_F32},
    {"film, gelu", 1, 96, 64, IE_ACT_GELU, X_F32 | Y_F32},
    {"film, tanh", 1, 96, 64, IE_ACT_GELU_TANH, X_F32 | Y_F32},
    {"film of all blocks", 1, 2060, 4101, IE_ACT_SILU, X_F32 | Y_F32}, /* several spans, rounds */
    {"all of it f32", 1, 72, 9, IE_ACT_SILU, RESIDUAL | X_F32 | W_F32 | Y_F32},
    {"weights of f32", 1, 13, 11, IE_ACT_NONE, W_F32},
    {"qkv", 64, 64, 192, IE_ACT_NONE, NO_BIAS},
    {"out", 64, 96, 64, IE_ACT_NONE, RESIDUAL},
    {"out in place", 49, 96, 64, IE_ACT_NONE, RESIDUAL | IN_PLACE},
    {"text kv", 20, 128, 64, IE_ACT_NONE, 0},
    {"T5 o", 17, 64, 96, IE_ACT_NONE, RESIDUAL | IN_PLACE | NO_BIAS | Y_F32},
    {"T5 wo", 17, 512, 96, IE_ACT_NONE, RESIDUAL | NO_BIAS | Y_F32},
    {"deep", 2, 2048, 33, IE_ACT_NONE, 0},
    {"activation on tokens", 9, 48, 40, IE_ACT_SILU, 0},
    {"one of all", 1, 1, 1, IE_ACT_NONE, 0},
    {"one input", 5, 1, 3, IE_ACT_NONE, RESIDUAL},
    {"one output", 5, 7, 1, IE_ACT_NONE, NO_BIAS},
    {"primes", 7, 13, 11, IE_ACT_SILU, X_F32 | Y_F32},
    {"unaligned", 3, 65, 67, IE_ACT_NONE, RESIDUAL},
};

typedef struct linear_problem {
    ie_linear_args args;
    ie_linear *linear;
} linear_problem;

static int run(check *t, const void *self, int64_t begin, int64_t end)
{
    const linear_problem *p = self;
    ie_linear_args a = p->args;
    a.x = ie_slice(a.x, 0, begin, end);
    a.y = ie_slice(a.y, 0, begin, end);
    if (ie_present(a.residual)) a.residual = ie_slice(a.residual, 0, begin, end);
    a.scratch = check_scratch(t, t->ops->linear_scratch(p->linear, end - begin));
    return t->ops->linear(NULL, p->linear, &a);
}

static void oracle(const ie_linear_spec *s, const ie_linear_args *a, ie_tensor weight,
                   ie_tensor bias, check_output *y)
{
    for (int64_t i = 0; i < ie_numel(y->t); i++) {
        const int64_t row = i / s->outputs, o = i % s->outputs;
        const double b = ie_present(bias) ? check_load(bias, o) : 0;
        const double r = ie_present(a->residual) ? check_load(a->residual, i) : 0;
        double sum = b + r, size = fabs(b) + fabs(r), error = 0;
        for (int64_t k = 0; k < s->inputs; k++) {
            const double w = check_round(s->w_dtype, check_load(weight, o * s->inputs + k));
            approx x = check_act(s->act, (approx){check_load(a->x, row * s->inputs + k), 0});
            /* A transformed operand may be rounded once to its own type, as in a convolution. */
            if (s->act != IE_ACT_NONE) x = check_stored(x, s->x_dtype);
            sum += w * x.v;
            size += fabs(w * x.v);
            error += fabs(w) * x.e;
        }
        check_expect(y, i, (approx){sum, error + check_sum_error(s->inputs + 3) * (size + error)});
    }
}

static void one_case(check *t, const struct linear_case *c, check_pattern pattern)
{
    const int64_t lanes = 3;
    const ie_linear_spec spec = {.rows = c->rows,
                                 .inputs = c->inputs,
                                 .outputs = c->outputs,
                                 .x_dtype = c->flags & X_F32 && c->rows == 1 ? IE_F32 : t->act,
                                 .w_dtype = c->flags & W_F32 ? IE_F32 : t->act,
                                 .y_dtype = c->flags & Y_F32 ? IE_F32 : t->act,
                                 .act = c->act};
    const int64_t x_dim[] = {lanes, c->rows, c->inputs}, y_dim[] = {lanes, c->rows, c->outputs};
    const int64_t w_dim[] = {c->outputs, c->inputs};
    static const ie_dtype types[] = {IE_F32, IE_BF16, IE_F16};
    linear_problem p = {0};
    check_label(t, "%s, %s", c->name, check_pattern_name(pattern));
    p.args.x = check_input(t, spec.x_dtype, 3, x_dim, pattern);
    const ie_tensor weight = check_input(t, types[t->cases % 3], 2, w_dim, CHECK_UNIFORM);
    check_affine(t, weight, 0, 1 / sqrt((double)c->inputs));
    ie_tensor bias = {0};
    if (!(c->flags & NO_BIAS)) {
        bias = check_input(t, types[t->cases / 3 % 3], 1, &c->outputs, CHECK_UNIFORM);
    }
    if (c->flags & IN_PLACE) {
        p.args.y = p.args.residual = check_both(t, spec.y_dtype, 3, y_dim, CHECK_UNIFORM);
        check_in_place(t, p.args.y);
    } else {
        p.args.y = check_result(t, spec.y_dtype, 3, y_dim)->t;
        if (c->flags & RESIDUAL) p.args.residual = check_input(t, spec.y_dtype, 3, y_dim, pattern);
    }
    oracle(&spec, &p.args, weight, bias, &t->output[0]);

    ie_linear *plan = NULL;
    void *memory = check_memory(t, t->ops->linear_bytes(&spec));
    const int planned =
        t->ops->linear_prepare(&plan, &spec, NULL, (ie_tensor){0}, (ie_tensor){0}, NULL);
    const int ready = t->ops->linear_prepare(&p.linear, &spec, memory, weight, bias, NULL);
    if (planned || ready || !plan || !p.linear) {
        check_fail(t, "prepare failed");
    } else if (t->ops->linear_scratch(plan, lanes) != t->ops->linear_scratch(p.linear, lanes)) {
        check_fail(t, "planning asks for another scratch than running");
    } else {
        check_case(t, run, &p, lanes);
    }
    check_forget(t, 0);
    t->ops->linear_release(plan);
    t->ops->linear_release(p.linear);
}

void check_linear(check *t)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int64_t work = cases[i].rows * cases[i].inputs * cases[i].outputs;
        const int patterns = work > 100000 ? 1 : CHECK_PATTERNS; /* large ones: uniform only */
        for (int k = 0; k < patterns; k++) one_case(t, &cases[i], (check_pattern)k);
    }
    t->ops->linear_release(NULL);
}
