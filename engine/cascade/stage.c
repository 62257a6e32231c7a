/* stage.c - admission, passes, departure. SPDX-License-Identifier: Apache-2.0 */
#include "stage.h"

#include "known.h"
#include "rng.h"
#include "sampler.h"

/* One pass as the host sees it; row i of each belongs to lane i (or to the i-th request for
 * `steps`). */
typedef struct ie_pass {
    int lanes, requests;
    float *v, *v_aug;
    int32_t *request, *text;
    ie_step *steps;
} pass;

static ie_status pass_open(pass **out, int lanes, ie_error *err)
{
    const uint64_t count = (uint64_t)lanes;
    pass *p = *out = ie_alloc(1, sizeof *p);
    if (p) {
        p->v = ie_alloc(count, sizeof *p->v);
        p->v_aug = ie_alloc(count, sizeof *p->v_aug);
        p->request = ie_alloc(count, sizeof *p->request);
        p->text = ie_alloc(count, sizeof *p->text);
        p->steps = ie_alloc(count, sizeof *p->steps);
        if (p->v && p->v_aug && p->request && p->text && p->steps) return IE_OK;
    }
    return ie_fail(err, IE_NO_MEMORY, "no memory for %d lanes", lanes);
}

static void pass_close(pass *p)
{
    if (!p) return;
    ie_free(p->v);
    ie_free(p->v_aug);
    ie_free(p->request);
    ie_free(p->text);
    ie_free(p->steps);
    ie_free(p);
}

ie_status ie_stage_open(ie_stage *out, const ie_stage_config *config, int index, ie_unet *unet,
                        int lanes, ie_error *err)
{
    *out = (ie_stage){.config = config, .index = index, .unet = unet, .lanes = lanes};
    ie_status status = pass_open(&out->pass, lanes, err);
    if (status == IE_OK)
        status = ie_unet_slots_plan(&out->slots, unet, lanes, config->keeps_known, err);
    if (status) ie_stage_close(out);
    return status;
}

void ie_stage_close(ie_stage *stage)
{
    ie_unet_slots_close(&stage->slots);
    ie_unet_close(&stage->unet);
    pass_close(stage->pass);
    *stage = (ie_stage){0};
}

ie_status ie_stage_allocate(ie_stage *stage, ie_error *err)
{
    return ie_unet_slots_open(&stage->slots, stage->unet, err);
}

ie_status ie_stage_prepare(ie_stage *stage, ie_exec *x, ie_error *err)
{
    return ie_unet_set_null_text(stage->unet, &stage->slots, x, err);
}

/* ---- a pass on the device -------------------------------------------------------------------- */

static ie_status to_device(ie_exec *x, ie_tensor *out, ie_dtype dtype, int rank, const int64_t *dim,
                           const void *host, ie_error *err)
{
    IE_TRY(ie_arena_tensor(x->arena, out, dtype, rank, dim, err));
    return x->arena->measuring ? IE_OK : ie_upload(x->backend, *out, host, err);
}

static ie_status compute(ie_stage *stage, const ie_unet_lanes *lanes, ie_tensor pred,
                         ie_tensor table, ie_exec *x, ie_error *err)
{
    IE_TRY(ie_unet_forward(stage->unet, &stage->slots, lanes, pred, x, err));
    const ie_unet_slots *slots = &stage->slots;
    const ie_sample_args args = {
        .z = slots->z, .pred = pred, .steps = table, .known = slots->known};
    return ie_exec_sample(x, args, err);
}

/* Passes of as many lanes and requests are the same work: the workspace is empty before each of
 * them, so the same tensors get the same places. */
static ie_status compute_again(ie_stage *stage, const ie_unet_lanes *lanes, ie_tensor pred,
                               ie_tensor table, ie_exec *x, ie_error *err)
{
    const uint64_t key =
        (uint64_t)stage->index << 32 | (uint64_t)pred.dim[0] << 16 | (uint64_t)table.dim[0];
    bool done;
    IE_TRY(ie_work_begin(x->backend, key, &done, err));
    if (done) return IE_OK;
    return ie_work_end(x->backend, key, compute(stage, lanes, pred, table, x, err), err);
}

