/* thumbnail.c - means over boxes. SPDX-License-Identifier: Apache-2.0 */
#include "thumbnail.h"

#include <string.h>

/* A sample as 0 .. 1. */
static double sample(const ie_pixels *p, int x, int y, int c)
{
    const char *row = (const char *)p->data + (size_t)y * p->row_bytes;
    const size_t at = (size_t)x * (size_t)p->channels + (size_t)c;
    if (p->bits == 8) return ((const uint8_t *)row)[at] / 255.0;
    uint16_t value;
    memcpy(&value, row + at * sizeof value, sizeof value);
    return value / 65535.0;
}

static void average(uint8_t *out, const ie_pixels *p, const int box[4])
{
    double sum[3] = {0, 0, 0};
    for (int y = box[1]; y < box[3]; y++) {
        for (int x = box[0]; x < box[2]; x++) {
            const double alpha = p->channels == 4 ? sample(p, x, y, 3) : 1;
            for (int c = 0; c < 3; c++) {
                sum[c] += alpha * sample(p, x, y, p->channels == 1 ? 0 : c) + 1 - alpha;
            }
        }
    }
    const double count = (double)(box[2] - box[0]) * (box[3] - box[1]);
    for (int c = 0; c < 3; c++) out[c] = (uint8_t)(255 * sum[c] / count + 0.5);
}

static int scaled(int length, int longer, int side)
{
    const int to = (int)((int64_t)length * side / longer);
    return longer <= side ? length : to > 0 ? to : 1;
}

ie_status ie_thumbnail(ie_image *out, const ie_pixels *p, int side, ie_error *err)
{
    const int longer = p->width > p->height ? p->width : p->height;
    const int width = scaled(p->width, longer, side), height = scaled(p->height, longer, side);
    IE_APP_TRY(ie_image_create(out, width, height, 3, 8, err));
    for (int y = 0; y < height; y++) {
        uint8_t *row = (uint8_t *)out->pixels.data + (size_t)y * out->pixels.row_bytes;
        for (int x = 0; x < width; x++) {
            const int box[4] = {(int)((int64_t)x * p->width / width),
                                (int)((int64_t)y * p->height / height),
                                (int)((int64_t)(x + 1) * p->width / width),
                                (int)((int64_t)(y + 1) * p->height / height)};
            average(row + (size_t)x * 3, p, box);
        }
    }
    return IE_OK;
}

void ie_thumbnail_paste(const ie_pixels *sheet, const ie_pixels *picture, int x, int y)
{
    for (int r = 0; r < picture->height; r++) {
        uint8_t *to = (uint8_t *)sheet->data + (size_t)(y + r) * sheet->row_bytes + (size_t)x * 3;
        const uint8_t *from = (const uint8_t *)picture->data + (size_t)r * picture->row_bytes;
        memcpy(to, from, (size_t)picture->width * 3);
    }
}
