/* layers.c - the two-pass loader. SPDX-License-Identifier: Apache-2.0 */
#include "layers.h"

#include "half.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

ie_name ie_name_of(const char *format, ...)
{
    ie_name name;
    va_list args;
    va_start(args, format);
    vsnprintf(name.text, sizeof name.text, format, args);
    va_end(args);
    return name;
}

/* Room in the block of weights; NULL in the first pass and on a planning backend. */
static void *take(ie_loader *l, uint64_t bytes)
{
    void *at = l->memory ? l->memory + l->used : NULL;
    l->used += (bytes + 63) & ~(uint64_t)63;
    return at;
}

/* A backend that could not say how large a layer is (0 bytes) would, asked again when there is
 * memory, write past the room it was given. Asked to prepare it without memory, it says why. */
static ie_status cannot_prepare(const ie_loader *l, const char *name, int code, ie_error *err)
{
    if (code && l->backend->vtable->explain) {
        return ie_backend_failed(l->backend, ie_name_of("preparing %s", name).text, code, err);
    }
    return ie_fail_native(err, IE_NO_MEMORY, code,
                          "%s: not enough memory to prepare the layer (%d)", name, code);
}

static ie_status loaded(const ie_loader *l, ie_error *err)
{
    return l->watch.layer ? l->watch.layer(l->watch.user, l->used, err) : IE_OK;
}

/* The view of a weight, or a shape without data when there are no weights. Counts parameters. */
static ie_status weight_of(ie_loader *l, ie_tensor *out, const char *name, const char *part,
                           int rank, const int64_t *dim, ie_error *err)
{
    *out = ie_view(NULL, IE_F32, rank, dim);
    l->parameters += (uint64_t)ie_numel(*out);
    if (!l->weights) return IE_OK;
    const ie_name full = ie_name_of("%s%s", name, part);
    return ie_weights_get(l->weights, out, full.text, rank, dim, err);
}

static float element(ie_tensor t, int64_t i)
{
    if (t.dtype == IE_F32) return ((const float *)t.data)[i];
    const uint16_t h = ((const uint16_t *)t.data)[i];
    return t.dtype == IE_BF16 ? ie_f32_from_bf16(h) : ie_f32_from_f16(h);
}

/* Contiguous file values to `dtype` (f32 or bf16) in host memory. */
static void convert(void *to, ie_dtype dtype, ie_tensor from)
{
    const int64_t n = ie_numel(from);
    if (from.dtype == dtype) {
        memcpy(to, from.data, (size_t)ie_bytes(from));
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        if (dtype == IE_F32) {
            ((float *)to)[i] = element(from, i);
        } else {
            ((uint16_t *)to)[i] = ie_bf16_from_f32(element(from, i));
        }
    }
}

ie_status ie_load_tensor(ie_loader *l, ie_tensor *out, ie_dtype dtype, const char *name, int rank,
                         const int64_t *dim, ie_error *err)
{
    ie_tensor view;
    IE_TRY(weight_of(l, &view, name, "", rank, dim, err));
    *out = ie_view(NULL, dtype, rank, dim);
    out->data = take(l, (uint64_t)ie_bytes(*out));
    if (!out->data || !l->weights) return IE_OK;
    void *host = ie_alloc((uint64_t)ie_bytes(*out), 1);
    if (!host) return ie_fail(err, IE_NO_MEMORY, "no memory to convert %s", name);
    convert(host, dtype, view);
    ie_weights_forget(l->weights, view);
    const ie_status status = ie_upload(l->backend, *out, host, err);
    ie_free(host);
    return status ? status : loaded(l, err);
}

/* What both kinds of convolution share, once their weight is found. */
static ie_status load_conv(ie_loader *l, ie_conv_layer *out, const ie_conv_spec *spec,
                           ie_tensor weight, const char *name, const char *norm, ie_error *err)
{
    const int64_t joint = spec->channels[0] + spec->channels[1];
    assert((norm != NULL) == (spec->groups > 0));
    ie_tensor bias;
    IE_TRY(weight_of(l, &bias, name, ".bias", 1, &spec->outputs, err));
    out->spec = *spec;
    if (norm) {
        IE_TRY(ie_load_tensor(l, &out->gamma, IE_F32, ie_name_of("%s.weight", norm).text, 1, &joint,
                              err));
        IE_TRY(ie_load_tensor(l, &out->beta, IE_F32, ie_name_of("%s.bias", norm).text, 1, &joint,
                              err));
    }
    const uint64_t bytes = l->backend->ops->conv_bytes(spec);
    void *memory = bytes ? take(l, bytes) : NULL;
    const bool fills = memory && l->weights;
    const ie_uploader up = ie_backend_uploader(l->backend);
    ie_conv_layer_release(out, l->backend); /* the first pass's */
    const int code =
        l->backend->ops->conv_prepare(&out->native, spec, memory, fills ? weight : (ie_tensor){0},
                                      fills ? bias : (ie_tensor){0}, &up);
    if (code || bytes == 0) return cannot_prepare(l, name, code, err);
    if (!fills) return IE_OK;
    ie_weights_forget(l->weights, weight);
    return loaded(l, err);
}

