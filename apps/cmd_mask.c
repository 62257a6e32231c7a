/* cmd_mask.c - imagen-editor mask: masks from shapes, and from other masks.
 * SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "atomic_file.h"
#include "mask.h"
#include "mask_draw.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct mask_values {
    const char *image, *size, *mask, *output, *preview;
    ie_shape_list shapes;
    int mask_edit, grow, max_megapixels;
    bool invert;
} mask_values;

static ie_status read_box(void *field, const char *text, ie_error *err)
{
    return ie_shape_add(field, IE_SHAPE_BOX, text, err);
}

static ie_status read_ellipse(void *field, const char *text, ie_error *err)
{
    return ie_shape_add(field, IE_SHAPE_ELLIPSE, text, err);
}

static ie_status read_stroke(void *field, const char *text, ie_error *err)
{
    return ie_shape_add(field, IE_SHAPE_STROKE, text, err);
}

/* clang-format off */
#define AT(field) .offset = offsetof(mask_values, field)
static const ie_option options[] = {
    {.name = "image", .value = "FILE", .kind = IE_OPTION_TEXT, AT(image),
     .help = "the image the mask is for: it gives the size"},
    {.name = "size", .value = "WxH", .kind = IE_OPTION_TEXT, AT(size),
     .help = "the size, when there is no image at hand"},
    {.name = "mask", .value = "FILE", .kind = IE_OPTION_TEXT, AT(mask),
     .help = "begin with this mask instead of an empty one"},
    {.name = "mask-edit", .value = "WHAT", .kind = IE_OPTION_CHOICE, AT(mask_edit),
     .help = "which pixels of --mask are the edit: white (default), black or transparent",
     .choices = ie_mask_edit_names},
    {.name = "box", .value = "x,y,w,h", .kind = IE_OPTION_CUSTOM, AT(shapes),
     .help = "add a rectangle: left, top, width, height, in whole pixels", .read = read_box,
     .repeats = true},
    {.name = "ellipse", .value = "cx,cy,rx,ry", .kind = IE_OPTION_CUSTOM, AT(shapes),
     .help = "add an ellipse: centre and the two radii", .read = read_ellipse, .repeats = true},
    {.name = "stroke", .value = "x0,y0,x1,y1,...:width", .kind = IE_OPTION_CUSTOM, AT(shapes),
     .help = "add a line of that width through the points, with round ends; one point is a dot",
     .read = read_stroke, .repeats = true},
    {.name = "grow", .value = "PX", .kind = IE_OPTION_INT, AT(grow),
     .help = "then widen it all by PX pixels (0 to 4096)",
     .low = 0, .high = IE_MASK_MAX_GROW},
    {.name = "invert", .kind = IE_OPTION_FLAG, AT(invert),
     .help = "then exchange edit and keep"},
    {.name = "output", .value = "FILE.png", .kind = IE_OPTION_TEXT, AT(output),
     .help = "where to write: 8-bit grey, white where the image may change", .required = true},
    {.name = "preview", .value = "FILE", .kind = IE_OPTION_TEXT, AT(preview),
     .help = "also write the image with the mask in red over it"},
    {.name = "max-pixels", .value = "N", .kind = IE_OPTION_INT, AT(max_megapixels),
     .help = "largest image to read, in megapixels (1 to 512, default 256)",
     .low = 1, .high = IE_IMAGE_MAX_MEGAPIXELS},
};
#undef AT
/* clang-format on */

static void defaults(void *values)
{
    ((mask_values *)values)->max_megapixels = IE_IMAGE_MEGAPIXELS;
}

static void release(void *values)
{
    ie_shape_list_release(&((mask_values *)values)->shapes);
}

static ie_status check_values(const mask_values *v, ie_error *err)
{
    if (!v->image + !v->size + !v->mask != 2 && !(v->image && v->mask && !v->size)) {
        return ie_app_fail(err, IE_BAD_ARGUMENT,
                           "mask needs the size from one of --image FILE, --size WxH, --mask FILE");
    }
    if (v->preview && !v->image) {
        return ie_app_fail(err, IE_BAD_ARGUMENT, "--preview needs --image");
    }
    if (v->preview && !strcmp(v->preview, v->output)) {
        return ie_app_fail(err, IE_BAD_ARGUMENT, "--preview and --output name the same file");
    }
    if (v->mask_edit && !v->mask) {
        return ie_app_fail(err, IE_BAD_ARGUMENT, "--mask-edit is about --mask, which is not given");
    }
    if (v->shapes.count == 0 && !v->mask && !v->invert) {
        return ie_app_fail(err, IE_BAD_ARGUMENT,
                           "mask needs a shape: --box, --ellipse or --stroke");
    }
    return IE_OK;
}

static ie_status parse_size(const char *text, int *width, int *height, ie_error *err)
{
    char number[16] = "";
    const size_t length = strcspn(text, "x");
    if (length < sizeof number) memcpy(number, text, length);
    if (text[length] == 'x' && ie_parse_int(number, 1, IE_IMAGE_MAX_SIDE, width) &&
        ie_parse_int(text + length + 1, 1, IE_IMAGE_MAX_SIDE, height)) {
        return IE_OK;
    }
    return ie_app_fail(err, IE_BAD_ARGUMENT,
                       "--size %s: legal is WIDTHxHEIGHT, each 1 to %d, like 640x480", text,
                       IE_IMAGE_MAX_SIDE);
}

