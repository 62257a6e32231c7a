/* test_ref_layers.c - the reference's layers on cases small enough to work out by hand.
 * SPDX-License-Identifier: Apache-2.0 */
#include "ops.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static ie_tensor f32(float *data, int rank, const int64_t *dim)
{
    return ie_view(data, IE_F32, rank, dim);
}
#define DIM(...) ((const int64_t[]){__VA_ARGS__})

static void assert_floats(const float *got, const double *want, int count)
{
    for (int i = 0; i < count; i++) {
        if (!(fabs((double)got[i] - want[i]) <= 1e-6 * fmax(1, fabs(want[i])))) {
            fail_msg("element %d is %.9g, not %.9g", i, (double)got[i], want[i]);
        }
    }
}

/* Prepares, runs and releases one convolution. */
static void run_conv(const ie_conv_spec *spec, ie_conv_args *a, ie_tensor weight, ie_tensor bias)
{
    const ie_ops *ops = ie_ref_ops();
    ie_conv *conv = NULL;
    void *memory = malloc(ops->conv_bytes(spec));
    assert_int_equal(ops->conv_prepare(&conv, spec, memory, weight, bias, NULL), 0);
    a->scratch = malloc(ops->conv_scratch(conv, a->y.dim[0]));
    assert_int_equal(ops->conv(NULL, conv, a), 0);
    ops->conv_release(conv);
    free(a->scratch);
    free(memory);
}

static void convolution_counts_neighbours_inside_the_image(void **state)
{
    (void)state;
    float x[9], w[9], y[9], bias = 0.5f, residual[9], m[2];
    for (int i = 0; i < 9; i++) x[i] = w[i] = 1, residual[i] = (float)i;
    const ie_conv_spec spec = {.height = 3,
                               .width = 3,
                               .channels = {1, 0},
                               .outputs = 1,
                               .kernel = 3,
                               .stride = 1,
                               .pad = 1};
    ie_conv_args a = {
        .y = f32(y, 4, DIM(1, 3, 3, 1)), .x = {f32(x, 4, DIM(1, 3, 3, 1))}, .scale = 1};
    const ie_tensor weight = f32(w, 4, DIM(1, 1, 3, 3));
    run_conv(&spec, &a, weight, (ie_tensor){0});
    assert_floats(y, (const double[]){4, 6, 4, 6, 9, 6, 4, 6, 4}, 9);

    a.residual = f32(residual, 4, DIM(1, 3, 3, 1));
    a.y_moments = f32(m, 3, DIM(1, 1, 2));
    a.scale = 2;
    run_conv(&spec, &a, weight, f32(&bias, 1, DIM(1)));
    assert_floats(y, (const double[]){9, 15, 13, 19, 27, 23, 21, 27, 25}, 9);
    /* Sum 179; sum of squares 3889. */
    assert_floats(m, (const double[]){179.0 / 9, 3889.0 / 9 - 179.0 * 179 / 81}, 2);
}

/* A kernel with one 1, off its centre, moves the image: rows are ky, columns kx. */
static void kernels_are_not_flipped(void **state)
{
    (void)state;
    float x[] = {1, 2, 3, 4}, w[9] = {0}, y[4];
    w[1] = 1; /* ky 0, kx 1: the pixel above */
    const ie_conv_spec spec = {.height = 2,
                               .width = 2,
                               .channels = {1, 0},
                               .outputs = 1,
                               .kernel = 3,
                               .stride = 1,
                               .pad = 1};
    ie_conv_args a = {
        .y = f32(y, 4, DIM(1, 2, 2, 1)), .x = {f32(x, 4, DIM(1, 2, 2, 1))}, .scale = 1};
    run_conv(&spec, &a, f32(w, 4, DIM(1, 1, 3, 3)), (ie_tensor){0});
    assert_floats(y, (const double[]){0, 0, 1, 2}, 4);
}

static void norm_is_over_the_joint_channels_of_both_sources(void **state)
{
    (void)state;
    /* Channels 0, 1 | 2 of sizes 2 and 1 would be cut as [0 1 2] with one group. */
    float x0[] = {1, 2}, x1[] = {6}, m0[] = {1, 0, 2, 0}, m1[] = {6, 0};
    float gamma[] = {1, 2, 3}, beta[] = {0, 10, 20}, w[9] = {1, 0, 0, 0, 1, 0, 0, 0, 1}, y[3];
    const ie_conv_spec spec = {.height = 1,
                               .width = 1,
                               .channels = {2, 1},
                               .outputs = 3,
                               .kernel = 1,
                               .stride = 1,
                               .groups = 1,
                               .eps = 1.0f / 3};
    ie_conv_args a = {.y = f32(y, 4, DIM(1, 1, 1, 3)),
                      .x = {f32(x0, 4, DIM(1, 1, 1, 2)), f32(x1, 4, DIM(1, 1, 1, 1))},
                      .moments = {f32(m0, 3, DIM(1, 2, 2)), f32(m1, 3, DIM(1, 1, 2))},
                      .gamma = f32(gamma, 1, DIM(3)),
                      .beta = f32(beta, 1, DIM(3)),
                      .scale = 1};
    run_conv(&spec, &a, f32(w, 4, DIM(3, 3, 1, 1)), (ie_tensor){0});
    /* mean 3, variance (4 + 1 + 9) / 3 + 1/3 = 5 */
    const double s = 1 / sqrt(5);
    assert_floats(y, (const double[]){-2 * s, 10 - 2 * s, 20 + 9 * s}, 3);
}

