/* fuzz_image.c - any bytes as an image file: refused, or what image_io.h promises of it is true.
 * What was read is then a mask by every rule. SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "mask.h"

#include <string.h>

enum { MAX_PIXELS = 1 << 18 }; /* small, so that a run spends its time on the parsers */

static void try_mask(const ie_image *image, const ie_mask_rules *rules)
{
    ie_image mask;
    ie_error err = {0};
    if (ie_mask_from_image(&mask, image, rules, &err) != IE_OK) {
        FUZZ_CHECK(err.text[0] && !mask.pixels.data);
        return;
    }
    FUZZ_CHECK(mask.pixels.channels == 1 && mask.pixels.bits == 8);
    FUZZ_CHECK(ie_mask_count(&mask.pixels) > 0);
    ie_image_release(&mask);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ie_image image;
    ie_error err = {0};
    if (ie_image_decode(&image, data, size, "fuzz", MAX_PIXELS, &err) != IE_OK) {
        FUZZ_CHECK(err.text[0] && !strchr(err.text, '\n') && !image.pixels.data);
        return 0;
    }
    const ie_pixels *p = &image.pixels;
    FUZZ_CHECK(p->data && p->width >= 1 && p->height >= 1);
    FUZZ_CHECK((int64_t)p->width * p->height <= MAX_PIXELS);
    FUZZ_CHECK((p->channels == 3 || p->channels == 4) && (p->bits == 8 || p->bits == 16));
    for (int rule = 0; rule < 8; rule++) {
        const ie_mask_rules rules = {(ie_mask_edit)(rule / 2), rule % 2, "fuzz"};
        try_mask(&image, &rules);
    }
    ie_image_release(&image);
    return 0;
}