static ie_status run(ie_stage *stage, const pass *t, ie_exec *x, ie_error *err)
{
    assert(x->arena->pieces == 0 || x->arena->measuring);
    const ie_unet_config *c = ie_unet_configuration(stage->unet);
    const int64_t lanes = t->lanes, steps[2] = {t->requests, sizeof(ie_step)};
    const int64_t map[4] = {lanes, c->resolution, c->resolution, c->output_channels};
    ie_unet_lanes l = {0};
    ie_tensor table, pred;
    IE_TRY(to_device(x, &l.v, IE_F32, 1, &lanes, t->v, err));
    if (c->low_resolution) IE_TRY(to_device(x, &l.v_aug, IE_F32, 1, &lanes, t->v_aug, err));
    IE_TRY(to_device(x, &l.request, IE_I32, 1, &lanes, t->request, err));
    IE_TRY(to_device(x, &l.text, IE_I32, 1, &lanes, t->text, err));
    IE_TRY(to_device(x, &table, IE_U8, 2, steps, t->steps, err));
    IE_TRY(ie_arena_tensor(x->arena, &pred, IE_F32, 4, map, err));
    if (x->arena->measuring) {
        IE_TRY(compute(stage, &l, pred, table, x, err));
    } else {
        IE_TRY(compute_again(stage, &l, pred, table, x, err));
    }
    const ie_tensor all[] = {l.v, l.v_aug, l.request, l.text, table, pred};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) ie_arena_give(x->arena, all[i].data);
    return IE_OK;
}

/* ---- the tables of a pass -------------------------------------------------------------------- */

static int add_lane(pass *t, const ie_unet_config *c, const ie_sampler_step *s, double level,
                    int slot, int text)
{
    const int lane = t->lanes++;
    t->v[lane] = ie_unet_time_input(c, s->lambda, s->t);
    t->v_aug[lane] = ie_unet_time_input(c, ie_augmentation_at(level).lambda, level);
    t->request[lane] = slot;
    t->text[lane] = text;
    return lane;
}

static void add_request(const ie_stage *stage, pass *t, ie_entry *entry)
{
    const ie_stage_config *config = stage->config;
    const ie_unet_config *c = ie_unet_configuration(stage->unet);
    const ie_job_stage *how = &entry->stages[stage->index];
    const int slot = entry->slot;
    const ie_sampler_step s = ie_sampler_at(&config->schedule, how->sampler, config->gamma,
                                            config->end, entry->step, how->steps);
    const float weight = ie_guidance_weight(&how->guidance, entry->step, how->steps);
    const uint64_t seed = ie_job_of(entry)->request->seed;
    const int cond = add_lane(t, c, &s, config->augmentation, slot, slot);
    int uncond = -1;
    if (ie_guidance_needs_null(weight))
        uncond = add_lane(t, c, &s, config->augmentation, slot, stage->lanes);
    t->steps[t->requests++] = (ie_step){
        .slot = slot,
        .lane_cond = cond,
        .lane_uncond = uncond,
        .step = entry->step,
        .guidance = weight,
        .alpha = (float)s.alpha,
        .sigma = (float)s.sigma,
        .keep = (float)s.keep,
        .now = (float)s.now,
        .noise = (float)s.noise,
        .percentile = (float)config->percentile,
        .cap = (float)config->cap,
        .prediction = (int32_t)config->prediction,
        .threshold = (int32_t)config->threshold,
        .stage = (uint32_t)stage->index,
        .seed_low = (uint32_t)seed,
        .seed_high = (uint32_t)(seed >> 32),
    };
}

/* ---- joining and leaving --------------------------------------------------------------------- */

static ie_status set_known(ie_stage *stage, int slot, const ie_job *job, ie_exec *x, ie_error *err)
{
    const ie_unet_config *c = ie_unet_configuration(stage->unet);
    const ie_tensor known = ie_slice(stage->slots.known, 0, slot, slot + 1);
    uint8_t *pixels = ie_alloc((uint64_t)ie_bytes(known), 1);
    if (!pixels) {
        return ie_fail(err, IE_NO_MEMORY, "no memory for the known pixels of a request, %lld bytes",
                       (long long)ie_bytes(known));
    }
    ie_known_pixels(pixels, c->resolution, job->rgb, job->fill, c->conditioning.resolution);
    const ie_status status = ie_upload(x->backend, known, pixels, err);
    ie_free(pixels);
    return status;
}

