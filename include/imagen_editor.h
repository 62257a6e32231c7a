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
 * ie_edit waits for its result. Who has many edits submits them (ie_submit), and the engine keeps
 * its device full: requests at different steps share forward passes, each joining and leaving at
 * any step.
 *
 * Ownership   Whoever allocates frees. A request and what it points to is lent to the engine from
 *             ie_submit until it has ended; of every other call the engine keeps no pointer.
 * Threads     Any number of threads may use an engine at once; only opening and closing it must
 *             not overlap with anything. Engines are independent of each other. An engine has two
 *             threads of its own: one computes, the other reads windows and writes results.
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
    X(BUSY, 8, "the queue is full")                             \
    X(LATE, 9, "not finished by its deadline")                  \
    X(UNFINISHED, 10, "not finished yet")                       \
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

enum { IE_MAX_STAGES = 8 };

typedef struct ie_engine ie_engine;

/* auto: the one the device is made for, bf16 on a GPU and f32 elsewhere. */
typedef enum ie_precision { IE_PRECISION_F32, IE_PRECISION_BF16, IE_PRECISION_AUTO } ie_precision;

/* How far the loading of a model is: its weights, packed and brought to the device; then, for
 * model_hash, its files once more. Bytes of one of the two; `done` goes from 0 to `total`. */
typedef enum ie_loading_work { IE_LOADING_WEIGHTS, IE_LOADING_HASH } ie_loading_work;

typedef struct ie_loading {
    const char *model_name; /* valid during the call */
    ie_loading_work work;
    uint64_t done, total;
} ie_loading;

typedef struct ie_options {
    /* "auto" (default), "cpu", "ref", "cuda", "cuda:N"; "plan": no weights, prices only;
     * "cuda:h200": as plan, with predicted times for that device, which need not be there */
    const char *device;
    ie_precision precision; /* of activations and weights; default auto */
    int threads;            /* CPU threads; 0 (default): all cores of the process's affinity mask */
    /* Rows of a forward pass, for every stage; 0 (default): 2; legal 2 .. 512. A request takes two
     * at a step with guidance and one where the weight is 1. Workspace grows with them
     * (ie_engine_info.workspace_bytes, also on device "plan"). More lanes are more throughput where
     * one request does not fill the device; on CPUs two do. */
    int lanes[IE_MAX_STAGES];
    /* The queue: requests that have been submitted and have not ended. At most so many (0, the
     * default: 64; legal 1 .. 65536), with at most so many bytes of image, mask and output together
     * (height * row_bytes of each; 0, the default: no bound). A request larger than queue_bytes is
     * taken when the queue is empty. */
    int queue_requests;
    uint64_t queue_bytes;
    /* Called by ie_engine_open, on its thread, when loading begins and after every layer; return
     * nonzero to give up, which is IE_CANCELLED. NULL (default): nobody is told. Not called on
     * device "plan". */
    int (*loading)(void *user, const ie_loading *now);
    void *loading_user;
} ie_options;

IE_API void ie_options_default(ie_options *options);

/* Read a model directory, check it, load it. *out is NULL on failure. options NULL: defaults. Where
 * the device says how much memory it has, what does not fit is refused before anything is loaded,
 * with the number of lanes that would: IE_NO_MEMORY. */
IE_API ie_status ie_engine_open(ie_engine **out, const char *model_dir, const ie_options *options,
                                ie_error *err);
/* Release everything; *engine becomes NULL; NULL and pointer to NULL are fine. What has not ended
 * is cancelled first, and has ended when this returns; its tickets are still to be released. */
IE_API void ie_engine_close(ie_engine **engine);

/* ---- what an engine is ----------------------------------------------------------------------- */

typedef struct ie_stage_info {
    char name[64];
    int resolution; /* side of the square image this stage makes */
    int lanes;      /* rows of its forward pass: ie_options.lanes */
    int default_steps;
    uint64_t parameters;   /* of its U-Net */
    uint64_t weight_bytes; /* as loaded, packed for the device */
    double forward_flop;   /* one lane, one forward pass; multiply-adds count 2 */
    double forward_bytes;  /* weights once and every operand once, at least */
    /* A pass of one lane and of two, on a described device as the CUDA backend's kernels are
     * predicted to do; 0 on any other. */
    double forward_seconds[2];
    /* forward passes of one request with the default steps and guidance */
    int default_passes;
} ie_stage_info;

typedef struct ie_engine_info {
    char model_name[64];
    char model_hash[65];    /* SHA-256 over the model's files, hex; "" on device "plan" */
    char device[128];       /* what runs it, in words */
    ie_precision precision; /* f32 or bf16 */
    int threads;
    int canvas; /* side of the square the model works on */
    /* prompts longer than this many tokens are cut, and the request says so */
    int text_length;
    int stage_count;
    ie_stage_info stages[IE_MAX_STAGES];
    uint64_t text_parameters, text_weight_bytes;
    double text_flop;         /* one prompt */
    double text_seconds;      /* as forward_seconds */
    uint64_t weight_bytes;    /* all of it */
    uint64_t workspace_bytes; /* planned for all lanes; device memory */
    uint64_t request_bytes;   /* of the host, that the engine keeps for a request under way */
    /* What else the process grew by when the engine was opened: the device's libraries and the code
     * that they made for this model. Measured, so what other threads took meanwhile is in it; 0 on
     * device "plan" and where the system does not say. */
    uint64_t library_bytes;
} ie_engine_info;

IE_API void ie_engine_describe(const ie_engine *engine, ie_engine_info *info);

/* One operation at one shape, as a pass calls it. */
typedef struct ie_operation_info {
    char name[88]; /* "conv 3x3 64x64 512 to 512 norm residual moments", as benches call it too */
    int calls;
    /* Of all calls. Seconds as forward_seconds, by what bounds the kernels of the operation: matrix
     * units, memory; and the gaps before each of them. */
    double flop, bytes;
    double matrix_seconds, memory_seconds, launch_seconds;
} ie_operation_info;

