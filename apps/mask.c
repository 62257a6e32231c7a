/* mask.c - the mask rules. SPDX-License-Identifier: Apache-2.0 */
#include "mask.h"

#include <inttypes.h>
#include <string.h>

const char *const ie_mask_edit_names[] = {"white", "black", "transparent", NULL};

/* One pixel of an RGB or RGBA image; alpha is full where there is none. */
typedef struct pixel {
    unsigned r, g, b, a;
} pixel;

static pixel pixel_at(const ie_pixels *p, int x, int y)
{
    const char *row = (const char *)p->data + (size_t)y * p->row_bytes;
    const size_t at = (size_t)x * (size_t)p->channels;
    if (p->bits == 8) {
        const uint8_t *s = (const uint8_t *)row + at;
        return (pixel){s[0], s[1], s[2], p->channels == 4 ? s[3] : 255U};
    }
    uint16_t s[4] = {0, 0, 0, 65535};
    memcpy(s, row + at * sizeof *s, (size_t)p->channels * sizeof *s);
    return (pixel){s[0], s[1], s[2], s[3]};
}

/* The first pixel of a kind that some rule refuses. */
typedef struct finding {
    bool seen;
    int x, y;
    pixel value;
} finding;

typedef struct findings {
    finding clear, half_clear, colour, grey;
} findings;

static void keep_first(finding *f, bool applies, int x, int y, pixel value)
{
    if (applies && !f->seen) *f = (finding){true, x, y, value};
}

static findings examine(const ie_pixels *p)
{
    findings f = {0};
    const unsigned top = (1U << p->bits) - 1;
    for (int y = 0; y < p->height; y++) {
        for (int x = 0; x < p->width; x++) {
            const pixel v = pixel_at(p, x, y);
            const bool colour = v.r != v.g || v.g != v.b;
            keep_first(&f.clear, v.a != top, x, y, v);
            keep_first(&f.half_clear, v.a != top && v.a != 0, x, y, v);
            keep_first(&f.colour, colour, x, y, v);
            keep_first(&f.grey, !colour && v.r != 0 && v.r != top, x, y, v);
        }
    }
    return f;
}

static ie_status check_transparent(const findings *f, const ie_pixels *p, const ie_mask_rules *r,
                                   ie_error *err)
{
    if (p->channels != 4) {
        return ie_app_fail(err, IE_BAD_INPUT,
                           "%s has no transparency, which --mask-edit transparent needs: leave the "
                           "option out if white marks the edit",
                           r->name);
    }
    if (f->half_clear.seen && !r->threshold) {
        return ie_app_fail(err, IE_BAD_INPUT,
                           "%s has half-transparent pixels (alpha %u at %d,%d): a mask is clear or "
                           "opaque; with --feather PX it is cut at 50 %%",
                           r->name, f->half_clear.value.a, f->half_clear.x, f->half_clear.y);
    }
    return IE_OK;
}

static ie_status check_opaque(const findings *f, const ie_mask_rules *r, ie_error *err)
{
    if (f->clear.seen) {
        return ie_app_fail(err, IE_BAD_INPUT,
                           "%s has transparent pixels (at %d,%d): say --mask-edit transparent if "
                           "clear marks the edit, or save the mask without transparency",
                           r->name, f->clear.x, f->clear.y);
    }
    if (f->colour.seen) {
        const pixel v = f->colour.value;
        return ie_app_fail(err, IE_BAD_INPUT,
                           "%s has colours (%u,%u,%u at %d,%d): a mask is black and white; is it "
                           "the image?",
                           r->name, v.r, v.g, v.b, f->colour.x, f->colour.y);
    }
    if (f->grey.seen && !r->threshold) {
        return ie_app_fail(err, IE_BAD_INPUT,
                           "%s has grey values (%u at %d,%d): a mask is black and white; with "
                           "--feather PX it is cut at 50 %% and the result fades in",
                           r->name, f->grey.value.r, f->grey.x, f->grey.y);
    }
    return IE_OK;
}

ie_status ie_mask_from_image(ie_image *mask, const ie_image *file, const ie_mask_rules *rules,
                             ie_error *err)
{
    const ie_pixels *p = &file->pixels;
    const bool transparent = rules->edit == IE_MASK_EDIT_TRANSPARENT;
    *mask = (ie_image){0};
    const findings f = examine(p);
    IE_APP_TRY(transparent ? check_transparent(&f, p, rules, err) : check_opaque(&f, rules, err));
    IE_APP_TRY(ie_image_create(mask, p->width, p->height, 1, 8, err));

    const unsigned half = 1U << (p->bits - 1); /* 128 or 32768: 50 % belongs to white, to opaque */
    const bool bright_is_edit = rules->edit != IE_MASK_EDIT_BLACK && !transparent;
    for (int y = 0; y < p->height; y++) {
        uint8_t *row = (uint8_t *)mask->pixels.data + (size_t)y * mask->pixels.row_bytes;
        for (int x = 0; x < p->width; x++) {
            const pixel v = pixel_at(p, x, y);
            const bool bright = (transparent ? v.a : v.r) >= half;
            row[x] = bright == bright_is_edit ? 255 : 0;
        }
    }
    if (ie_mask_count(&mask->pixels) == 0) {
        const char *kind = transparent ? "clear" : bright_is_edit ? "white" : "black";
        ie_image_release(mask);
        return ie_app_fail(err, IE_BAD_INPUT, "%s selects nothing: no pixel of it is %s",
                           rules->name, kind);
    }
    return IE_OK;
}

ie_status ie_mask_check_size(const ie_pixels *mask, const char *mask_name, const ie_pixels *image,
                             const char *image_name, ie_error *err)
{
    if (mask->width == image->width && mask->height == image->height) return IE_OK;
    return ie_app_fail(
        err, IE_BAD_INPUT, "%s is %d x %d pixels, but %s is %d x %d: mask and image have one size",
        mask_name, mask->width, mask->height, image_name, image->width, image->height);
}

uint64_t ie_mask_count(const ie_pixels *mask)
{
    uint64_t count = 0;
    for (int y = 0; y < mask->height; y++) {
        const uint8_t *row = (const uint8_t *)mask->data + (size_t)y * mask->row_bytes;
        for (int x = 0; x < mask->width; x++) count += row[x] == 255;
    }
    return count;
}
