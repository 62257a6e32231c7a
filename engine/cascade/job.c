/* job.c - checking a request and preparing what it carries. SPDX-License-Identifier: Apache-2.0 */
#include "job.h"

#include "memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_SIDE = 65500, MAX_FEATHER = 512, MAX_PRIORITY = 100 };

/* "request 3: " when there are several, "" alone. */
typedef struct prefix {
    char text[32];
} prefix;

static prefix name_of(int index, int count)
{
    prefix w = {""};
    if (count > 1) snprintf(w.text, sizeof w.text, "request %d: ", index);
    return w;
}

static ie_status check_pixels(const ie_pixels *p, const char *who, const char *what, ie_error *err)
{
    if (!p->data) return ie_fail(err, IE_BAD_ARGUMENT, "%sthe %s has no data", who, what);
    if (p->width < 1 || p->height < 1 || p->width > MAX_SIDE || p->height > MAX_SIDE) {
        return ie_fail(err, IE_BAD_ARGUMENT, "%sthe %s is %d x %d; legal are 1 .. %d a side", who,
                       what, p->width, p->height, MAX_SIDE);
    }
    if (p->bits != 8 && p->bits != 16) {
        return ie_fail(err, IE_BAD_ARGUMENT, "%sthe %s has %d bits a sample; legal are 8 and 16",
                       who, what, p->bits);
    }
    const size_t row = (size_t)p->width * (size_t)p->channels * (size_t)p->bits / 8;
    if (p->row_bytes < row) {
        return ie_fail(err, IE_BAD_ARGUMENT, "%srows of the %s are %zu bytes apart; they hold %zu",
                       who, what, p->row_bytes, row);
    }
    return IE_OK;
}

static ie_status check_images(const ie_request *r, const char *who, ie_error *err)
{
    if (r->image.channels != 3 && r->image.channels != 4) {
        return ie_fail(err, IE_BAD_ARGUMENT, "%sthe image has %d channels; legal are 3 and 4", who,
                       r->image.channels);
    }
    IE_TRY(check_pixels(&r->image, who, "image", err));
    if (r->output.channels != r->image.channels || r->output.bits != r->image.bits ||
        r->output.width != r->image.width || r->output.height != r->image.height) {
        return ie_fail(err, IE_BAD_ARGUMENT,
                       "%sthe output is %d x %d with %d channels of %d bits, the image %d x %d "
                       "with %d of %d",
                       who, r->output.width, r->output.height, r->output.channels, r->output.bits,
                       r->image.width, r->image.height, r->image.channels, r->image.bits);
    }
    return check_pixels(&r->output, who, "output", err);
}

static ie_status check_mask(const ie_request *r, const char *who, ie_error *err)
{
    const ie_pixels *m = &r->mask;
    if (m->channels != 1 || m->bits != 8) {
        return ie_fail(err, IE_BAD_ARGUMENT,
                       "%sthe mask has %d channels of %d bits; it must be 1 of 8", who, m->channels,
                       m->bits);
    }
    IE_TRY(check_pixels(m, who, "mask", err));
    if (m->width != r->image.width || m->height != r->image.height) {
        return ie_fail(err, IE_BAD_INPUT, "%sthe mask is %d x %d but the image is %d x %d", who,
                       m->width, m->height, r->image.width, r->image.height);
    }
    bool any = false;
    for (int y = 0; y < m->height; y++) {
        const uint8_t *row = (const uint8_t *)m->data + (size_t)y * m->row_bytes;
        for (int x = 0; x < m->width; x++) {
            if (row[x] != 0 && row[x] != 255) {
                return ie_fail(
                    err, IE_BAD_INPUT,
                    "%sthe mask has the value %d at (%d, %d); legal are 0 (keep) and 255 "
                    "(fill)",
                    who, row[x], x, y);
            }
            any |= row[x] == 255;
        }
    }
    return any ? IE_OK : ie_fail(err, IE_BAD_INPUT, "%sthe mask is empty: nothing to edit", who);
}

static ie_status check_stage(const ie_request *r, const ie_cascade_config *c, int stage,
                             const char *who, ie_error *err)
{
    const ie_stage_config *s = &c->stages[stage];
    const int steps = r->steps[stage] ? r->steps[stage] : s->steps;
    if (steps < 1 || steps > IE_MAX_STEPS) {
        return ie_fail(err, IE_BAD_ARGUMENT, "%s%s: %d steps; legal are 1 .. %d", who, s->name,
                       steps, IE_MAX_STEPS);
    }
    const ie_guidance *g = &r->guidance[stage];
    if (g->kind != IE_GUIDANCE_DEFAULT) {
        char what[128];
        snprintf(what, sizeof what, "%s%s", who, s->name);
        return ie_guidance_check(g, steps, what, err);
    }
    if (s->guidance.kind == IE_GUIDANCE_LIST && s->guidance.count != steps) {
        return ie_fail(err, IE_BAD_ARGUMENT,
                       "%s%s: the model's guidance is a list of %d weights; %d steps need a "
                       "guidance of their own",
                       who, s->name, s->guidance.count, steps);
    }
    return IE_OK;
}

