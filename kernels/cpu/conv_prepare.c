/* conv_prepare.c - weights of a file into the form a brick wants.
 * SPDX-License-Identifier: Apache-2.0 */
#include "conv.h"
#include "threads.h"
#include "weights.h"

#include <oneapi/dnnl/dnnl_types.h>
#include <stdlib.h>
#include <string.h>

static int create(ie_conv **out, const ie_conv_spec *spec)
{
    *out = NULL;
    ie_conv *c = calloc(1, sizeof *c);
    if (!c) return dnnl_out_of_memory;
    c->spec = *spec;
    c->plan = ie_cpu_plan_conv(spec);
    const ie_brick_shape shape = ie_cpu_brick_shape(&c->plan, spec);
    const int status = ie_brick_create(&c->brick, &shape);
    if (status) {
        ie_cpu_conv_release(c);
        return status;
    }
    *out = c;
    return 0;
}

static uint64_t packed_bytes(const ie_conv *c)
{
    return (uint64_t)c->plan.chunks * ie_brick_weight_bytes(c->brick);
}

/* 0: no brick can be made; prepare says why. */
uint64_t ie_cpu_conv_bytes(const ie_conv_spec *spec)
{
    ie_conv *c = NULL;
    const uint64_t bytes = create(&c, spec) ? 0 : packed_bytes(c);
    ie_cpu_conv_release(c);
    return bytes;
}

/* [O, C, k, k] as floats of the layer's precision, [O, depth, k, k] with zeros for the channels
 * that pad a pixel. */
static float *plain_weights(const ie_conv *c, ie_tensor weight)
{
    const int64_t taps = (int64_t)c->spec.kernel * c->spec.kernel;
    const int64_t from = (c->spec.channels[0] + c->spec.channels[1]) * taps,
                  to = c->plan.depth * taps;
    float *w = calloc((size_t)(c->spec.outputs * to), sizeof *w);
    if (!w) return NULL;
    for (int64_t o = 0; o < c->spec.outputs; o++) {
        ie_cpu_weights_to_float(w + o * to, weight, o * from, from, c->spec.dtype);
    }
    return w;
}

static int load(ie_conv *c, void *memory, ie_tensor weight, ie_tensor bias)
{
    float *w = plain_weights(c, weight);
    c->bias = calloc((size_t)c->spec.outputs, sizeof *c->bias);
    int status = w && c->bias ? 0 : (int)dnnl_out_of_memory;
    if (!status && ie_present(bias))
        ie_cpu_weights_to_float(c->bias, bias, 0, c->spec.outputs, IE_F32);
    if (!status)
        status = ie_brick_bind(c->brick, w, (int)c->plan.chunks, memory, ie_cpu_thread_limit());
    free(w);
    return status;
}

int ie_cpu_conv_prepare(ie_conv **out, const ie_conv_spec *spec, void *memory, ie_tensor weight,
                        ie_tensor bias, const ie_uploader *up)
{
    (void)up;
    int status = create(out, spec);
    if (!status && memory) status = load(*out, memory, weight, bias);
    if (status) {
        ie_cpu_conv_release(*out);
        *out = NULL;
    }
    return status;
}

void ie_cpu_conv_release(ie_conv *conv)
{
    if (!conv) return;
    ie_brick_release(conv->brick);
    free(conv->bias);
    free(conv);
}
