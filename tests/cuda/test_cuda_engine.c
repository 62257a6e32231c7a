/* test_cuda_engine.c - the whole engine on the CUDA backend, on the simulator: what it refuses and
 * how it says so, edits of the toy cascade against the reference and against `ref`, replayed
 * passes, and the same bits alone and among others.
 * SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "exec.h"
#include "toy.h"

#include <cuda_runtime_api.h>

int launch_too_much(ie_stream *s);

/* ---- opening and refusing -------------------------------------------------------------------- */

static void expect_refusal(const char *device, ie_precision precision, ie_status status,
                           const char *text)
{
    ie_backend *b = NULL;
    ie_error err = {0};
    assert_int_equal(ie_backend_open(&b, device, precision, 0, &err), status);
    assert_null(b);
    if (!strstr(err.text, text)) fail_msg("'%s' does not say '%s'", err.text, text);
}

static void what_it_cannot_do_is_refused_in_words(void **state)
{
    (void)state;
    expect_refusal("cuda", IE_PRECISION_F32, IE_BAD_ARGUMENT, "bf16 alone");
    expect_refusal("cuda:1", IE_PRECISION_BF16, IE_DEVICE, "this machine has 1 CUDA device");
    expect_refusal("cuda:", IE_PRECISION_BF16, IE_BAD_ARGUMENT, "a number");
    expect_refusal("cuda:0x", IE_PRECISION_BF16, IE_BAD_ARGUMENT, "a number");
    expect_refusal("cudas", IE_PRECISION_BF16, IE_BAD_ARGUMENT, "none of");
}

static void auto_takes_the_device_and_says_so(void **state)
{
    (void)state;
    ie_backend *b = NULL;
    ie_error err = {0};
    for (int i = 0; i < 3; i++) {
        const char *const device = i < 2 ? "auto" : "cuda";
        const ie_precision precision = i == 0 ? IE_PRECISION_BF16 : IE_PRECISION_AUTO;
        assert_int_equal(ie_backend_open(&b, device, precision, 0, &err), IE_OK);
        assert_non_null(strstr(b->text, "cuda:0, simulated device, sm_90"));
        assert_int_equal(b->act, IE_BF16);
        ie_backend_close(&b);
    }
    /* In f32 it is the host's work, where the build has a host backend for auto. */
    if (ie_backend_open(&b, "auto", IE_PRECISION_F32, 0, &err) == IE_OK) {
        assert_null(strstr(b->text, "cuda"));
        ie_backend_close(&b);
    }
}

static void memory_that_is_not_there_is_told_with_what_is(void **state)
{
    (void)state;
    ie_backend *b = NULL;
    ie_block block;
    ie_error err = {0};
    assert_int_equal(ie_backend_open(&b, "cuda:0", IE_PRECISION_BF16, 0, &err), IE_OK);
    assert_int_equal(ie_block_alloc(&block, b, (uint64_t)1 << 50, "workspace", &err), IE_NO_MEMORY);
    assert_non_null(strstr(err.text, "the workspace: 1048576.0 GiB on cuda:0"));
    assert_non_null(strstr(err.text, "GiB are free"));
    /* Fresh memory is zeroed, whatever the device had there. */
    float back[50];
    assert_int_equal(ie_block_alloc(&block, b, sizeof back, "test", &err), IE_OK);
    const ie_tensor t = ie_view(block.data, IE_F32, 1, (const int64_t[]){50});
    assert_int_equal(ie_download(b, back, t, &err), IE_OK);
    for (int i = 0; i < 50; i++) assert_true(back[i] == 0);
    ie_block_free(&block);
    ie_backend_close(&b);
}

/* Larger than all page-locked memory, twice, with tables between: what is copied late has to be
 * what was there at first. */
