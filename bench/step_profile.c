/* step_profile.c - see step_profile.h.  SPDX-License-Identifier: Apache-2.0 */
#include "step_profile.h"

#include "timing.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bench_profile *profile_of(ie_stream *s)
{
    return (bench_profile *)s;
}

/* Add a call to the row of this description; calls past the last row are counted there. */
__attribute__((format(printf, 4, 5))) static void note(bench_profile *p, double start, double flop,
                                                       const char *format, ...)
{
    const double seconds = bench_seconds(p->busy) - start;
    char what[sizeof p->rows[0].what];
    va_list args;
    va_start(args, format);
    vsnprintf(what, sizeof what, format, args);
    va_end(args);
    int i = 0;
    while (i < p->count && strcmp(p->rows[i].what, what) != 0) i++;
    if (i == BENCH_PROFILE_ROWS) i--;
    if (i == p->count) {
        memcpy(p->rows[i].what, what, sizeof what);
        p->count++;
    }
    p->rows[i].calls++;
    p->rows[i].flop += flop;
    p->rows[i].seconds += seconds;
}

/* ---- which layer is this? -------------------------------------------------------------------- */

static const ie_conv_layer *conv_layer(const ie_unet *u, const ie_conv *native)
{
    if (u->stem.native == native) return &u->stem;
    if (u->head.native == native) return &u->head;
    for (int i = 0; i < u->count; i++) {
        const ie_unet_node *n = &u->nodes[i];
        const ie_conv_layer *all[] = {&n->conv1, &n->conv2, &n->shortcut, &n->query, &n->out};
        for (size_t k = 0; k < sizeof all / sizeof all[0]; k++) {
            if (all[k]->native == native) return all[k];
        }
    }
    return NULL;
}

/* ---- the entries ----------------------------------------------------------------------------- */

static int conv(ie_stream *s, const ie_conv *native, const ie_conv_args *a)
{
    bench_profile *p = profile_of(s);
    const ie_conv_layer *layer = conv_layer(p->unet, native);
    const double start = bench_seconds(p->busy);
    const int code = p->ops->conv(p->stream, native, a);
    if (!layer) {
        note(p, start, 0, "conv ?");
        return code;
    }
    static const char *const resample[] = {"", " up", " down"};
    const ie_conv_spec *c = &layer->spec;
    const int64_t taps = (c->channels[0] + c->channels[1]) * c->kernel * c->kernel;
    char second[16] = "";
    if (c->channels[1]) snprintf(second, sizeof second, "+%d", (int)c->channels[1]);
    note(p, start, 2.0 * (double)(ie_numel(a->y) * taps), "conv %dx%d %dx%d %d%s to %d%s%s%s%s%s%s",
         c->kernel, c->kernel, (int)c->height, (int)c->width, (int)c->channels[0], second,
         (int)c->outputs, c->stride > 1 ? " stride 2" : "", resample[c->resample],
         c->groups ? " norm" : "", ie_present(a->film) ? " film" : "",
         ie_present(a->residual) ? " residual" : "", ie_present(a->y_moments) ? " moments" : "");
    return code;
}

static int linear(ie_stream *s, const ie_linear *native, const ie_linear_args *a)
{
    bench_profile *p = profile_of(s);
    const double start = bench_seconds(p->busy);
    const int code = p->ops->linear(p->stream, native, a);
    const int64_t inputs = a->x.dim[2];
    note(p, start, 2.0 * (double)(ie_numel(a->y) * inputs), "linear %d rows %d to %d",
         (int)a->x.dim[1], (int)inputs, (int)a->y.dim[2]);
    return code;
}

static int attention(ie_stream *s, const ie_attention_args *a)
{
    bench_profile *p = profile_of(s);
    const double start = bench_seconds(p->busy);
    const int code = p->ops->attention(p->stream, a);
    int64_t keys[2] = {0, 0};
    for (int i = 0; i < 2; i++) keys[i] = ie_present(a->keys[i].k) ? a->keys[i].k.dim[1] : 0;
    note(p, start, 4.0 * (double)(ie_numel(a->q) * (keys[0] + keys[1])),
         "attention %d queries, %d+%d keys, %d heads of %d", (int)a->q.dim[1], (int)keys[0],
         (int)keys[1], (int)a->q.dim[2], (int)a->q.dim[3]);
    return code;
}

static int moments(ie_stream *s, ie_tensor m, ie_tensor x)
{
    bench_profile *p = profile_of(s);
    const double start = bench_seconds(p->busy);
    const int code = p->ops->moments(p->stream, m, x);
    note(p, start, 0, "moments %dx%d %d", (int)x.dim[1], (int)x.dim[2], (int)x.dim[3]);
    return code;
}

static int gather(ie_stream *s, ie_tensor y, const ie_source *sources, int count)
{
    bench_profile *p = profile_of(s);
    const double start = bench_seconds(p->busy);
    const int code = p->ops->gather(p->stream, y, sources, count);
    note(p, start, 0, "gather %dx%d %d", (int)y.dim[1], (int)y.dim[2], (int)y.dim[3]);
    return code;
}

static int add_rows(ie_stream *s, ie_tensor y, ie_tensor x, ie_tensor slots, ie_tensor index)
{
    bench_profile *p = profile_of(s);
    const double start = bench_seconds(p->busy);
    const int code = p->ops->add_rows(p->stream, y, x, slots, index);
    note(p, start, 0, "add_rows %d", (int)y.dim[1]);
    return code;
}

static int add(ie_stream *s, ie_tensor y, ie_tensor y_moments, ie_tensor a, ie_tensor b,
               float alpha, float beta)
{
    bench_profile *p = profile_of(s);
    const double start = bench_seconds(p->busy);
    const int code = p->ops->add(p->stream, y, y_moments, a, b, alpha, beta);
    note(p, start, 0, "add %dx%d %d", (int)y.dim[1], (int)y.dim[2], (int)y.dim[3]);
    return code;
}

static int sinusoid(ie_stream *s, ie_tensor y, ie_tensor v, float max_period)
{
    bench_profile *p = profile_of(s);
    const double start = bench_seconds(p->busy);
    const int code = p->ops->sinusoid(p->stream, y, v, max_period);
    note(p, start, 0, "sinusoid %d", (int)y.dim[1]);
    return code;
}

/* ---- begin and end --------------------------------------------------------------------------- */

void bench_profile_begin(bench_profile *p, ie_backend *backend, const ie_unet *unet, bool busy)
{
    p->busy = busy;
    p->count = 0;
    p->unet = unet;
    p->ops = backend->ops;
    p->stream = backend->stream;
    p->table = *backend->ops; /* a forward pass calls no other entry than those below */
    p->table.conv = conv;
    p->table.linear = linear;
    p->table.attention = attention;
    p->table.moments = moments;
    p->table.gather = gather;
    p->table.add_rows = add_rows;
    p->table.add = add;
    p->table.sinusoid = sinusoid;
    backend->ops = &p->table;
    backend->stream = (ie_stream *)p;
}

static int slower_first(const void *a, const void *b)
{
    const double x = ((const bench_profile_row *)a)->seconds,
                 y = ((const bench_profile_row *)b)->seconds;
    return (x < y) - (x > y);
}

void bench_profile_end(bench_profile *p, ie_backend *backend)
{
    backend->ops = p->ops;
    backend->stream = p->stream;
    qsort(p->rows, (size_t)p->count, sizeof p->rows[0], slower_first);
}
