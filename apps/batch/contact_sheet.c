/* contact_sheet.c - thumbnails of a job in one image. SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include "beneath.h"
#include "thumbnail.h"

#include <string.h>
#include <unistd.h>

/* Triples in a row of the sheet, and the space around them. */
enum { COLUMNS = 3, GAP = 8, CELL = IE_REPORT_SIDE, TRIPLE = 3 * CELL + 3 * GAP };

static ie_status shrink(ie_image *out, ie_image *picture, ie_error *err)
{
    const ie_status status = ie_thumbnail(out, &picture->pixels, CELL, err);
    ie_image_release(picture);
    return status;
}

static ie_status read_result(ie_image *out, const ie_report_input *in, const char *output,
                             ie_error *err)
{
    int descriptor;
    IE_APP_TRY(ie_beneath_open(&descriptor, in->output_root, output, IE_BENEATH_KERNEL, err));
    const ie_status status =
        ie_image_read_open(out, descriptor, output, in->pictures->max_pixels, err);
    (void)close(descriptor);
    return status;
}

ie_status ie_report_pictures(ie_image out[3], const ie_report_input *in, const ie_item *item,
                             ie_error *err)
{
    const ie_item_state *state = ie_ledger_state_of(in->state, item->id);
    ie_image picture;
    memset(out, 0, 3 * sizeof out[0]);
    if (!state || !state->done || !state->output_count) {
        return ie_app_fail(err, IE_BAD_INPUT, "%s is not done", item->id);
    }
    for (int i = 0; i < 2; i++) {
        IE_APP_TRY(ie_item_picture(&picture, in->pictures, item, i == 1, err));
        IE_APP_TRY(shrink(&out[i], &picture, err));
    }
    IE_APP_TRY(read_result(&picture, in, state->outputs[0].output, err));
    return shrink(&out[2], &picture, err);
}

static bool is_done(const ie_report_input *in, const ie_item *item)
{
    const ie_item_state *state = ie_ledger_state_of(in->state, item->id);
    return state && state->done;
}

static void paste_triple(const ie_pixels *sheet, const ie_image pictures[3], int index)
{
    const int left = GAP + index % COLUMNS * (TRIPLE + GAP);
    const int top = GAP + index / COLUMNS * (CELL + GAP);
    for (int i = 0; i < 3; i++) {
        const ie_pixels *p = &pictures[i].pixels;
        ie_thumbnail_paste(sheet, p, left + i * (CELL + GAP) + (CELL - p->width) / 2,
                           top + (CELL - p->height) / 2);
    }
}

ie_status ie_contact_sheet(const ie_report_input *in, const char *path, ie_error *err)
{
    size_t first, end, shown = 0;
    ie_image sheet;
    const ie_write_options options = {.quality = IE_JPEG_QUALITY};
    ie_shard_range(in->shard, in->manifest->count, &first, &end);
    for (size_t i = first; i < end && shown < IE_REPORT_ITEMS; i++) {
        shown += is_done(in, &in->manifest->items[i]);
    }
    const int rows = shown ? (int)((shown + COLUMNS - 1) / COLUMNS) : 1;
    const int columns = shown && shown < COLUMNS ? (int)shown : COLUMNS;
    IE_APP_TRY(ie_image_create(&sheet, GAP + columns * (TRIPLE + GAP), GAP + rows * (CELL + GAP), 3,
                               8, err));
    memset(sheet.pixels.data, 255, sheet.pixels.row_bytes * (size_t)sheet.pixels.height);
    ie_status status = IE_OK;
    int index = 0;
    for (size_t i = first; status == IE_OK && i < end && (size_t)index < shown; i++) {
        ie_image pictures[3];
        if (!is_done(in, &in->manifest->items[i])) continue;
        status = ie_report_pictures(pictures, in, &in->manifest->items[i], err);
        if (status == IE_OK) paste_triple(&sheet.pixels, pictures, index);
        if (status == IE_BAD_INPUT) status = IE_OK; /* an input is gone: its place stays white */
        index++;
        for (int k = 0; k < 3; k++) ie_image_release(&pictures[k]);
    }
    if (status == IE_OK) status = ie_image_write(&sheet, path, &options, err);
    ie_image_release(&sheet);
    return status;
}