static void uploads_come_in_order_through_page_locked_memory(void **state)
{
    (void)state;
    enum { COUNT = (9 << 20) + 13, SMALL = 3 };
    ie_backend *b = NULL;
    ie_block block, little;
    ie_error err = {0};
    uint8_t *sent = malloc(COUNT), *back = malloc(COUNT), table[SMALL];
    assert_true(sent && back);
    assert_int_equal(ie_backend_open(&b, "cuda", IE_PRECISION_BF16, 0, &err), IE_OK);
    assert_int_equal(ie_block_alloc(&block, b, COUNT, "test", &err), IE_OK);
    assert_int_equal(ie_block_alloc(&little, b, SMALL, "test", &err), IE_OK);
    const ie_tensor large = ie_view(block.data, IE_U8, 1, (const int64_t[]){COUNT});
    const ie_tensor small = ie_view(little.data, IE_U8, 1, (const int64_t[]){SMALL});
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < COUNT; i++) sent[i] = (uint8_t)(i % 251 + round);
        assert_int_equal(ie_upload(b, large, sent, &err), IE_OK);
        for (uint8_t i = 0; i < 100; i++) {
            memset(table, i, SMALL);
            assert_int_equal(ie_upload(b, small, table, &err), IE_OK);
        }
        memset(table, 0, SMALL); /* it may be reused */
        assert_int_equal(ie_download(b, table, small, &err), IE_OK);
        assert_memory_equal(table, ((uint8_t[]){99, 99, 99}), SMALL);
        assert_int_equal(ie_download(b, back, large, &err), IE_OK);
        assert_memory_equal(sent, back, COUNT);
    }
    ie_block_free(&little);
    ie_block_free(&block);
    ie_backend_close(&b);
    free(back);
    free(sent);
}

static void a_failure_names_its_kernel(void **state)
{
    (void)state;
    ie_backend *b = NULL;
    ie_error err = {0};
    assert_int_equal(ie_backend_open(&b, "cuda", IE_PRECISION_BF16, 0, &err), IE_OK);
    const int code = launch_too_much(b->stream);
    assert_int_not_equal(code, 0);
    assert_int_equal(ie_backend_failed(b, "the test", code, &err), IE_DEVICE);
    assert_non_null(strstr(err.text, "the test failed on cuda:0"));
    assert_non_null(strstr(err.text, "asks_too_much"));
    assert_int_equal(err.native, code);
    /* Told once: the next failure is another's. */
    (void)ie_backend_failed(b, "the test", code, &err);
    assert_null(strstr(err.text, "asks_too_much"));
    ie_backend_close(&b);
}

/* ---- work that repeats ----------------------------------------------------------------------- */

static int passes_computed;

static ie_status noise_pass(ie_exec *x, ie_tensor z, uint32_t step, bool fails, ie_error *err)
{
    bool done;
    IE_TRY(ie_work_begin(x->backend, 7, &done, err));
    if (done) return IE_OK;
    passes_computed++;
    ie_status status =
        ie_exec_noise(x, z, 0, (ie_noise_key){.seed = 3, .stage = 1, .step = step}, err);
    if (fails) status = ie_fail(err, IE_CANCELLED, "on purpose");
    return ie_work_end(x->backend, 7, status, err);
}

/* Done, failed while it is recorded, recorded, replayed: the recording is told from the rest by its
 * step. */
