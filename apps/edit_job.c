/* edit_job.c - reading and checking before the work starts. SPDX-License-Identifier: Apache-2.0 */
#include "edit_job.h"

#include "atomic_file.h"
#include "machine.h"
#include "mask.h"
#include "utf8.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

/* ---- names ----------------------------------------------------------------------------------- */

/* Length of the path without its extension. */
static int stem_length(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *dot = strrchr(path, '.');
    return (int)(dot && (!slash || dot > slash) ? (size_t)(dot - path) : strlen(path));
}

static ie_status fits(int length, const char *path, ie_error *err)
{
    if (length >= 0 && length < PATH_MAX) return IE_OK;
    return ie_app_fail(err, IE_BAD_ARGUMENT, "the name %.80s... is too long", path);
}

ie_status ie_edit_output_path(char out[PATH_MAX], const ie_edit_values *v, int index, ie_error *err)
{
    const int stem = stem_length(v->output);
    const int length = v->count == 1 ? snprintf(out, PATH_MAX, "%s", v->output)
                                     : snprintf(out, PATH_MAX, "%.*s-%d%s", stem, v->output,
                                                index + 1, v->output + stem);
    return fits(length, v->output, err);
}

ie_status ie_edit_stage_path(char out[PATH_MAX], const ie_edit_values *v, int index,
                             const char *stage, ie_error *err)
{
    char output[PATH_MAX];
    IE_APP_TRY(ie_edit_output_path(output, v, index, err));
    const char *slash = strrchr(output, '/');
    const char *name = slash ? slash + 1 : output;
    const int length =
        snprintf(out, PATH_MAX, "%s/%.*s-%s.png", v->save_stages, stem_length(name), name, stage);
    IE_APP_TRY(fits(length, v->save_stages, err));
    /* The stage's name is the model's: it names a file here, not a folder somewhere else. */
    for (char *c = out + length - strlen(stage) - strlen(".png"); *c; c++) {
        if (*c == '/') *c = '_';
    }
    return IE_OK;
}

/* ---- checks ---------------------------------------------------------------------------------- */

static ie_status check_values(const ie_edit_values *v, ie_error *err)
{
    if (v->prompt[0] == '\0') {
        return ie_app_fail(err, IE_BAD_INPUT, "the prompt is empty: say what to fill in");
    }
    if (!ie_text_is_utf8(v->prompt)) {
        return ie_app_fail(err, IE_BAD_INPUT, "the prompt is not UTF-8");
    }
    if (v->seed > UINT64_MAX - (uint64_t)(v->count - 1)) {
        return ie_app_fail(err, IE_BAD_ARGUMENT,
                           "--seed %llu with --count %d goes beyond the largest seed, %llu",
                           (unsigned long long)v->seed, v->count, (unsigned long long)UINT64_MAX);
    }
    if (v->quiet && v->json) {
        return ie_app_fail(err, IE_BAD_ARGUMENT, "--quiet and --json exclude each other");
    }
    if (v->device && ie_machine_only_plans(v->device)) {
        return ie_app_fail(err, IE_BAD_ARGUMENT,
                           "--device %s computes no pixels: legal are auto, cpu, ref, cuda, "
                           "cuda:N (plan and cuda:h200 are for inspect)",
                           v->device);
    }
    ie_image_format format;
    IE_APP_TRY(ie_image_format_of(&format, v->output, err));
    if (v->quality && format != IE_FORMAT_JPEG) {
        return ie_app_fail(err, IE_BAD_ARGUMENT,
                           "--quality is for JPEG: %s is written without loss", v->output);
    }
    return IE_OK;
}

