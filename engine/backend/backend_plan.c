/* backend_plan.c - the backend that only thinks: every shape is checked, bytes and FLOP are
 * counted, nothing runs.
 *
 * Its table answers how large packed weights are; exec.c never calls the rest, since a planning
 * backend's arenas measure. SPDX-License-Identifier: Apache-2.0 */
#include "backend.h"

#include <stdio.h>

static uint64_t conv_bytes(const ie_conv_spec *c)
{
    const int64_t weights = c->outputs * (c->channels[0] + c->channels[1]) * c->kernel * c->kernel;
    return (uint64_t)(weights * ie_dtype_size(c->dtype) + c->outputs * (int64_t)sizeof(float));
}

static uint64_t linear_bytes(const ie_linear_spec *l)
{
    return (uint64_t)(ie_linear_sums(l) *
                      (l->inputs * ie_dtype_size(l->w_dtype) + (int64_t)sizeof(float)));
}

static int conv_prepare(ie_conv **out, const ie_conv_spec *spec, void *memory, ie_tensor weight,
                        ie_tensor bias, const ie_uploader *up)
{
    (void)spec, (void)memory, (void)weight, (void)bias, (void)up;
    *out = NULL;
    return 0;
}

static int linear_prepare(ie_linear **out, const ie_linear_spec *spec, void *memory,
                          ie_tensor weight, ie_tensor bias, const ie_uploader *up)
{
    (void)spec, (void)memory, (void)weight, (void)bias, (void)up;
    *out = NULL;
    return 0;
}

static uint64_t conv_scratch(const ie_conv *conv, int64_t lanes)
{
    (void)conv, (void)lanes;
    return 0;
}

static uint64_t linear_scratch(const ie_linear *linear, int64_t lanes)
{
    (void)linear, (void)lanes;
    return 0;
}

static void conv_release(ie_conv *conv)
{
    (void)conv;
}

static void linear_release(ie_linear *linear)
{
    (void)linear;
}

static uint64_t attention_scratch(const ie_attention_args *a)
{
    (void)a;
    return 0;
}

/* x0 of every request between its two passes. */
static uint64_t sample_scratch(const ie_sample_args *a)
{
    const uint64_t pixels = (uint64_t)(a->z.dim[1] * a->z.dim[2] * a->z.dim[3]);
    return (uint64_t)a->steps.dim[0] * pixels * sizeof(float);
}

static const ie_ops plan_ops = {
    .name = "plan",
    .conv_bytes = conv_bytes,
    .conv_prepare = conv_prepare,
    .conv_scratch = conv_scratch,
    .conv_release = conv_release,
    .linear_bytes = linear_bytes,
    .linear_prepare = linear_prepare,
    .linear_scratch = linear_scratch,
    .linear_release = linear_release,
    .attention_scratch = attention_scratch,
    .sample_scratch = sample_scratch,
};

static int plan_enter(ie_backend *self)
{
    (void)self;
    return 0;
}

static void plan_leave(ie_backend *self)
{
    (void)self;
}

static void plan_close(ie_backend *self)
{
    ie_free(self);
}

static const ie_backend_vtable plan_vtable = {
    .enter = plan_enter, .leave = plan_leave, .close = plan_close};

ie_status ie_backend_open_plan(ie_backend **out, const ie_device_model *model,
                               ie_precision precision, ie_error *err)
{
    *out = NULL;
    ie_backend *b = ie_alloc(1, sizeof *b);
    if (!b) return ie_fail(err, IE_NO_MEMORY, "no memory for the backend");
    b->vtable = &plan_vtable;
    b->ops = &plan_ops;
    b->act = precision == IE_PRECISION_BF16 ? IE_BF16 : IE_F32;
    b->plan = true;
    b->model = model;
    b->threads = 1;
    snprintf(b->text, sizeof b->text, "%s%s, %s", model ? "plan for " : "plan",
             model ? model->words : "", b->act == IE_BF16 ? "bf16" : "f32");
    *out = b;
    return IE_OK;
}