/* The stage's inputs of one request, from host memory (NULL while measuring) to its slot. */
static ie_status admit(ie_stage *stage, int slot, const ie_job *job, ie_exec *x, ie_error *err)
{
    const ie_unet_config *c = ie_unet_configuration(stage->unet);
    const int64_t canvas = c->conditioning.resolution, low = c->low_resolution;
    const int64_t tokens[3] = {1, stage->slots.text_kv.dim[1], c->text.width};
    const int64_t rgb[4] = {1, canvas, canvas, 3}, fill[4] = {1, canvas, canvas, 1};
    const int64_t image[3] = {low, low, c->image_channels};
    const uint64_t seed = job ? job->request->seed : 0;
    ie_tensor text, pixels, mask;
    IE_TRY(to_device(x, &text, IE_F32, 3, tokens, job ? job->tokens : NULL, err));
    IE_TRY(ie_unet_set_text(stage->unet, &stage->slots, slot, text, job ? job->used : 1, x, err));
    ie_arena_give(x->arena, text.data);
    IE_TRY(to_device(x, &pixels, IE_U8, 4, rgb, job ? job->rgb : NULL, err));
    IE_TRY(to_device(x, &mask, IE_U8, 4, fill, job ? job->fill : NULL, err));
    IE_TRY(ie_unet_set_condition(stage->unet, &stage->slots, slot, pixels, mask, x, err));
    ie_arena_give(x->arena, mask.data);
    ie_arena_give(x->arena, pixels.data);
    if (ie_present(stage->slots.known) && job) IE_TRY(set_known(stage, slot, job, x, err));
    if (low) {
        const ie_augmentation a = ie_augmentation_at(stage->config->augmentation);
        ie_tensor previous;
        IE_TRY(to_device(x, &previous, IE_F32, 3, image, job ? job->image : NULL, err));
        const ie_noise_key key = {seed, (uint32_t)stage->index, IE_NOISE_AUGMENTATION};
        IE_TRY(ie_exec_augment(x, stage->slots.low, slot, previous,
                               (ie_noising){(float)a.alpha, (float)a.sigma, key}, err));
        ie_arena_give(x->arena, previous.data);
    }
    return ie_exec_noise(x, stage->slots.z, slot,
                         (ie_noise_key){seed, (uint32_t)stage->index, IE_NOISE_INITIAL}, err);
}

ie_status ie_stage_admit(ie_stage *stage, const ie_job *job, ie_exec *x, ie_error *err)
{
    return admit(stage, job->entry.slot, job, x, err);
}

ie_status ie_stage_pass(ie_stage *stage, ie_entry *const *batch, int count, ie_exec *x,
                        ie_error *err)
{
    pass *t = stage->pass;
    t->lanes = t->requests = 0;
    for (int i = 0; i < count; i++) add_request(stage, t, batch[i]);
    return run(stage, t, x, err);
}

ie_status ie_stage_leave(ie_stage *stage, ie_job *job, ie_exec *x, ie_error *err)
{
    const int slot = job->entry.slot;
    const ie_tensor z = ie_slice(stage->slots.z, 0, slot, slot + 1);
    float *image = ie_alloc((uint64_t)ie_numel(z), sizeof *image);
    if (!image) {
        return ie_fail(err, IE_NO_MEMORY, "no memory for an image of %lld values",
                       (long long)ie_numel(z));
    }
    ie_free(job->image);
    job->image = image;
    job->resolution = (int)z.dim[1];
    return ie_download(x->backend, image, z, err);
}

ie_status ie_stage_measure(ie_stage *stage, int lanes, int requests, ie_exec *x, ie_error *err)
{
    IE_TRY(admit(stage, 0, NULL, x, err));
    IE_TRY(ie_stage_prepare(stage, x, err));
    const pass t = {.lanes = lanes, .requests = requests};
    x->cost = (ie_cost){0};
    if (x->tally) x->tally->count = 0;
    return run(stage, &t, x, err);
}