ie_status ie_load_conv(ie_loader *l, ie_conv_layer *out, const ie_conv_spec *spec, const char *name,
                       const char *norm, ie_error *err)
{
    const int64_t k = spec->kernel;
    const int64_t dim[4] = {spec->outputs, spec->channels[0] + spec->channels[1], k, k};
    ie_tensor weight;
    IE_TRY(weight_of(l, &weight, name, ".weight", 4, dim, err));
    return load_conv(l, out, spec, weight, name, norm, err);
}

ie_status ie_load_projection(ie_loader *l, ie_conv_layer *out, const ie_conv_spec *spec,
                             const char *name, const char *norm, ie_error *err)
{
    const int64_t dim[4] = {spec->outputs, spec->channels[0] + spec->channels[1], 1, 1};
    assert(spec->kernel == 1);
    ie_tensor weight;
    IE_TRY(weight_of(l, &weight, name, ".weight", 2, dim, err));
    return load_conv(l, out, spec, ie_reshape(weight, 4, dim), name, norm, err);
}

/* Stack the parts' weights (in w_dtype) and biases (f32) in host memory. */
static ie_status stack(ie_loader *l, const ie_linear_spec *spec, ie_linear_parts parts,
                       char *weight, float *bias, ie_error *err)
{
    for (int i = 0; i < parts.count; i++) {
        ie_tensor part;
        IE_TRY(weight_of(l, &part, parts.names[i].text, ".weight", 2,
                         (int64_t[]){parts.outputs[i], spec->inputs}, err));
        if (weight && part.data) {
            convert(weight, spec->w_dtype, part);
            weight += ie_numel(part) * ie_dtype_size(spec->w_dtype);
            ie_weights_forget(l->weights, part);
        }
        if (!parts.biased) continue;
        IE_TRY(weight_of(l, &part, parts.names[i].text, ".bias", 1, &parts.outputs[i], err));
        if (bias && part.data) {
            convert(bias, IE_F32, part);
            bias += parts.outputs[i];
        }
    }
    return IE_OK;
}

static ie_status plan_linear(ie_loader *l, ie_linear_layer *out, ie_linear_parts parts,
                             ie_error *err)
{
    const ie_tensor none = {0};
    IE_TRY(stack(l, &out->spec, parts, NULL, NULL, err));
    const int code =
        l->backend->ops->linear_prepare(&out->native, &out->spec, NULL, none, none, NULL);
    return code ? cannot_prepare(l, parts.names[0].text, code, err) : IE_OK;
}

static ie_status fill_linear(ie_loader *l, ie_linear_layer *out, ie_linear_parts parts,
                             void *memory, ie_error *err)
{
    const ie_linear_spec *spec = &out->spec;
    const ie_uploader up = ie_backend_uploader(l->backend);
    const int64_t sums = ie_linear_sums(spec), dim[2] = {sums, spec->inputs};
    ie_tensor weight = ie_view(NULL, spec->w_dtype, 2, dim), bias = {0};
    ie_status status = IE_NO_MEMORY;
    weight.data = ie_alloc((uint64_t)ie_bytes(weight), 1);
    float *biases = parts.biased ? ie_alloc((uint64_t)sums, sizeof *biases) : NULL;
    if (!weight.data || (parts.biased && !biases)) {
        ie_fail(err, status, "no memory to stack %s", parts.names[0].text);
        goto done;
    }
    IE_TRY_DONE(stack(l, spec, parts, weight.data, biases, err));
    if (biases) bias = ie_view(biases, IE_F32, 1, &sums);
    const int code = l->backend->ops->linear_prepare(&out->native, spec, memory, weight, bias, &up);
    status = code ? cannot_prepare(l, parts.names[0].text, code, err) : loaded(l, err);
done:
    ie_free(weight.data);
    ie_free(biases);
    return status;
}

ie_status ie_load_linear(ie_loader *l, ie_linear_layer *out, const ie_linear_spec *spec,
                         ie_linear_parts parts, ie_error *err)
{
    out->spec = *spec;
    const uint64_t bytes = l->backend->ops->linear_bytes(spec);
    ie_linear_layer_release(out, l->backend); /* the first pass's */
    if (bytes == 0) {
        IE_TRY(plan_linear(l, out, parts, err));
        return cannot_prepare(l, parts.names[0].text, 0, err);
    }
    void *memory = take(l, bytes);
    return memory && l->weights ? fill_linear(l, out, parts, memory, err)
                                : plan_linear(l, out, parts, err);
}

ie_status ie_load_linear_one(ie_loader *l, ie_linear_layer *out, const ie_linear_spec *spec,
                             const char *name, ie_error *err)
{
    const ie_name one = ie_name_of("%s", name);
    return ie_load_linear(l, out, spec, (ie_linear_parts){1, &one, &spec->outputs, true}, err);
}

void ie_conv_layer_release(ie_conv_layer *layer, const ie_backend *backend)
{
    if (layer->native) backend->ops->conv_release(layer->native);
    layer->native = NULL;
}

void ie_linear_layer_release(ie_linear_layer *layer, const ie_backend *backend)
{
    if (layer->native) backend->ops->linear_release(layer->native);
    layer->native = NULL;
}
