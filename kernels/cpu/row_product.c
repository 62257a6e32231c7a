/* row_product.c - one row per lane times a matrix: the embeddings of time and text.
 *
 *   cost      2 flops per weight and lane; bound by reading the weights once, so lanes share each
 *             row of them
 *   numerics  two running sums of sixteen lanes each, fused multiply-adds, then one tree: the same
 *             for every lane
 *   mapping   output features over threads
 * SPDX-License-Identifier: Apache-2.0 */
#include "linear.h"
#include "threads.h"
#include "vec_math.h"

enum { TOGETHER = 4 }; /* lanes that share a load of the weights */

/* sum[j] = sum_k w[k] x[j * K + k], j < count; count is a constant after inlining. */
IE_INLINE void dots(float *sum, const void *w, const float *x, int64_t inputs, int count,
                    ie_dtype type)
{
    ie_v even[TOGETHER], odd[TOGETHER];
    for (int j = 0; j < count; j++) even[j] = odd[j] = ie_v_set(0.0f);
    const int64_t pair = (int64_t)2 * IE_LANES;
    int64_t k = 0;
    for (; k + pair <= inputs; k += pair) {
        const ie_v a = ie_v_load(w, k, type), b = ie_v_load(w, k + IE_LANES, type);
        for (int j = 0; j < count; j++) {
            even[j] = ie_v_fma(a, ie_v_load(x, j * inputs + k, IE_F32), even[j]);
            odd[j] = ie_v_fma(b, ie_v_load(x, j * inputs + k + IE_LANES, IE_F32), odd[j]);
        }
    }
    for (; k < inputs; k += IE_LANES) {
        const int64_t n = inputs - k;
        const ie_v a = ie_v_get(w, k, n, type);
        for (int j = 0; j < count; j++)
            even[j] = ie_v_fma(a, ie_v_get(x, j * inputs + k, n, IE_F32), even[j]);
    }
    for (int j = 0; j < count; j++) sum[j] = ie_v_sum(even[j] + odd[j]);
}

static void put(const ie_row_product *p, int64_t lane, int64_t o, float sum)
{
    const int64_t i = lane * p->outputs + o;
    ie_v v = ie_v_set(p->bias[o] + sum);
    if (p->residual) v += ie_v_load_part(p->residual, i, 1, p->y_type);
    ie_v_store_part(p->y, i, 1, v, p->y_type);
}

IE_INLINE void output(const ie_row_product *p, int64_t o, ie_dtype type)
{
    const void *w = (const char *)p->w + o * p->inputs * ie_dtype_size(type);
    int64_t n = 0;
    float sum[TOGETHER];
    for (; n + TOGETHER <= p->lanes; n += TOGETHER) {
        dots(sum, w, p->x + n * p->inputs, p->inputs, TOGETHER, type);
        for (int j = 0; j < TOGETHER; j++) put(p, n + j, o, sum[j]);
    }
    for (; n < p->lanes; n++) {
        dots(sum, w, p->x + n * p->inputs, p->inputs, 1, type);
        put(p, n, o, sum[0]);
    }
}

void ie_cpu_row_product(const ie_row_product *p)
{
#pragma omp parallel for num_threads(ie_cpu_thread_count()) schedule(static)
    for (int64_t o = 0; o < p->outputs; o++) {
        if (p->w_type == IE_BF16) {
            output(p, o, IE_BF16);
        } else {
            output(p, o, IE_F32);
        }
    }
}

void ie_cpu_activate(float *out, const void *x, ie_dtype type, ie_act act, int64_t count)
{
    for (int64_t i = 0; i < count; i += IE_LANES) {
        ie_v_put(out, i, count - i, ie_v_activate(ie_v_get(x, i, count - i, type), act), IE_F32);
    }
}

void ie_cpu_store_row(void *out, ie_dtype type, const float *x, int64_t count)
{
    for (int64_t i = 0; i < count; i += IE_LANES) {
        ie_v_put(out, i, count - i, ie_v_get(x, i, count - i, IE_F32), type);
    }
}

void ie_cpu_gate_row(void *out, ie_dtype type, const float *sums, int64_t count)
{
    for (int64_t i = 0; i < count; i += IE_LANES) {
        const int64_t n = count - i;
        const ie_v gate = ie_v_gelu_tanh(ie_v_get(sums, i, n, IE_F32));
        ie_v_put(out, i, n, gate * ie_v_get(sums, count + i, n, IE_F32), type);
    }
}
