/* known.h - what of an image a stage need not draw: the canvas at the stage's resolution.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CASCADE_KNOWN_H
#define IE_CASCADE_KNOWN_H

#include <stdint.h>

/* known [side, side, 4], as the sampler takes it (ops.h): each pixel stands for a block of the
 * canvas, rgb [canvas, canvas, 3] and fill [canvas, canvas] (1 = fill). Where nothing of the block
 * is to be filled it is the block's mean colour, halves rounded up, and 0; else 0, 0, 0, 1. `side`
 * divides `canvas`. */
void ie_known_pixels(uint8_t *known, int side, const uint8_t *rgb, const uint8_t *fill, int canvas);

#endif
