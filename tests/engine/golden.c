/* golden.c - see golden.h. SPDX-License-Identifier: Apache-2.0 */
#include "golden.h"

#include "half.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void die(const char *what, const char *name)
{
    fprintf(stderr, "%s: %s\n", what, name);
    exit(1);
}

const char *golden_path(const char *below)
{
    static char path[1024];
    snprintf(path, sizeof path, "%s/tests/golden/%s", IE_SOURCE_DIR, below);
    return path;
}

golden golden_open(const char *path_below_golden)
{
    const char *path = golden_path(path_below_golden);
    golden g = {0};
    FILE *f = fopen(path, "rb");
    if (!f) die("missing golden file", path);
    fseek(f, 0, SEEK_END);
    const long size = ftell(f);
    rewind(f);
    g.bytes = malloc((size_t)size);
    if (!g.bytes || fread(g.bytes, 1, (size_t)size, f) != (size_t)size) die("cannot read", path);
    fclose(f);
    ie_error err = {0};
    if (ie_weights_open_memory(&g.file, g.bytes, (uint64_t)size, path_below_golden, &err))
        die(path, err.text);
    return g;
}

void golden_close(golden *g)
{
    ie_weights_close(&g->file);
    free(g->bytes);
    *g = (golden){0};
}

static bool find(const golden *g, const char *name, ie_tensor *out)
{
    for (uint64_t i = 0; i < ie_weights_count(g->file); i++) {
        if (!strcmp(ie_weights_at(g->file, i, out), name)) return true;
    }
    return false;
}

bool golden_has(const golden *g, const char *name)
{
    ie_tensor t;
    return find(g, name, &t);
}

ie_tensor golden_get(const golden *g, const char *name)
{
    ie_tensor t = {0};
    if (!find(g, name, &t)) die("missing golden tensor", name);
    return t;
}

float golden_scalar(const golden *g, const char *name)
{
    return ((const float *)golden_get(g, name).data)[0];
}

static float suffixed(const golden *g, const char *name, const char *kind, bool bf16)
{
    char full[160];
    snprintf(full, sizeof full, "%s.%s_%s", name, kind, bf16 ? "bf16" : "f32");
    return golden_scalar(g, full);
}

bool golden_check(const golden *g, const char *name, const float *got, bool bf16)
{
    const ie_tensor want = golden_get(g, name);
    const float *w = want.data;
    const int64_t n = ie_numel(want);
    const double spread = 6.0 * (double)suffixed(g, name, "spread", bf16);
    const double rms_bound = 3.0 * (double)suffixed(g, name, "rms", bf16);
    double worst = 0, squares = 0;
    int64_t at = 0;
    for (int64_t i = 0; i < n; i++) {
        const double e = fabs((double)got[i] - (double)w[i]);
        squares += e * e;
        if (!(e <= worst)) {
            worst = isnan(e) ? INFINITY : e;
            at = i;
        }
    }
    const double rms = sqrt(squares / (double)n);
    const bool ok = worst <= spread && rms <= rms_bound;
    printf("%-4s %-34s max %.2e = %.2f of its bound, rms %.2e = %.2f\n", ok ? "ok" : "BAD", name,
           worst,
           spread > 0  ? worst / spread
           : worst > 0 ? INFINITY
                       : 0,
           rms, rms_bound > 0 ? rms / rms_bound : 0);
    if (!ok)
        printf("     at %lld: got %.9g, want %.9g\n", (long long)at, (double)got[at],
               (double)w[at]);
    return ok;
}

bool rig_open(rig *r, const char *device, bool bf16, uint64_t bytes)
{
    *r = (rig){.bf16 = bf16};
    ie_error err = {0};
    const ie_status status =
        ie_backend_open(&r->backend, device, bf16 ? IE_PRECISION_BF16 : IE_PRECISION_F32, 0, &err);
    if (status == IE_DEVICE) return false;
    if (status || ie_block_alloc(&r->block, r->backend, bytes, "test", &err)) die(device, err.text);
    ie_arena_over(&r->arena, r->block.data, r->block.bytes);
    r->x = (ie_exec){.backend = r->backend, .arena = &r->arena};
    if (ie_backend_enter(r->backend, &err)) die(device, err.text);
    return true;
}

void rig_close(rig *r)
{
    if (!r->backend) return;
    ie_backend_leave(r->backend);
    ie_block_free(&r->block);
    ie_backend_close(&r->backend);
}

ie_tensor rig_upload(rig *r, ie_tensor host)
{
    ie_error err = {0};
    ie_tensor t;
    if (ie_arena_tensor(&r->arena, &t, host.dtype, host.rank, host.dim, &err) ||
        ie_upload(r->backend, t, host.data, &err)) {
        die("upload", err.text);
    }
    return t;
}

float *rig_values(rig *r, ie_tensor device)
{
    const int64_t n = ie_numel(device);
    float *out = malloc((size_t)n * sizeof *out);
    uint16_t *half = malloc((size_t)n * sizeof *half);
    ie_error err = {0};
    if (!out || !half) die("no memory", "test");
    if (ie_download(r->backend, device.dtype == IE_F32 ? (void *)out : (void *)half, device,
                    &err)) {
        die("download", err.text);
    }
    for (int64_t i = 0; device.dtype == IE_BF16 && i < n; i++) out[i] = ie_f32_from_bf16(half[i]);
    free(half);
    return out;
}
