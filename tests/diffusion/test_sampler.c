/* test_sampler.c - the coefficients of both samplers: what one step must do to signal and noise.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sampler.h"

static const ie_schedule schedules[] = {
    {.kind = IE_SCHEDULE_COSINE, .s = 0.008},
    {.kind = IE_SCHEDULE_LINEAR, .beta_first = 1e-4, .beta_last = 0.02, .steps = 1000}};
static const int counts[] = {1, 2, 7, 30, 256};

enum { SCHEDULES = 2, COUNTS = sizeof counts / sizeof counts[0] };

static void near(double got, double want, double bound, int step, int steps)
{
    if (!(fabs(got - want) <= bound))
        fail_msg("step %d of %d: %.17g is not %.17g", step, steps, got, want);
}

typedef void per_step(const ie_schedule *schedule, int step, int steps);

static void for_all_steps(per_step *check)
{
    for (int k = 0; k < SCHEDULES; k++) {
        for (int c = 0; c < COUNTS; c++) {
            for (int i = 0; i < counts[c]; i++) check(&schedules[k], i, counts[c]);
        }
    }
}

/* Signal and noise that z has before step i + 1; after the last step, the clean image. */
static void after(const ie_schedule *schedule, int step, int steps, double *alpha, double *sigma)
{
    *alpha = 1;
    *sigma = 0;
    if (step == steps - 1) return;
    const double lambda = ie_log_snr(schedule, 1.0 - (step + 1.0) / steps);
    *alpha = ie_alpha(lambda);
    *sigma = ie_sigma(lambda);
}

static void check_time(const ie_schedule *schedule, int step, int steps)
{
    for (ie_sampler kind = IE_SAMPLER_DDPM; kind <= IE_SAMPLER_DDIM; kind++) {
        const ie_sampler_step s = ie_sampler_at(schedule, kind, 0.3, 0, step, steps);
        assert_true(s.t == 1.0 - (double)step / steps);
        assert_true(s.lambda == ie_log_snr(schedule, s.t));
        assert_true(s.alpha == ie_alpha(s.lambda) && s.sigma == ie_sigma(s.lambda));
    }
}

static void steps_lie_on_a_uniform_grid_from_one(void **state)
{
    (void)state;
    for_all_steps(check_time);
}

/* z = alpha x + sigma eps with the true eps becomes the same x and eps at the next time. */
static void check_ddim(const ie_schedule *schedule, int step, int steps)
{
    const double x = 0.37, eps = -1.21;
    double alpha, sigma;
    after(schedule, step, steps, &alpha, &sigma);
    const ie_sampler_step s = ie_sampler_at(schedule, IE_SAMPLER_DDIM, 0.3, 0, step, steps);
    const double z = s.alpha * x + s.sigma * eps, x0 = (z - s.sigma * eps) / s.alpha;
    assert_true(s.noise == 0);
    /* x0 carries the rounding of z divided by alpha, at least 4.5e-5. */
    near(s.keep * z + s.now * x0, alpha * x + sigma * eps, 0x1p-52 * 4 / s.alpha, step, steps);
}

static void ddim_with_the_exact_epsilon_stays_on_its_trajectory(void **state)
{
    (void)state;
    for_all_steps(check_ddim);
}

static void one_ddim_step_from_the_exact_epsilon_returns_the_image(void **state)
{
    (void)state;
    for (int k = 0; k < SCHEDULES; k++) {
        const ie_sampler_step s = ie_sampler_at(&schedules[k], IE_SAMPLER_DDIM, 0.3, 0, 0, 1);
        assert_true(s.t == 1 && s.keep == 0 && s.now == 1 && s.noise == 0);
        const double x = -0.73, eps = 0.9, z = s.alpha * x + s.sigma * eps;
        near(s.keep * z + s.now * ((z - s.sigma * eps) / s.alpha), x, 0x1p-52 * 4 / s.alpha, 0, 1);
    }
}

/* Mean: the signal left in z plus the signal taken from x0 is the next alpha. */
static void check_mean(const ie_schedule *schedule, int step, int steps)
{
    double alpha, sigma;
    after(schedule, step, steps, &alpha, &sigma);
    const ie_sampler_step s = ie_sampler_at(schedule, IE_SAMPLER_DDPM, 0.3, 0, step, steps);
    near(s.keep * s.alpha + s.now, alpha, 4e-16, step, steps);
}

