/* golden_ops_pixels.c - token and image operations, noise, augmentation and the sampler against the
 * reference's cases.
 * SPDX-License-Identifier: Apache-2.0 */
#include "golden_ops.h"

#include "rng.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- single operations ---------------------------------------------------------------------- */

bool ops_sinusoid(const ops_case *c)
{
    const ie_tensor y = ops_output(c, IE_F32, 2, ops_host(c, "y").dim);
    OPS_NEED(
        ie_exec_sinusoid(&c->r->x, y, ops_input(c, "v", IE_F32), ops_real(c, "max_period"), err));
    return ops_check(c, "y", y, false);
}

bool ops_mask_image(const ops_case *c)
{
    const ie_tensor y = ops_output(c, c->r->backend->act, 4, ops_host(c, "y").dim);
    OPS_NEED(ie_exec_mask_image(&c->r->x, y, ops_input(c, "rgb", IE_U8),
                                ops_input(c, "mask", IE_U8), err));
    return ops_check(c, "y", y, c->r->bf16);
}

/* ---- noise ---------------------------------------------------------------------------------- */

static uint64_t seed_of(const ops_case *c)
{
    return (uint64_t)(uint32_t)ops_int(c, "seed_high") << 32 | (uint32_t)ops_int(c, "seed_low");
}

static ie_noise_key key_of(const ops_case *c)
{
    return (ie_noise_key){seed_of(c), (uint32_t)ops_int(c, "stage"), (uint32_t)ops_int(c, "step")};
}

bool ops_philox(const ops_case *c)
{
    const ie_tensor words = ops_host(c, "words"); /* [blocks, 4] */
    const int32_t *want = words.data;
    const ie_noise_key key = key_of(c);
    int bad = 0;
    for (uint32_t block = 0; block < (uint32_t)words.dim[0]; block++) {
        const ie_u32x4 counter = {{block, 0, key.step, key.stage}};
        const ie_u32x4 got = ie_philox((uint32_t)key.seed, (uint32_t)(key.seed >> 32), counter);
        for (int i = 0; i < 4; i++) bad += got.w[i] != (uint32_t)want[4 * block + (uint32_t)i];
    }
    printf("%-4s philox: %d words differ\n", bad ? "BAD" : "ok", bad);
    return bad == 0;
}

/* One image as a slot of a tensor with two; the other one must stay as it was. */
typedef struct slots {
    ie_tensor all, slot;
} slots;

static slots two_slots(const ops_case *c, const int64_t *image)
{
    slots s;
    s.all = ops_output(c, IE_F32, 4, (int64_t[]){2, image[0], image[1], image[2]});
    s.slot = ie_slice(s.all, 0, 1, 2);
    return s;
}

static bool first_is_untouched(const ops_case *c, ie_tensor all)
{
    float *values = rig_values(c->r, all);
    bool untouched = true;
    for (int64_t i = 0; i < ie_numel(all) / 2; i++) untouched = untouched && isnan(values[i]);
    free(values);
    if (!untouched) printf("BAD  %s wrote into another slot\n", c->name);
    return untouched;
}

bool ops_noise(const ops_case *c)
{
    const slots z = two_slots(c, ops_host(c, "y").dim);
    OPS_NEED(ie_exec_noise(&c->r->x, z.all, 1, key_of(c), err));
    return ops_check(c, "y", z.slot, false) && first_is_untouched(c, z.all);
}

bool ops_augment(const ops_case *c)
{
    const slots y = two_slots(c, ops_host(c, "y").dim);
    const ie_noising how = {ops_real(c, "alpha"), ops_real(c, "sigma"), key_of(c)};
    OPS_NEED(ie_exec_augment(&c->r->x, y.all, 1, ops_input(c, "x", IE_F32), how, err));
    return ops_check(c, "y", y.slot, false) && first_is_untouched(c, y.all);
}

/* ---- the sampler ---------------------------------------------------------------------------- */

static void run_sample(const ops_case *c, ie_tensor z, ie_tensor pred, const ie_step *step)
{
    ie_step one = *step;
    const ie_tensor steps = rig_upload(c->r, ie_view(&one, IE_U8, 2, (int64_t[]){1, sizeof one}));
    const ie_sample_args args = {.z = z, .pred = pred, .steps = steps};
    OPS_NEED(ie_exec_sample(&c->r->x, args, err));
}

bool ops_sample(const ops_case *c)
{
    const ie_noise_key key = key_of(c);
    const ie_step step = {
        .slot = ops_int(c, "slot"),
        .lane_cond = ops_int(c, "lane_cond"),
        .lane_uncond = ops_int(c, "lane_uncond"),
        .step = ops_int(c, "step"),
        .guidance = ops_real(c, "guidance"),
        .alpha = ops_real(c, "alpha"),
        .sigma = ops_real(c, "sigma"),
        .keep = ops_real(c, "keep"),
        .now = ops_real(c, "now"),
        .noise = ops_real(c, "noise"),
        .percentile = ops_real(c, "percentile"),
        .cap = ops_real(c, "cap"),
        .prediction = ops_int(c, "prediction"),
        .threshold = ops_int(c, "threshold"),
        .stage = key.stage,
        .seed_low = (uint32_t)key.seed,
        .seed_high = (uint32_t)(key.seed >> 32),
    };
    const ie_tensor z = ops_input(c, "z", IE_F32);
    /* The head writes f32 in both precisions, since guidance magnifies what it says. */
    run_sample(c, z, ops_input(c, "pred", IE_F32), &step);
    return ops_check(c, "y", ie_slice(z, 0, step.slot, step.slot + 1), false);
}

/* No operation gives the quantile away, but a step that only thresholds divides by it: z' = clip(x,
 * -s, s) / s. */
bool ops_quantile(const ops_case *c)
{
    const ie_tensor x = ops_host(c, "x");
    const float *values = x.data, want = ((const float *)ops_host(c, "y").data)[0];
    const int64_t n = ie_numel(x), image[4] = {1, x.dim[0], x.dim[1], x.dim[2]};
    const ie_tensor z = rig_upload(c->r, ie_view(x.data, IE_F32, 4, image));
    float *zeros = calloc((size_t)n, sizeof *zeros);
    if (!zeros) ops_stop(c->name, "no memory");
    const ie_tensor pred = rig_upload(c->r, ie_view(zeros, IE_F32, 4, image));
    free(zeros);
    run_sample(c, z, pred,
               &(ie_step){.lane_uncond = -1,
                          .guidance = 1,
                          .alpha = 1,
                          .now = 1,
                          .percentile = ops_real(c, "percentile"),
                          .prediction = IE_PREDICT_V,
                          .threshold = IE_THRESHOLD_DYNAMIC});
    /* The largest value that was not clipped loses least: one rounding of a quotient near 1, less
     * than half of what the quantile's own size allows its last place. */
    int64_t at = -1;
    for (int64_t i = 0; i < n; i++) {
        const float size = fabsf(values[i]);
        if (size < want && (at < 0 || size > fabsf(values[at]))) at = i;
    }
    if (at < 0) ops_stop(c->name, "nothing lies below the quantile");
    float *got = rig_values(c->r, z);
    const float scale = (float)((double)values[at] / (double)got[at]);
    free(got);
    return golden_check(c->g, "quantile.y", &scale, false);
}
