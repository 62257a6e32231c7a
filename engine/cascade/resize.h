/* resize.h - separable, antialiased Catmull-Rom resampling of f32 images (Keys 1981, a = -1/2; the
 * kernel is stretched when the image shrinks). At scale 1 it is the identity, bit for bit.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CASCADE_RESIZE_H
#define IE_CASCADE_RESIZE_H

#include "error.h"

#include <stdint.h>

/* src [from, from, 3] to dst [to, to, 3], both contiguous, edges clamped. IE_NO_MEMORY. */
ie_status ie_resize(float *dst, int64_t to, const float *src, int64_t from, ie_error *err);

#endif
