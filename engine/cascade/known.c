/* known.c - see known.h. SPDX-License-Identifier: Apache-2.0 */
#include "known.h"

#include <assert.h>
#include <stddef.h>

/* The block of scale x scale pixels that begins at rgb and fill, in rows of `canvas`. */
static void one_pixel(uint8_t known[4], const uint8_t *rgb, const uint8_t *fill, size_t canvas,
                      size_t scale)
{
    const uint64_t pixels = (uint64_t)scale * scale;
    uint64_t sum[3] = {0};
    uint8_t any = 0;
    for (size_t y = 0; y < scale; y++, rgb += 3 * canvas, fill += canvas) {
        for (size_t x = 0; x < scale; x++) {
            any |= fill[x];
            for (size_t c = 0; c < 3; c++) sum[c] += rgb[3 * x + c];
        }
    }
    for (size_t c = 0; c < 3; c++)
        known[c] = (uint8_t)(any ? 0 : (2 * sum[c] + pixels) / (2 * pixels));
    known[3] = any;
}

void ie_known_pixels(uint8_t *known, int side, const uint8_t *rgb, const uint8_t *fill, int canvas)
{
    assert(side > 0 && canvas % side == 0);
    const size_t row = (size_t)canvas, scale = (size_t)(canvas / side);
    for (size_t y = 0; y < row; y += scale) {
        for (size_t x = 0; x < row; x += scale, known += 4) {
            const size_t at = y * row + x;
            one_pixel(known, rgb + 3 * at, fill + at, row, scale);
        }
    }
}
