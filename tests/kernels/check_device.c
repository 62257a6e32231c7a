/* check_device.c - a table of operations on a CUDA device, behind one that takes host memory, so
 * that the harness checks both alike.
 *
 * Every call moves what it is given: each run of host bytes that its tensors cover becomes an
 * allocation of its own on the device, with guard bytes on either side (on the simulator, pages
 * that fault), and comes back afterwards, inputs too: the harness sees if they changed. Tensors
 * that overlap on the host overlap on the device. Scratch is not copied but poisoned. Weights stay
 * where they are, on the host, and packed weights live on the device as long as their layer.
 *
 * One table at a time, from one thread. SPDX-License-Identifier: Apache-2.0 */
#include "check.h"

#include <cuda_runtime_api.h>

#include <stdlib.h>
#include <string.h>

enum { MAX_TENSORS = 20, GUARD = 256, GUARD_BYTE = 0x5A, POISON = 0xFF, OVERWRITTEN = 9999 };

static const ie_ops *inner;
static ie_stream *stream;

/* ---- runs of bytes --------------------------------------------------------------------------- */

typedef struct run {
    char *begin, *end; /* on the host */
    char *memory;      /* on the device: guard, bytes, guard */
} run;

typedef struct trip {
    ie_tensor *tensor[MAX_TENSORS];
    void **scratch;
    run run[MAX_TENSORS];
    int tensors, runs;
    char *scratch_memory;
    uint64_t scratch_bytes;
} trip;

static void take(trip *t, ie_tensor *x)
{
    if (!ie_present(*x) || ie_numel(*x) == 0) return;
    if (t->tensors == MAX_TENSORS) abort();
    int64_t last = 0;
    for (int i = 0; i < x->rank; i++) last += (x->dim[i] - 1) * x->stride[i];
    run r = {.begin = x->data};
    r.end = r.begin + (last + 1) * ie_dtype_size(x->dtype);
    t->tensor[t->tensors++] = x;
    /* Join it with every run that it overlaps. */
    for (int i = 0; i < t->runs;) {
        if (r.begin < t->run[i].end && t->run[i].begin < r.end) {
            if (t->run[i].begin < r.begin) r.begin = t->run[i].begin;
            if (t->run[i].end > r.end) r.end = t->run[i].end;
            t->run[i] = t->run[--t->runs];
        } else {
            i++;
        }
    }
    t->run[t->runs++] = r;
}

static void take_scratch(trip *t, void **scratch, uint64_t bytes)
{
    t->scratch = scratch;
    t->scratch_bytes = bytes;
}

/* Fresh memory of the simulator is poison already, and known for not initialised. */
static cudaError_t guarded(char **out, uint64_t bytes)
{
    char *memory = NULL;
    cudaError_t code = cudaMalloc((void **)&memory, bytes + 2 * (uint64_t)GUARD);
#ifndef CUDASIM_CUDA_RUNTIME_API_H
    if (code == cudaSuccess) code = cudaMemset(memory + GUARD, POISON, bytes);
#endif
    if (code == cudaSuccess) code = cudaMemset(memory, GUARD_BYTE, GUARD);
    if (code == cudaSuccess) code = cudaMemset(memory + GUARD + bytes, GUARD_BYTE, GUARD);
    *out = memory;
    return code;
}

static bool guards_hold(const char *memory, uint64_t bytes)
{
    unsigned char side[2][GUARD];
    if (cudaMemcpy(side[0], memory, GUARD, cudaMemcpyDeviceToHost) != cudaSuccess) return false;
    if (cudaMemcpy(side[1], memory + GUARD + bytes, GUARD, cudaMemcpyDeviceToHost) != cudaSuccess)
        return false;
    for (int i = 0; i < GUARD; i++) {
        if (side[0][i] != GUARD_BYTE || side[1][i] != GUARD_BYTE) return false;
    }
    return true;
}

