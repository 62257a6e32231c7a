/* report.c - a job as one HTML file. SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include "atomic_file.h"
#include "base64.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta http-equiv=\"Content-Security-Policy\" "
    "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n"
    "<title>imagen-editor batch</title>\n<style>\n"
    "body { font: 14px/1.4 sans-serif; margin: 2em; color: #222 }\n"
    "table { border-collapse: collapse } td, th { padding: 4px 10px; text-align: left;\n"
    "  border-bottom: 1px solid #ddd; vertical-align: middle } code { font-size: 12px }\n"
    "</style></head><body>\n";

/* Texts are the manifest's: nothing of them is markup. */
static void put(FILE *f, const char *text)
{
    for (; *text; text++) {
        switch (*text) {
        case '<': fputs("&lt;", f); break;
        case '>': fputs("&gt;", f); break;
        case '&': fputs("&amp;", f); break;
        case '"': fputs("&quot;", f); break;
        default: fputc(*text, f);
        }
    }
}

static ie_status put_picture(FILE *f, ie_image *image, ie_error *err)
{
    const ie_write_options options = {.quality = IE_JPEG_QUALITY};
    char *data;
    size_t bytes;
    IE_APP_TRY(ie_image_encode(image, "picture.png", &options, &data, &bytes, err));
    char *text = ie_base64_encode(data, bytes);
    free(data);
    if (!text) return ie_app_fail(err, IE_NO_MEMORY, "no memory for a report");
    fprintf(f, "<td><img alt=\"\" src=\"data:image/png;base64,%s\"></td>", text);
    free(text);
    return IE_OK;
}

static ie_status put_item(FILE *f, const ie_report_input *in, const ie_item *item, ie_error *err)
{
    const ie_item_state *state = ie_ledger_state_of(in->state, item->id);
    ie_image pictures[3];
    ie_status status = ie_report_pictures(pictures, in, item, err);
    fputs("<tr>", f);
    if (status == IE_BAD_INPUT) { /* an input is gone */
        fputs("<td colspan=\"3\">", f);
        put(f, err->text);
        fputs("</td>", f);
        status = IE_OK;
    } else {
        for (int i = 0; status == IE_OK && i < 3; i++) status = put_picture(f, &pictures[i], err);
    }
    for (int i = 0; i < 3; i++) ie_image_release(&pictures[i]);
    IE_APP_TRY(status);
    fputs("<td><b>", f);
    put(f, item->id);
    fputs("</b><br>", f);
    put(f, item->prompt);
    fprintf(f, "<br><code>seed %" PRIu64 ", ", state->outputs[0].seed);
    put(f, state->outputs[0].output);
    fprintf(f, "<br>sha256 %s</code></td></tr>\n", state->outputs[0].sha256);
    return IE_OK;
}

static void put_failures(FILE *f, const ie_report_input *in, size_t first, size_t end)
{
    fputs(
        "<h2>Failed</h2>\n<table><tr><th>line</th><th>id</th><th>class</th><th>reason</th></tr>\n",
        f);
    for (size_t i = first; i < end; i++) {
        const ie_item *item = &in->manifest->items[i];
        const ie_item_state *state = ie_ledger_state_of(in->state, item->id);
        if (!state || state->done || !state->failed) continue;
        fprintf(f, "<tr><td>%d</td><td>", item->line);
        put(f, item->id);
        fputs("</td><td>", f);
        put(f, state->kind);
        fputs("</td><td>", f);
        put(f, state->reason);
        fputs("</td></tr>\n", f);
    }
    fputs("</table>\n", f);
}

static ie_status put_page(FILE *f, const ie_report_input *in, ie_error *err)
{
    size_t first, end, done = 0, failed = 0, shown = 0;
    ie_shard_range(in->shard, in->manifest->count, &first, &end);
    for (size_t i = first; i < end; i++) {
        const ie_item_state *s = ie_ledger_state_of(in->state, in->manifest->items[i].id);
        done += s && s->done;
        failed += s && !s->done && s->failed;
    }
    fputs(head, f);
    fputs("<h1>", f);
    put(f, in->manifest->name);
    fprintf(f, "</h1>\n<p>shard %d of %d: %zu items, %zu done, %zu failed; model <code>",
            in->shard.index, in->shard.count, end - first, done, failed);
    put(f, in->state->model);
    fputs("</code></p>\n", f);
    if (failed) put_failures(f, in, first, end);
    fputs("<h2>Done</h2>\n", f);
    if (done > IE_REPORT_ITEMS) fprintf(f, "<p>The first %d.</p>\n", IE_REPORT_ITEMS);
    fputs("<table><tr><th>image</th><th>mask</th><th>result</th><th></th></tr>\n", f);
    for (size_t i = first; i < end && shown < IE_REPORT_ITEMS; i++) {
        const ie_item_state *s = ie_ledger_state_of(in->state, in->manifest->items[i].id);
        if (!s || !s->done) continue;
        IE_APP_TRY(put_item(f, in, &in->manifest->items[i], err));
        shown++;
    }
    fputs("</table>\n</body></html>\n", f);
    return IE_OK;
}

ie_status ie_report(const ie_report_input *in, const char *path, ie_error *err)
{
    ie_atomic_file file;
    IE_APP_TRY(ie_atomic_open(&file, path, err));
    ie_status status = put_page(file.stream, in, err);
    if (status == IE_OK) status = ie_atomic_commit(&file, err);
    ie_atomic_abandon(&file);
    return status;
}
