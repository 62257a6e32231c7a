/* noise.c - the two operations that write normals (normals.c).
 * SPDX-License-Identifier: Apache-2.0 */
#include "sampler.h"
#include "threads.h"

#include <math.h>
#include <string.h>

int ie_cpu_noise(ie_stream *s, ie_tensor z, int64_t slot, uint64_t seed, uint32_t stage,
                 uint32_t step)
{
    (void)s;
    const int64_t count = z.dim[1] * z.dim[2] * z.dim[3];
    const ie_noise_key key = {seed, stage, step};
    float *to = ie_offset(z, slot * z.stride[0]);
#pragma omp parallel for num_threads(ie_cpu_thread_count()) schedule(static)
    for (int64_t i = 0; i < count; i += IE_NOISE_RUN) {
        float normals[IE_NOISE_RUN];
        ie_cpu_normals(normals, key, i);
        memcpy(to + i, normals,
               (size_t)(count - i < IE_NOISE_RUN ? count - i : IE_NOISE_RUN) * sizeof *to);
    }
    return 0;
}

/* Where coordinate i of `size` lies between the centres of `from` source pixels: two of them, and
 * the second's share. */
typedef struct between {
    int64_t low, high;
    float share;
} between;

static between locate(int64_t i, int64_t size, int64_t from)
{
    const double at = ((double)i + 0.5) * (double)from / (double)size - 0.5;
    const int64_t low = (int64_t)floor(at);
    const between b = {low < 0 ? 0 : low, low + 1 > from - 1 ? from - 1 : low + 1,
                       (float)(at - (double)low)};
    return b;
}

static float enlarged(ie_tensor x, between v, between h, int64_t c)
{
    const float *p = x.data;
    const int64_t width = x.dim[1], channels = x.dim[2], at[] = {v.low, v.high};
    float row[2];
    for (int i = 0; i < 2; i++) {
        const float left = p[(at[i] * width + h.low) * channels + c],
                    right = p[(at[i] * width + h.high) * channels + c];
        row[i] = fminf(fmaxf(left, -1), 1) * (1 - h.share) + fminf(fmaxf(right, -1), 1) * h.share;
    }
    return row[0] * (1 - v.share) + row[1] * v.share;
}

/* The number of parameters is that of ops.h. NOLINTNEXTLINE(readability-function-size) */
int ie_cpu_augment(ie_stream *s, ie_tensor y, int64_t slot, ie_tensor x, float alpha, float sigma,
                   uint64_t seed, uint32_t stage, uint32_t step)
{
    (void)s;
    const int64_t height = y.dim[1], width = y.dim[2], channels = y.dim[3],
                  count = height * width * channels;
    const ie_noise_key key = {seed, stage, step};
    float *to = ie_offset(y, slot * y.stride[0]);
#pragma omp parallel for num_threads(ie_cpu_thread_count()) schedule(static)
    for (int64_t first = 0; first < count; first += IE_NOISE_RUN) {
        float normals[IE_NOISE_RUN] = {0};
        if (sigma != 0) ie_cpu_normals(normals, key, first);
        for (int64_t i = first; i < first + IE_NOISE_RUN && i < count; i++) {
            const between v = locate(i / channels / width, height, x.dim[0]);
            const between h = locate(i / channels % width, width, x.dim[1]);
            to[i] = alpha * enlarged(x, v, h, i % channels) + sigma * normals[i - first];
        }
    }
    return 0;
}