static void repeated_work_is_recorded_and_replayed(void **state)
{
    (void)state;
    ie_backend *b = NULL;
    ie_block block;
    ie_error err = {0};
    ie_arena arena;
    enum { COUNT = 2 * 3 * 5 };
    float first[COUNT], second[COUNT], now[COUNT];
    const int64_t dim[] = {1, 2, 3, 5};
    assert_int_equal(ie_backend_open(&b, "cuda", IE_PRECISION_BF16, 0, &err), IE_OK);
    assert_int_equal(ie_block_alloc(&block, b, 4096, "test", &err), IE_OK);
    ie_arena_over(&arena, block.data, block.bytes);
    ie_exec x = {.backend = b, .arena = &arena};
    ie_tensor z;
    assert_int_equal(ie_arena_tensor(&arena, &z, IE_F32, 4, dim, &err), IE_OK);
    passes_computed = 0;
    assert_int_equal(noise_pass(&x, z, 1, false, &err), IE_OK);
    assert_int_equal(ie_download(b, first, z, &err), IE_OK);
    assert_int_equal(noise_pass(&x, z, 2, true, &err), IE_CANCELLED);
    assert_int_equal(ie_download(b, now, z, &err), IE_OK);
    assert_memory_equal(first, now, sizeof now); /* recording does nothing by itself */
    assert_int_equal(noise_pass(&x, z, 2, false, &err), IE_OK);
    assert_int_equal(ie_download(b, second, z, &err), IE_OK);
    assert_memory_not_equal(first, second, sizeof second);
    assert_int_equal(passes_computed, 3);
    memset(now, 0, sizeof now);
    assert_int_equal(ie_upload(b, z, now, &err), IE_OK);
    assert_int_equal(noise_pass(&x, z, 9, false, &err), IE_OK);
    assert_int_equal(ie_download(b, now, z, &err), IE_OK);
    assert_memory_equal(second, now, sizeof now);
    assert_int_equal(passes_computed, 3);
    ie_block_free(&block);
    ie_backend_close(&b);
}

/* ---- edits ----------------------------------------------------------------------------------- */

enum { STAGES = 3, LARGEST = TOY_SIDE * TOY_SIDE * 3 };
static const char *const stage_names[STAGES] = {"base", "sr", "final"};

typedef struct previews {
    uint8_t bytes[STAGES][LARGEST];
    int count[STAGES], seen;
} previews;

static void keep_preview(void *user, int stage, const ie_pixels *image)
{
    previews *p = user;
    p->count[stage] = image->width * image->height * 3;
    memcpy(p->bytes[stage], image->data, (size_t)p->count[stage]);
    p->seen++;
}

static void edit(ie_engine *engine, toy_edit *e, previews *p)
{
    ie_error err = {0};
    p->seen = 0;
    e->request.stage_done = keep_preview;
    e->request.user = p;
    if (ie_edit(engine, &e->request, 1, &err)) fail_msg("%s (%s)", err.text, err.where);
    assert_int_equal(p->seen, STAGES);
}

/* What tests/engine/test_edit.c demands of every backend. */
static double bound_of(const golden *io, int stage)
{
    char name[64];
    snprintf(name, sizeof name, "edit0.%s.x0.spread_bf16", stage_names[stage]);
    return 6.0 * (double)golden_scalar(io, name) * 127.5 + 0.5 + 1e-3;
}

static double off_golden(const golden *io, int stage, const previews *p)
{
    char name[64];
    snprintf(name, sizeof name, "edit0.%s.x0", stage_names[stage]);
    const float *want = golden_get(io, name).data;
    double worst = 0;
    for (int i = 0; i < p->count[stage]; i++) {
        const double level = (fmin(fmax((double)want[i], -1), 1) * 0.5 + 0.5) * 255;
        worst = fmax(worst, fabs(level - p->bytes[stage][i]));
    }
    return worst;
}

static int off_other(int stage, const previews *a, const previews *b)
{
    int worst = 0;
    for (int i = 0; i < a->count[stage]; i++) {
        const int off = a->bytes[stage][i] - b->bytes[stage][i];
        worst = off > worst ? off : -off > worst ? -off : worst;
    }
    return worst;
}

