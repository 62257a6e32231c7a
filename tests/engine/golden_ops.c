/* golden_ops.c - see golden_ops.h. SPDX-License-Identifier: Apache-2.0 */
#include "golden_ops.h"

#include "half.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

_Noreturn void ops_stop(const char *name, const char *why)
{
    fprintf(stderr, "%s: %s\n", name, why);
    exit(1);
}

typedef struct full_name {
    char text[96];
} full_name;

static full_name name_of(const ops_case *c, const char *middle, const char *role)
{
    full_name n;
    snprintf(n.text, sizeof n.text, "%s.%s%s", c->name, middle, role);
    return n;
}

int ops_int(const ops_case *c, const char *attribute)
{
    const ie_tensor t = golden_get(c->g, name_of(c, "attr.", attribute).text);
    if (t.dtype != IE_I32) ops_stop(c->name, "an attribute that should be an integer is not");
    return ((const int32_t *)t.data)[0];
}

float ops_real(const ops_case *c, const char *attribute)
{
    const ie_tensor t = golden_get(c->g, name_of(c, "attr.", attribute).text);
    if (t.dtype != IE_F32) ops_stop(c->name, "an attribute that should be real is not");
    return ((const float *)t.data)[0];
}

bool ops_has(const ops_case *c, const char *role)
{
    return golden_has(c->g, name_of(c, "", role).text);
}

ie_tensor ops_host(const ops_case *c, const char *role)
{
    return golden_get(c->g, name_of(c, "", role).text);
}

ie_tensor ops_input(const ops_case *c, const char *role, ie_dtype dtype)
{
    if (!ops_has(c, role)) return (ie_tensor){0};
    const ie_tensor host = ops_host(c, role);
    if (host.dtype == dtype) return rig_upload(c->r, host);
    const int64_t n = ie_numel(host);
    const float *values = host.data;
    uint16_t *half = malloc((size_t)n * sizeof *half);
    if (!half || host.dtype != IE_F32 || dtype != IE_BF16) ops_stop(c->name, role);
    for (int64_t i = 0; i < n; i++) {
        half[i] = ie_bf16_from_f32(values[i]);
        if (ie_f32_from_bf16(half[i]) != values[i])
            ops_stop(c->name, "an input is not exact in bf16");
    }
    const ie_tensor device = rig_upload(c->r, ie_view(half, IE_BF16, host.rank, host.dim));
    free(half);
    return device;
}

ie_tensor ops_output(const ops_case *c, ie_dtype dtype, int rank, const int64_t *dim)
{
    ie_tensor t = ie_view(NULL, dtype, rank, dim);
    const int64_t n = ie_numel(t);
    float *poison = malloc((size_t)n * sizeof *poison);
    uint16_t *half = malloc((size_t)n * sizeof *half);
    if (!poison || !half) ops_stop(c->name, "no memory");
    for (int64_t i = 0; i < n; i++) {
        poison[i] = NAN;
        half[i] = 0x7fc0;
    }
    t.data = dtype == IE_F32 ? (void *)poison : (void *)half;
    t = rig_upload(c->r, t);
    free(half);
    free(poison);
    return t;
}

bool ops_check(const ops_case *c, const char *role, ie_tensor got, bool bf16)
{
    const ie_tensor want = ops_host(c, role);
    if (ie_numel(want) != ie_numel(got)) ops_stop(c->name, "the result has another size");
    float *values = rig_values(c->r, got);
    const bool ok = golden_check(c->g, name_of(c, "", role).text, values, bf16);
    free(values);
    return ok;
}
