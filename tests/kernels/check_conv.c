/* check_conv.c - convolution: the shapes of the U-Nets (scaled), edges, hostile values.
 * SPDX-License-Identifier: Apache-2.0 */
#include "check_data.h"
#include "oracle_conv.h"

#include <math.h>
#include <stdlib.h>

enum {
    FILM = 1,
    RESIDUAL = 2,
    IN_PLACE = 4, /* the residual is y */
    MOMENTS = 8,
    NO_BIAS = 16,
    F32_OUT = 32,
    HOSTILE = 64 /* with every pattern, not only uniform values */
};

typedef struct conv_case {
    const char *name;
    int64_t height, width, channels[2], outputs;
    int kernel, stride, pad, groups;
    ie_act act;
    ie_resample resample, residual_resample;
    int flags;
} conv_case;

#define SILU IE_ACT_SILU
#define GELU IE_ACT_GELU
#define TANH IE_ACT_GELU_TANH
#define NONE IE_ACT_NONE

static const conv_case cases[] = {
    /* residual blocks: the first convolution, the second, and both on skips that are
     * concatenated */
    {"conv1", 8, 8, {64, 0}, 64, 3, 1, 1, 32, SILU, IE_SAME, IE_SAME, MOMENTS},
    {"conv2", 8, 8, {64, 0}, 64, 3, 1, 1, 32, SILU, IE_SAME, IE_SAME, FILM | RESIDUAL | MOMENTS},
    {"conv2 in place",
     4,
     6,
     {32, 0},
     32,
     3,
     1,
     1,
     8,
     SILU,
     IE_SAME,
     IE_SAME,
     FILM | RESIDUAL | IN_PLACE | MOMENTS | HOSTILE},
    {"concat conv1", 8, 8, {96, 64}, 48, 3, 1, 1, 32, SILU, IE_SAME, IE_SAME, MOMENTS},
    {"concat small", 4, 4, {24, 16}, 16, 3, 1, 1, 8, GELU, IE_SAME, IE_SAME, MOMENTS | HOSTILE},
    {"wide", 4, 4, {256, 0}, 128, 3, 1, 1, 32, SILU, IE_SAME, IE_SAME, FILM | RESIDUAL | MOMENTS},
    {"level", 16, 16, {96, 0}, 96, 3, 1, 1, 32, SILU, IE_SAME, IE_SAME, FILM | RESIDUAL | MOMENTS},
    /* outer levels of the enlargers, which a backend may norm on load: tiles that hang over both
     * edges; two sources, with groups across them; one group; each width of tile of
     * conv90_norm.cu */
    {"outer", 18, 23, {64, 0}, 64, 3, 1, 1, 1, SILU, IE_SAME, IE_SAME, MOMENTS | HOSTILE},
    {"outer in place",
     17,
     16,
     {128, 0},
     124,
     3,
     1,
     1,
     32,
     SILU,
     IE_SAME,
     IE_SAME,
     FILM | RESIDUAL | IN_PLACE | MOMENTS},
    {"outer concat",
     16,
     24,
     {64, 128},
     136,
     3,
     1,
     1,
     16,
     SILU,
     IE_SAME,
     IE_SAME,
     FILM | RESIDUAL | MOMENTS},
    /* blocks that change the resolution */
    {"down conv1", 8, 8, {32, 0}, 32, 3, 1, 1, 8, SILU, IE_DOWN2, IE_SAME, MOMENTS | HOSTILE},
    {"down conv2",
     4,
     4,
     {32, 0},
     32,
     3,
     1,
     1,
     8,
     SILU,
     IE_SAME,
     IE_DOWN2,
     FILM | RESIDUAL | MOMENTS},
    {"up conv1", 4, 4, {32, 0}, 32, 3, 1, 1, 8, SILU, IE_UP2, IE_SAME, MOMENTS},
    {"up conv2", 8, 8, {32, 0}, 32, 3, 1, 1, 8, SILU, IE_SAME, IE_UP2, FILM | RESIDUAL | MOMENTS},
    {"concat up", 4, 4, {24, 16}, 16, 3, 1, 1, 1, SILU, IE_UP2, IE_SAME, 0},
    /* shortcuts */
    {"shortcut", 8, 8, {96, 64}, 64, 1, 1, 0, 0, NONE, IE_SAME, IE_SAME, 0},
    {"shortcut in place",
     8,
     8,
     {48, 0},
     64,
     1,
     1,
     0,
     0,
     NONE,
     IE_SAME,
     IE_SAME,
     RESIDUAL | IN_PLACE | MOMENTS},
    {"shortcut down", 8, 8, {32, 0}, 48, 1, 1, 0, 0, NONE, IE_DOWN2, IE_SAME, RESIDUAL | MOMENTS},
    {"shortcut up", 4, 4, {32, 16}, 48, 1, 1, 0, 0, NONE, IE_UP2, IE_SAME, RESIDUAL | MOMENTS},
    /* stems, the conditioning encoders, strided convolutions */
    {"stem", 16, 16, {7, 0}, 32, 3, 1, 1, 0, NONE, IE_SAME, IE_SAME, MOMENTS},
    {"stem of two", 8, 8, {6, 16}, 32, 3, 1, 1, 0, NONE, IE_SAME, IE_SAME, MOMENTS | NO_BIAS},
    {"conditioning 0", 16, 16, {4, 0}, 32, 3, 2, 1, 0, NONE, IE_SAME, IE_SAME, 0},
    {"conditioning 1", 16, 16, {32, 0}, 48, 3, 2, 1, 0, SILU, IE_SAME, IE_SAME, HOSTILE},
    {"patches", 16, 12, {4, 0}, 24, 4, 4, 0, 0, NONE, IE_SAME, IE_SAME, 0},
    {"kernel 5", 12, 12, {8, 0}, 16, 5, 2, 2, 0, SILU, IE_SAME, IE_SAME, 0},
    {"down", 16, 16, {32, 0}, 48, 3, 2, 1, 0, NONE, IE_SAME, IE_SAME, MOMENTS},
    {"down, odd", 15, 13, {16, 0}, 24, 3, 2, 1, 0, NONE, IE_SAME, IE_SAME, MOMENTS},
    {"upsample", 4, 4, {48, 0}, 32, 3, 1, 1, 0, NONE, IE_UP2, IE_SAME, MOMENTS},
    /* heads */
    {"head", 12, 12, {32, 0}, 3, 3, 1, 1, 8, SILU, IE_SAME, IE_SAME, F32_OUT | HOSTILE},
    {"head of 6", 8, 8, {32, 0}, 6, 3, 1, 1, 8, TANH, IE_SAME, IE_SAME, F32_OUT},
    {"dense head", 8, 8, {32, 0}, 3, 1, 1, 0, 0, NONE, IE_SAME, IE_SAME, F32_OUT},
    {"long", 66, 63, {16, 8}, 5, 1, 1, 0, 4, SILU, IE_SAME, IE_SAME, FILM},
    /* edges */
    {"one of all", 1, 1, {1, 0}, 1, 1, 1, 0, 0, NONE, IE_SAME, IE_SAME, MOMENTS},
    {"one pixel", 1, 1, {16, 0}, 16, 3, 1, 1, 4, SILU, IE_SAME, IE_SAME, FILM | RESIDUAL | MOMENTS},
    {"one pixel up", 1, 1, {3, 0}, 2, 3, 1, 1, 1, SILU, IE_UP2, IE_SAME, MOMENTS},
    {"one channel each",
     5,
     3,
     {1, 1},
     1,
     3,
     1,
     1,
     1,
     SILU,
     IE_SAME,
     IE_SAME,
     FILM | MOMENTS | HOSTILE},
    {"primes", 7, 5, {13, 0}, 17, 3, 1, 1, 13, SILU, IE_SAME, IE_SAME, FILM | RESIDUAL | MOMENTS},
    {"straddling", 7, 5, {5, 7}, 11, 3, 1, 1, 4, GELU, IE_SAME, IE_SAME, FILM | RESIDUAL | HOSTILE},
    {"one group", 3, 11, {9, 5}, 7, 3, 1, 1, 1, SILU, IE_SAME, IE_SAME, MOMENTS},
    {"norm alone", 5, 5, {6, 0}, 7, 1, 1, 0, 3, NONE, IE_SAME, IE_SAME, MOMENTS},
    {"film alone", 5, 5, {6, 3}, 7, 3, 1, 1, 0, NONE, IE_SAME, IE_SAME, FILM | MOMENTS},
    {"odd halves", 7, 5, {6, 0}, 5, 3, 1, 1, 2, SILU, IE_DOWN2, IE_SAME, MOMENTS},
    {"row", 1, 37, {8, 0}, 5, 3, 1, 1, 2, SILU, IE_SAME, IE_SAME, MOMENTS},
    {"stride 2 of 1", 9, 7, {8, 0}, 9, 1, 2, 0, 0, SILU, IE_SAME, IE_SAME, MOMENTS},
    {"no padding", 6, 7, {8, 0}, 9, 3, 1, 0, 4, SILU, IE_SAME, IE_SAME, FILM | MOMENTS},
    {"outputs 131", 3, 3, {17, 0}, 131, 1, 1, 0, 0, NONE, IE_SAME, IE_SAME, MOMENTS | NO_BIAS},
    /* many pixels: large tiles, and statistics of many parts */
    {"many", 95, 31, {8, 0}, 136, 1, 1, 0, 0, NONE, IE_SAME, IE_SAME, RESIDUAL | MOMENTS},
    {"many, 3x3", 95, 31, {16, 8}, 136, 3, 1, 1, 0, NONE, IE_SAME, IE_SAME, RESIDUAL | MOMENTS},
    {"many, odd", 95, 31, {8, 0}, 131, 1, 1, 0, 0, NONE, IE_SAME, IE_SAME, MOMENTS},
    {"many, wide", 130, 31, {8, 0}, 196, 1, 1, 0, 0, NONE, IE_SAME, IE_SAME, 0},
    {"many, thin", 79, 78, {8, 0}, 24, 1, 1, 0, 0, NONE, IE_SAME, IE_SAME, RESIDUAL | MOMENTS},
};

