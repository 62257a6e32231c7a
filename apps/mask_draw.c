/* mask_draw.c - rasterising shapes. SPDX-License-Identifier: Apache-2.0 */
#include "mask_draw.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- which pixels ---------------------------------------------------------------------------- */

static bool in_box(const ie_shape *s, double x, double y)
{
    return x > s->x && x < s->x + s->w && y > s->y && y < s->y + s->h;
}

static bool in_ellipse(const ie_shape *s, double x, double y)
{
    const double dx = (x - s->x) / s->w, dy = (y - s->y) / s->h;
    return dx * dx + dy * dy <= 1;
}

static double distance_to_segment(double x, double y, const double *a, const double *b)
{
    const double dx = b[0] - a[0], dy = b[1] - a[1];
    const double length2 = dx * dx + dy * dy;
    double t = length2 > 0 ? ((x - a[0]) * dx + (y - a[1]) * dy) / length2 : 0;
    t = fmin(fmax(t, 0), 1);
    return hypot(x - (a[0] + t * dx), y - (a[1] + t * dy));
}

/* One segment of a stroke; a single point is a segment of no length. */
typedef struct segment {
    const double *a, *b;
    double radius;
} segment;

static bool in_segment(const segment *s, double x, double y)
{
    return distance_to_segment(x, y, s->a, s->b) <= s->radius;
}

/* ---- painting -------------------------------------------------------------------------------- */

typedef struct region {
    double left, top, right, bottom;
} region;

/* The bounds of a region in whole pixels of the mask: [x0, x1) x [y0, y1). Compared as doubles:
 * coordinates far outside do not fit an int. */
typedef struct span {
    int x0, y0, x1, y1;
} span;

static span clip(const ie_pixels *mask, region r)
{
    return (span){(int)fmin(fmax(floor(r.left), 0), mask->width),
                  (int)fmin(fmax(floor(r.top), 0), mask->height),
                  (int)fmin(fmax(ceil(r.right), 0), mask->width),
                  (int)fmin(fmax(ceil(r.bottom), 0), mask->height)};
}

static uint8_t *row_of(const ie_pixels *mask, int y)
{
    return (uint8_t *)mask->data + (size_t)y * mask->row_bytes;
}

static bool paint_area(const ie_pixels *mask, const ie_shape *s)
{
    const bool box = s->kind == IE_SHAPE_BOX;
    const span area =
        clip(mask, box ? (region){s->x, s->y, s->x + s->w, s->y + s->h}
                       : (region){s->x - s->w, s->y - s->h, s->x + s->w, s->y + s->h});
    bool painted = false;
    for (int y = area.y0; y < area.y1; y++) {
        uint8_t *row = row_of(mask, y);
        for (int x = area.x0; x < area.x1; x++) {
            if (box ? in_box(s, x + 0.5, y + 0.5) : in_ellipse(s, x + 0.5, y + 0.5)) {
                row[x] = 255;
                painted = true;
            }
        }
    }
    return painted;
}

static bool paint_segment(const ie_pixels *mask, const segment *s)
{
    const double r = s->radius;
    const span area = clip(mask, (region){fmin(s->a[0], s->b[0]) - r, fmin(s->a[1], s->b[1]) - r,
                                          fmax(s->a[0], s->b[0]) + r, fmax(s->a[1], s->b[1]) + r});
    bool painted = false;
    for (int y = area.y0; y < area.y1; y++) {
        uint8_t *row = row_of(mask, y);
        for (int x = area.x0; x < area.x1; x++) {
            if (in_segment(s, x + 0.5, y + 0.5)) {
                row[x] = 255;
                painted = true;
            }
        }
    }
    return painted;
}

static bool paint_stroke(const ie_pixels *mask, const ie_shape *s)
{
    bool painted = false;
    const int segments = s->point_count > 1 ? s->point_count - 1 : 1;
    for (int i = 0; i < segments; i++) {
        const double *a = s->points + (ptrdiff_t)2 * i;
        const segment one = {a, s->point_count > 1 ? a + 2 : a, s->width / 2};
        painted |= paint_segment(mask, &one);
    }
    return painted;
}

ie_status ie_mask_draw(const ie_pixels *mask, const ie_shape *s, ie_error *err)
{
    const bool painted = s->kind == IE_SHAPE_STROKE ? paint_stroke(mask, s) : paint_area(mask, s);
    if (painted) return IE_OK;
    return ie_app_fail(err, IE_BAD_ARGUMENT, "%s covers no pixel of an image of %d x %d", s->text,
                       mask->width, mask->height);
}

void ie_mask_invert(const ie_pixels *mask)
{
    for (int y = 0; y < mask->height; y++) {
        uint8_t *row = row_of(mask, y);
        for (int x = 0; x < mask->width; x++) row[x] = row[x] ? 0 : 255;
    }
}
