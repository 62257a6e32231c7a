/* window.c - the square around the mask. SPDX-License-Identifier: Apache-2.0 */
#include "window.h"

#include "resize.h"

#include <math.h>
#include <stdbool.h>
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

/* What a resampling of one window reads and writes. */
typedef struct reading {
    const ie_window *window;
    const ie_pixels *image;
    uint8_t *rgb;
    int canvas;
} reading;

/* A row of the window as f32 0..255; outside the image the nearest pixel of it (they are masked,
 * but the filter reads them at the border). */
static void read_image(void *user, int64_t y, float *row)
{
    const reading *r = user;
    const ie_pixels *image = r->image;
    const uint8_t *line = row_of(image, max64(0, min64(r->window->y + y, image->height - 1)));
    for (int64_t x = 0; x < r->window->side; x++) {
        const int64_t from = max64(0, min64(r->window->x + x, image->width - 1));
        for (int c = 0; c < 3; c++) row[3 * x + c] = sample_of(image, line, from, c);
    }
}

static void write_canvas(void *user, int64_t y, const float *row)
{
    const reading *r = user;
    const int64_t values = 3 * (int64_t)r->canvas;
    for (int64_t i = 0; i < values; i++) {
        r->rgb[y * values + i] = (uint8_t)lrintf(fminf(fmaxf(row[i], 0.0f), 255.0f));
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

ie_status ie_window_read(const ie_window *w, const ie_pixels *image, const ie_pixels *mask,
                         int canvas, uint8_t *rgb, uint8_t *fill, ie_error *err)
{
    reading r = {.window = w, .image = image, .canvas = canvas};
    r.rgb = rgb;
    IE_TRY(ie_resize(canvas, w->side, &(ie_resize_rows){read_image, write_canvas, &r}, err));
    memset(fill, 0, (size_t)canvas * (size_t)canvas);
    for (int64_t y = 0; y < w->side; y++) {
        for (int64_t x = 0; x < w->side; x++) {
            const bool known =
                inside(mask, w->x + x, w->y + y) && !row_of(mask, w->y + y)[w->x + x];
            if (!known) mark(fill, canvas, w->side, x, y);
        }
    }
    return IE_OK;
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

typedef struct writing {
    const ie_window *window;
    const ie_window_result *result;
    const ie_pixels *mask, *output;
} writing;

static void read_result(void *user, int64_t y, float *row)
{
    const ie_window_result *result = ((const writing *)user)->result;
    const int64_t values = 3 * (int64_t)result->canvas;
    memcpy(row, result->rgb + y * values, (size_t)values * sizeof *row);
}

/* The masked pixels of one row of the window. */
static void write_masked(void *user, int64_t line, const float *row)
{
    const writing *w = user;
    const ie_pixels *mask = w->mask;
    const int feather = w->result->feather;
    const int64_t y = w->window->y + line, begin = w->window->x;
    if (y < 0 || y >= mask->height) return;
    const uint8_t *edit = row_of(mask, y);
    const int64_t end = min64(mask->width, begin + w->window->side);
    for (int64_t x = max64(0, begin); x < end; x++) {
        if (!edit[x]) continue;
        const float near = feather ? depth(mask, x, y, feather + 1) : 1.0f;
        const float weight = fminf(near / (float)(feather + 1), 1.0f);
        store(w->output, x, y, row + (x - begin) * 3, weight);
    }
}

ie_status ie_window_write(const ie_window *w, const ie_window_result *result,
                          const ie_pixels *image, const ie_pixels *mask, const ie_pixels *output,
                          ie_error *err)
{
    writing to = {w, result, mask, output};
    copy_image(image, output);
    return ie_resize(w->side, result->canvas, &(ie_resize_rows){read_result, write_masked, &to},
                     err);
}
