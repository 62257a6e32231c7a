/* test_cuda_errors.c - a device that breaks at any of its calls, on the simulator: whatever was
 * asked for fails with the device's own code, with the name of the kernel that was to be launched
 * if it was one, and frees what it has taken.
 * SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "backend.h"
#include "toy.h"

#include <cuda_runtime_api.h>

static const cudaError_t broken = cudaErrorIllegalAddress;

static void expect_words(const ie_error *err, const char *words)
{
    if (!strstr(err->text, words)) fail_msg("'%s' does not say '%s'", err->text, words);
}

static size_t free_memory(void)
{
    size_t left = 0, total = 0;
    assert_int_equal(cudaMemGetInfo(&left, &total), cudaSuccess);
    return left;
}

/* ---- one backend ----------------------------------------------------------------------------- */

static void opening_fails_with_the_devices_code(void **state)
{
    (void)state;
    const size_t before = free_memory();
    ie_backend *b = NULL;
    int calls = 0;
    for (;; calls++) {
        ie_error err = {0};
        cudasim_break_after(calls, broken);
        const ie_status status = ie_backend_open(&b, "cuda", IE_PRECISION_BF16, 0, &err);
        cudasim_break(cudaSuccess);
        if (status == IE_OK) break;
        assert_null(b);
        assert_int_equal(status, IE_DEVICE);
        assert_int_equal(err.native, broken);
        expect_words(&err, "device 'cuda'");
        expect_words(&err, "cudaErrorIllegalAddress");
        assert_int_equal(free_memory(), before);
    }
    assert_in_range(calls, 10, 100);
    ie_backend_close(&b);
}

static ie_backend *open_cuda(void)
{
    ie_backend *b = NULL;
    ie_error err = {0};
    if (ie_backend_open(&b, "cuda", IE_PRECISION_BF16, 0, &err)) fail_msg("%s", err.text);
    return b;
}

static void a_device_that_cannot_be_taken_is_told(void **state)
{
    (void)state;
    ie_backend *b = open_cuda();
    for (int calls = 0; calls < 2; calls++) {
        ie_error err = {0};
        cudasim_break_after(calls, broken);
        assert_int_equal(ie_backend_enter(b, &err), IE_DEVICE);
        cudasim_break(cudaSuccess);
        assert_int_equal(err.native, broken);
        expect_words(&err, "taking the device failed on cuda:0");
    }
    assert_int_equal(ie_backend_enter(b, NULL), IE_OK);
    ie_backend_leave(b);
    ie_backend_close(&b);
}

static void memory_of_a_broken_device_is_not_called_too_little(void **state)
{
    (void)state;
    ie_backend *b = open_cuda();
    ie_block block;
    ie_error err = {0};
    for (int calls = 0; calls < 3; calls++) {
        cudasim_break_after(calls, broken);
        assert_int_equal(ie_block_alloc(&block, b, 1000, "test", &err), IE_DEVICE);
        cudasim_break(cudaSuccess);
        assert_int_equal(err.native, broken);
        assert_null(block.data);
    }
    ie_backend_close(&b);
}

/* ---- operations ------------------------------------------------------------------------------ */

/* Of one lane, on zeros. */
typedef struct place {
    ie_backend *b;
    ie_block zeros, results, scratch;
    void *weights; /* zeros too, on the host */
} place;

enum { PLACE_BYTES = 1 << 20 };

static void open_place(place *p)
{
    ie_error err = {0};
    p->b = open_cuda();
    p->weights = calloc(1, PLACE_BYTES);
    assert_non_null(p->weights);
    ie_block *const blocks[] = {&p->zeros, &p->results, &p->scratch};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ie_block_alloc(blocks[i], p->b, PLACE_BYTES, "test", &err), IE_OK);
    }
}

static void close_place(place *p)
{
    ie_block_free(&p->zeros);
    ie_block_free(&p->results);
    ie_block_free(&p->scratch);
    free(p->weights);
    ie_backend_close(&p->b);
}