static void film_scales_first_and_shifts_then(void **state)
{
    (void)state;
    float x[] = {2, 5}, film[] = {1, -1, 3, 4}, w[] = {1, 0, 0, 1}, y[2];
    const ie_conv_spec spec = {
        .height = 1, .width = 1, .channels = {2, 0}, .outputs = 2, .kernel = 1, .stride = 1};
    ie_conv_args a = {.y = f32(y, 4, DIM(1, 1, 1, 2)),
                      .x = {f32(x, 4, DIM(1, 1, 1, 2))},
                      .film = f32(film, 2, DIM(1, 4)),
                      .scale = 1};
    run_conv(&spec, &a, f32(w, 4, DIM(2, 2, 1, 1)), (ie_tensor){0});
    assert_floats(y, (const double[]){2 * 2 + 3, 5 * 0 + 4}, 2);
}

static void resampling_comes_after_the_activation(void **state)
{
    (void)state;
    float x[] = {1, -2, 1, -2}, w[] = {1}, y[16];
    ie_conv_spec spec = {.height = 2,
                         .width = 2,
                         .channels = {1, 0},
                         .outputs = 1,
                         .kernel = 1,
                         .stride = 1,
                         .act = IE_ACT_SILU,
                         .resample = IE_DOWN2};
    ie_conv_args a = {
        .y = f32(y, 4, DIM(1, 1, 1, 1)), .x = {f32(x, 4, DIM(1, 2, 2, 1))}, .scale = 1};
    const double one = 0.73105857863000488, two = -0.23840584404423515; /* silu(1), silu(-2) */
    run_conv(&spec, &a, f32(w, 4, DIM(1, 1, 1, 1)), (ie_tensor){0});
    assert_floats(y, (const double[]){(one + two) / 2}, 1);

    spec.resample = IE_UP2;
    a.y = f32(y, 4, DIM(1, 4, 4, 1));
    run_conv(&spec, &a, f32(w, 4, DIM(1, 1, 1, 1)), (ie_tensor){0});
    const double row[] = {one, one, two, two};
    for (int64_t i = 0; i < 4; i++) assert_floats(y + 4 * i, row, 4);
}

static void linear_multiplies_rows_by_the_transposed_weight(void **state)
{
    (void)state;
    const ie_ops *ops = ie_ref_ops();
    float x[] = {1, 2, -1, 0}, w[] = {1, 2, 3, 4, 5, 6}, bias[] = {0, 10, 20};
    float y[] = {100, 200, 300, 400, 500, 600}; /* also the residual */
    const ie_linear_spec spec = {.rows = 2, .inputs = 2, .outputs = 3};
    ie_linear *linear = NULL;
    void *memory = malloc(ops->linear_bytes(&spec));
    assert_int_equal(ops->linear_prepare(&linear, &spec, memory, f32(w, 2, DIM(3, 2)),
                                         f32(bias, 1, DIM(3)), NULL),
                     0);
    ie_linear_args a = {.x = f32(x, 3, DIM(1, 2, 2)), .y = f32(y, 3, DIM(1, 2, 3))};
    a.residual = a.y;
    assert_int_equal(ops->linear(NULL, linear, &a), 0);
    assert_floats(y, (const double[]){105, 221, 337, 399, 507, 615}, 6);
    ops->linear_release(linear);
    free(memory);
}

static void a_gated_layer_has_its_gates_first(void **state)
{
    (void)state;
    const ie_ops *ops = ie_ref_ops();
    float x[] = {1, 2}, w[] = {1, 0, 0, -1, 4, 3, 60, 20}, bias[] = {0, 0, 0, 0}, y[2];
    const ie_linear_spec spec = {.rows = 1, .inputs = 2, .outputs = 2, .gated = true};
    ie_linear *linear = NULL;
    void *memory = malloc(ops->linear_bytes(&spec));
    assert_int_equal(ops->linear_prepare(&linear, &spec, memory, f32(w, 2, DIM(4, 2)),
                                         f32(bias, 1, DIM(4)), NULL),
                     0);
    const ie_linear_args a = {.x = f32(x, 3, DIM(1, 1, 2)), .y = f32(y, 3, DIM(1, 1, 2))};
    assert_int_equal(ops->linear(NULL, linear, &a), 0);
    /* gelu_tanh of 1 and -2, times 10 and 100 */
    assert_floats(y, (const double[]){8.4119199060827670, -4.540230591222544}, 2);
    ops->linear_release(linear);
    free(memory);
}

