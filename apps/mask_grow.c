/* mask_grow.c - growing a mask by an exact Euclidean disc, in time that does not depend on the
 * radius.
 *
 * A pixel (x, y) is reached when some mask pixel (u, v) has (x-u)^2 + (y-v)^2 <= r^2. For each
 * column u, let g be the distance from y to the nearest mask pixel of that column: then in row y it
 * reaches the x with |x-u| <= sqrt(r^2 - g^2). One pass down and one up give g; per row, the
 * intervals are added up by their ends. SPDX-License-Identifier: Apache-2.0 */
#include "mask_draw.h"

#include <stdlib.h>
#include <string.h>

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

static uint8_t *row_of(const ie_pixels *mask, int y)
{
    return (uint8_t *)mask->data + (size_t)y * mask->row_bytes;
}

/* gap[y * width + x]: vertical distance to the nearest mask pixel of the column, at most radius +
 * 1. */
static void measure_gaps(const ie_pixels *mask, uint16_t *gap, int radius)
{
    const int none = radius + 1;
    for (int y = 0; y < mask->height; y++) {
        const uint8_t *row = row_of(mask, y);
        uint16_t *here = gap + (size_t)y * (size_t)mask->width;
        for (int x = 0; x < mask->width; x++) {
            const int above = y > 0 ? here[x - mask->width] + 1 : none;
            here[x] = (uint16_t)(row[x] ? 0 : smaller(above, none));
        }
    }
    for (int y = mask->height - 2; y >= 0; y--) {
        uint16_t *here = gap + (size_t)y * (size_t)mask->width;
        for (int x = 0; x < mask->width; x++) {
            here[x] = (uint16_t)smaller(here[x], here[x + mask->width] + 1);
        }
    }
}

/* reach[g] = floor(sqrt(radius^2 - g^2)), counted down with g: no rounding. */
static void measure_reach(int *reach, int radius)
{
    int k = radius;
    for (int g = 0; g <= radius; g++) {
        while (k * k + g * g > radius * radius) k--;
        reach[g] = k;
    }
}

/* change[x]: intervals that begin at x less those that ended before it. */
static void paint_row(const ie_pixels *mask, int y, const uint16_t *gap, const int *reach,
                      int *change, int radius)
{
    const int width = mask->width;
    memset(change, 0, ((size_t)width + 1) * sizeof *change);
    for (int x = 0; x < width; x++) {
        if (gap[x] > radius) continue;
        const int k = reach[gap[x]];
        change[x > k ? x - k : 0]++;
        change[smaller(x + k + 1, width)]--;
    }
    uint8_t *row = row_of(mask, y);
    for (int x = 0, open = 0; x < width; x++) {
        open += change[x];
        if (open > 0) row[x] = 255;
    }
}

ie_status ie_mask_grow(const ie_pixels *mask, int radius, ie_error *err)
{
    const size_t width = (size_t)mask->width, height = (size_t)mask->height;
    ie_status status = IE_OK;
    uint16_t *gap = calloc(height, width * sizeof *gap);
    int *change = calloc(width + 1, sizeof *change);
    int *reach = calloc((size_t)radius + 1, sizeof *reach);
    if (!gap || !change || !reach) {
        status = ie_app_fail(err, IE_NO_MEMORY, "no memory to grow a mask of %d x %d pixels",
                             mask->width, mask->height);
        goto done;
    }
    measure_gaps(mask, gap, radius);
    measure_reach(reach, radius);
    for (int y = 0; y < mask->height; y++) {
        paint_row(mask, y, gap + (size_t)y * width, reach, change, radius);
    }
done:
    free(gap);
    free(change);
    free(reach);
    return status;
}