static ie_tensor lanes_of(ie_tensor t, int64_t begin, int64_t end)
{
    return ie_present(t) ? ie_slice(t, 0, begin, end) : t;
}

static int run(check *t, const void *self, int64_t begin, int64_t end)
{
    const conv_problem *p = self;
    ie_conv_args a = p->args;
    a.y = lanes_of(a.y, begin, end);
    for (int i = 0; i < 2; i++) {
        a.x[i] = lanes_of(a.x[i], begin, end);
        a.moments[i] = lanes_of(a.moments[i], begin, end);
    }
    a.film = lanes_of(a.film, begin, end);
    a.residual = lanes_of(a.residual, begin, end);
    a.y_moments = lanes_of(a.y_moments, begin, end);
    a.scratch = check_scratch(t, t->ops->conv_scratch(p->conv, end - begin));
    return t->ops->conv(NULL, p->conv, &a);
}

/* The moments of a source, as an earlier operation would have left them: exact, rounded to f32. */
static ie_tensor moments_of(check *t, ie_tensor x)
{
    const int64_t lanes = x.dim[0], pixels = x.dim[1] * x.dim[2], channels = x.dim[3];
    double *m = calloc((size_t)(lanes * channels * 2), sizeof *m);
    if (!m) abort();
    for (int64_t i = 0; i < lanes * channels; i++) {
        const int64_t first = i / channels * pixels * channels + i % channels;
        for (int64_t k = 0; k < pixels; k++) {
            m[2 * i] += check_load(x, first + k * channels) / (double)pixels;
        }
        for (int64_t k = 0; k < pixels; k++) {
            const double d = check_load(x, first + k * channels) - m[2 * i];
            m[2 * i + 1] += d * d / (double)pixels;
        }
    }
    const int64_t dim[] = {lanes, channels, 2};
    const ie_tensor result = check_values(t, IE_F32, 3, dim, m);
    free(m);
    return result;
}

