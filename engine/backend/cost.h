/* cost.h - what an operation is called, what it costs, and on a described device what it is
 * predicted to take; and a table of operations by name.
 *
 * exec.c counts with these; a bench that times an operation compares with the same, under the same
 * name. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_COST_H
#define IE_COST_H

#include "device_model.h"
#include "imagen_editor.h"

typedef struct ie_cost {
    double flop;    /* multiply-adds count 2 */
    double bytes;   /* every operand read once, every result written once, weights once per call */
    ie_times times; /* predicted; all zero where no device is described */
} ie_cost;

/* An operation at a shape, without its lanes: "conv 3x3 64x64 512+512 to 512 norm moments". */
enum { IE_OPERATION_TEXT = sizeof((ie_operation_info *)0)->name };

/* `device` may be NULL: nothing is predicted. `name` may be NULL. */
ie_cost ie_cost_conv(const ie_device_model *device, const ie_conv_spec *spec,
                     const ie_conv_args *args, char name[IE_OPERATION_TEXT]);
ie_cost ie_cost_linear(const ie_device_model *device, const ie_linear_spec *spec,
                       const ie_linear_args *args, char name[IE_OPERATION_TEXT]);
ie_cost ie_cost_attention(const ie_device_model *device, const ie_attention_args *args,
                          char name[IE_OPERATION_TEXT]);
/* Of an operation that is bound by what it moves; `of` gives the shape. */
ie_cost ie_cost_stream(const ie_device_model *device, double flop, double bytes, const char *what,
                       ie_tensor of, char name[IE_OPERATION_TEXT]);

/* Costs by name, in the order of their first call. When there are more names than room, the last
 * row is called "others" and has the rest. */
typedef struct ie_tally {
    ie_operation_info *rows;
    int room, count;
} ie_tally;

void ie_tally_add(ie_tally *tally, const char *name, const ie_cost *cost);

#endif