static ie_status check_outputs(const ie_edit_values *v, ie_error *err)
{
    char path[PATH_MAX];
    for (int i = 0; i < v->count; i++) {
        IE_APP_TRY(ie_edit_output_path(path, v, i, err));
        IE_APP_TRY(ie_atomic_check(path, err));
    }
    if (!v->save_stages) return IE_OK;
    if (mkdir(v->save_stages, 0777) && errno != EEXIST) {
        return ie_app_fail(err, IE_IO, "cannot make the folder %s: %s", v->save_stages,
                           strerror(errno));
    }
    IE_APP_TRY(ie_edit_stage_path(path, v, 0, "stage", err));
    return ie_atomic_check(path, err);
}

/* The checks that need the pixels, and room for the result. `mask_file` stays the caller's. */
static ie_status accept_pixels(ie_edit_job *job, const ie_image *mask_file, ie_error *err)
{
    const ie_edit_values *v = job->values;
    const ie_mask_rules rules = {(ie_mask_edit)v->mask_edit, v->feather > 0, v->mask};
    const ie_pixels *p = &job->image.pixels;
    ie_image_format format;
    IE_APP_TRY(ie_image_format_of(&format, v->output, err));
    IE_APP_TRY(ie_image_check_format(format, p, v->output, err));
    IE_APP_TRY(ie_mask_check_size(&mask_file->pixels, v->mask, p, v->image, err));
    IE_APP_TRY(ie_mask_from_image(&job->mask, mask_file, &rules, err));
    IE_APP_TRY(ie_image_create(&job->result, p->width, p->height, p->channels, p->bits, err));
    job->result.colour = job->image.colour; /* lent: release knows */
    return IE_OK;
}

ie_status ie_edit_job_take(ie_edit_job *job, const ie_edit_values *v, ie_image *image,
                           ie_image *mask_file, ie_error *err)
{
    *job = (ie_edit_job){.values = v, .image = *image};
    *image = (ie_image){0};
    ie_status status = check_values(v, err);
    if (status == IE_OK) status = accept_pixels(job, mask_file, err);
    ie_image_release(mask_file);
    return status;
}

ie_status ie_edit_job_prepare(ie_edit_job *job, const ie_edit_values *v, ie_error *err)
{
    const uint64_t max_pixels = (uint64_t)v->max_megapixels * IE_IMAGE_MEGAPIXEL;
    ie_image mask_file;
    *job = (ie_edit_job){.values = v};
    IE_APP_TRY(check_values(v, err));
    IE_APP_TRY(ie_image_read(&job->image, v->image, max_pixels, err));
    IE_APP_TRY(ie_image_read(&mask_file, v->mask, max_pixels, err));
    const ie_status status = accept_pixels(job, &mask_file, err);
    ie_image_release(&mask_file);
    IE_APP_TRY(status);
    return check_outputs(v, err);
}

void ie_edit_job_release(ie_edit_job *job)
{
    job->result.colour = (ie_colour){0};
    ie_image_release(&job->image);
    ie_image_release(&job->mask);
    ie_image_release(&job->result);
}

/* ---- what the engine is asked for ------------------------------------------------------------ */

void ie_edit_job_request(const ie_edit_job *job, ie_request *r)
{
    const ie_edit_values *v = job->values;
    r->image = job->image.pixels;
    r->mask = job->mask.pixels;
    r->output = job->result.pixels;
    r->prompt = v->prompt;
    memcpy(r->steps, v->steps.steps, sizeof r->steps);
    memcpy(r->guidance, v->guidance.stages, sizeof r->guidance);
    r->sampler = (ie_sampler)v->sampler;
    r->feather = v->feather;
}

ie_status ie_edit_check_stages(const ie_edit_values *v, int stage_count, ie_error *err)
{
    const int given[2] = {v->steps.count, v->guidance.count};
    static const char *const names[2] = {"--steps", "--guidance"};
    for (int i = 0; i < 2; i++) {
        if (given[i] > stage_count) {
            return ie_app_fail(err, IE_BAD_ARGUMENT, "%s names %d stages, but the model has %d",
                               names[i], given[i], stage_count);
        }
    }
    return IE_OK;
}
