/* test_steps.c - ten steps of a stage against the reference: both samplers, both predictions,
 * oscillating guidance with dynamic thresholding, constant guidance with static, none with none.
 * Arguments: device and precision. SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "golden.h"
#include "guidance.h"
#include "sampler.h"
#include "stage.h"

static const char *device = "ref";
static bool bf16;

enum { WORKSPACE = 64 << 20, STEPS = 10 };

#define NEED(call)                                            \
    do {                                                      \
        ie_error need_err_ = {0};                             \
        ie_error *const err = &need_err_;                     \
        if (call) fail_msg("%s (%s)", err->text, err->where); \
    } while (0)

static const ie_schedule cosine = {.kind = IE_SCHEDULE_COSINE, .s = 0.008};
static const ie_schedule linear = {
    .kind = IE_SCHEDULE_LINEAR, .beta_first = 1e-4, .beta_last = 0.02, .steps = 1000};

/* The cases of scripts/reference/golden_steps.py. */
static ie_stage_config case_of(const char *name)
{
    ie_stage_config c = {
        .schedule = cosine, .prediction = IE_PREDICT_EPSILON, .gamma = 0.3, .steps = STEPS};
    snprintf(c.name, sizeof c.name, "%s", name);
    if (!strcmp(name, "ddpm")) {
        c.sampler = IE_SAMPLER_DDPM;
        c.guidance =
            (ie_guidance){.kind = IE_GUIDANCE_OSCILLATE, .high = 30, .low = 1, .hold = 0.25f};
        c.threshold = IE_THRESHOLD_DYNAMIC;
        c.percentile = 0.995;
    } else if (!strcmp(name, "ddim")) {
        c.sampler = IE_SAMPLER_DDIM;
        c.guidance = (ie_guidance){.kind = IE_GUIDANCE_CONSTANT, .high = 5};
        c.threshold = IE_THRESHOLD_STATIC;
    } else {
        c.schedule = linear;
        c.prediction = IE_PREDICT_V;
        c.sampler = IE_SAMPLER_DDIM;
        c.guidance = (ie_guidance){.kind = IE_GUIDANCE_CONSTANT, .high = 1};
    }
    return c;
}

/* One step, and what it made of z. */
static void step(rig *r, ie_stage *stage, ie_job *job, const golden *steps)
{
    char name[80];
    ie_entry *batch[1] = {&job->entry};
    NEED(ie_stage_pass(stage, batch, 1, &r->x, err));
    job->entry.step++;
    snprintf(name, sizeof name, "%s.z_%d", stage->config->name, job->entry.step);
    float *z = rig_values(r, stage->slots.z);
    assert_true(golden_check(steps, name, z, r->bf16));
    free(z);
}

static void trajectory(const char *name)
{
    rig r;
    if (!rig_open(&r, device, bf16, WORKSPACE)) skip();
    golden steps = golden_open("steps.safetensors"), io = golden_open("unet-adm/io.safetensors");
    const ie_stage_config config = case_of(name);
    ie_unet_config unet_config;
    ie_weights *weights;
    ie_unet *unet;
    ie_stage stage;
    NEED(ie_unet_config_read(&unet_config, golden_path("unet-adm/config.json"), err));
    NEED(ie_weights_open(&weights, golden_path("unet-adm"), err));
    const ie_tensor tokens = golden_get(&io, "text.tokens");
    NEED(ie_unet_open(&unet, &unet_config, (int)tokens.dim[1], weights, r.backend, err));
    NEED(ie_unet_load(unet, weights, (ie_load_watch){0}, err));
    NEED(ie_stage_open(&stage, &config, 0, unet, 2, err));
    NEED(ie_stage_allocate(&stage, err));
    NEED(ie_stage_prepare(&stage, &r.x, err));

    ie_request request = {.seed = (uint64_t)((const int32_t *)golden_get(&steps, "seed").data)[0]};
    ie_job job = {.request = &request,
                  .tokens = tokens.data,
                  .used = ((const int32_t *)golden_get(&io, "text.length").data)[0],
                  .rgb = golden_get(&io, "canvas.rgb").data,
                  .fill = golden_get(&io, "canvas.mask").data};
    job.entry.stages[0] =
        (ie_job_stage){.steps = STEPS, .guidance = config.guidance, .sampler = config.sampler};
    NEED(ie_stage_admit(&stage, &job, &r.x, err));
    while (job.entry.step < STEPS) step(&r, &stage, &job, &steps);
    NEED(ie_stage_leave(&stage, &job, &r.x, err));
    char last[64];
    snprintf(last, sizeof last, "%s.z_%d", name, STEPS);
    assert_true(golden_check(&steps, last, job.image, bf16));
    ie_free(job.image);
    ie_stage_close(&stage);
    ie_weights_close(&weights);
    golden_close(&io);
    golden_close(&steps);
    rig_close(&r);
}

