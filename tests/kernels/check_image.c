/* check_image.c - gathered inputs, the conditioning image, noise, the augmented enlargement.
 * SPDX-License-Identifier: Apache-2.0 */
#include "check_image.h"

#include <string.h>

enum { LANES = 3, SLOTS = 4 };

/* ---- gather
 * ------------------------------------------------------------------------------------ */

typedef struct gather_problem {
    ie_tensor y;
    ie_source sources[4];
    int count;
} gather_problem;

static int run_gather(check *t, const void *self, int64_t begin, int64_t end)
{
    const gather_problem *p = self;
    ie_source sources[4];
    memcpy(sources, p->sources, sizeof sources);
    for (int i = 0; i < p->count; i++) {
        sources[i].index = ie_slice(sources[i].index, 0, begin, end);
    }
    return t->ops->gather(NULL, ie_slice(p->y, 0, begin, end), sources, p->count);
}

/* Casts and zeros: exact, so the bounds stay zero. */
static void one_gather(check *t, const int64_t *size, const int64_t *channels, int64_t padding,
                       check_pattern pattern)
{
    gather_problem p = {0};
    int64_t total = padding, first = 0;
    for (; p.count < 4 && channels[p.count] > 0; p.count++) {
        const int64_t dim[] = {SLOTS, size[0], size[1], channels[p.count]};
        const int32_t index[LANES] = {(int32_t)check_below(t, SLOTS), 3, (int32_t)p.count};
        p.sources[p.count].x = check_input(t, p.count % 2 ? t->act : IE_F32, 4, dim, pattern);
        p.sources[p.count].index = check_int(t, LANES, index);
        total += channels[p.count];
    }
    check_label(t, "%lldx%lld, %d sources, %lld channels, %s", (long long)size[0],
                (long long)size[1], p.count, (long long)total, check_pattern_name(pattern));
    check_output *y = check_result(t, t->act, 4, (const int64_t[]){LANES, size[0], size[1], total});
    p.y = y->t;
    const int64_t pixels = size[0] * size[1];
    for (int i = 0; i < p.count; first += channels[i++]) {
        for (int64_t k = 0; k < LANES * pixels * channels[i]; k++) {
            const int64_t c = k % channels[i], pixel = k / channels[i] % pixels;
            const int64_t lane = k / channels[i] / pixels;
            const int64_t slot = (int64_t)check_load(p.sources[i].index, lane);
            const double x = check_load(p.sources[i].x, (slot * pixels + pixel) * channels[i] + c);
            y->want[(lane * pixels + pixel) * total + first + c] = check_round(t->act, x);
        }
    }
    check_case(t, run_gather, &p, LANES);
}

void check_gather(check *t)
{
    static const int64_t sizes[][2] = {{1, 1}, {7, 5}, {16, 16}};
    static const int64_t channels[][4] = {
        {3, 0}, {3, 3, 0}, {3, 3, 16, 0}, {3, 3, 4, 1}, {1, 17, 0}};
    for (int i = 0; i < 3 * 5 * 2; i++) {
        one_gather(t, sizes[i % 3], channels[i / 3 % 5], i / 15 ? 5 : 0,
                   (check_pattern)(i % CHECK_PATTERNS));
    }
}

/* ---- the conditioning image
 * -------------------------------------------------------------------- */

typedef struct mask_problem {
    ie_tensor y, rgb, mask;
} mask_problem;

static int run_mask(check *t, const void *self, int64_t begin, int64_t end)
{
    const mask_problem *p = self;
    return t->ops->mask_image(NULL, ie_slice(p->y, 0, begin, end), ie_slice(p->rgb, 0, begin, end),
                              ie_slice(p->mask, 0, begin, end));
}

void check_mask_image(check *t)
{
    static const int64_t sizes[][2] = {{1, 1}, {7, 5}, {16, 16}, {1, 129}};
    for (int i = 0; i < 4; i++) {
        const int64_t h = sizes[i][0], w = sizes[i][1];
        uint8_t fill[LANES * 256];
        mask_problem p = {0};
        check_label(t, "%lldx%lld", (long long)h, (long long)w);
        for (int64_t k = 0; k < LANES * h * w; k++) fill[k] = (uint8_t)check_below(t, 2);
        p.rgb = check_input(t, IE_U8, 4, (const int64_t[]){LANES, h, w, 3}, CHECK_UNIFORM);
        p.mask =
            ie_reshape(check_bytes(t, fill, LANES, h * w), 4, (const int64_t[]){LANES, h, w, 1});
        check_output *y = check_result(t, t->act, 4, (const int64_t[]){LANES, h, w, 4});
        p.y = y->t;
        for (int64_t k = 0; k < LANES * h * w; k++) {
            for (int64_t c = 0; c < 3; c++) {
                const double colour = 2 * check_load(p.rgb, 3 * k + c) / 255 - 1;
                /* The quotient is at most 2 and may be off by 2 U of itself before 1 is taken
                 * away. */
                const approx x = {colour, 4 * CHECK_U};
                if (!fill[k]) check_expect(y, 4 * k + c, x);
            }
            y->want[4 * k + 3] = fill[k];
        }
        check_case(t, run_mask, &p, LANES);
    }
}

/* ---- noise, and the augmented enlargement
 * ------------------------------------------------------ */

typedef struct noise_problem {
    ie_tensor y, x; /* x absent: plain noise */
    int64_t slot;
    float alpha, sigma;
    uint64_t seed;
    uint32_t stage, step;
} noise_problem;

