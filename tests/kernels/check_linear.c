/* check_linear.c - linear layers: embeddings (one row per lane) and tokens, every mix of types.
 * SPDX-License-Identifier: Apache-2.0 */
#include "bounds.h"
#include "check_data.h"

enum { RESIDUAL = 1, IN_PLACE = 2, NO_BIAS = 4, X_F32 = 8, W_F32 = 16, Y_F32 = 32, GATED = 64 };

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
    {"T5 wi", 64, 96, 70, IE_ACT_NONE, GATED | NO_BIAS},
    {"gated, in parts", 64, 1032, 60, IE_ACT_NONE, GATED | Y_F32},
    {"gated, in parts of few rows", 17, 1024, 24, IE_ACT_NONE, GATED},
    {"gated primes", 7, 13, 11, IE_ACT_SILU, GATED},
    {"gated vector", 1, 40, 12, IE_ACT_NONE, GATED | Y_F32},
};

typedef struct linear_data {
    ie_linear_spec spec;
    ie_linear_args args;
    ie_tensor weight, bias;
    ie_linear *linear;
} linear_data;

static int run(check *t, const void *self, int64_t begin, int64_t end)
{
    const linear_data *d = self;
    ie_linear_args a = d->args;
    a.x = ie_slice(a.x, 0, begin, end);
    a.y = ie_slice(a.y, 0, begin, end);
    if (ie_present(a.residual)) a.residual = ie_slice(a.residual, 0, begin, end);
    a.scratch = check_scratch(t, t->ops->linear_scratch(d->linear, end - begin));
    return t->ops->linear(NULL, d->linear, &a);
}

/* Row o of the weight times a row of x, with bias and `residual`. */
static approx sum_of(const linear_data *d, int64_t row, int64_t o, double residual)
{
    const ie_linear_spec *s = &d->spec;
    const double b = ie_present(d->bias) ? check_load(d->bias, o) : 0;
    double sum = b + residual, size = fabs(b) + fabs(residual), error = 0;
    for (int64_t k = 0; k < s->inputs; k++) {
        const double w = check_round(s->w_dtype, check_load(d->weight, o * s->inputs + k));
        approx x = check_act(s->act, (approx){check_load(d->args.x, row * s->inputs + k), 0});
        /* A transformed operand may be rounded once to its own type, as in a convolution. */
        if (s->act != IE_ACT_NONE) x = check_stored(x, s->x_dtype);
        sum += w * x.v;
        size += fabs(w * x.v);
        error += fabs(w) * x.e;
    }
    return (approx){sum, error + check_sum_error(s->inputs + 3) * (size + error)};
}

static void oracle(const linear_data *d, check_output *y)
{
    const int64_t outputs = d->spec.outputs;
    const ie_tensor residual = d->args.residual;
    for (int64_t i = 0; i < ie_numel(y->t); i++) {
        const int64_t row = i / outputs, o = i % outputs;
        approx v = sum_of(d, row, o, ie_present(residual) ? check_load(residual, i) : 0);
        if (d->spec.gated) {
            /* Neither factor is rounded to the output type; their product is one operation more. */
            const approx gate = check_act(IE_ACT_GELU_TANH, v);
            v = sum_of(d, row, outputs + o, 0);
            v.e = gate.e * fabs(v.v) + (fabs(gate.v) + gate.e) * v.e;
            v.v *= gate.v;
            v = check_rounded(v);
        }
        check_expect(y, i, v);
    }
}

static ie_linear_spec spec_of(const check *t, const struct linear_case *c)
{
    return (ie_linear_spec){.rows = c->rows,
                            .inputs = c->inputs,
                            .outputs = c->outputs,
                            .x_dtype = c->flags & X_F32 && c->rows == 1 ? IE_F32 : t->act,
                            .w_dtype = c->flags & W_F32 ? IE_F32 : t->act,
                            .y_dtype = c->flags & Y_F32 ? IE_F32 : t->act,
                            .act = c->act,
                            .gated = c->flags & GATED};
}

/* Weights that keep sums near 1; those of a gated layer, on both tails and the bend. */
static void make_weights(check *t, linear_data *d, bool biased)
{
    static const ie_dtype types[] = {IE_F32, IE_BF16, IE_F16};
    const int64_t sums = ie_linear_sums(&d->spec), inputs = d->spec.inputs;
    d->weight =
        check_input(t, types[t->cases % 3], 2, (const int64_t[]){sums, inputs}, CHECK_UNIFORM);
    check_affine(t, d->weight, 0, (d->spec.gated ? 6 : 1) / sqrt((double)inputs));
    if (biased) d->bias = check_input(t, types[t->cases / 3 % 3], 1, &sums, CHECK_UNIFORM);
}

static void one_case(check *t, const struct linear_case *c, check_pattern pattern)
{
    const int64_t lanes = 3;
    linear_data d = {.spec = spec_of(t, c)};
    const ie_linear_spec *spec = &d.spec;
    const int64_t x_dim[] = {lanes, c->rows, c->inputs}, y_dim[] = {lanes, c->rows, c->outputs};
    check_label(t, "%s, %s", c->name, check_pattern_name(pattern));
    d.args.x = check_input(t, spec->x_dtype, 3, x_dim, pattern);
    make_weights(t, &d, !(c->flags & NO_BIAS));
    if (c->flags & IN_PLACE) {
        d.args.y = d.args.residual = check_both(t, spec->y_dtype, 3, y_dim, CHECK_UNIFORM);
        check_in_place(t, d.args.y);
    } else {
        d.args.y = check_result(t, spec->y_dtype, 3, y_dim)->t;
        if (c->flags & RESIDUAL) d.args.residual = check_input(t, spec->y_dtype, 3, y_dim, pattern);
    }
    oracle(&d, &t->output[0]);

    ie_linear *plan = NULL;
    void *memory = check_memory(t, t->ops->linear_bytes(spec));
    const int planned =
        t->ops->linear_prepare(&plan, spec, NULL, (ie_tensor){0}, (ie_tensor){0}, NULL);
    const int ready = t->ops->linear_prepare(&d.linear, spec, memory, d.weight, d.bias, NULL);
    if (planned || ready || !plan || !d.linear) {
        check_fail(t, "prepare failed");
    } else if (t->ops->linear_scratch(plan, lanes) != t->ops->linear_scratch(d.linear, lanes)) {
        check_fail(t, "planning asks for another scratch than running");
    } else {
        check_case(t, run, &d, lanes);
    }
    check_forget(t, 0);
    t->ops->linear_release(plan);
    t->ops->linear_release(d.linear);
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