static void ancestral_steps_keep_the_signal(void **state)
{
    (void)state;
    for_all_steps(check_mean);
}

/* The posterior's variance q(z_s | z_t, x) is the lower bound, the forward one q(z_t | z_s) scaled
 * to s the upper one. */
static void check_variance(const ie_schedule *schedule, int step, int steps)
{
    double alpha, sigma;
    after(schedule, step, steps, &alpha, &sigma);
    const ie_sampler_step low = ie_sampler_at(schedule, IE_SAMPLER_DDPM, 0, 0, step, steps);
    const ie_sampler_step high = ie_sampler_at(schedule, IE_SAMPLER_DDPM, 1, 0, step, steps);
    if (step == steps - 1) {
        assert_true(low.noise == 0 && high.noise == 0 && low.keep == 0 && low.now == 1);
        return;
    }
    const double rest =
        1 - low.alpha * low.alpha * sigma * sigma / (low.sigma * low.sigma * alpha * alpha);
    near(low.noise * low.noise, rest * sigma * sigma, 1e-14, step, steps);
    near(high.noise * high.noise, rest * low.sigma * low.sigma, 1e-14, step, steps);
    /* With the lower bound the marginal of z_s is exact. */
    near(low.keep * low.keep * low.sigma * low.sigma + low.noise * low.noise, sigma * sigma, 1e-15,
         step, steps);
    double before = low.noise;
    for (int i = 1; i < 10; i++) {
        const double gamma = i / 10.0;
        const ie_sampler_step s = ie_sampler_at(schedule, IE_SAMPLER_DDPM, gamma, 0, step, steps);
        assert_true(s.noise > before && s.noise < high.noise);
        near(log(s.noise), (1 - gamma) * log(low.noise) + gamma * log(high.noise), 1e-12, step,
             steps);
        before = s.noise;
    }
}

static void ancestral_noise_lies_between_the_two_bounds(void **state)
{
    (void)state;
    for_all_steps(check_variance);
}

static void check_last(const ie_schedule *schedule, int step, int steps)
{
    if (step != steps - 1) return;
    for (ie_sampler kind = IE_SAMPLER_DDPM; kind <= IE_SAMPLER_DDIM; kind++) {
        const ie_sampler_step s = ie_sampler_at(schedule, kind, 0.3, 0, step, steps);
        assert_true(s.keep == 0 && s.now == 1 && s.noise == 0);
        assert_true(fabs(s.t - 1.0 / steps) < 1e-15);
    }
}

static void the_last_step_gives_the_clean_image(void **state)
{
    (void)state;
    for_all_steps(check_last);
}

/* With an end of 1/4, three steps begin as four do, and the third goes all the way. */
static void the_last_step_leaps_from_the_end_of_the_grid(void **state)
{
    (void)state;
    for (int k = 0; k < SCHEDULES; k++) {
        for (ie_sampler kind = IE_SAMPLER_DDPM; kind <= IE_SAMPLER_DDIM; kind++) {
            for (int i = 0; i < 3; i++) {
                const ie_sampler_step s = ie_sampler_at(&schedules[k], kind, 0.3, 0.25, i, 3);
                const ie_sampler_step all = ie_sampler_at(&schedules[k], kind, 0.3, 0, i, 4);
                assert_true(s.t == all.t && s.lambda == all.lambda);
                assert_true(s.alpha == all.alpha && s.sigma == all.sigma);
                assert_true(s.keep == (i < 2 ? all.keep : 0));
                assert_true(s.now == (i < 2 ? all.now : 1));
                assert_true(s.noise == (i < 2 ? all.noise : 0));
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_lie_on_a_uniform_grid_from_one),
        cmocka_unit_test(ddim_with_the_exact_epsilon_stays_on_its_trajectory),
        cmocka_unit_test(one_ddim_step_from_the_exact_epsilon_returns_the_image),
        cmocka_unit_test(ancestral_steps_keep_the_signal),
        cmocka_unit_test(ancestral_noise_lies_between_the_two_bounds),
        cmocka_unit_test(the_last_step_gives_the_clean_image),
        cmocka_unit_test(the_last_step_leaps_from_the_end_of_the_grid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
