/* cost.c - names and costs of operations.  SPDX-License-Identifier: Apache-2.0 */
#include "cost.h"

#include <stdio.h>
#include <string.h>

/* ---- products -------------------------------------------------------------------------------- */

static void name_conv(char *name, const ie_conv_spec *c, const ie_conv_args *a)
{
    static const char *const resample[] = {"", " up", " down"};
    char second[16] = "";
    if (c->channels[1]) snprintf(second, sizeof second, "+%d", (int)c->channels[1]);
    snprintf(name, IE_OPERATION_TEXT, "conv %dx%d %dx%d %d%s to %d%s%s%s%s%s", c->kernel, c->kernel,
             (int)c->height, (int)c->width, (int)c->channels[0], second, (int)c->outputs,
             c->stride > 1 ? " stride 2" : "", resample[c->resample], c->groups ? " norm" : "",
             ie_present(a->residual) ? " residual" : "",
             ie_present(a->y_moments) ? " moments" : "");
}

ie_cost ie_cost_conv(const ie_device_model *device, const ie_conv_spec *c, const ie_conv_args *a,
                     char name[IE_OPERATION_TEXT])
{
    const double taps = (double)((c->channels[0] + c->channels[1]) * c->kernel * c->kernel);
    const double weights = taps * (double)c->outputs;
    ie_cost cost = {.flop = 2 * taps * (double)ie_numel(a->y)};
    cost.bytes = weights * (double)ie_dtype_size(c->dtype) + (double)ie_bytes(a->y) +
                 (double)(ie_bytes(a->x[0]) + ie_bytes(a->x[1]) + ie_bytes(a->residual));
    if (device) {
        cost.times = ie_predict_conv(device, c, a->y.dim[0], cost.bytes, ie_present(a->y_moments));
    }
    if (name) name_conv(name, c, a);
    return cost;
}

ie_cost ie_cost_linear(const ie_device_model *device, const ie_linear_spec *l,
                       const ie_linear_args *a, char name[IE_OPERATION_TEXT])
{
    const int64_t lanes = a->x.dim[0], sums = ie_linear_sums(l);
    ie_cost cost = {.flop = 2.0 * (double)(lanes * l->rows * l->inputs) * (double)sums};
    cost.bytes = (double)(ie_bytes(a->x) + ie_bytes(a->y) + ie_bytes(a->residual)) +
                 (double)(l->inputs * sums * ie_dtype_size(l->w_dtype));
    const ie_product p = {lanes, l->rows, l->inputs, sums, cost.bytes};
    if (device) {
        cost.times = ie_linear_is_vector(l) ? ie_predict_stream(device, cost.bytes)
                                            : ie_predict_product(device, &p);
    }
    if (name) {
        snprintf(name, IE_OPERATION_TEXT, "linear %d x %d to %d%s", (int)l->rows, (int)l->inputs,
                 (int)l->outputs, l->gated ? " gated" : "");
    }
    return cost;
}

ie_cost ie_cost_attention(const ie_device_model *device, const ie_attention_args *a,
                          char name[IE_OPERATION_TEXT])
{
    const ie_tensor q = a->q;
    int64_t keys[2] = {0, 0};
    for (int i = 0; i < 2; i++) keys[i] = ie_present(a->keys[i].k) ? a->keys[i].k.dim[1] : 0;
    const int64_t lanes = q.dim[0], width = q.dim[2] * q.dim[3], all = keys[0] + keys[1];
    ie_cost cost = {.flop = 4.0 * (double)ie_numel(q) * (double)all};
    cost.bytes =
        2.0 * (double)ie_bytes(q) + 2.0 * (double)(lanes * all * width * ie_dtype_size(q.dtype));
    const int64_t blocks = lanes * q.dim[2] * ((q.dim[1] + 63) / 64);
    if (device) cost.times = ie_predict_attention(device, cost.flop, cost.bytes, blocks);
    if (name) {
        snprintf(name, IE_OPERATION_TEXT, "attention %d of %dx%d, keys %d+%d", (int)q.dim[1],
                 (int)q.dim[2], (int)q.dim[3], (int)keys[0], (int)keys[1]);
    }
    return cost;
}

/* ---- the rest -------------------------------------------------------------------------------- */

ie_cost ie_cost_stream(const ie_device_model *device, double flop, double bytes, const char *what,
                       ie_tensor of, char name[IE_OPERATION_TEXT])
{
    const int last = (int)of.dim[of.rank - 1];
    if (name && of.rank == 4) {
        snprintf(name, IE_OPERATION_TEXT, "%s %dx%d %d", what, (int)of.dim[1], (int)of.dim[2],
                 last);
    } else if (name && of.rank == 3) {
        snprintf(name, IE_OPERATION_TEXT, "%s %d x %d", what, (int)of.dim[1], last);
    } else if (name) {
        snprintf(name, IE_OPERATION_TEXT, "%s %d", what, last);
    }
    return (ie_cost){flop, bytes, device ? ie_predict_stream(device, bytes) : (ie_times){0}};
}

void ie_tally_add(ie_tally *tally, const char *name, const ie_cost *cost)
{
    int i = 0;
    while (i < tally->count && strcmp(tally->rows[i].name, name) != 0) i++;
    if (i == tally->room) name = "others", i--;
    ie_operation_info *row = &tally->rows[i];
    if (i == tally->count) {
        *row = (ie_operation_info){0};
        tally->count++;
    }
    snprintf(row->name, sizeof row->name, "%s", name);
    row->calls++;
    row->flop += cost->flop;
    row->bytes += cost->bytes;
    row->matrix_seconds += cost->times.matrix;
    row->memory_seconds += cost->times.memory;
    row->launch_seconds += cost->times.launch;
}
