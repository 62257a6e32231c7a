/* imagen_editor.h - text-guided image inpainting with a cascade of diffusion models: the whole
 * public API.
 *
 *     ie_engine *engine = NULL;
 *     ie_error err = {0};
 *     if (ie_engine_open(&engine, "models/demo", NULL, &err)) return complain(&err);
 *     ie_request r;
 *     ie_request_default(&r);
 *     r.image = photo;              // ie_pixels: your memory, any size
 *     r.mask = mask;                // one channel: 255 where the image may change, else 0
 *     r.prompt = "a glass fish bowl";
 *     r.output = result;            // your memory, same size and format as the image
 *     if (ie_edit(engine, &r, 1, &err)) return complain(&err);
 *     ie_engine_close(&engine);
 *
 * Ownership   Whoever allocates frees. The engine keeps no caller pointer after a call returns.
 * Threads     One ie_engine serves one thread at a time; engines are independent of each other.
 * Output      The library prints nothing and never exits. Every failure is a status and, if asked,
 *             a sentence.
 * Exactness   A request is honoured as given or refused with the legal range; nothing is rounded,
 *             clamped or replaced on the quiet. Pixels outside the mask are copied bit for bit. The
 *             same request on the same build and device gives the same bits, alone or beside
 *             others, with any number of threads.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IMAGEN_EDITOR_H
#define IMAGEN_EDITOR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define IE_API __attribute__((visibility("default")))
#else
#define IE_API
#endif

#define IE_VERSION_MAJOR 0
#define IE_VERSION_MINOR 1
#define IE_VERSION_PATCH 0

/* "0.1.0": of the library that is linked, which may differ from the header's. */
IE_API const char *ie_version(void);

/* ---- statuses and errors --------------------------------------------------------------------- */

/* X(name, value, text) */
#define IE_STATUS_MAP(X)                                        \
    X(OK, 0, "ok")                                              \
    X(BAD_ARGUMENT, 2, "invalid argument")                      \
    X(BAD_INPUT, 3, "the image, mask or prompt cannot be used") \
    X(BAD_MODEL, 4, "the model files do not match")             \
    X(NO_MEMORY, 5, "out of memory")                            \
    X(DEVICE, 6, "the device failed or is absent")              \
    X(IO, 7, "reading or writing failed")                       \
    X(CANCELLED, 130, "cancelled by the caller")

typedef enum ie_status {
#define X(name, value, text) IE_##name = value,
    IE_STATUS_MAP(X)
#undef X
} ie_status;

IE_API const char *ie_status_text(ie_status status); /* static string */

/* Filled by the call that fails; caller-owned, no allocation. May be NULL wherever it is a
 * parameter. */
typedef struct ie_error {
    ie_status status;
    int native;     /* errno or device code behind it, 0 if none */
    char where[48]; /* "unet.c:212" */
    char text[400]; /* one sentence, no trailing newline */
} ie_error;

/* ---- an engine ------------------------------------------------------------------------------- */

typedef struct ie_engine ie_engine;

typedef enum ie_precision { IE_PRECISION_F32, IE_PRECISION_BF16 } ie_precision;

typedef struct ie_options {
    /* "auto" (default), "cpu", "ref", "cuda", "cuda:N"; "plan": no weights, prices only */
    const char *device;
    ie_precision precision; /* of activations and weights; default f32 */
    int threads;            /* CPU threads; 0 (default): all cores of the process's affinity mask */
    /* requests that share a step; default 1. Each needs up to two lanes of workspace */
    int max_requests;
} ie_options;

IE_API void ie_options_default(ie_options *options);

/* Read a model directory, check it, load it. *out is NULL on failure. options NULL: defaults. */
IE_API ie_status ie_engine_open(ie_engine **out, const char *model_dir, const ie_options *options,
                                ie_error *err);
/* Release everything; *engine becomes NULL; NULL and pointer to NULL are fine. */
IE_API void ie_engine_close(ie_engine **engine);

/* ---- what an engine is ----------------------------------------------------------------------- */

enum { IE_MAX_STAGES = 8 };

typedef struct ie_stage_info {
    char name[64];
    int resolution; /* side of the square image this stage makes */
    int default_steps;
    uint64_t parameters;   /* of its U-Net */
    uint64_t weight_bytes; /* as loaded, packed for the device */
    double forward_flop;   /* one lane, one forward pass; multiply-adds count 2 */
    double forward_bytes;  /* weights once and every operand once, at least */
    /* forward passes of one request with the default steps and guidance */
    int default_passes;
} ie_stage_info;

