/* bench_rows.c - the shapes: three stages of a small cascade (widths 32 to 256), then layers of the
 * full-size one. SPDX-License-Identifier: Apache-2.0 */
#include "bench_row.h"

#define FUSED .norm = true, .residual = true, .moments = true
/* Sources side x side x (a + b), o outputs, kernel k, stride s. */
#define CONV(text, side, a, b, o, k, s, ...)                                               \
    {                                                                                      \
        .name = "conv " text, .kind = BENCH_CONV, .size = side, .inputs = a, .inputs2 = b, \
        .outputs = o, .kernel = k, .stride = s, __VA_ARGS__                                \
    }
#define LINEAR(rows, k, o, ...)                                                         \
    {                                                                                   \
        .name = "linear " #rows " x " #k " to " #o, .kind = BENCH_LINEAR, .size = rows, \
        .inputs = k, .outputs = o, __VA_ARGS__                                          \
    }
/* t queries, h heads of width d, keys of the text and of the image. */
#define ATTENTION(t, h, d, a, b)                                                               \
    {                                                                                          \
        .name = "attention " #t " of " #h "x" #d ", keys " #a "+" #b, .kind = BENCH_ATTENTION, \
        .size = t, .heads = h, .width = d, .text = a, .image = b                               \
    }

const bench_row bench_rows[] = {
    CONV("3x3 64x64 64", 64, 64, 0, 64, 3, 1, .moments = true),
    CONV("3x3 64x64 64 fused", 64, 64, 0, 64, 3, 1, FUSED),
    CONV("3x3 64x64 128 fused", 64, 128, 0, 128, 3, 1, FUSED),
    CONV("3x3 64x64 128+64 to 64 fused", 64, 128, 64, 64, 3, 1, FUSED),
    CONV("3x3 32x32 128 fused", 32, 128, 0, 128, 3, 1, FUSED),
    CONV("3x3 16x16 256 fused", 16, 256, 0, 256, 3, 1, FUSED),
    CONV("3x3 8x8 256 fused", 8, 256, 0, 256, 3, 1, FUSED),
    CONV("3x3 128x128 64 fused", 128, 64, 0, 64, 3, 1, FUSED),
    CONV("3x3 256x256 32 fused", 256, 32, 0, 32, 3, 1, FUSED),
    CONV("3x3 256x256 64 fused", 256, 64, 0, 64, 3, 1, FUSED),
    CONV("3x3 512x512 32 fused", 512, 32, 0, 32, 3, 1, FUSED),
    CONV("3x3 1024x1024 16 fused", 1024, 16, 0, 16, 3, 1, FUSED),
    CONV("3x3 1024x1024 10 to 16", 1024, 10, 0, 16, 3, 1, .moments = true),
    CONV("3x3 1024x1024 16 to 3 normed", 1024, 16, 0, 3, 3, 1, .norm = true),
    CONV("3x3 64x64 128 up", 64, 128, 0, 128, 3, 1, .norm = true, .moments = true,
         .resample = IE_UP2),
    CONV("3x3 64x64 128 down", 64, 128, 0, 128, 3, 1, .norm = true, .moments = true,
         .resample = IE_DOWN2),
    CONV("3x3 256x256 32 to 64 stride 2", 256, 32, 0, 64, 3, 2, .moments = true),
    CONV("1x1 64x64 192 to 64", 64, 192, 0, 64, 1, 1, .moments = true),
    CONV("1x1 64x64 128+64 to 64", 64, 128, 64, 64, 1, 1, .moments = true),
    CONV("1x1 16x16 256 to 768 normed", 16, 256, 0, 768, 1, 1, .norm = true),
    CONV("3x3 64x64 512 fused", 64, 512, 0, 512, 3, 1, FUSED),
    CONV("3x3 32x32 1024 fused", 32, 1024, 0, 1024, 3, 1, FUSED),
    CONV("3x3 8x8 1024 fused", 8, 1024, 0, 1024, 3, 1, FUSED),
    LINEAR(1, 2048, 4096, .residual = false),
    LINEAR(128, 1024, 2816, .residual = false),
    LINEAR(1024, 512, 512, .residual = true),
    ATTENTION(256, 4, 64, 128, 256),
    ATTENTION(1024, 8, 64, 128, 1024),
    ATTENTION(256, 8, 256, 128, 256),
    ATTENTION(4096, 8, 256, 128, 0),
    {.name = "sample 1024x1024x3 dynamic, noise", .kind = BENCH_SAMPLE, .size = 1024},
};
const int bench_row_count = sizeof bench_rows / sizeof *bench_rows;