static void agree(toy_opener *open, const char *results)
{
    static toy_edit by_ref, by_cuda, again;
    static previews ref, cuda;
    golden io = golden_open("cascade-io.safetensors"), want = golden_open(results);
    ie_engine *engine = open("ref", true, 0, 1);
    assert_non_null(engine);
    toy_fill(&by_ref, &io, 0);
    edit(engine, &by_ref, &ref);
    ie_engine_close(&engine);
    engine = open("cuda", true, 0, 1);
    assert_non_null(engine);
    toy_fill(&by_cuda, &io, 0);
    edit(engine, &by_cuda, &cuda);
    int bad = 0;
    for (int i = 0; i < STAGES; i++) {
        const double bound = bound_of(&want, i), off = off_golden(&want, i, &cuda);
        const int beside = off_other(i, &ref, &cuda);
        printf("     %-5s differs from the reference by at most %.3f of 255, bound %.3f; from ref "
               "by %d\n",
               stage_names[i], off, bound, beside);
        bad += off > bound || beside > 2 * bound;
    }
    assert_int_equal(bad, 0);
    for (size_t i = 0; i < sizeof by_cuda.mask; i++) {
        if (!by_cuda.mask[i]) assert_memory_equal(by_cuda.image + 3 * i, by_cuda.output + 3 * i, 3);
    }
    /* Once more on the same engine: now every pass is a replay. */
    toy_fill(&again, &io, 0);
    edit(engine, &again, &ref);
    assert_memory_equal(by_cuda.output, again.output, sizeof again.output);
    ie_engine_close(&engine);
    golden_close(&want);
    golden_close(&io);
}

static void an_edit_agrees_with_the_reference(void **state)
{
    (void)state;
    agree(toy_open, "cascade-io.safetensors");
}

static void one_that_keeps_known_pixels_agrees_with_the_reference(void **state)
{
    (void)state;
    agree(toy_open_kept, "cascade-kept-io.safetensors");
}

/* Known pixels are kept, so that a request has all that it can have in a slot. */
static void an_edit_has_the_same_bits_among_others(void **state)
{
    (void)state;
    enum { COUNT = 3 };
    static toy_edit alone[COUNT], among[COUNT];
    ie_request requests[COUNT];
    ie_error err = {0};
    golden io = golden_open("cascade-io.safetensors");
    ie_engine *engine = toy_open_kept("cuda", true, 0, 1);
    assert_non_null(engine);
    for (int i = 0; i < COUNT; i++) {
        toy_fill(&alone[i], &io, i % 2);
        alone[i].request.seed += (uint64_t)(i / 2);
        alone[i].request.steps[0] = 2 + i; /* so that they join and leave at different steps */
        alone[i].request.steps[2] = 3 - i % 2;
        if (ie_edit(engine, &alone[i].request, 1, &err)) fail_msg("%s (%s)", err.text, err.where);
        requests[i] = alone[i].request;
        requests[i].output.data = among[i].output;
    }
    ie_engine_close(&engine);
    engine = toy_open_kept("cuda", true, 0, 2);
    assert_non_null(engine);
    if (ie_edit(engine, requests, COUNT, &err)) fail_msg("%s (%s)", err.text, err.where);
    for (int i = 0; i < COUNT; i++)
        assert_memory_equal(alone[i].output, among[i].output, sizeof among[i].output);
    ie_engine_close(&engine);
    golden_close(&io);
}

/* ---- what does not fit, and what breaks ------------------------------------------------------ */

typedef struct told {
    int calls;
    uint64_t weights, total;
} told;

static int count_loading(void *user, const ie_loading *at)
{
    told *t = user;
    t->calls++;
    if (at->work == IE_LOADING_WEIGHTS) t->weights = at->done, t->total = at->total;
    return 0;
}

static ie_status open_lanes(ie_engine **engine, int lanes, told *t, ie_error *err)
{
    ie_options o;
    ie_options_default(&o);
    o.device = "cuda";
    o.precision = IE_PRECISION_BF16;
    o.loading = count_loading;
    o.loading_user = t;
    *t = (told){0};
    for (int i = 0; i < IE_MAX_STAGES; i++) o.lanes[i] = lanes;
    return ie_engine_open(engine, golden_path("cascade"), &o, err);
}

