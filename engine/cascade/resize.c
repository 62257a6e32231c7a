/* resize.c - see resize.h. SPDX-License-Identifier: Apache-2.0 */
#include "resize.h"

#include "memory.h"

#include <math.h>
#include <string.h>

enum { CHANNELS = 3 };

static double catmull_rom(double x)
{
    x = fabs(x);
    if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
    if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
    return 0;
}

/* Weights of one axis: output i is the sum over k of weight[i * taps + k] * input[clamp(first[i] +
 * k)]. */
typedef struct axis {
    int64_t taps;
    int64_t *first;
    float *weight;
} axis;

static void axis_free(axis *a)
{
    ie_free(a->first);
    ie_free(a->weight);
    *a = (axis){0};
}

static ie_status axis_new(axis *a, int64_t to, int64_t from, ie_error *err)
{
    const double scale = (double)from / (double)to, stretch = fmax(scale, 1.0),
                 radius = 2 * stretch;
    a->taps = (int64_t)ceil(2 * radius) + 1;
    a->first = ie_alloc((uint64_t)to, sizeof *a->first);
    a->weight = ie_alloc((uint64_t)(to * a->taps), sizeof *a->weight);
    if (!a->first || !a->weight)
        return ie_fail(err, IE_NO_MEMORY, "no memory to resize to %lld", (long long)to);
    for (int64_t i = 0; i < to; i++) {
        const double centre = ((double)i + 0.5) * scale - 0.5;
        a->first[i] = (int64_t)ceil(centre - radius);
        double sum = 0;
        for (int64_t k = 0; k < a->taps; k++)
            sum += catmull_rom(((double)(a->first[i] + k) - centre) / stretch);
        for (int64_t k = 0; k < a->taps; k++) {
            a->weight[i * a->taps + k] =
                (float)(catmull_rom(((double)(a->first[i] + k) - centre) / stretch) / sum);
        }
    }
    return IE_OK;
}

static int64_t clamp(int64_t i, int64_t n)
{
    return i < 0 ? 0 : i >= n ? n - 1 : i;
}

/* One axis of a [rows, n, inner] array to [rows, to, inner]. */
static void apply(float *dst, int64_t to, const float *src, int64_t from, int64_t rows,
                  int64_t inner, const axis *a)
{
#pragma omp parallel for schedule(static)
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t i = 0; i < to; i++) {
            float *out = dst + (r * to + i) * inner;
            memset(out, 0, (size_t)inner * sizeof *out);
            for (int64_t k = 0; k < a->taps; k++) {
                const float w = a->weight[i * a->taps + k];
                if (w == 0) continue;
                const float *in = src + (r * from + clamp(a->first[i] + k, from)) * inner;
                for (int64_t c = 0; c < inner; c++) out[c] += w * in[c];
            }
        }
    }
}

ie_status ie_resize(float *dst, int64_t to, const float *src, int64_t from, ie_error *err)
{
    axis a = {0};
    float *wide = NULL;
    ie_status status = axis_new(&a, to, from, err);
    if (status) goto done;
    wide = ie_alloc((uint64_t)(from * to) * CHANNELS, sizeof *wide);
    if (!wide) {
        status = ie_fail(err, IE_NO_MEMORY, "no memory to resize %lld to %lld", (long long)from,
                         (long long)to);
        goto done;
    }
    apply(wide, to, src, from, from, CHANNELS, &a);
    apply(dst, to, wide, from, 1, to * CHANNELS, &a);
done:
    ie_free(wide);
    axis_free(&a);
    return status;
}
