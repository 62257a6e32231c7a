/* onednn.c - see onednn.h. Compiled once: the instruction set is oneDNN's own choice.
 * SPDX-License-Identifier: Apache-2.0 */
#include "onednn.h"
#include "threads.h"

#include <oneapi/dnnl/dnnl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { ARGUMENTS = 4 };

/* One thread's memory objects, and the argument list that points at them. */
typedef struct hand {
    dnnl_stream_t stream;
    dnnl_memory_t source, result, scratch;
} hand;

struct ie_brick {
    ie_brick_shape shape;
    dnnl_memory_desc_t source, weights, result, scratch;
    dnnl_primitive_desc_t choice; /* NULL once there is a primitive */
    dnnl_primitive_t primitive;
    dnnl_memory_t *sets; /* packed weights */
    hand *hands;
    int set_count, hand_count;
};

#define DNNL_TRY(call)                              \
    do {                                            \
        const dnnl_status_t try_ = (call);          \
        if (try_ != dnnl_success) return (int)try_; \
    } while (0)

/* The one piece of state of a process: oneDNN's handle of the CPU. It is never changed and never
 * destroyed, because primitives in oneDNN's cache keep pointing at it. */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static dnnl_engine_t cpu;

static void open_engine(void)
{
    if (dnnl_engine_create(&cpu, dnnl_cpu, 0) != dnnl_success) cpu = NULL;
}

static dnnl_engine_t engine(void)
{
    (void)pthread_once(&once, open_engine);
    return cpu;
}

bool ie_brick_has_bf16(void)
{
    return ((unsigned)dnnl_get_effective_cpu_isa() & dnnl_cpu_isa_avx512_core_bf16) ==
           dnnl_cpu_isa_avx512_core_bf16;
}

/* oneDNN reads its operands through pointers that are not const. */
static void *without_const(const void *p)
{
    void *q;
    memcpy(&q, &p, sizeof q);
    return q;
}

static int describe(ie_brick *b)
{
    const ie_brick_shape *s = &b->shape;
    const dnnl_data_type_t type = s->type == IE_BF16 ? dnnl_bf16 : dnnl_f32;
    const dnnl_dims_t source = {1, s->in_channels, s->in_height, s->in_width};
    const dnnl_dims_t weights = {s->out_channels, s->in_channels, s->kernel, s->kernel};
    const dnnl_dims_t result = {1, s->out_channels, s->out_height, s->out_width};
    DNNL_TRY(dnnl_memory_desc_init_by_tag(&b->source, 4, source, type, dnnl_nhwc));
    DNNL_TRY(dnnl_memory_desc_init_by_tag(&b->weights, 4, weights, type, dnnl_format_tag_any));
    DNNL_TRY(dnnl_memory_desc_init_by_tag(&b->result, 4, result, dnnl_f32, dnnl_nhwc));
    return 0;
}

static int choose(ie_brick *b, dnnl_primitive_attr_t attributes)
{
    const dnnl_dims_t strides = {b->shape.stride, b->shape.stride}, padding = {0, 0};
    dnnl_convolution_desc_t d;
    /* Private scratch lets threads share the primitive; strict f32 whatever the environment asks
     * oneDNN for. */
    DNNL_TRY(dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user));
    DNNL_TRY(dnnl_primitive_attr_set_fpmath_mode(attributes, dnnl_fpmath_mode_strict));
    DNNL_TRY(dnnl_convolution_forward_desc_init(&d, dnnl_forward_inference, dnnl_convolution_direct,
                                                &b->source, &b->weights, NULL, &b->result, strides,
                                                padding, padding));
    DNNL_TRY(dnnl_primitive_desc_create(&b->choice, &d, attributes, engine(), NULL));
    b->weights = *dnnl_primitive_desc_query_md(b->choice, dnnl_query_weights_md, 0);
    b->scratch = *dnnl_primitive_desc_query_md(b->choice, dnnl_query_scratchpad_md, 0);
    return 0;
}

int ie_brick_create(ie_brick **out, const ie_brick_shape *shape)
{
    *out = NULL;
    if (!engine()) return dnnl_runtime_error;
    ie_brick *b = calloc(1, sizeof *b);
    if (!b) return dnnl_out_of_memory;
    b->shape = *shape;
    dnnl_primitive_attr_t attributes = NULL;
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    int status = describe(b);
    if (!status) status = (int)dnnl_primitive_attr_create(&attributes);
    if (!status) status = choose(b, attributes);
    (void)dnnl_primitive_attr_destroy(attributes);
    omp_set_num_threads(threads);
    if (status) {
        ie_brick_release(b);
        return status;
    }
    *out = b;
    return 0;
}

uint64_t ie_brick_weight_bytes(const ie_brick *b)
{
    return ie_cpu_aligned(dnnl_memory_desc_get_size(&b->weights));
}

uint64_t ie_brick_scratch_bytes(const ie_brick *b)
{
    return ie_cpu_aligned(dnnl_memory_desc_get_size(&b->scratch));
}

