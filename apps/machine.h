/* machine.h - described devices, and the least time they need for a piece of work.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_MACHINE_H
#define IE_APPS_MACHINE_H

#include "fail.h"

#include <stdbool.h>

typedef struct ie_machine {
    const char *name; /* of --machine */
    const char *words;
    double bf16_flops, f32_flops; /* matrix work, per second; 0: not measured */
    double bytes;                 /* memory, per second */
} ie_machine;

/* A name of the table, or "FLOPS,BYTES" per second, like 2e11,1.5e10. IE_BAD_ARGUMENT with the
 * names. */
ie_status ie_machine_parse(ie_machine *out, const char *text, ie_error *err);

/* Whether a --device only prices and predicts: plan, and cuda: with a name instead of a number. */
bool ie_machine_only_plans(const char *device);

/* max(flop / rate, bytes / rate), in seconds: no program can be faster on it. 0 when the rate was
 * not measured. */
double ie_machine_floor(const ie_machine *m, ie_precision precision, double flop, double bytes);

#endif
