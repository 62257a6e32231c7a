/* test_schedule.c - log-SNR against published figures, and the identities every schedule obeys.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "schedule.h"

static const ie_schedule cosine = {.kind = IE_SCHEDULE_COSINE, .s = 0.008};
static const ie_schedule linear = {
    .kind = IE_SCHEDULE_LINEAR, .beta_first = 1e-4, .beta_last = 0.02, .steps = 1000};

static void near(double got, double want, double bound, const char *what, double at)
{
    if (!(fabs(got - want) <= bound))
        fail_msg("%s at %g is %.6f, not within %g of %g", what, at, got, bound, want);
}

typedef struct figure {
    double t, lambda, bound; /* one unit of the last published digit */
} figure;

static void the_cosine_schedule_has_the_published_log_snr(void **state)
{
    (void)state;
    static const figure figures[] = {{0.001, 8.53, 0.01},
                                     {0.1, 3.55, 0.01},
                                     {0.5, -0.025, 0.001},
                                     {0.9, -3.70, 0.01},
                                     {0.99, -8.32, 0.01}};
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        const figure *f = &figures[i];
        near(ie_log_snr(&cosine, f->t), f->lambda, f->bound, "cosine", f->t);
    }
}

static void the_linear_schedule_has_the_published_log_snr(void **state)
{
    (void)state;
    static const figure figures[] = {{0.01, 6.22, 0.01}, {0.1, 2.16, 0.01},   {0.25, 0.10, 0.01},
                                     {0.5, -2.46, 0.01}, {0.75, -5.67, 0.01}, {1, -10.05, 0.01}};
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        const figure *f = &figures[i];
        near(ie_log_snr(&linear, f->t), f->lambda, f->bound, "linear", f->t);
    }
}

/* The product of (1 - beta_i) over 1000 steps is what the continuous form interpolates; the two
 * differ by the square of a beta per step, which sums to 0.07, and by half a step at the very
 * beginning. */
static void the_linear_schedule_follows_its_discrete_table(void **state)
{
    (void)state;
    double decay = 0; /* -log of the product */
    for (int i = 0; i < 1000; i++) {
        decay -= log1p(-(1e-4 + (0.02 - 1e-4) * i / 999));
        const double t = (i + 1) / 1000.0;
        near(ie_log_snr(&linear, t), -log(expm1(decay)), 0.1, "the continuous form", t);
    }
}

static void cosine_is_the_squared_cosine_without_normalisation(void **state)
{
    (void)state;
    for (int i = 1; i < 100; i++) {
        const double t = i / 100.0, pi = 3.14159265358979323846;
        const double alpha = ie_alpha(ie_log_snr(&cosine, t));
        near(alpha * alpha, pow(cos(pi / 2 * (t + 0.008) / 1.008), 2), 1e-14, "alpha^2", t);
    }
}

static void signal_and_noise_have_unit_variance_together(void **state)
{
    (void)state;
    for (int i = -200; i <= 200; i++) {
        const double lambda = i / 10.0, alpha = ie_alpha(lambda), sigma = ie_sigma(lambda);
        near(alpha * alpha + sigma * sigma, 1, 4e-16, "alpha^2 + sigma^2", lambda);
        near(log(alpha * alpha / (sigma * sigma)), lambda, 1e-13, "log(alpha^2 / sigma^2)", lambda);
    }
}

static void log_snr_falls_and_stays_within_twenty(void **state)
{
    (void)state;
    const ie_schedule *both[] = {&cosine, &linear};
    for (int k = 0; k < 2; k++) {
        double before = INFINITY;
        for (int i = 0; i <= 1000; i++) {
            const double lambda = ie_log_snr(both[k], i / 1000.0);
            assert_true(lambda < before && lambda >= -20 && lambda <= 20);
            before = lambda;
        }
    }
    /* Where the formulas leave the range, the clamp is exact. */
    assert_true(ie_log_snr(&cosine, 1) == -20);
    assert_true(ie_log_snr(&linear, 0) == 20);
    const ie_schedule steep = {
        .kind = IE_SCHEDULE_LINEAR, .beta_first = 1e-4, .beta_last = 0.5, .steps = 1000};
    assert_true(ie_log_snr(&steep, 1) == -20);
    /* At 0 the cosine schedule is finite by itself: s keeps it away from the clamp. */
    near(ie_log_snr(&cosine, 0), 8.7693, 0.00005, "cosine", 0);
}

static void augmentation_follows_the_cosine_schedule_and_is_nothing_at_zero(void **state)
{
    (void)state;
    const ie_augmentation none = ie_augmentation_at(0);
    assert_true(none.alpha == 1 && none.sigma == 0 && none.lambda == 20);
    for (int i = 1; i <= 10; i++) {
        const double level = i / 10.0, lambda = ie_log_snr(&cosine, level);
        const ie_augmentation a = ie_augmentation_at(level);
        assert_true(a.lambda == lambda && a.alpha == ie_alpha(lambda) &&
                    a.sigma == ie_sigma(lambda));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_cosine_schedule_has_the_published_log_snr),
        cmocka_unit_test(the_linear_schedule_has_the_published_log_snr),
        cmocka_unit_test(the_linear_schedule_follows_its_discrete_table),
        cmocka_unit_test(cosine_is_the_squared_cosine_without_normalisation),
        cmocka_unit_test(signal_and_noise_have_unit_variance_together),
        cmocka_unit_test(log_snr_falls_and_stays_within_twenty),
        cmocka_unit_test(augmentation_follows_the_cosine_schedule_and_is_nothing_at_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