static void attend(ie_attention_args *a)
{
    a->scratch = malloc(ie_ref_ops()->attention_scratch(a));
    assert_int_equal(ie_ref_ops()->attention(NULL, a), 0);
    free(a->scratch);
}

static void attention_weighs_text_and_image_keys_together(void **state)
{
    (void)state;
    /* Scores 0 (text), 0 + ln 2 (image, from the bias) and ln 3 / 2 * 2 = ln 3 (image): 1 : 2 :
     * 3. */
    const float ln3 = (float)log(3);
    float q[] = {ln3}, text_k[] = {0, 99}, text_v[] = {6, 99}, k[] = {0, 2}, v[] = {12, 18}, y[1];
    float bias[] = {(float)log(2), 0};
    int32_t index[] = {0}, length[] = {1};
    ie_attention_args a = {
        .y = f32(y, 4, DIM(1, 1, 1, 1)), .q = f32(q, 4, DIM(1, 1, 1, 1)), .scale = 0.5f};
    a.keys[0] = (ie_keys){f32(text_k, 4, DIM(1, 2, 1, 1)), f32(text_v, 4, DIM(1, 2, 1, 1)),
                          ie_view(index, IE_I32, 1, DIM(1)), ie_view(length, IE_I32, 1, DIM(1))};
    a.keys[1] = (ie_keys){.k = f32(k, 4, DIM(1, 2, 1, 1)), .v = f32(v, 4, DIM(1, 2, 1, 1))};
    a.bias = f32(bias, 3, DIM(1, 1, 2));
    attend(&a);
    assert_floats(y, (const double[]){(1 * 6 + 2 * 12 + 3 * 18) / 6.0}, 1);

    a.keys[1] = (ie_keys){0};
    a.bias = (ie_tensor){0};
    attend(&a); /* the one text key */
    assert_floats(y, (const double[]){6}, 1);

    length[0] = 0;
    attend(&a); /* none at all */
    assert_true(y[0] == 0);
}

static void norms_of_rows_have_their_known_values(void **state)
{
    (void)state;
    const ie_ops *ops = ie_ref_ops();
    float x[] = {1, 3, 3, 4}, w[] = {1, 2}, b[] = {0.5f, 0}, y[4];
    int32_t length[] = {1};
    const ie_tensor tx = f32(x, 3, DIM(1, 2, 2)), ty = f32(y, 3, DIM(1, 2, 2)),
                    tw = f32(w, 1, DIM(2));
    assert_int_equal(ops->layer_norm(NULL, ty, tx, tw, f32(b, 1, DIM(2)), (ie_tensor){0}, 3), 0);
    /* {1, 3}: mean 2, variance 1, so the divisor is 2; {3, 4}: 3.5, 1/4. */
    const double d = 0.5 / sqrt(3.25);
    assert_floats(y, (const double[]){-0.5 + 0.5, 2 * 0.5, -d + 0.5, 2 * d}, 4);

    assert_int_equal(ops->rms_norm(NULL, ty, tx, tw, ie_view(length, IE_I32, 1, DIM(1)), 4), 0);
    assert_floats(y, (const double[]){1 / 3.0, 2.0, 0, 0},
                  4); /* mean square 5, plus 4; row 1 is past the end */
}

static void moments_survive_a_large_mean(void **state)
{
    (void)state;
    float x[] = {1e6f, 1, 1e6f + 1, 3, 1e6f, 1, 1e6f + 1, 3}, m[4];
    assert_int_equal(
        ie_ref_ops()->moments(NULL, f32(m, 3, DIM(1, 2, 2)), f32(x, 4, DIM(1, 2, 2, 2))), 0);
    assert_floats(m, (const double[]){1e6 + 0.5, 0.25, 2, 1}, 4);
}

static void every_entry_of_the_table_is_filled(void **state)
{
    (void)state;
    const ie_ops *ops = ie_ref_ops();
    void (*const *entry)(void) = (void (*const *)(void))(const void *)&ops->conv_bytes;
    const size_t count = (sizeof *ops - offsetof(ie_ops, conv_bytes)) / sizeof *entry;
    for (size_t i = 0; i < count; i++) assert_true(entry[i] != NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolution_counts_neighbours_inside_the_image),
        cmocka_unit_test(kernels_are_not_flipped),
        cmocka_unit_test(norm_is_over_the_joint_channels_of_both_sources),
        cmocka_unit_test(film_scales_first_and_shifts_then),
        cmocka_unit_test(resampling_comes_after_the_activation),
        cmocka_unit_test(linear_multiplies_rows_by_the_transposed_weight),
        cmocka_unit_test(a_gated_layer_has_its_gates_first),
        cmocka_unit_test(attention_weighs_text_and_image_keys_together),
        cmocka_unit_test(norms_of_rows_have_their_known_values),
        cmocka_unit_test(moments_survive_a_large_mean),
        cmocka_unit_test(every_entry_of_the_table_is_filled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