ie_status ie_job_check(const ie_request *r, const ie_cascade_config *c, int index, int count,
                       ie_error *err)
{
    const prefix w = name_of(index, count);
    IE_TRY(check_images(r, w.text, err));
    IE_TRY(check_mask(r, w.text, err));
    if (!r->prompt) return ie_fail(err, IE_BAD_ARGUMENT, "%sthere is no prompt", w.text);
    for (int i = 0; i < IE_MAX_STAGES; i++) {
        if (i < c->stage_count) {
            IE_TRY(check_stage(r, c, i, w.text, err));
        } else if (r->steps[i] || r->guidance[i].kind != IE_GUIDANCE_DEFAULT) {
            return ie_fail(err, IE_BAD_ARGUMENT,
                           "%ssteps or guidance for stage %d of a model with %d", w.text, i + 1,
                           c->stage_count);
        }
    }
    if (r->sampler < IE_SAMPLER_DEFAULT || r->sampler > IE_SAMPLER_DDIM) {
        return ie_fail(err, IE_BAD_ARGUMENT, "%sunknown sampler %d", w.text, (int)r->sampler);
    }
    if (r->feather < 0 || r->feather > MAX_FEATHER) {
        return ie_fail(err, IE_BAD_ARGUMENT, "%sa feather of %d pixels; legal are 0 .. %d", w.text,
                       r->feather, MAX_FEATHER);
    }
    if (r->priority < -MAX_PRIORITY || r->priority > MAX_PRIORITY) {
        return ie_fail(err, IE_BAD_ARGUMENT, "%spriority %d is outside %d .. %d", w.text,
                       r->priority, -MAX_PRIORITY, MAX_PRIORITY);
    }
    if (!(r->deadline >= 0) || !isfinite(r->deadline)) {
        return ie_fail(err, IE_BAD_ARGUMENT,
                       "%sa deadline of %g seconds; legal are 0 (none) and finite times above",
                       w.text, r->deadline);
    }
    return IE_OK;
}

void ie_job_resolve(ie_job *job, const ie_cascade_config *c)
{
    const ie_request *r = job->request;
    for (int i = 0; i < c->stage_count; i++) {
        const ie_stage_config *s = &c->stages[i];
        job->entry.stages[i] = (ie_job_stage){
            .steps = r->steps[i] ? r->steps[i] : s->steps,
            .guidance = r->guidance[i].kind == IE_GUIDANCE_DEFAULT ? s->guidance : r->guidance[i],
            .sampler = r->sampler == IE_SAMPLER_DEFAULT ? s->sampler : r->sampler,
        };
    }
}

ie_status ie_job_open(ie_job *job, ie_request *request, const ie_cascade_config *c,
                      const ie_tokenizer *tokenizer, ie_error *err)
{
    int cut;
    *job = (ie_job){.request = request, .entry.priority = request->priority};
    ie_job_resolve(job, c);
    job->ids = ie_alloc((uint64_t)c->text_length, sizeof *job->ids);
    if (!job->ids) return ie_fail(err, IE_NO_MEMORY, "no memory for a request");
    const ie_status status = ie_tokenizer_encode(tokenizer, request->prompt, c->text_length,
                                                 job->ids, &job->used, &cut, err);
    if (status) {
        ie_job_release(job);
        return status;
    }
    request->prompt_tokens = job->used + cut;
    request->prompt_cut = cut;
    return IE_OK;
}

ie_status ie_job_read(ie_job *job, int canvas, ie_error *err)
{
    const ie_request *r = job->request;
    const uint64_t pixels = (uint64_t)canvas * (uint64_t)canvas;
    job->rgb = ie_alloc(pixels, 3);
    job->fill = ie_alloc(pixels, 1);
    if (!job->rgb || !job->fill)
        return ie_fail(err, IE_NO_MEMORY, "no memory for a canvas of %d x %d", canvas, canvas);
    job->window = ie_window_of(&r->mask, canvas);
    return ie_window_read(&job->window, &r->image, &r->mask, canvas, job->rgb, job->fill, err);
}

ie_status ie_job_show(const ie_job *job, int stage, ie_error *err)
{
    const int side = job->resolution;
    const int64_t values = (int64_t)side * side * 3;
    uint8_t *bytes = ie_alloc((uint64_t)values, 1);
    if (!bytes) return ie_fail(err, IE_NO_MEMORY, "no memory for a preview");
    for (int64_t i = 0; i < values; i++) {
        bytes[i] =
            (uint8_t)lrintf((fminf(fmaxf(job->image[i], -1.0f), 1.0f) * 0.5f + 0.5f) * 255.0f);
    }
    const ie_pixels view = {bytes, side, side, 3, 8, (size_t)side * 3};
    job->request->stage_done(job->request->user, stage, &view);
    ie_free(bytes);
    return IE_OK;
}

ie_status ie_job_write(const ie_job *job, ie_error *err)
{
    const ie_request *r = job->request;
    const ie_window_result result = {job->image, job->resolution, r->feather};
    return ie_window_write(&job->window, &result, &r->image, &r->mask, &r->output, err);
}

void ie_job_release(ie_job *job)
{
    ie_free(job->image);
    ie_free(job->tokens);
    ie_free(job->fill);
    ie_free(job->rgb);
    ie_free(job->ids);
    job->image = job->tokens = NULL;
    job->rgb = job->fill = NULL;
    job->ids = NULL;
}

uint64_t ie_job_bytes(int canvas, int text_length, int text_width)
{
    const uint64_t pixels = (uint64_t)canvas * (uint64_t)canvas, text = (uint64_t)text_length;
    return pixels * (3 + 1 + 3 * sizeof(float)) +
           text * ((uint64_t)text_width * sizeof(float) + sizeof(int32_t));
}
