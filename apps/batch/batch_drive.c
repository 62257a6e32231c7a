/* batch_drive.c - reading and checking before the work, and what is said after it.
 * SPDX-License-Identifier: Apache-2.0 */
#include "batch_drive.h"

#include "atomic_file.h"
#include "batch_attempts.h"
#include "batch_progress.h"
#include "beneath.h"
#include "console.h"
#include "interrupt.h"
#include "json_lines.h"
#include "report.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef ie_batch_drive_state drive;

/* ---- reading --------------------------------------------------------------------------------- */

static ie_status read_manifest(drive *d, ie_error *err)
{
    static const char *const extensions[] = {".png", ".png", ".jpg", ".webp"};
    const ie_batch_values *v = d->values;
    const ie_manifest_source source = {v->manifest, v->images, v->masks, v->prompts};
    d->defaults = (ie_item_defaults){v->seed, extensions[v->format], d->settings};
    (void)snprintf(d->settings, sizeof d->settings, "%.200s %.200s %d %d %d %d %d %d",
                   v->steps_text ? v->steps_text : "", v->guidance_text ? v->guidance_text : "",
                   v->feather, v->mask_edit, v->sampler, v->precision, v->quality, v->no_metadata);
    IE_APP_TRY(ie_manifest_read(&d->manifest, &source, &d->defaults, err));
    const ie_manifest *m = &d->manifest;
    if (m->error_count == 0) return IE_OK;
    for (size_t i = 0; i < m->error_count; i++) {
        const ie_line_error *e = &m->errors[i];
        if (e->line) {
            ie_note("%s:%d: %s", m->name, e->line, e->text);
        } else {
            ie_note("%s: %s", m->name, e->text);
        }
    }
    return ie_app_fail(err, IE_BAD_ARGUMENT, "%s has %zu errors; nothing was done", m->name,
                       m->error_count);
}

/* The folder that a manifest's paths begin in, if none is given: its own. */
static ie_status open_input(int *out, const char *given, const char *manifest, const char *option,
                            ie_error *err)
{
    char folder[PATH_MAX] = ".";
    const char *slash = strrchr(manifest, '/');
    if (given) return ie_beneath_root(out, given, option, err);
    if (slash) {
        (void)snprintf(folder, sizeof folder, "%.*s", (int)(slash - manifest) + 1, manifest);
    }
    return ie_beneath_root(out, folder, "the manifest's folder", err);
}

static ie_status open_roots(drive *d, ie_error *err)
{
    const ie_batch_values *v = d->values;
    if (v->images) {
        IE_APP_TRY(ie_beneath_root(&d->pictures.image_root, v->images, "--images", err));
        IE_APP_TRY(ie_beneath_root(&d->pictures.mask_root, v->masks, "--masks", err));
    } else {
        IE_APP_TRY(
            open_input(&d->pictures.image_root, v->input_root, v->manifest, "--input-root", err));
        IE_APP_TRY(
            open_input(&d->pictures.mask_root, v->input_root, v->manifest, "--input-root", err));
    }
    if (v->check) return IE_OK;
    if (mkdir(v->output_dir, 0777) && errno != EEXIST) {
        return ie_app_fail(err, IE_BAD_ARGUMENT, "cannot make --output-dir %s: %s", v->output_dir,
                           strerror(errno));
    }
    return ie_beneath_root(&d->output_root, v->output_dir, "--output-dir", err);
}

/* ---- --check --------------------------------------------------------------------------------- */

static size_t check_file(const drive *d, const ie_item *item, int root, const char *path)
{
    int descriptor;
    ie_error err;
    if (!path) return 0;
    if (ie_beneath_open(&descriptor, root, path, IE_BENEATH_KERNEL, &err) == IE_OK) {
        (void)close(descriptor);
        return 0;
    }
    ie_note("%s:%d: %s", d->manifest.name, item->line, err.text);
    return 1;
}