/* The operations of a pass of so many lanes (1 .. the stage's) of a stage, or of one prompt in the
 * text encoder (stage -1, one lane), in the order of their first call. *count is the room in `out`,
 * and then how many there are; when it is too small the last one is called "others". Only on a
 * described device and on "plan": IE_BAD_ARGUMENT otherwise. */
IE_API ie_status ie_engine_operations(ie_engine *engine, int stage, int lanes,
                                      ie_operation_info *out, int *count, ie_error *err);

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
    /* high for the first `hold` share of the steps, then low, high, low, ..., and low for the last
     * `tail` share, at least for the last step */
    IE_GUIDANCE_OSCILLATE,
    IE_GUIDANCE_LIST /* weights[step] */
} ie_guidance_kind;

/* Imagen's convention: w = 1 is the plain conditional model (and costs no unconditional pass).
 * Legal: 0 .. 1000. */
typedef struct ie_guidance {
    ie_guidance_kind kind;
    float high, low;
    float hold, tail;     /* 0 .. 1 */
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
    /* Requests go in the order of submission, but a level of priority (default 0, legal -100 ..
     * 100) goes before up to 64 earlier requests of the level below, and no more: nobody waits for
     * ever. */
    int priority;
    /* Seconds after submission in which it must have ended, or it ends with IE_LATE; 0 (default):
     * none. It does not change the order. */
    double deadline;
    /* The callbacks run on threads of the engine, one at a time for a request and in this order.
     * Each may be NULL. They may call ie_cancel and ie_poll but no function that waits.
     *
     * Called after every step of this request, `step` counting 1 .. steps; return nonzero to cancel
     * it. Everybody in the engine waits for this one: be quick. */
    int (*progress)(void *user, int stage, int step, int steps);
    /* Called when a stage has finished: its image, 3 channels of 8 bits, valid during the call. The
     * last stage's is the whole window, unmasked pixels too. The request goes on when this
     * returns; meanwhile other requests do. */
    void (*stage_done)(void *user, int stage, const ie_pixels *image);
    /* Called when it has ended, whatever way: the engine's last use of the request, just before
     * ie_wait says so. Not called when ie_submit failed. */
    void (*ended)(void *user, ie_status status);
    void *user;
    /* Filled by ie_submit and ie_edit. */
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

/* ---- edits ----------------------------------------------------------------------------------- */

/* One submitted request. Owned by whoever submitted it. */
typedef struct ie_ticket ie_ticket;

/* Check a request and put it into the queue. While the queue is full wait up to `seconds` (0: not
 * at all, negative: as long as it takes), then IE_BUSY. On success *ticket is to be released with
 * ie_ticket_release, and the request with everything it points to (pixels, prompt, lists of
 * weights) is lent to the engine: unchanged and alive until it has ended. On failure *ticket is
 * NULL and nothing was touched: IE_BAD_ARGUMENT, IE_BAD_INPUT, IE_BUSY, IE_NO_MEMORY. */
IE_API ie_status ie_submit(ie_engine *engine, ie_request *request, double seconds,
                           ie_ticket **ticket, ie_error *err);

/* Wait up to `seconds` (0: not at all, negative: as long as it takes) for the end of a request:
 * IE_UNFINISHED, or how it ended, the sentence in *err. Other than IE_OK: IE_CANCELLED, IE_LATE,
 * IE_NO_MEMORY, IE_DEVICE; then the content of the output is unspecified. After the end it says the
 * same again, at once. Any number of threads may wait. */
IE_API ie_status ie_wait(ie_ticket *ticket, double seconds, ie_error *err);

/* Let a request end with IE_CANCELLED as soon as possible: at once while it waits, after the step
 * being computed otherwise. Returns at once; the request is still lent to the engine until it has
 * ended. NULL and a request that has ended are fine. */
IE_API void ie_cancel(ie_ticket *ticket);

/* How far a request is. */
typedef struct ie_ticket_info {
    ie_status status; /* IE_UNFINISHED, then how it ended */
    int stage;        /* of its latest step; -1 before the first */
    int step, steps;  /* of that stage: done, all */
    double queued;    /* seconds from submission to its first forward pass, or until now */
    double seconds;   /* from submission until its end, or until now */
} ie_ticket_info;

IE_API void ie_poll(const ie_ticket *ticket, ie_ticket_info *info);

/* Free a ticket; *ticket becomes NULL; NULL and pointer to NULL are fine. A request that has not
 * ended is cancelled, and this waits until it has ended. Also right after the engine was closed. */
IE_API void ie_ticket_release(ie_ticket **ticket);

/* Run `count` requests: submit all, wait for all. All of them are checked before any work starts.
 * If one fails the others are cancelled, and the status and sentence are the one's that failed. On
 * failure the contents of the outputs are unspecified (requests that were refused touched nothing).
 */
IE_API ie_status ie_edit(ie_engine *engine, ie_request *requests, int count, ie_error *err);

/* What an engine does now and has done since it was opened. */
typedef struct ie_activity {
    int requests;   /* in the queue: submitted, not ended */
    uint64_t bytes; /* of their images, masks and outputs */
    uint64_t ended; /* requests that have ended, whatever way */
    struct {
        int waiting, running;   /* requests before the stage, and at a step of it */
        uint64_t passes, lanes; /* forward passes, and rows computed in them */
        double seconds;         /* computing */
    } stages[IE_MAX_STAGES];
} ie_activity;

IE_API void ie_engine_activity(ie_engine *engine, ie_activity *activity);

#ifdef __cplusplus
}
#endif
#endif
