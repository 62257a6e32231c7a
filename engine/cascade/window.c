/* window.c - the square around the mask. SPDX-License-Identifier: Apache-2.0 */
#include "window.h"

#include "memory.h"
#include "resize.h"

#include <math.h>
#include <string.h>

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static const uint8_t *row_of(const ie_pixels *p, int64_t y)
{
    return (const uint8_t *)p->data + (size_t)y * p->row_bytes;
}

static bool inside(const ie_pixels *p, int64_t x, int64_t y)
{
    return x >= 0 && y >= 0 && x < p->width && y < p->height;
}

/* ---- where ----------------------------------------------------------------------------------- */

typedef struct box {
    int64_t left, top, right, bottom; /* right and bottom exclusive */
} box;

static box bounds_of(const ie_pixels *mask)
{
    box b = {.left = mask->width, .top = mask->height};
    for (int64_t y = 0; y < mask->height; y++) {
        const uint8_t *row = row_of(mask, y);
        for (int64_t x = 0; x < mask->width; x++) {
            if (!row[x]) continue;
            b.left = min64(b.left, x);
            b.right = max64(b.right, x + 1);
            b.top = min64(b.top, y);
            b.bottom = y + 1;
        }
    }
    return b;
}

/* Centre `side` on [begin, end), then push it into [0, size) if it fits there, else centre it on
 * the image. */
static int64_t place(int64_t begin, int64_t end, int64_t side, int64_t size)
{
    if (side > size) return (size - side) / 2;
    return max64(0, min64((begin + end - side) / 2, size - side));
}

ie_window ie_window_of(const ie_pixels *mask, int canvas)
{
    const int64_t width = mask->width, height = mask->height;
    const int64_t longer = max64(width, height), shorter = min64(width, height);
    const box b = bounds_of(mask);
    const int64_t extent = max64(b.right - b.left, b.bottom - b.top);
    int64_t side;
    if (longer * 4 <= shorter * 5 && longer * 4 <= (int64_t)canvas * 5) {
        side = longer; /* within 5:4 and at most a quarter larger: whole */
    } else {
        side = max64(2 * extent, canvas);
        side = max64(min64(side, shorter), extent);
    }
    /* Where the mask is longer than the image is high, the square reaches outside; it must still
     * hold the mask. */
    const int64_t x = place(b.left, b.right, side, width), y = place(b.top, b.bottom, side, height);
    return (ie_window){.x = x, .y = y, .side = side};
}

/* ---- reading --------------------------------------------------------------------------------- */

static float sample_of(const ie_pixels *p, const uint8_t *row, int64_t x, int channel)
{
    const int64_t i = x * p->channels + channel;
    if (p->bits == 8) return (float)row[i];
    uint16_t v;
    memcpy(&v, row + 2 * i, sizeof v);
    return (float)v * (255.0f / 65535.0f);
}

/* The window's pixels as f32 0..255; outside the image the nearest pixel of it (they are masked,
 * but the filter reads them at the border). */
static void crop(float *out, const ie_window *w, const ie_pixels *image)
{
    for (int64_t y = 0; y < w->side; y++) {
        const uint8_t *row = row_of(image, max64(0, min64(w->y + y, image->height - 1)));
        for (int64_t x = 0; x < w->side; x++) {
            const int64_t from = max64(0, min64(w->x + x, image->width - 1));
            for (int c = 0; c < 3; c++)
                out[(y * w->side + x) * 3 + c] = sample_of(image, row, from, c);
        }
    }
}

/* Mark every canvas pixel that a window pixel overlaps, in whole or in part. */
static void mark(uint8_t *fill, int canvas, int64_t side, int64_t x, int64_t y)
{
    const int64_t left = x * canvas / side, right = ((x + 1) * canvas + side - 1) / side;
    const int64_t top = y * canvas / side, bottom = ((y + 1) * canvas + side - 1) / side;
    for (int64_t i = top; i < bottom; i++)
        memset(fill + i * canvas + left, 1, (size_t)(right - left));
}

static uint8_t to_byte(float v)
{
    return (uint8_t)lrintf(fminf(fmaxf(v, 0.0f), 255.0f));
}

