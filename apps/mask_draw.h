/* mask_draw.h - making masks: shapes, growing, inverting. Masks are one channel of 8 bits, 255 =
 * edit.
 *
 * Coordinates are pixels from the top left corner of the image; a pixel belongs to an ellipse or a
 * stroke when its centre (x + 1/2, y + 1/2) does. Shapes may reach over the edge; one that lies
 * wholly outside is refused. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_APPS_MASK_DRAW_H
#define IE_APPS_MASK_DRAW_H

#include "fail.h"

#include <stdbool.h>

typedef enum ie_shape_kind { IE_SHAPE_BOX, IE_SHAPE_ELLIPSE, IE_SHAPE_STROKE } ie_shape_kind;

enum { IE_MAX_STROKE_POINTS = 1024, IE_MASK_MAX_GROW = 4096 };

typedef struct ie_shape {
    ie_shape_kind kind;
    double x, y, w, h; /* box: corner and size, whole numbers; ellipse: centre and radii */
    double *points;    /* stroke: x0, y0, x1, y1, ...; owned */
    int point_count;   /* pairs */
    double width;      /* stroke */
    const char *text;  /* as it was given, for messages; not owned */
} ie_shape;

typedef struct ie_shape_list {
    ie_shape *shapes;
    int count;
} ie_shape_list;

/* Parse "x,y,w,h", "cx,cy,rx,ry", "x0,y0,x1,y1,...:width" and append. IE_BAD_ARGUMENT with the
 * legal form. */
ie_status ie_shape_add(ie_shape_list *list, ie_shape_kind kind, const char *text, ie_error *err);
void ie_shape_list_release(ie_shape_list *list);

/* Set every pixel of the shape to 255. IE_BAD_ARGUMENT when it covers none. */
ie_status ie_mask_draw(const ie_pixels *mask, const ie_shape *shape, ie_error *err);

/* Add every pixel whose centre is at most `radius` from that of a pixel of the mask. radius 0 ..
 * IE_MASK_MAX_GROW. */
ie_status ie_mask_grow(const ie_pixels *mask, int radius, ie_error *err);

void ie_mask_invert(const ie_pixels *mask);

#endif