static void ancestral_steps_with_oscillating_guidance_agree(void **state)
{
    (void)state;
    trajectory("ddpm");
}

static void ddim_steps_with_static_thresholding_agree(void **state)
{
    (void)state;
    trajectory("ddim");
}

static void v_prediction_without_guidance_agrees(void **state)
{
    (void)state;
    trajectory("v");
}

/* ---- tables ---------------------------------------------------------------------------------- */

static void column(const golden *g, const char *schedule, const char *what, int count,
                   const double *got)
{
    char name[64];
    snprintf(name, sizeof name, "schedule.%s.%s", schedule, what);
    const ie_tensor want = golden_get(g, name);
    assert_int_equal(ie_numel(want) >= count, 1);
    for (int i = 0; i < count; i++) {
        const double w = (double)((const float *)want.data)[i];
        /* The file holds f32: one rounding of the value, and of its neighbours in size. */
        if (fabs(got[i] - w) > 0x1p-23 * fmax(fabs(w), 1.0)) {
            fail_msg("%s[%d] is %.9g, want %.9g", name, i, got[i], w);
        }
    }
}

static void schedule_tables_agree(void **state)
{
    (void)state;
    golden g = golden_open("steps.safetensors");
    const ie_schedule *schedules[] = {&cosine, &linear};
    const char *names[] = {"cosine", "linear"};
    for (int k = 0; k < 2; k++) {
        for (int sampler = IE_SAMPLER_DDPM; sampler <= IE_SAMPLER_DDIM; sampler++) {
            double v[7][STEPS];
            for (int i = 0; i < STEPS; i++) {
                const ie_sampler_step s =
                    ie_sampler_at(schedules[k], (ie_sampler)sampler, 0.3, 0, i, STEPS);
                const double row[] = {s.t, s.lambda, s.alpha, s.sigma, s.keep, s.now, s.noise};
                for (int c = 0; c < 7; c++) v[c][i] = row[c];
            }
            const bool ddim = sampler == IE_SAMPLER_DDIM;
            const char *columns[] = {"t",
                                     "lambda",
                                     "alpha",
                                     "sigma",
                                     ddim ? "ddim.keep" : "ddpm.keep",
                                     ddim ? "ddim.now" : "ddpm.now",
                                     ddim ? "ddim.noise" : "ddpm.noise"};
            for (int c = 0; c < 7; c++) column(&g, names[k], columns[c], STEPS, v[c]);
        }
    }
    golden_close(&g);
}

static void guidance_schedules_agree(void **state)
{
    (void)state;
    golden g = golden_open("steps.safetensors");
    const char *names[] = {"ddpm", "ddim", "v"};
    for (int k = 0; k < 3; k++) {
        char name[64];
        snprintf(name, sizeof name, "%s.guidance", names[k]);
        const float *want = golden_get(&g, name).data;
        const ie_stage_config c = case_of(names[k]);
        for (int i = 0; i < STEPS; i++)
            assert_true(ie_guidance_weight(&c.guidance, i, STEPS) == want[i]);
    }
    golden_close(&g);
}

int main(int argc, char **argv)
{
    if (argc > 1) device = argv[1];
    bf16 = argc > 2 && !strcmp(argv[2], "bf16");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(schedule_tables_agree),
        cmocka_unit_test(guidance_schedules_agree),
        cmocka_unit_test(ancestral_steps_with_oscillating_guidance_agree),
        cmocka_unit_test(ddim_steps_with_static_thresholding_agree),
        cmocka_unit_test(v_prediction_without_guidance_agrees),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