static ie_status check_files(const drive *d, ie_error *err)
{
    size_t missing = 0, first, end;
    ie_shard_range(d->shard, d->manifest.count, &first, &end);
    for (size_t i = first; i < end; i++) {
        const ie_item *item = &d->manifest.items[i];
        missing += check_file(d, item, d->pictures.image_root, item->image);
        missing += check_file(d, item, d->pictures.mask_root, item->mask);
    }
    if (missing) {
        return ie_app_fail(err, IE_BAD_INPUT, "%zu files cannot be opened: their items would fail",
                           missing);
    }
    if (!d->values->quiet) ie_note("%s: %zu items, no errors", d->manifest.name, end - first);
    return IE_OK;
}

/* ---- the end --------------------------------------------------------------------------------- */

static ie_status conclude(const drive *d, ie_error *err)
{
    const ie_plan *p = &d->plan;
    const size_t failed = p->failed + p->altered_count;
    const ie_batch_values *v = d->values;
    for (size_t i = 0; i < p->altered_count && !v->quiet; i++) {
        const ie_item *item = &d->manifest.items[p->altered[i]];
        ie_note(
            "line %d, %s: an output is not what the ledger says: remove it to have it made again",
            item->line, item->id);
    }
    if (ie_batch_style_of(v) == IE_BATCH_JSON) {
        ie_jsonl j;
        ie_jsonl_begin(&j, stdout);
        ie_jsonl_text(&j, "event", "end");
        ie_jsonl_uint(&j, "items", p->items);
        ie_jsonl_uint(&j, "done", p->done);
        ie_jsonl_uint(&j, "failed", failed);
        ie_jsonl_end(&j);
    }
    if (!v->quiet && !failed) ie_note("%zu of %zu items done", p->done, p->items);
    if (!failed) return IE_OK;
    return ie_app_fail(err, IE_BAD_INPUT,
                       "%zu of %zu items done, %zu failed: imagen-editor status --failures %s",
                       p->done, p->items, failed, v->output_dir);
}

/* What is written at the end is looked at before the work. */
static ie_status check_report_paths(const ie_batch_values *v, ie_error *err)
{
    ie_image_format format;
    if (v->contact_sheet) {
        IE_APP_TRY(ie_image_format_of(&format, v->contact_sheet, err));
        IE_APP_TRY(ie_atomic_check(v->contact_sheet, err));
    }
    return v->report ? ie_atomic_check(v->report, err) : IE_OK;
}

static ie_status drive_job(drive *d, ie_error *err)
{
    const ie_batch_values *v = d->values;
    IE_APP_TRY(ie_shard_parse(&d->shard, v->shard, getenv, err));
    IE_APP_TRY(read_manifest(d, err));
    IE_APP_TRY(open_roots(d, err));
    if (v->check) return check_files(d, err);
    IE_APP_TRY(check_report_paths(v, err));
    IE_APP_TRY(ie_batch_attempts(d, err));
    const ie_report_input about = {v,        &d->manifest, &d->state,
                                   d->shard, &d->pictures, d->output_root};
    if (v->contact_sheet) IE_APP_TRY(ie_contact_sheet(&about, v->contact_sheet, err));
    if (v->report) IE_APP_TRY(ie_report(&about, v->report, err));
    return conclude(d, err);
}

static void close_root(int root)
{
    if (root >= 0) (void)close(root);
}

ie_status ie_batch_drive(const ie_batch_values *values, ie_error *err)
{
    drive d = {.values = values,
               .pictures = {values->manifest, -1, -1,
                            (uint64_t)values->max_megapixels * IE_IMAGE_MEGAPIXEL},
               .output_root = -1};
    ie_interrupt_watch_all();
    const ie_status status = drive_job(&d, err);
    ie_plan_release(&d.plan);
    ie_ledger_state_release(&d.state);
    ie_manifest_release(&d.manifest);
    close_root(d.pictures.image_root);
    close_root(d.pictures.mask_root);
    close_root(d.output_root);
    return status;
}
