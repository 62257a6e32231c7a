/* window.h - from an image of any size to the model's square canvas and back to exactly the masked
 * pixels.
 *
 * The window is a square over the image. A near-square image not much larger than the canvas is
 * taken whole; of others the square holds the mask with as much again around it, at least the
 * canvas's size where the image has that much. What of the square lies outside the image is unknown
 * to the model like the mask itself, and its result is thrown away.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CASCADE_WINDOW_H
#define IE_CASCADE_WINDOW_H

#include "error.h"

#include <stdint.h>

typedef struct ie_window {
    int64_t x, y, side; /* in pixels of the image; may reach outside it */
} ie_window;

/* The window for a mask (1 channel, 8 bits, 0 or 255, not empty) on its image; canvas is the
 * model's side. */
ie_window ie_window_of(const ie_pixels *mask, int canvas);

/* The window scaled to the canvas. rgb [canvas, canvas, 3] u8: antialiased Catmull-Rom, edges
 * clamped. fill [canvas, canvas] u8: 1 wherever any part of the pixel is masked or outside the
 * image, else 0. IE_NO_MEMORY. */
ie_status ie_window_read(const ie_window *w, const ie_pixels *image, const ie_pixels *mask,
                         int canvas, uint8_t *rgb, uint8_t *fill, ie_error *err);

/* What the model made of the canvas. */
typedef struct ie_window_result {
    const float *rgb; /* [canvas, canvas, 3] in [-1, 1] */
    int canvas;
    int feather; /* > 0: it fades in over that many pixels inside the mask's edge */
} ie_window_result;

/* image copied to output, then the masked pixels of it from the result, scaled back. Alpha is
 * copied. output may be image. */
ie_status ie_window_write(const ie_window *w, const ie_window_result *result,
                          const ie_pixels *image, const ie_pixels *mask, const ie_pixels *output,
                          ie_error *err);

#endif