typedef struct ie_engine_info {
    char model_name[64];
    char model_hash[65]; /* SHA-256 over the model's files, hex; "" on device "plan" */
    char device[128];    /* what runs it, in words */
    ie_precision precision;
    int threads;
    int canvas; /* side of the square the model works on */
    /* prompts longer than this many tokens are cut, and the request says so */
    int text_length;
    int stage_count;
    ie_stage_info stages[IE_MAX_STAGES];
    uint64_t text_parameters, text_weight_bytes;
    double text_flop;         /* one prompt */
    uint64_t weight_bytes;    /* all of it */
    uint64_t workspace_bytes; /* planned for max_requests */
} ie_engine_info;

IE_API void ie_engine_describe(const ie_engine *engine, ie_engine_info *info);

/* ---- a request ------------------------------------------------------------------------------- */

/* A view of caller's pixels, row by row. Channels 1 (masks), 3 (RGB) or 4 (RGBA, not
 * premultiplied); 8 or 16 bits per sample, 16-bit samples in the machine's byte order. Colour is
 * taken as sRGB. */
typedef struct ie_pixels {
    void *data;
    int width, height;
    int channels;
    int bits;
    size_t row_bytes; /* from one row to the next; at least width * channels * bits / 8 */
} ie_pixels;

typedef enum ie_guidance_kind {
    IE_GUIDANCE_DEFAULT,  /* what the model's cascade.json says */
    IE_GUIDANCE_CONSTANT, /* high at every step */
    /* high for the first `hold` share of the steps, then low, high, low, ... */
    IE_GUIDANCE_OSCILLATE,
    IE_GUIDANCE_LIST /* weights[step] */
} ie_guidance_kind;

/* Imagen's convention: w = 1 is the plain conditional model (and costs no unconditional pass).
 * Legal: 0 .. 1000. */
typedef struct ie_guidance {
    ie_guidance_kind kind;
    float high, low;
    float hold;           /* 0 .. 1 */
    const float *weights; /* `count` == steps of the stage */
    int count;
} ie_guidance;

typedef enum ie_sampler { IE_SAMPLER_DEFAULT, IE_SAMPLER_DDPM, IE_SAMPLER_DDIM } ie_sampler;

typedef struct ie_request {
    ie_pixels image;
    /* same width and height; 1 channel, 8 bits; 255 = fill, 0 = keep, other values are refused */
    ie_pixels mask;
    const char *prompt; /* UTF-8, not empty */
    /* same size, channels and bits as image; alpha is copied; may be the image itself */
    ie_pixels output;
    uint64_t seed;            /* default 0 */
    int steps[IE_MAX_STAGES]; /* 0: the model's default; legal 1 .. 4096 */
    ie_guidance guidance[IE_MAX_STAGES];
    ie_sampler sampler; /* of all stages */
    /* pixels inside the mask's edge over which the result fades in; 0 (default) .. 512 */
    int feather;
    /* Called after every step of this request, `step` counting 1 .. steps; return nonzero to stop
     * the whole call with IE_CANCELLED. */
    int (*progress)(void *user, int stage, int step, int steps);
    /* Called when a stage has finished: its image, 3 channels of 8 bits, valid during the call. */
    void (*stage_done)(void *user, int stage, const ie_pixels *image);
    void *user;
    /* Filled by the engine. */
    int prompt_tokens; /* of the prompt, its end marker included */
    int prompt_cut;    /* tokens that did not fit in text_length and were ignored: announce it */
} ie_request;

IE_API void ie_request_default(ie_request *request);

typedef struct ie_price {
    double flop;              /* all requests, text included */
    uint64_t workspace_bytes; /* held by the engine while it is open */
    uint64_t weight_bytes;
    int passes[IE_MAX_STAGES]; /* lanes computed, all requests and steps */
} ie_price;

/* What an edit would cost; checks everything that can be checked without running. Works on device
 * "plan". */
IE_API ie_status ie_price_edit(const ie_engine *engine, const ie_request *requests, int count,
                               ie_price *price, ie_error *err);

/* Run `count` requests. All of them are checked before any work starts. On failure the contents of
 * the outputs are unspecified (a request that was refused touched nothing). */
IE_API ie_status ie_edit(ie_engine *engine, ie_request *requests, int count, ie_error *err);

#ifdef __cplusplus
}
#endif
#endif
