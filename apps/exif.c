/* exif.c - finds tag 0x0112 in the first directory of a TIFF structure. Every offset is checked
 * against the end before it is followed. SPDX-License-Identifier: Apache-2.0 */
#include "exif.h"

#include <stdbool.h>
#include <string.h>

enum { TAG_ORIENTATION = 0x0112, TYPE_SHORT = 3, ENTRY_BYTES = 12 };

typedef struct tiff_view {
    const uint8_t *data;
    size_t bytes;
    bool big_endian;
} tiff_view;

static bool read_u16(const tiff_view *v, size_t at, uint32_t *out)
{
    if (at > v->bytes || v->bytes - at < 2) return false;
    const uint8_t *p = v->data + at;
    *out = v->big_endian ? (uint32_t)p[0] << 8 | p[1] : (uint32_t)p[1] << 8 | p[0];
    return true;
}

static bool read_u32(const tiff_view *v, size_t at, uint32_t *out)
{
    uint32_t first, second;
    if (!read_u16(v, at, &first) || !read_u16(v, at + 2, &second)) return false;
    *out = v->big_endian ? first << 16 | second : second << 16 | first;
    return true;
}

int ie_exif_orientation(const uint8_t *tiff, size_t bytes)
{
    tiff_view v = {.data = tiff, .bytes = bytes};
    if (bytes >= 6 && !memcmp(tiff, "Exif\0\0", 6)) {
        v.data += 6;
        v.bytes -= 6;
    }
    if (v.bytes < 8) return 1;
    v.big_endian = v.data[0] == 'M';
    if (memcmp(v.data, v.big_endian ? "MM\0*" : "II*\0", 4) != 0) return 1;

    uint32_t directory, count;
    if (!read_u32(&v, 4, &directory) || !read_u16(&v, directory, &count)) return 1;
    for (size_t i = 0; i < count; i++) {
        const size_t entry = (size_t)directory + 2 + i * ENTRY_BYTES;
        uint32_t tag, type, values, orientation;
        if (!read_u16(&v, entry, &tag) || !read_u16(&v, entry + 2, &type) ||
            !read_u32(&v, entry + 4, &values) || !read_u16(&v, entry + 8, &orientation)) {
            return 1;
        }
        if (tag == TAG_ORIENTATION) {
            const bool legal = type == TYPE_SHORT && values == 1 && orientation - 1 < 8;
            return legal ? (int)orientation : 1;
        }
    }
    return 1;
}