static int go(trip *t)
{
    for (int i = 0; i < t->runs; i++) {
        run *r = &t->run[i];
        const uint64_t bytes = (uint64_t)(r->end - r->begin);
        cudaError_t code = guarded(&r->memory, bytes);
        if (code == cudaSuccess)
            code = cudaMemcpy(r->memory + GUARD, r->begin, bytes, cudaMemcpyHostToDevice);
        if (code != cudaSuccess) return (int)code;
    }
    for (int i = 0; i < t->tensors; i++) {
        ie_tensor *x = t->tensor[i];
        for (int k = 0; k < t->runs; k++) {
            const run *r = &t->run[k];
            if ((char *)x->data < r->begin || (char *)x->data >= r->end) continue;
            x->data = r->memory + GUARD + ((char *)x->data - r->begin);
            break;
        }
    }
    if (t->scratch_bytes) {
        const cudaError_t code = guarded(&t->scratch_memory, t->scratch_bytes);
        if (code != cudaSuccess) return (int)code;
        *t->scratch = t->scratch_memory + GUARD;
    }
    return (int)cudaDeviceSynchronize();
}

/* Everything comes back and is given back, whatever `code` says. */
static int back(trip *t, int code)
{
    const cudaError_t ended = cudaStreamSynchronize((cudaStream_t)stream);
    if (!code) code = (int)ended;
    for (int i = 0; i < t->runs; i++) {
        const run *r = &t->run[i];
        const uint64_t bytes = (uint64_t)(r->end - r->begin);
        if (!r->memory) continue;
        const cudaError_t copied =
            cudaMemcpy(r->begin, r->memory + GUARD, bytes, cudaMemcpyDeviceToHost);
        if (!code) code = (int)copied;
        if (!code && !guards_hold(r->memory, bytes)) code = OVERWRITTEN;
        (void)cudaFree(r->memory);
    }
    if (t->scratch_memory) {
        if (!code && !guards_hold(t->scratch_memory, t->scratch_bytes)) code = OVERWRITTEN;
        (void)cudaFree(t->scratch_memory);
    }
    return code;
}

/* ---- layers ---------------------------------------------------------------------------------- */

typedef struct layer {
    ie_conv *conv;
    ie_linear *linear;
    char *memory; /* packed weights; NULL in a layer that plans */
} layer;

static int new_layer(layer **out, bool runs, uint64_t bytes)
{
    layer *l = *out = calloc(1, sizeof *l);
    if (!l) abort();
    return runs ? (int)guarded(&l->memory, bytes) : 0;
}

static void *room_of(const layer *l)
{
    return l->memory ? l->memory + GUARD : NULL;
}

static int made(layer *l, uint64_t bytes, int code)
{
    if (!code && l->memory && !guards_hold(l->memory, bytes)) code = OVERWRITTEN;
    return code;
}

static void drop(layer *l)
{
    (void)cudaFree(l->memory);
    free(l);
}

/* The stream of the kernels does not wait for the default one. */
static int upload(void *self, void *device, const void *host, uint64_t bytes)
{
    (void)self;
    const cudaError_t code = cudaMemcpy(device, host, bytes, cudaMemcpyHostToDevice);
    return (int)(code ? code : cudaStreamSynchronize(NULL));
}

static const ie_uploader uploader = {.copy = upload};

static int conv_prepare(ie_conv **out, const ie_conv_spec *spec, void *memory, ie_tensor weight,
                        ie_tensor bias, const ie_uploader *up)
{
    (void)up;
    layer *l;
    const uint64_t bytes = inner->conv_bytes(spec);
    int code = new_layer(&l, memory != NULL, bytes);
    if (!code) code = inner->conv_prepare(&l->conv, spec, room_of(l), weight, bias, &uploader);
    code = made(l, bytes, code);
    *out = (ie_conv *)l;
    if (code) drop(l), *out = NULL;
    return code;
}

static uint64_t conv_scratch(const ie_conv *conv, int64_t lanes)
{
    return inner->conv_scratch(((const layer *)conv)->conv, lanes);
}

static int conv(ie_stream *s, const ie_conv *native, const ie_conv_args *args)
{
    (void)s;
    const layer *l = (const layer *)native;
    ie_conv_args a = *args;
    trip t = {0};
    take(&t, &a.y);
    for (int i = 0; i < 2; i++) {
        take(&t, &a.x[i]);
        take(&t, &a.moments[i]);
    }
    take(&t, &a.gamma);
    take(&t, &a.beta);
    take(&t, &a.film);
    take(&t, &a.residual);
    take(&t, &a.y_moments);
    take_scratch(&t, &a.scratch, inner->conv_scratch(l->conv, a.y.dim[0]));
    int code = go(&t);
    if (!code) code = inner->conv(stream, l->conv, &a);
    return back(&t, code);
}