static void make_inputs(check *t, const conv_case *c, check_pattern pattern, int64_t lanes,
                        conv_problem *p)
{
    ie_conv_args *a = &p->args;
    const int64_t channels = c->channels[0] + c->channels[1];
    for (int i = 0; i < 2 && c->channels[i] > 0; i++) {
        const int64_t dim[] = {lanes, c->height, c->width, c->channels[i]};
        a->x[i] = check_input(t, t->act, 4, dim, pattern);
        if (c->groups > 0) a->moments[i] = moments_of(t, a->x[i]);
    }
    if (c->groups > 0) {
        a->gamma = check_input(t, IE_F32, 1, &channels, CHECK_UNIFORM);
        check_affine(t, a->gamma, 1, 0.5);
        a->beta = check_input(t, IE_F32, 1, &channels, CHECK_UNIFORM);
    }
    if (c->flags & FILM) { /* part of wider rows: its row stride is its own */
        const int64_t dim[] = {lanes, 2 * channels + 5};
        a->film = ie_slice(check_input(t, IE_F32, 2, dim, CHECK_UNIFORM), 1, 3, 3 + 2 * channels);
    }
    const int64_t weight[] = {c->outputs, channels, c->kernel, c->kernel};
    static const ie_dtype types[] = {IE_F32, IE_BF16, IE_F16};
    p->weight = check_input(t, types[t->cases % 3], 4, weight, CHECK_UNIFORM);
    check_affine(t, p->weight, 0, 1 / sqrt((double)(channels * c->kernel * c->kernel)));
    if (c->flags & NO_BIAS) return;
    p->bias = check_input(t, types[t->cases / 3 % 3], 1, &c->outputs, CHECK_UNIFORM);
}

