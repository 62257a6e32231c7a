/* machine.c - the table of described devices. Rates are measured ones, of large matrix products and
 * of copies: what a program can reach, rather than what a data sheet promises.
 * SPDX-License-Identifier: Apache-2.0 */
#include "machine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const ie_machine machines[] = {
    {"h200", "NVIDIA H200 (measured: 790 TFLOP/s bf16, 4.3 TB/s)", 790e12, 0, 4.3e12},
};

ie_status ie_machine_parse(ie_machine *out, const char *text, ie_error *err)
{
    for (size_t i = 0; i < sizeof machines / sizeof machines[0]; i++) {
        if (!strcmp(machines[i].name, text)) {
            *out = machines[i];
            return IE_OK;
        }
    }
    char *end;
    const double flops = strtod(text, &end);
    const double bytes = *end == ',' ? strtod(end + 1, &end) : 0;
    if (*end == '\0' && flops > 0 && bytes > 0 && isfinite(flops) && isfinite(bytes)) {
        *out = (ie_machine){text, "as given", flops, flops, bytes};
        return IE_OK;
    }
    return ie_app_fail(err, IE_BAD_ARGUMENT,
                       "--machine %s: legal are h200, or FLOPS,BYTES per second like 2e11,1.5e10",
                       text);
}

bool ie_machine_only_plans(const char *device)
{
    if (strncmp(device, "cuda:", 5) != 0) return !strcmp(device, "plan");
    return device[5] != '\0' && strspn(device + 5, "0123456789") == 0;
}

double ie_machine_floor(const ie_machine *m, ie_precision precision, double flop, double bytes)
{
    const double flops = precision == IE_PRECISION_BF16 ? m->bf16_flops : m->f32_flops;
    return flops > 0 ? fmax(flop / flops, bytes / m->bytes) : 0;
}