static void conv_release(ie_conv *native)
{
    layer *l = (layer *)native;
    inner->conv_release(l ? l->conv : NULL);
    if (l) drop(l);
}

static int linear_prepare(ie_linear **out, const ie_linear_spec *spec, void *memory,
                          ie_tensor weight, ie_tensor bias, const ie_uploader *up)
{
    (void)up;
    layer *l;
    const uint64_t bytes = inner->linear_bytes(spec);
    int code = new_layer(&l, memory != NULL, bytes);
    if (!code) code = inner->linear_prepare(&l->linear, spec, room_of(l), weight, bias, &uploader);
    code = made(l, bytes, code);
    *out = (ie_linear *)l;
    if (code) drop(l), *out = NULL;
    return code;
}

static uint64_t linear_scratch(const ie_linear *linear, int64_t lanes)
{
    return inner->linear_scratch(((const layer *)linear)->linear, lanes);
}

static int linear(ie_stream *s, const ie_linear *native, const ie_linear_args *args)
{
    (void)s;
    const layer *l = (const layer *)native;
    ie_linear_args a = *args;
    trip t = {0};
    take(&t, &a.y);
    take(&t, &a.x);
    take(&t, &a.residual);
    take_scratch(&t, &a.scratch, inner->linear_scratch(l->linear, a.y.dim[0]));
    int code = go(&t);
    if (!code) code = inner->linear(stream, l->linear, &a);
    return back(&t, code);
}

static void linear_release(ie_linear *native)
{
    layer *l = (layer *)native;
    inner->linear_release(l ? l->linear : NULL);
    if (l) drop(l);
}

/* ---- the others ------------------------------------------------------------------------------ */

static int attention(ie_stream *s, const ie_attention_args *args)
{
    (void)s;
    ie_attention_args a = *args;
    trip t = {0};
    take(&t, &a.y);
    take(&t, &a.q);
    for (int i = 0; i < 2; i++) {
        take(&t, &a.keys[i].k);
        take(&t, &a.keys[i].v);
        take(&t, &a.keys[i].index);
        take(&t, &a.keys[i].length);
    }
    take(&t, &a.bias);
    take_scratch(&t, &a.scratch, inner->attention_scratch(&a));
    int code = go(&t);
    if (!code) code = inner->attention(stream, &a);
    return back(&t, code);
}

static int moments(ie_stream *s, ie_tensor m, ie_tensor x)
{
    (void)s;
    trip t = {0};
    take(&t, &m);
    take(&t, &x);
    int code = go(&t);
    if (!code) code = inner->moments(stream, m, x);
    return back(&t, code);
}

static int gather(ie_stream *s, ie_tensor y, const ie_source *sources, int count)
{
    (void)s;
    ie_source moved[4];
    trip t = {0};
    take(&t, &y);
    for (int i = 0; i < count; i++) {
        moved[i] = sources[i];
        take(&t, &moved[i].x);
        take(&t, &moved[i].index);
    }
    int code = go(&t);
    if (!code) code = inner->gather(stream, y, moved, count);
    return back(&t, code);
}

static int add_rows(ie_stream *s, ie_tensor y, ie_tensor x, ie_tensor slots, ie_tensor index)
{
    (void)s;
    trip t = {0};
    take(&t, &y);
    take(&t, &x);
    take(&t, &slots);
    take(&t, &index);
    int code = go(&t);
    if (!code) code = inner->add_rows(stream, y, x, slots, index);
    return back(&t, code);
}

static int add(ie_stream *s, ie_tensor y, ie_tensor y_moments, ie_tensor a, ie_tensor b,
               float alpha, float beta)
{
    (void)s;
    trip t = {0};
    take(&t, &y);
    take(&t, &y_moments);
    take(&t, &a);
    take(&t, &b);
    int code = go(&t);
    if (!code) code = inner->add(stream, y, y_moments, a, b, alpha, beta);
    return back(&t, code);
}