static ie_tensor of_shape(void *memory, ie_dtype dtype, int rank, const int64_t *dim)
{
    const ie_tensor t = ie_view(memory, dtype, rank, dim);
    assert_in_range(ie_bytes(t), 1, PLACE_BYTES / 2);
    return t;
}

typedef int operation(place *p, const void *of);

/* Every launch that an operation makes fails at some call: `kernels` are all who were named. */
static void expect_names(place *p, operation *run, const void *of, const char *const *kernels)
{
    bool named[8] = {false};
    for (int calls = 0;; calls++) {
        ie_error err = {0};
        cudasim_break_after(calls, broken);
        const int code = run(p, of);
        cudasim_break(cudaSuccess); /* or it might have been any kernel before */
        if (code == 0) break;
        assert_int_equal(code, broken);
        assert_int_equal(ie_backend_failed(p->b, "the test", code, &err), IE_DEVICE);
        bool known = false;
        for (int i = 0; kernels[i]; i++) {
            if (!strstr(err.text, kernels[i])) continue;
            named[i] = known = true;
        }
        if (!known) fail_msg("after %d calls: '%s' names none of the kernels", calls, err.text);
    }
    for (int i = 0; kernels[i]; i++) {
        if (!named[i]) fail_msg("no failure was of %s", kernels[i]);
    }
    assert_int_equal(cudaDeviceSynchronize(), cudaSuccess);
}

typedef struct convolution {
    const ie_conv_spec *spec;
    ie_conv *conv;
} convolution;

static int convolve(place *p, const void *of)
{
    const convolution *c = of;
    const ie_conv_spec *s = c->spec;
    const int64_t x[4] = {1, s->height, s->width, s->channels[0]}, affine[1] = {s->channels[0]};
    const int64_t y[4] = {1, ie_conv_out(s, s->height), ie_conv_out(s, s->width), s->outputs};
    const int64_t x_moments[3] = {1, s->channels[0], 2}, y_moments[3] = {1, s->outputs, 2};
    char *const results = p->results.data;
    ie_conv_args a = {.scale = 1, .scratch = p->scratch.data};
    a.x[0] = of_shape(p->zeros.data, IE_BF16, 4, x);
    a.y = of_shape(results, IE_BF16, 4, y);
    a.y_moments = of_shape(results + PLACE_BYTES / 2, IE_F32, 3, y_moments);
    if (s->groups) {
        a.moments[0] = of_shape(p->zeros.data, IE_F32, 3, x_moments);
        a.gamma = a.beta = of_shape(p->zeros.data, IE_F32, 1, affine);
    }
    assert_in_range(p->b->ops->conv_scratch(c->conv, 1), 1, PLACE_BYTES);
    return p->b->ops->conv(p->b->stream, c->conv, &a);
}

static void check_convolution(const ie_conv_spec *spec, const char *const *kernels)
{
    place p;
    ie_block memory;
    ie_error err = {0};
    open_place(&p);
    convolution c = {.spec = spec};
    const ie_ops *ops = p.b->ops;
    const ie_uploader up = ie_backend_uploader(p.b);
    const int64_t dim[4] = {spec->outputs, spec->channels[0], spec->kernel, spec->kernel};
    const ie_tensor weight = of_shape(p.weights, IE_F32, 4, dim), none = {0};

    /* Which kernel it will be nobody knows of a device that does not say what it is. */
    cudasim_break(broken);
    assert_int_equal(ops->conv_bytes(spec), 0);
    assert_int_equal(ops->conv_prepare(&c.conv, spec, NULL, none, none, NULL), broken);
    assert_null(c.conv);
    cudasim_break(cudaSuccess);

    assert_int_equal(ie_block_alloc(&memory, p.b, ops->conv_bytes(spec), "weights", &err), IE_OK);
    assert_int_equal(ops->conv_prepare(&c.conv, spec, memory.data, weight, none, &up), 0);
    expect_names(&p, convolve, &c, kernels);
    ops->conv_release(c.conv);
    ie_block_free(&memory);
    close_place(&p);
}