static void expect_too_little(size_t memory, int lanes, const char *text)
{
    size_t before = 0, after = 0, total = 0;
    ie_engine *engine;
    ie_error err = {0};
    told t;
    cudasim_memory(memory);
    assert_int_equal(cudaMemGetInfo(&before, &total), cudaSuccess);
    assert_int_equal(open_lanes(&engine, lanes, &t, &err), IE_NO_MEMORY);
    if (!strstr(err.text, text)) fail_msg("'%s' does not say '%s'", err.text, text);
    assert_int_equal(t.calls, 0); /* before anything is loaded */
    assert_int_equal(cudaMemGetInfo(&after, &total), cudaSuccess);
    assert_int_equal(before, after);
}

static void what_would_fit_is_told_and_does(void **state)
{
    (void)state;
    enum { LANES = 5 };
    ie_engine *engine;
    ie_engine_info info;
    ie_error err = {0};
    told t;
    size_t left = 0, total = 0;
    assert_int_equal(open_lanes(&engine, LANES, &t, &err), IE_OK);
    ie_engine_describe(engine, &info);
    assert_int_equal(t.weights, info.weight_bytes);
    assert_int_equal(t.total, info.weight_bytes);
    assert_true(t.calls > 100);
    ie_engine_close(&engine);
    assert_int_equal(cudaMemGetInfo(&left, &total), cudaSuccess);
    const size_t others = total - left; /* none, if every test before has freed its memory */
    assert_int_equal(others, 0);
    const size_t weights = info.weight_bytes, need = weights + info.workspace_bytes;
    expect_too_little(need, 9, "in which 5 lanes would fit");
    expect_too_little(need - 1, 9, "in which 4 lanes would fit");
    expect_too_little(weights + 1, 9, "with 2 lanes, the fewest, it needs");
    expect_too_little(weights - 1, 2, "its weights alone are");
    cudasim_memory(need);
    if (open_lanes(&engine, LANES, &t, &err)) fail_msg("%s", err.text);
    ie_engine_close(&engine);
    cudasim_memory(total);
}

static int break_device(void *user, int stage, int step, int steps)
{
    (void)user, (void)steps;
    if (stage == 1 && step == 1) cudasim_break(cudaErrorIllegalAddress);
    return 0;
}

static void a_broken_device_ends_every_edit(void **state)
{
    (void)state;
    static toy_edit e;
    ie_error err = {0};
    golden io = golden_open("cascade-io.safetensors");
    ie_engine *engine = toy_open("cuda", true, 0, 1);
    assert_non_null(engine);
    toy_fill(&e, &io, 0);
    e.request.progress = break_device;
    for (int i = 0; i < 2; i++) {
        err = (ie_error){0};
        assert_int_equal(ie_edit(engine, &e.request, 1, &err), IE_DEVICE);
        assert_int_equal(err.native, cudaErrorIllegalAddress);
        assert_non_null(strstr(err.text, "cudaErrorIllegalAddress"));
        assert_non_null(strstr(err.text, "_kernel"));
        assert_non_null(strstr(err.text, "or a kernel before it"));
    }
    ie_engine_close(&engine);
    cudasim_break(cudaSuccess);
    golden_close(&io);
}

/* An argument is the name of the one test to run. */
int main(int count, char **arguments)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_it_cannot_do_is_refused_in_words),
        cmocka_unit_test(auto_takes_the_device_and_says_so),
        cmocka_unit_test(memory_that_is_not_there_is_told_with_what_is),
        cmocka_unit_test(uploads_come_in_order_through_page_locked_memory),
        cmocka_unit_test(a_failure_names_its_kernel),
        cmocka_unit_test(repeated_work_is_recorded_and_replayed),
        cmocka_unit_test(an_edit_agrees_with_the_reference),
        cmocka_unit_test(one_that_keeps_known_pixels_agrees_with_the_reference),
        cmocka_unit_test(an_edit_has_the_same_bits_among_others),
        cmocka_unit_test(what_would_fit_is_told_and_does),
        cmocka_unit_test(a_broken_device_ends_every_edit),
    };
    if (count > 1) cmocka_set_test_filter(arguments[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
