/* mask_shape.c - reading shapes from the command line. SPDX-License-Identifier: Apache-2.0 */
#include "mask_draw.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *option, *form;
} kinds[] = {
    [IE_SHAPE_BOX] = {"--box", "x,y,w,h in whole pixels, w and h at least 1"},
    [IE_SHAPE_ELLIPSE] = {"--ellipse", "cx,cy,rx,ry, the radii over 0"},
    [IE_SHAPE_STROKE] = {"--stroke", "x0,y0,x1,y1,...:width, at most 1024 points, width over 0"},
};

/* Far beyond any image, and small enough for every sum and square of them to be exact enough. */
static const double max_coordinate = 1e6;

/* Numbers separated by ',' up to `end` (a character of the text or its 0). Returns how many, or
 * -1. */
static int read_numbers(const char *text, char end, double *out, int most, const char **stopped)
{
    int count = 0;
    for (;;) {
        char *after;
        const double value = strtod(text, &after);
        if (after == text || count == most || !(fabs(value) <= max_coordinate)) return -1;
        out[count++] = value;
        *stopped = after;
        if (*after == end) return count;
        if (*after != ',') return -1;
        text = after + 1;
    }
}

static bool parse_four(ie_shape *s, const char *text)
{
    double v[4];
    const char *stopped;
    if (read_numbers(text, '\0', v, 4, &stopped) != 4 || !(v[2] > 0) || !(v[3] > 0)) return false;
    if (s->kind == IE_SHAPE_BOX) {
        for (int i = 0; i < 4; i++) {
            if (v[i] != floor(v[i])) return false;
        }
    }
    s->x = v[0];
    s->y = v[1];
    s->w = v[2];
    s->h = v[3];
    return true;
}

static bool parse_stroke(ie_shape *s, const char *text)
{
    const char *stopped;
    const int count = read_numbers(text, ':', s->points, 2 * IE_MAX_STROKE_POINTS, &stopped);
    if (count < 2 || count % 2) return false;
    s->point_count = count / 2;
    return read_numbers(stopped + 1, '\0', &s->width, 1, &stopped) == 1 && s->width > 0;
}

ie_status ie_shape_add(ie_shape_list *list, ie_shape_kind kind, const char *text, ie_error *err)
{
    ie_shape shape = {.kind = kind, .text = text};
    if (kind == IE_SHAPE_STROKE) {
        shape.points = calloc((size_t)2 * IE_MAX_STROKE_POINTS, sizeof *shape.points);
        if (!shape.points) return ie_app_fail(err, IE_NO_MEMORY, "no memory for a stroke");
    }
    if (!(kind == IE_SHAPE_STROKE ? parse_stroke(&shape, text) : parse_four(&shape, text))) {
        free(shape.points);
        return ie_app_fail(err, IE_BAD_ARGUMENT, "%s %s: legal is %s", kinds[kind].option, text,
                           kinds[kind].form);
    }
    ie_shape *grown = realloc(list->shapes, ((size_t)list->count + 1) * sizeof *grown);
    if (!grown) {
        free(shape.points);
        return ie_app_fail(err, IE_NO_MEMORY, "no memory for a shape");
    }
    list->shapes = grown;
    list->shapes[list->count++] = shape;
    return IE_OK;
}

void ie_shape_list_release(ie_shape_list *list)
{
    for (int i = 0; i < list->count; i++) free(list->shapes[i].points);
    free(list->shapes);
    *list = (ie_shape_list){0};
}