static void make_outputs(check *t, const conv_case *c, int64_t lanes, conv_problem *p)
{
    ie_conv_args *a = &p->args;
    int64_t dim[] = {lanes, ie_conv_out(&p->spec, c->height), ie_conv_out(&p->spec, c->width),
                     c->outputs};
    a->residual_resample = c->residual_resample;
    a->scale = c->flags & RESIDUAL ? 0.70710678f : 1;
    if (c->flags & IN_PLACE) {
        a->y = a->residual = check_both(t, t->act, 4, dim, CHECK_UNIFORM);
        check_in_place(t, a->y);
    } else {
        a->y = check_result(t, c->flags & F32_OUT ? IE_F32 : t->act, 4, dim)->t;
    }
    if (c->flags & MOMENTS) {
        a->y_moments = check_result(t, IE_F32, 3, (const int64_t[]){lanes, c->outputs, 2})->t;
    }
    if (!(c->flags & RESIDUAL) || c->flags & IN_PLACE) return;
    for (int i = 1; i < 3; i++) {
        if (c->residual_resample == IE_UP2) dim[i] /= 2;
        if (c->residual_resample == IE_DOWN2) dim[i] *= 2;
    }
    a->residual = check_input(t, t->act, 4, dim, CHECK_UNIFORM);
}

static void one_case(check *t, const conv_case *c, check_pattern pattern)
{
    const int64_t lanes = 3;
    conv_problem p = {.spec = {.dtype = t->act,
                               .y_f32 = c->flags & F32_OUT,
                               .height = c->height,
                               .width = c->width,
                               .channels = {c->channels[0], c->channels[1]},
                               .outputs = c->outputs,
                               .kernel = c->kernel,
                               .stride = c->stride,
                               .pad = c->pad,
                               .groups = c->groups,
                               .eps = 1e-5f,
                               .act = c->act,
                               .resample = c->resample}};
    check_label(t, "%s, %s", c->name, check_pattern_name(pattern));
    make_inputs(t, c, pattern, lanes, &p);
    make_outputs(t, c, lanes, &p);
    oracle_conv(&p, &t->output[0], t->outputs > 1 ? &t->output[1] : NULL);

    ie_conv *plan = NULL;
    void *memory = check_memory(t, t->ops->conv_bytes(&p.spec));
    const int planned =
        t->ops->conv_prepare(&plan, &p.spec, NULL, (ie_tensor){0}, (ie_tensor){0}, NULL);
    const int ready = t->ops->conv_prepare(&p.conv, &p.spec, memory, p.weight, p.bias, NULL);
    if (planned || ready || !plan || !p.conv) {
        check_fail(t, "prepare failed");
    } else if (t->ops->conv_scratch(plan, lanes) != t->ops->conv_scratch(p.conv, lanes)) {
        check_fail(t, "planning asks for another scratch than running");
    } else {
        check_case(t, run, &p, lanes);
    }
    check_forget(t, 0);
    t->ops->conv_release(plan);
    t->ops->conv_release(p.conv);
}

void check_conv(check *t)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int patterns = cases[i].flags & HOSTILE ? CHECK_PATTERNS : 1;
        for (int k = 0; k < patterns; k++) one_case(t, &cases[i], (check_pattern)k);
    }
    t->ops->conv_release(NULL);
}