static int reorder(const ie_brick *b, const float *from, dnnl_memory_t to)
{
    const ie_brick_shape *s = &b->shape;
    const dnnl_dims_t dims = {s->out_channels, s->in_channels, s->kernel, s->kernel};
    dnnl_memory_desc_t plain;
    DNNL_TRY(dnnl_memory_desc_init_by_tag(&plain, 4, dims, dnnl_f32, dnnl_oihw));
    dnnl_memory_t source = NULL;
    dnnl_primitive_desc_t choice = NULL;
    dnnl_primitive_t primitive = NULL;
    dnnl_status_t status = dnnl_memory_create(&source, &plain, engine(), without_const(from));
    if (!status) {
        status = dnnl_reorder_primitive_desc_create(&choice, &plain, engine(), &b->weights,
                                                    engine(), NULL);
    }
    if (!status) status = dnnl_primitive_create(&primitive, choice);
    const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, source}, {DNNL_ARG_TO, to}};
    if (!status) status = dnnl_primitive_execute(primitive, b->hands[0].stream, 2, arguments);
    if (!status) status = dnnl_stream_wait(b->hands[0].stream);
    (void)dnnl_primitive_destroy(primitive);
    (void)dnnl_primitive_desc_destroy(choice);
    (void)dnnl_memory_destroy(source);
    return (int)status;
}

static int make_hand(hand *h, const ie_brick *b)
{
    DNNL_TRY(dnnl_stream_create(&h->stream, engine(), dnnl_stream_default_flags));
    DNNL_TRY(dnnl_memory_create(&h->source, &b->source, engine(), DNNL_MEMORY_NONE));
    DNNL_TRY(dnnl_memory_create(&h->result, &b->result, engine(), DNNL_MEMORY_NONE));
    DNNL_TRY(dnnl_memory_create(&h->scratch, &b->scratch, engine(), DNNL_MEMORY_NONE));
    return 0;
}

/* From here on the primitive alone is needed: bricks of one shape share it through oneDNN's cache,
 * while each description takes 80 KB. */
static int compile(ie_brick *b)
{
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    const dnnl_status_t status = dnnl_primitive_create(&b->primitive, b->choice);
    omp_set_num_threads(threads);
    (void)dnnl_primitive_desc_destroy(b->choice);
    b->choice = NULL;
    return (int)status;
}

int ie_brick_bind(ie_brick *b, const float *weights, int sets, void *memory, int threads)
{
    const uint64_t bytes = ie_brick_weight_bytes(b);
    const int64_t k = b->shape.kernel,
                  values = b->shape.out_channels * b->shape.in_channels * k * k;
    b->sets = calloc((size_t)sets, sizeof(dnnl_memory_t));
    b->hands = calloc((size_t)threads, sizeof *b->hands);
    if (!b->sets || !b->hands) return dnnl_out_of_memory;
    b->set_count = sets;
    b->hand_count = threads;
    for (int i = 0; i < threads; i++) DNNL_TRY((dnnl_status_t)make_hand(&b->hands[i], b));
    DNNL_TRY((dnnl_status_t)compile(b));
    for (int i = 0; i < sets; i++) {
        char *packed = (char *)memory + (uint64_t)i * bytes;
        DNNL_TRY(dnnl_memory_create(&b->sets[i], &b->weights, engine(), packed));
        DNNL_TRY((dnnl_status_t)reorder(b, weights + i * values, b->sets[i]));
    }
    return 0;
}

int ie_brick_run(const ie_brick *b, int thread, int set, const void *source, float *result,
                 void *scratch)
{
    const hand *h = &b->hands[thread];
    DNNL_TRY(dnnl_memory_set_data_handle(h->source, without_const(source)));
    DNNL_TRY(dnnl_memory_set_data_handle(h->result, result));
    DNNL_TRY(dnnl_memory_set_data_handle(h->scratch, scratch));
    const dnnl_exec_arg_t arguments[ARGUMENTS] = {{DNNL_ARG_SRC, h->source},
                                                  {DNNL_ARG_WEIGHTS, b->sets[set]},
                                                  {DNNL_ARG_DST, h->result},
                                                  {DNNL_ARG_SCRATCHPAD, h->scratch}};
    return (int)dnnl_primitive_execute(b->primitive, h->stream, ARGUMENTS, arguments);
}

void ie_brick_release(ie_brick *b)
{
    if (!b) return;
    for (int i = 0; i < b->hand_count; i++) {
        (void)dnnl_memory_destroy(b->hands[i].source);
        (void)dnnl_memory_destroy(b->hands[i].result);
        (void)dnnl_memory_destroy(b->hands[i].scratch);
        (void)dnnl_stream_destroy(b->hands[i].stream);
    }
    for (int i = 0; i < b->set_count; i++) (void)dnnl_memory_destroy(b->sets[i]);
    (void)dnnl_primitive_destroy(b->primitive);
    (void)dnnl_primitive_desc_destroy(b->choice);
    free(b->sets);
    free(b->hands);
    free(b);
}
