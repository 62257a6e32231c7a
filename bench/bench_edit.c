/* bench_edit.c - one whole edit through the public interface: seconds, and memory against what the
 * engine said it takes.
 *
 *   bench_edit --model DIR [--device cpu|ref|cuda] [--precision f32|bf16] [--threads N]
 *              [--seed N] [--lanes N] [--steps N] [--guidance W] [--requests N] [--json]
 *
 * An image of canvas size with an elliptic mask; the model's own steps and guidance unless given,
 * then those of every stage. The engine plans for as many requests as it has lanes (2): a few of
 * them with guidance 1 (--requests 4 --guidance 1 --steps 4) meet in every stage and fill its
 * workspace. Memory is the process's highest resident size (VmHWM, Linux) while opening and while
 * editing, minus what it was before the engine existed, with the caller's pixels in place; it is
 * set against what ie_engine_describe tells: weights, workspace, requests, libraries. A process
 * that opens the engine, edits and ends is what a user runs, so a run of this program makes one
 * call of ie_edit. It ends with the ie_status (2 is also a wrong command line).
 * SPDX-License-Identifier: Apache-2.0 */
#include "imagen_editor.h"
#include "timing.h"

#include <stdio.h>
#include <string.h>

enum { CANVAS = 1024, MAX_REQUESTS = 8 };

typedef struct options {
    const char *model;
    ie_options engine;
    uint64_t seed;
    int steps;      /* 0: the model's */
    int requests;   /* the same edit so many times, with seeds of their own */
    float guidance; /* negative: the model's */
    bool json;
} options;

typedef struct outcome {
    ie_engine_info info;
    ie_price price;
    double open_seconds, edit_seconds, stage_seconds[IE_MAX_STAGES];
    double before, open_peak, edit_peak; /* resident bytes */
    double anonymous, mapped;            /* of them after the edit: memory of its own, files */
} outcome;

/* ---- resident memory ------------------------------------------------------------------------- */

/* A field of /proc/self/status in bytes; 0 where there is none. */
static double status_bytes(const char *field)
{
    char line[256];
    double kilobytes = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f)) {
        if (!strncmp(line, field, strlen(field))) kilobytes = strtod(line + strlen(field), NULL);
    }
    if (f) fclose(f);
    return 1024 * kilobytes;
}

/* VmHWM starts again from what is resident now. */
static void forget_peak(void)
{
    FILE *f = fopen("/proc/self/clear_refs", "w");
    if (!f) return;
    fputs("5\n", f);
    fclose(f);
}

/* ---- the edit -------------------------------------------------------------------------------- */

static ie_pixels pixels(int channels)
{
    const ie_pixels p = {
        .width = CANVAS,
        .height = CANVAS,
        .channels = channels,
        .bits = 8,
        .row_bytes = (size_t)CANVAS * (size_t)channels,
        .data = malloc((size_t)CANVAS * CANVAS * (size_t)channels),
    };
    return p;
}

/* Slow gradients, and an ellipse of a third of the width to fill. */
static void paint(const ie_pixels *image, const ie_pixels *mask, const ie_pixels *output)
{
    uint8_t *rgb = image->data, *fill = mask->data;
    for (int y = 0; y < CANVAS; y++) {
        for (int x = 0; x < CANVAS; x++) {
            const int i = y * CANVAS + x, dx = x - CANVAS / 2, dy = y - CANVAS / 2;
            rgb[3 * i] = (uint8_t)(x / 4);
            rgb[3 * i + 1] = (uint8_t)(y / 4);
            rgb[3 * i + 2] = (uint8_t)((x + y) / 8);
            fill[i] = 4 * dx * dx + 9 * dy * dy < CANVAS * CANVAS / 4 ? 255 : 0;
        }
    }
    memset(output->data, 0, (size_t)CANVAS * output->row_bytes); /* resident from the start */
}

typedef struct watch {
    double began, seconds[IE_MAX_STAGES];
} watch;

static int tick(void *user, int stage, int step, int steps)
{
    watch *w = user;
    (void)step;
    (void)steps;
    w->seconds[stage] = bench_seconds(false) - w->began;
    return 0;
}

static ie_status run(outcome *out, const options *o, ie_request *requests, ie_error *err)
{
    ie_engine *engine = NULL;
    watch w = {0};
    requests[0].progress = tick;
    requests[0].user = &w;
    forget_peak();
    out->before = status_bytes("VmHWM:");
    const double start = bench_seconds(false);
    ie_status status = ie_engine_open(&engine, o->model, &o->engine, err);
    if (status) return status;
    out->open_seconds = bench_seconds(false) - start;
    out->open_peak = status_bytes("VmHWM:");
    forget_peak();
    ie_engine_describe(engine, &out->info);
    for (int i = 0; i < o->requests * out->info.stage_count; i++) {
        ie_request *r = &requests[i / out->info.stage_count];
        const int stage = i % out->info.stage_count;
        r->steps[stage] = o->steps;
        if (o->guidance >= 0)
            r->guidance[stage] = (ie_guidance){IE_GUIDANCE_CONSTANT, .high = o->guidance};
    }
    status = ie_price_edit(engine, requests, o->requests, &out->price, err);
    w.began = bench_seconds(false);
    if (!status) status = ie_edit(engine, requests, o->requests, err);
    out->edit_seconds = bench_seconds(false) - w.began;
    for (int i = 0; i < out->info.stage_count; i++)
        out->stage_seconds[i] = w.seconds[i] - (i ? w.seconds[i - 1] : 0);
    out->edit_peak = status_bytes("VmHWM:");
    out->anonymous = status_bytes("RssAnon:");
    out->mapped = status_bytes("RssFile:");
    ie_engine_close(&engine);
    return status;
}