ie_status ie_window_read(const ie_window *w, const ie_pixels *image, const ie_pixels *mask,
                         int canvas, uint8_t *rgb, uint8_t *fill, ie_error *err)
{
    const int64_t values = (int64_t)canvas * canvas * 3;
    float *from = ie_alloc((uint64_t)(w->side * w->side * 3), sizeof *from);
    float *to = ie_alloc((uint64_t)values, sizeof *to);
    ie_status status = IE_OK;
    if (!from || !to) {
        status =
            ie_fail(err, IE_NO_MEMORY, "no memory for a window of %lld pixels", (long long)w->side);
        goto done;
    }
    crop(from, w, image);
    IE_TRY_DONE(ie_resize(to, canvas, from, w->side, err));
    for (int64_t i = 0; i < values; i++) rgb[i] = to_byte(to[i]);
    memset(fill, 0, (size_t)canvas * (size_t)canvas);
    for (int64_t y = 0; y < w->side; y++) {
        for (int64_t x = 0; x < w->side; x++) {
            const bool known =
                inside(mask, w->x + x, w->y + y) && !row_of(mask, w->y + y)[w->x + x];
            if (!known) mark(fill, canvas, w->side, x, y);
        }
    }
done:
    ie_free(to);
    ie_free(from);
    return status;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void copy_image(const ie_pixels *image, const ie_pixels *output)
{
    if (output->data == image->data) return;
    const size_t bytes = (size_t)image->width * (size_t)image->channels * (size_t)image->bits / 8;
    for (int64_t y = 0; y < image->height; y++) {
        memcpy((uint8_t *)output->data + (size_t)y * output->row_bytes, row_of(image, y), bytes);
    }
}

/* Distance of a masked pixel to the nearest pixel that is kept, if less than `limit`; the image's
 * border keeps nothing. */
static float depth(const ie_pixels *mask, int64_t x, int64_t y, int limit)
{
    int64_t best = (int64_t)limit * limit;
    for (int64_t j = max64(0, y - limit); j <= min64(mask->height - 1, y + limit); j++) {
        const uint8_t *row = row_of(mask, j);
        const int64_t dy = (j - y) * (j - y);
        for (int64_t dx = 0; dy + dx * dx < best; dx++) {
            const bool kept =
                (x - dx >= 0 && !row[x - dx]) || (x + dx < mask->width && !row[x + dx]);
            if (kept) best = dy + dx * dx;
        }
    }
    return sqrtf((float)best);
}

static void store(const ie_pixels *out, int64_t x, int64_t y, const float *rgb, float weight)
{
    uint8_t *row = (uint8_t *)out->data + (size_t)y * out->row_bytes;
    const float top = out->bits == 8 ? 255.0f : 65535.0f;
    for (int c = 0; c < 3; c++) {
        const int64_t i = x * out->channels + c;
        uint16_t wide = row[i];
        if (out->bits == 16) memcpy(&wide, row + 2 * i, sizeof wide);
        const float value = (fminf(fmaxf(rgb[c], -1.0f), 1.0f) * 0.5f + 0.5f) * top;
        wide = (uint16_t)lrintf(weight * value + (1 - weight) * (float)wide);
        if (out->bits == 16) {
            memcpy(row + 2 * i, &wide, sizeof wide);
        } else {
            row[i] = (uint8_t)wide;
        }
    }
}

ie_status ie_window_write(const ie_window *w, const ie_pixels *image, const ie_pixels *mask,
                          const float *result, int canvas, int feather, const ie_pixels *output,
                          ie_error *err)
{
    float *scaled = ie_alloc((uint64_t)(w->side * w->side * 3), sizeof *scaled);
    if (!scaled)
        return ie_fail(err, IE_NO_MEMORY, "no memory for a window of %lld pixels",
                       (long long)w->side);
    const ie_status status = ie_resize(scaled, w->side, result, canvas, err);
    if (status == IE_OK) {
        copy_image(image, output);
        const int64_t left = max64(0, w->x), right = min64(image->width, w->x + w->side);
        const int64_t top = max64(0, w->y), bottom = min64(image->height, w->y + w->side);
#pragma omp parallel for schedule(dynamic)
        for (int64_t y = top; y < bottom; y++) {
            for (int64_t x = left; x < right; x++) {
                if (!row_of(mask, y)[x]) continue;
                const float near = feather ? depth(mask, x, y, feather + 1) : 1.0f;
                const float *rgb = scaled + ((y - w->y) * w->side + x - w->x) * 3;
                store(output, x, y, rgb, fminf(near / (float)(feather + 1), 1.0f));
            }
        }
    }
    ie_free(scaled);
    return status;
}