static void convolutions_name_the_kernel_that_failed(void **state)
{
    (void)state;
    ie_conv_spec spec = {.dtype = IE_BF16, .height = 8, .width = 8, .channels = {128}};
    spec.outputs = 64; /* 18 steps, in two parts */
    spec.kernel = 3;
    spec.stride = spec.pad = 1;
    spec.groups = 8;
    check_convolution(&spec,
                      (const char *const[]){"apply_kernel", "conv90_kernel", "conv90_reduce_kernel",
                                            "conv_merge_kernel", NULL});
    spec.height = 64; /* normed on load */
    spec.channels[0] = 64;
    spec.act = IE_ACT_SILU;
    check_convolution(&spec, (const char *const[]){"fold_kernel", "conv90_norm_kernel",
                                                   "conv_merge_kernel", NULL});
    spec.channels[0] = 12; /* padded; outputs that conv90 does not make */
    spec.outputs = 6;
    spec.groups = 0;
    spec.act = IE_ACT_NONE;
    check_convolution(&spec, (const char *const[]){"conv_pad_kernel", "conv80_kernel",
                                                   "conv_merge_kernel", NULL});
}

static int take_moments(place *p, const void *of)
{
    (void)of;
    const ie_tensor x = of_shape(p->zeros.data, IE_BF16, 4, (const int64_t[]){1, 32, 32, 64});
    const ie_tensor m = of_shape(p->results.data, IE_F32, 3, (const int64_t[]){1, 64, 2});
    return p->b->ops->moments(p->b->stream, m, x);
}

static void moments_name_their_kernel(void **state)
{
    (void)state;
    place p;
    open_place(&p);
    expect_names(&p, take_moments, NULL, (const char *const[]){"moments_kernel", NULL});
    close_place(&p);
}

/* The launch that fails is not the one to blame. */
static void what_breaks_while_it_runs_may_be_a_kernel_before(void **state)
{
    (void)state;
    place p;
    ie_error err = {0};
    open_place(&p);
    cudasim_break(broken);
    const int code = take_moments(&p, NULL);
    assert_int_equal(ie_backend_failed(p.b, "the test", code, &err), IE_DEVICE);
    cudasim_break(cudaSuccess);
    expect_words(&err, "moments_kernel");
    expect_words(&err, "or a kernel before it");
    close_place(&p);
}

/* ---- the whole engine ------------------------------------------------------------------------ */

/* After the last call of the device in opening a model. */
static int break_at_the_hash(void *user, const ie_loading *at)
{
    (void)user;
    if (at->work == IE_LOADING_HASH) cudasim_break(broken);
    return 0;
}

static void a_thread_without_its_device_ends_every_edit(void **state)
{
    (void)state;
    static toy_edit e;
    ie_options o;
    ie_engine *engine;
    ie_error err = {0};
    golden io = golden_open("cascade-io.safetensors");
    ie_options_default(&o);
    o.device = "cuda";
    o.precision = IE_PRECISION_BF16;
    o.loading = break_at_the_hash;
    if (ie_engine_open(&engine, golden_path("cascade"), &o, &err)) fail_msg("%s", err.text);
    toy_fill(&e, &io, 0);
    for (int i = 0; i < 2; i++) {
        err = (ie_error){0};
        assert_int_equal(ie_edit(engine, &e.request, 1, &err), IE_DEVICE);
        assert_int_equal(err.native, broken);
        expect_words(&err, "taking the device failed on cuda:0");
    }
    ie_engine_close(&engine);
    cudasim_break(cudaSuccess);
    golden_close(&io);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opening_fails_with_the_devices_code),
        cmocka_unit_test(a_device_that_cannot_be_taken_is_told),
        cmocka_unit_test(memory_of_a_broken_device_is_not_called_too_little),
        cmocka_unit_test(convolutions_name_the_kernel_that_failed),
        cmocka_unit_test(moments_name_their_kernel),
        cmocka_unit_test(what_breaks_while_it_runs_may_be_a_kernel_before),
        cmocka_unit_test(a_thread_without_its_device_ends_every_edit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