/* ---- reporting ------------------------------------------------------------------------------- */

static void report(const outcome *o, int requests, bool json)
{
    const ie_engine_info *info = &o->info;
    const double host = (double)requests * (double)info->request_bytes;
    const double planned =
        host + (double)(info->weight_bytes + info->workspace_bytes + info->library_bytes);
    const double open = o->open_peak - o->before, edit = o->edit_peak - o->before;
    const double peak = open > edit ? open : edit;
    printf(json ? "{\"bench\": \"edit\", \"model\": \"%s\", \"device\": \"%s\", \"threads\": %d, "
                  "\"open_s\": %.3f, \"edit_s\": %.3f, \"flop\": %.0f"
                : "%s on %s (threads %d): opened in %.3f s, edited in %.3f s, %.3g FLOP\n",
           info->model_name, info->device, info->threads, o->open_seconds, o->edit_seconds,
           o->price.flop);
    for (int i = 0; i < info->stage_count; i++) {
        printf(json ? "%s{\"stage\": \"%s\", \"s\": %.3f, \"passes\": %d}"
                    : "%s%s %.3f s, %d passes\n",
               !json ? "  "
               : i   ? ", "
                     : ", \"stages\": [",
               info->stages[i].name, o->stage_seconds[i], o->price.passes[i]);
    }
    printf(json ? "], \"weight_bytes\": %.0f, \"workspace_bytes\": %.0f, \"request_bytes\": %.0f, "
                  "\"library_bytes\": %.0f, \"open_peak_bytes\": %.0f, "
                  "\"edit_peak_bytes\": %.0f, \"over_plan_percent\": %.2f, \"before_bytes\": %.0f, "
                  "\"anonymous_bytes\": %.0f, \"mapped_bytes\": %.0f}\n"
                : "  weights %.0f + workspace %.0f + requests %.0f + libraries %.0f bytes; peak "
                  "while opening %.0f, while editing %.0f: %+.2f %% (before %.0f; after: anonymous "
                  "%.0f, mapped %.0f)\n",
           (double)info->weight_bytes, (double)info->workspace_bytes, host,
           (double)info->library_bytes, open, edit, 100 * (peak / planned - 1), o->before,
           o->anonymous, o->mapped);
}

static bool parse(options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i], *value = i + 1 < argc ? argv[i + 1] : "";
        if (!strcmp(name, "--json")) {
            o->json = true;
            continue;
        }
        if (!strcmp(name, "--model")) {
            o->model = value;
        } else if (!strcmp(name, "--device")) {
            o->engine.device = value;
        } else if (!strcmp(name, "--threads")) {
            o->engine.threads = (int)strtol(value, NULL, 10);
        } else if (!strcmp(name, "--steps")) {
            o->steps = (int)strtol(value, NULL, 10);
        } else if (!strcmp(name, "--lanes")) {
            const int lanes = (int)strtol(value, NULL, 10);
            for (int s = 0; s < IE_MAX_STAGES; s++) o->engine.lanes[s] = lanes;
        } else if (!strcmp(name, "--requests")) {
            o->requests = (int)strtol(value, NULL, 10);
        } else if (!strcmp(name, "--guidance")) {
            o->guidance = strtof(value, NULL);
        } else if (!strcmp(name, "--seed")) {
            o->seed = strtoull(value, NULL, 10);
        } else if (!strcmp(name, "--precision") && !strcmp(value, "bf16")) {
            o->engine.precision = IE_PRECISION_BF16;
        } else if (strcmp(name, "--precision") != 0 || strcmp(value, "f32") != 0) {
            return false;
        }
        i++;
    }
    return o->model != NULL && o->requests >= 1 && o->requests <= MAX_REQUESTS;
}

int main(int argc, char **argv)
{
    options o = {.guidance = -1, .requests = 1};
    ie_options_default(&o.engine);
    o.engine.device = "cpu";
    o.engine.precision = IE_PRECISION_F32;
    if (!parse(&o, argc, argv)) {
        fprintf(stderr,
                "bench_edit --model DIR [--device cpu|ref|cuda] [--precision f32|bf16] "
                "[--threads N] [--seed N] [--lanes N] [--steps N] [--guidance W] [--requests 1..8] "
                "[--json]\n");
        return 2;
    }
    ie_error err = {0};
    outcome out = {0};
    ie_request r[MAX_REQUESTS];
    const ie_pixels image = pixels(3), mask = pixels(1);
    bool room = image.data && mask.data;
    for (int i = 0; i < o.requests; i++) {
        ie_request_default(&r[i]);
        r[i].image = image;
        r[i].mask = mask;
        r[i].output = pixels(3);
        r[i].prompt = "a glass fish bowl on the table";
        r[i].seed = o.seed + (uint64_t)i;
        room = room && r[i].output.data;
    }
    int status = IE_NO_MEMORY;
    for (int i = 0; room && i < o.requests; i++) paint(&image, &mask, &r[i].output);
    if (room) status = (int)run(&out, &o, r, &err);
    if (status) fprintf(stderr, "bench_edit: %s\n", room ? err.text : "no memory for the images");
    if (!status) report(&out, o.requests, o.json);
    for (int i = 0; i < o.requests; i++) free(r[i].output.data);
    free(image.data);
    free(mask.data);
    return status;
}