static int sinusoid(ie_stream *s, ie_tensor y, ie_tensor v, float max_period)
{
    (void)s;
    trip t = {0};
    take(&t, &y);
    take(&t, &v);
    int code = go(&t);
    if (!code) code = inner->sinusoid(stream, y, v, max_period);
    return back(&t, code);
}

static int layer_norm(ie_stream *s, ie_tensor y, ie_tensor x, ie_tensor w, ie_tensor b,
                      ie_tensor length, float eps)
{
    (void)s;
    trip t = {0};
    take(&t, &y);
    take(&t, &x);
    take(&t, &w);
    take(&t, &b);
    take(&t, &length);
    int code = go(&t);
    if (!code) code = inner->layer_norm(stream, y, x, w, b, length, eps);
    return back(&t, code);
}

static int rms_norm(ie_stream *s, ie_tensor y, ie_tensor x, ie_tensor w, ie_tensor length,
                    float eps)
{
    (void)s;
    trip t = {0};
    take(&t, &y);
    take(&t, &x);
    take(&t, &w);
    take(&t, &length);
    int code = go(&t);
    if (!code) code = inner->rms_norm(stream, y, x, w, length, eps);
    return back(&t, code);
}

static int embed(ie_stream *s, ie_tensor y, ie_tensor table, ie_tensor ids)
{
    (void)s;
    trip t = {0};
    take(&t, &y);
    take(&t, &table);
    take(&t, &ids);
    int code = go(&t);
    if (!code) code = inner->embed(stream, y, table, ids);
    return back(&t, code);
}

static int mask_image(ie_stream *s, ie_tensor y, ie_tensor rgb, ie_tensor mask)
{
    (void)s;
    trip t = {0};
    take(&t, &y);
    take(&t, &rgb);
    take(&t, &mask);
    int code = go(&t);
    if (!code) code = inner->mask_image(stream, y, rgb, mask);
    return back(&t, code);
}

static int noise(ie_stream *s, ie_tensor z, int64_t slot, uint64_t seed, uint32_t stage,
                 uint32_t step)
{
    (void)s;
    trip t = {0};
    take(&t, &z);
    int code = go(&t);
    if (!code) code = inner->noise(stream, z, slot, seed, stage, step);
    return back(&t, code);
}

static int augment(ie_stream *s, ie_tensor y, int64_t slot, ie_tensor x, float alpha, float sigma,
                   uint64_t seed, uint32_t stage, uint32_t step)
{
    (void)s;
    trip t = {0};
    take(&t, &y);
    take(&t, &x);
    int code = go(&t);
    if (!code) code = inner->augment(stream, y, slot, x, alpha, sigma, seed, stage, step);
    return back(&t, code);
}

static int sample(ie_stream *s, const ie_sample_args *args)
{
    (void)s;
    ie_sample_args a = *args;
    trip t = {0};
    take(&t, &a.z);
    take(&t, &a.pred);
    take(&t, &a.steps);
    take(&t, &a.known);
    take_scratch(&t, &a.scratch, inner->sample_scratch(&a));
    int code = go(&t);
    if (!code) code = inner->sample(stream, &a);
    return back(&t, code);
}

const ie_ops *check_on_device(const ie_ops *table)
{
    static ie_ops ops;
    inner = table;
    if (!stream && cudaStreamCreateWithFlags((cudaStream_t *)&stream, cudaStreamNonBlocking))
        abort();
    ops = (ie_ops){
        .name = table->name,
        .conv_bytes = table->conv_bytes,
        .conv_prepare = conv_prepare,
        .conv_scratch = conv_scratch,
        .conv = conv,
        .conv_release = conv_release,
        .linear_bytes = table->linear_bytes,
        .linear_prepare = linear_prepare,
        .linear_scratch = linear_scratch,
        .linear = linear,
        .linear_release = linear_release,
        .attention_scratch = table->attention_scratch,
        .attention = attention,
        .moments = moments,
        .gather = gather,
        .add_rows = add_rows,
        .add = add,
        .sinusoid = sinusoid,
        .layer_norm = layer_norm,
        .rms_norm = rms_norm,
        .embed = embed,
        .mask_image = mask_image,
        .noise = noise,
        .augment = augment,
        .sample_scratch = table->sample_scratch,
        .sample = sample,
    };
    return &ops;
}
