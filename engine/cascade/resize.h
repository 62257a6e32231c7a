/* resize.h - separable, antialiased Catmull-Rom resampling of f32 images (Keys 1981, a = -1/2; the
 * kernel is stretched when the image shrinks). At scale 1 it is the identity, bit for bit.
 *
 * Rows come from and go to the caller one by one, so that neither image has to exist as floats.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CASCADE_RESIZE_H
#define IE_CASCADE_RESIZE_H

#include "error.h"

#include <stdint.h>

typedef struct ie_resize_rows {
    /* Write row y, 0 <= y < from, to row [from, 3]. */
    void (*read)(void *user, int64_t y, float *row);
    /* Take row y, 0 <= y < to: row [to, 3]. Each comes once. */
    void (*write)(void *user, int64_t y, const float *row);
    void *user;
} ie_resize_rows;

/* A square image of side `from` to one of side `to`, edges clamped. Both calls come from several
 * threads, in no order, and some rows are read more than once. IE_NO_MEMORY, before any call. */
ie_status ie_resize(int64_t to, int64_t from, const ie_resize_rows *rows, ie_error *err);

#endif
