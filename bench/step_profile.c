/* step_profile.c - see step_profile.h.  SPDX-License-Identifier: Apache-2.0 */
#include "step_profile.h"

#include "timing.h"

#include <stdio.h>
#include <string.h>

static bench_profile *profile_of(ie_stream *s)
{
    return (bench_profile *)s;
}

/* Add a call to the row of this name; calls past the last row are counted there. */
static void note(bench_profile *p, double start, const char *name, double flop)
{
    const double seconds = bench_seconds(p->busy) - start;
    int i = 0;
    while (i < p->count && strcmp(p->rows[i].what, name) != 0) i++;
    if (i == BENCH_PROFILE_ROWS) i--;
    if (i == p->count) {
        snprintf(p->rows[i].what, sizeof p->rows[i].what, "%s", name);
        p->count++;
    }
    p->rows[i].calls++;
    p->rows[i].flop += flop;
    p->rows[i].seconds += seconds;
}

/* The same of an operation that is bound by what it moves. */
static void note_stream(bench_profile *p, double start, const char *what, ie_tensor of)
{
    char name[IE_OPERATION_TEXT];
    (void)ie_cost_stream(NULL, 0, 0, what, of, name);
    note(p, start, name, 0);
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
    char name[IE_OPERATION_TEXT] = "conv ?";
    const double flop = layer ? ie_cost_conv(NULL, &layer->spec, a, name).flop : 0;
    note(p, start, name, flop);
    return code;
}

static int linear(ie_stream *s, const ie_linear *native, const ie_linear_args *a)
{
    bench_profile *p = profile_of(s);
    const double start = bench_seconds(p->busy);
    const int code = p->ops->linear(p->stream, native, a);
    const ie_linear_spec spec = {
        .rows = a->x.dim[1], .inputs = a->x.dim[2], .outputs = a->y.dim[2], .w_dtype = a->y.dtype};
    char name[IE_OPERATION_TEXT];
    const double flop = ie_cost_linear(NULL, &spec, a, name).flop;
    note(p, start, name, flop);
    return code;
}

static int attention(ie_stream *s, const ie_attention_args *a)
{
    bench_profile *p = profile_of(s);
    const double start = bench_seconds(p->busy);
    const int code = p->ops->attention(p->stream, a);
    char name[IE_OPERATION_TEXT];
    const double flop = ie_cost_attention(NULL, a, name).flop;
    note(p, start, name, flop);
    return code;
}

static int moments(ie_stream *s, ie_tensor m, ie_tensor x)
{
    bench_profile *p = profile_of(s);
    const double start = bench_seconds(p->busy);
    const int code = p->ops->moments(p->stream, m, x);
    note_stream(p, start, "moments", x);
    return code;
}

static int gather(ie_stream *s, ie_tensor y, const ie_source *sources, int count)
{
    bench_profile *p = profile_of(s);
    const double start = bench_seconds(p->busy);
    const int code = p->ops->gather(p->stream, y, sources, count);
    note_stream(p, start, "gather", y);
    return code;
}

static int add_rows(ie_stream *s, ie_tensor y, ie_tensor x, ie_tensor slots, ie_tensor index)
{
    bench_profile *p = profile_of(s);
    const double start = bench_seconds(p->busy);
    const int code = p->ops->add_rows(p->stream, y, x, slots, index);
    note_stream(p, start, "add_rows", y);
    return code;
}

static int add(ie_stream *s, ie_tensor y, ie_tensor y_moments, ie_tensor a, ie_tensor b,
               float alpha, float beta)
{
    bench_profile *p = profile_of(s);
    const double start = bench_seconds(p->busy);
    const int code = p->ops->add(p->stream, y, y_moments, a, b, alpha, beta);
    note_stream(p, start, "add", y);
    return code;
}

static int sinusoid(ie_stream *s, ie_tensor y, ie_tensor v, float max_period)
{
    bench_profile *p = profile_of(s);
    const double start = bench_seconds(p->busy);
    const int code = p->ops->sinusoid(p->stream, y, v, max_period);
    note_stream(p, start, "sinusoid", y);
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