static int run_noise(check *t, const void *self, int64_t begin, int64_t end)
{
    const noise_problem *p = self;
    (void)begin, (void)end;
    if (!ie_present(p->x)) return t->ops->noise(NULL, p->y, p->slot, p->seed, p->stage, p->step);
    return t->ops->augment(NULL, p->y, p->slot, p->x, p->alpha, p->sigma, p->seed, p->stage,
                           p->step);
}

static noise_problem draw_noise(check *t)
{
    noise_problem p = {.slot = check_below(t, SLOTS), .stage = (uint32_t)check_below(t, 3)};
    p.seed = (uint64_t)check_below(t, INT64_MAX) << 1;
    p.step = t->cases % 2 ? IE_NOISE_AUGMENTATION : (uint32_t)check_below(t, 1000);
    return p;
}

void check_noise(check *t)
{
    static const int64_t sizes[][3] = {{1, 1, 1}, {1, 1, 3}, {7, 5, 3}, {64, 64, 3}, {3, 3, 4}};
    for (int i = 0; i < 5 * 4; i++) {
        const int64_t *size = sizes[i / 4], dim[] = {SLOTS, size[0], size[1], size[2]};
        noise_problem p = draw_noise(t);
        int64_t lane[SLOTS] = {-1, -1, -1, -1};
        lane[p.slot] = 0;
        check_label(t, "%lldx%lldx%lld", (long long)size[0], (long long)size[1],
                    (long long)size[2]);
        check_output *y = check_result(t, IE_F32, 4, dim);
        y->lane = lane;
        p.y = y->t;
        for (int64_t k = 0; k < y->t.stride[0]; k++) {
            check_expect(y, p.slot * y->t.stride[0] + k, check_normal(p.seed, p.stage, p.step, k));
        }
        check_case(t, run_noise, &p, 1);
    }
}

/* One axis of the enlargement: which pixels, and how much of the second. */
static double between(int64_t i, int64_t size, int64_t from, int64_t *low, int64_t *high)
{
    const double at = (2 * (double)i + 1) * (double)from / (2 * (double)size) - 0.5;
    const double clamped =
        fmin(fmax(at, 0), (double)(from - 1)); /* the same as clamping the indices */
    *low = (int64_t)clamped;
    *high = *low + 1 < from ? *low + 1 : *low;
    return clamped - (double)*low;
}

static approx enlarged(const noise_problem *p, int64_t i)
{
    const ie_tensor x = p->x, y = p->y;
    const int64_t c = i % y.dim[3], column = i / y.dim[3] % y.dim[2], row = i / y.dim[3] / y.dim[2];
    int64_t index[2][2];
    const double v = between(row, y.dim[1], x.dim[0], &index[0][0], &index[0][1]);
    const double h = between(column, y.dim[2], x.dim[1], &index[1][0], &index[1][1]);
    const double share[2][2] = {{1 - v, v}, {1 - h, h}};
    double sum = 0, size = 0, largest = 0;
    for (int k = 0; k < 4; k++) {
        const int64_t at = (index[0][k / 2] * x.dim[1] + index[1][k % 2]) * x.dim[2] + c;
        const double value = fmin(fmax(check_load(x, at), -1), 1);
        sum += share[0][k / 2] * share[1][k % 2] * value;
        size += share[0][k / 2] * share[1][k % 2] * fabs(value);
        largest = fmax(largest, fabs(value));
    }
    /* A coordinate in f32 is off by 2 U of itself, and a share moves with it, between two
     * neighbours that differ by at most twice the largest. */
    const double shift = 2 * CHECK_U * (double)(x.dim[0] + x.dim[1]);
    return (approx){sum, 8 * CHECK_U * size + shift * 2 * largest};
}

static void one_augment(check *t, const int64_t *size, check_pattern pattern, bool noisy)
{
    noise_problem p = draw_noise(t);
    const int64_t dim[] = {SLOTS, size[2], size[3], 3}, x_dim[] = {size[0], size[1], 3};
    int64_t lane[SLOTS] = {-1, -1, -1, -1};
    lane[p.slot] = 0;
    p.alpha = noisy ? 0.95f : 1;
    p.sigma = noisy ? 0.31f : 0;
    check_label(t, "%lldx%lld to %lldx%lld, %s%s", (long long)size[0], (long long)size[1],
                (long long)size[2], (long long)size[3], check_pattern_name(pattern),
                noisy ? ", noise" : "");
    p.x = check_input(t, IE_F32, 3, x_dim, pattern);
    if (pattern == CHECK_UNIFORM) check_affine(t, p.x, 0, 1.5); /* a third of it is clipped */
    check_output *y = check_result(t, IE_F32, 4, dim);
    y->lane = lane;
    p.y = y->t;
    for (int64_t k = 0; k < y->t.stride[0]; k++) {
        const approx up = enlarged(&p, k), n = check_normal(p.seed, p.stage, p.step, k);
        const double a = (double)p.alpha, s = (double)p.sigma;
        const double rounding = 2 * CHECK_U * (fabs(a * up.v) + fabs(s * n.v));
        check_expect(y, p.slot * y->t.stride[0] + k,
                     (approx){a * up.v + s * n.v, a * up.e + s * n.e + rounding});
    }
    check_case(t, run_noise, &p, 1);
}

void check_augment(check *t)
{
    static const int64_t sizes[][4] = {{16, 16, 64, 64}, {8, 8, 16, 16}, {1, 1, 4, 4},
                                       {5, 7, 15, 21},   {3, 4, 10, 7},  {6, 6, 6, 6}};
    for (int i = 0; i < 6 * CHECK_PATTERNS * 2; i++) {
        one_augment(t, sizes[i / 2 / CHECK_PATTERNS], (check_pattern)(i / 2 % CHECK_PATTERNS),
                    i % 2);
    }
}