/* The mask to begin with: from a file, or empty. */
static ie_status begin_mask(ie_image *mask, const mask_values *v, const ie_image *image,
                            uint64_t max_pixels, ie_error *err)
{
    if (v->mask) {
        ie_image file;
        const ie_mask_rules rules = {(ie_mask_edit)v->mask_edit, false, v->mask};
        IE_APP_TRY(ie_image_read(&file, v->mask, max_pixels, err));
        ie_status status = IE_OK;
        if (v->image) {
            status = ie_mask_check_size(&file.pixels, v->mask, &image->pixels, v->image, err);
        }
        if (status == IE_OK) status = ie_mask_from_image(mask, &file, &rules, err);
        ie_image_release(&file);
        return status;
    }
    int width = image->pixels.width, height = image->pixels.height;
    if (v->size) IE_APP_TRY(parse_size(v->size, &width, &height, err));
    if ((uint64_t)width * (uint64_t)height > max_pixels) {
        return ie_app_fail(err, IE_BAD_ARGUMENT,
                           "--size %s is over the budget of %d megapixels "
                           "(--max-pixels)",
                           v->size, v->max_megapixels);
    }
    return ie_image_create(mask, width, height, 1, 8, err);
}

static ie_status draw(const ie_pixels *mask, const mask_values *v, ie_error *err)
{
    for (int i = 0; i < v->shapes.count; i++) {
        IE_APP_TRY(ie_mask_draw(mask, &v->shapes.shapes[i], err));
    }
    if (v->grow) IE_APP_TRY(ie_mask_grow(mask, v->grow, err));
    if (v->invert) ie_mask_invert(mask);
    if (ie_mask_count(mask) == 0) {
        return ie_app_fail(err, IE_BAD_ARGUMENT, "the mask would be empty: nothing to edit");
    }
    return IE_OK;
}

/* The image in 8 bits, half red where the mask is. */
static ie_status make_preview(ie_image *out, const ie_pixels *image, const ie_pixels *mask,
                              ie_error *err)
{
    static const uint8_t tint[3] = {255, 0, 0};
    IE_APP_TRY(ie_image_create(out, image->width, image->height, 3, 8, err));
    for (int y = 0; y < image->height; y++) {
        const uint8_t *from = (const uint8_t *)image->data + (size_t)y * image->row_bytes;
        const uint16_t *from16 = (const uint16_t *)(const void *)from;
        const uint8_t *edit = (const uint8_t *)mask->data + (size_t)y * mask->row_bytes;
        uint8_t *to = (uint8_t *)out->pixels.data + (size_t)y * out->pixels.row_bytes;
        for (int x = 0; x < image->width; x++) {
            for (int c = 0; c < 3; c++) {
                const int at = x * image->channels + c;
                const int value = image->bits == 8 ? from[at] : from16[at] >> 8;
                to[3 * x + c] = (uint8_t)(edit[x] ? (value + tint[c]) / 2 : value);
            }
        }
    }
    return IE_OK;
}

/* Can everything be written that was asked for? */
static ie_status check_outputs(const mask_values *v, ie_error *err)
{
    const ie_pixels mask = {.width = 1, .height = 1, .channels = 1, .bits = 8};
    ie_image_format format;
    IE_APP_TRY(ie_image_format_of(&format, v->output, err));
    IE_APP_TRY(ie_image_check_format(format, &mask, v->output, err));
    IE_APP_TRY(ie_atomic_check(v->output, err));
    if (!v->preview) return IE_OK;
    IE_APP_TRY(ie_image_format_of(&format, v->preview, err));
    return ie_atomic_check(v->preview, err);
}

static ie_status run(void *values, ie_error *err)
{
    const mask_values *v = values;
    const uint64_t max_pixels = (uint64_t)v->max_megapixels * IE_IMAGE_MEGAPIXEL;
    const ie_write_options write = {.quality = IE_JPEG_QUALITY};
    ie_image image = {0}, mask = {0}, preview = {0};
    ie_status status;
    IE_APP_TRY_DONE(check_values(v, err));
    IE_APP_TRY_DONE(check_outputs(v, err));
    if (v->image) IE_APP_TRY_DONE(ie_image_read(&image, v->image, max_pixels, err));
    IE_APP_TRY_DONE(begin_mask(&mask, v, &image, max_pixels, err));
    IE_APP_TRY_DONE(draw(&mask.pixels, v, err));
    IE_APP_TRY_DONE(ie_image_write(&mask, v->output, &write, err));
    if (v->preview) {
        IE_APP_TRY_DONE(make_preview(&preview, &image.pixels, &mask.pixels, err));
        IE_APP_TRY_DONE(ie_image_write(&preview, v->preview, &write, err));
    }
    printf("%s: %.3g %% of %d x %d pixels are the edit\n", v->output,
           100.0 * (double)ie_mask_count(&mask.pixels) / mask.pixels.width / mask.pixels.height,
           mask.pixels.width, mask.pixels.height);
done:
    ie_image_release(&image);
    ie_image_release(&mask);
    ie_image_release(&preview);
    return status;
}

static const char *const examples[] = {
    "imagen-editor mask --image room.jpg --box 200,120,300,260 --output mask.png",
    "imagen-editor mask --image room.jpg --ellipse 640,400,180,140 --grow 12 --output mask.png \\",
    "    --preview check.png",
    "imagen-editor mask --size 1024x1024 --stroke 100,500,520,430,900,510:80 --output mask.png",
    "imagen-editor mask --mask alpha.png --mask-edit transparent --output mask.png",
    NULL,
};

const ie_command ie_command_mask = {
    .name = "mask",
    .summary = "Make a mask: white where the image may change, black where it may not.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .examples = examples,
    .notes =
        "Shapes may repeat and add up; then --grow, then --invert. Coordinates are pixels from "
        "the top left corner and may be fractions, except of --box. A shape may reach over the "
        "edge of the image, but not lie wholly outside.",
    .values_bytes = sizeof(mask_values),
    .defaults = defaults,
    .run = run,
    .release = release,
};
