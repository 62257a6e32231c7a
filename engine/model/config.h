/* config.h - cascade.json, a U-Net's config.json and the text encoder's config.json as structs.
 *
 * engine/MODEL.md section 1 defines every key. Reading is strict: an unknown key, a missing key, a
 * value of the wrong type or outside its range is IE_BAD_MODEL with the file, the key and the legal
 * values in the sentence. What can be contradicted inside one file is checked here (group counts
 * divide channels, strides reach the resolution, ...); what takes two files is checked by
 * ie_cascade_config_check. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_MODEL_CONFIG_H
#define IE_MODEL_CONFIG_H

#include "error.h"
#include "ops.h"

#include <stdbool.h>

enum {
    IE_MAX_LEVELS = 8,
    IE_MAX_BLOCKS = 64, /* of one level, or of the middle */
    IE_MAX_CONDITIONING = 8,
    IE_MAX_GUIDANCE_LIST = 4096,
    IE_MAX_STEPS = 4096,
};

typedef enum ie_schedule_kind { IE_SCHEDULE_COSINE, IE_SCHEDULE_LINEAR } ie_schedule_kind;

typedef struct ie_schedule {
    ie_schedule_kind kind;
    double s;                            /* cosine */
    double beta_first, beta_last, steps; /* linear */
} ie_schedule;

typedef struct ie_stage_config {
    char name[64];
    char directory[64]; /* below the model directory; no '/' and no leading dot */
    ie_schedule schedule;
    ie_prediction prediction;
    ie_sampler sampler; /* IE_SAMPLER_DDPM or IE_SAMPLER_DDIM */
    double gamma;       /* of the ancestral sampler; 0.3 when a ddim stage does not say */
    double end;         /* 0 .. 0.9: where the sampler's uniform grid of times would end */
    int steps;
    ie_guidance guidance; /* `weights` owned by the config, NULL unless a list */
    ie_threshold threshold;
    double percentile, cap;
    bool keeps_known;    /* of every x0, the pixels that the mask leaves alone */
    double augmentation; /* 0..1; 0 in the first stage */
} ie_stage_config;

typedef struct ie_cascade_config {
    char name[64];
    int text_length; /* 1 .. 1024 */
    int stage_count; /* 1 .. IE_MAX_STAGES */
    ie_stage_config stages[IE_MAX_STAGES];
} ie_cascade_config;

typedef enum ie_layout { IE_LAYOUT_ADM, IE_LAYOUT_EFFICIENT } ie_layout;
typedef enum ie_attention_kind {
    IE_ATTENTION_NONE,
    IE_ATTENTION_SELF_TEXT,
    IE_ATTENTION_TEXT
} ie_attention_kind;
typedef enum ie_time_input { IE_TIME_LOG_SNR, IE_TIME_T } ie_time_input;

typedef struct ie_attention_config {
    ie_attention_kind kind;
    int heads, head_width; /* 0 when kind is none; head_width 1 .. 256 */
} ie_attention_config;

typedef struct ie_level_config {
    int channels, stride, blocks;
    ie_attention_config attention;
} ie_level_config;

typedef struct ie_unet_config {
    ie_layout layout;
    int resolution;      /* 8 .. 4096 */
    int image_channels;  /* 3 */
    int output_channels; /* >= image_channels */
    int low_resolution;  /* 0: none */
    struct {
        int resolution, kernel, count; /* resolution 0: no image and mask (plain Imagen) */
        int strides[IE_MAX_CONDITIONING], widths[IE_MAX_CONDITIONING];
    } conditioning;
    int width, embedding;
    struct {
        ie_time_input input;
        double clamp, scale, max_period;
        int width; /* even */
    } time;
    struct {
        int width, project, pool_heads;
        bool norm, kv_norm;
    } text;
    int norm_groups;
    double norm_eps;
    ie_act activation; /* silu, gelu */
    double residual_scale, skip_scale;
    bool shortcut_always, skip_concat;
    int level_count;
    ie_level_config levels[IE_MAX_LEVELS];
    struct {
        int blocks;
        ie_attention_config attention;
    } middle;
    struct {
        bool norm;
        int kernel; /* 1 or 3 */
    } head;
} ie_unet_config;

typedef struct ie_text_config {
    int vocab_size, d_model, d_kv, d_ff, num_layers, num_heads, buckets, max_distance;
    double eps;
} ie_text_config;

/* Each reads one file; `path` is the file. On failure *out is unspecified but holds nothing to
 * release. */
ie_status ie_cascade_config_read(ie_cascade_config *out, const char *path, ie_error *err);
ie_status ie_unet_config_read(ie_unet_config *out, const char *path, ie_error *err);
ie_status ie_text_config_read(ie_text_config *out, const char *path, ie_error *err);
void ie_cascade_config_release(ie_cascade_config *c); /* guidance lists; NULL is fine */

/* The same from memory (`name` stands for the file in messages): what the fuzzers call. */
ie_status ie_cascade_config_parse(ie_cascade_config *out, const char *text, size_t bytes,
                                  const char *name, ie_error *err);
ie_status ie_unet_config_parse(ie_unet_config *out, const char *text, size_t bytes,
                               const char *name, ie_error *err);
ie_status ie_text_config_parse(ie_text_config *out, const char *text, size_t bytes,
                               const char *name, ie_error *err);

/* Contradictions between files: the first stage has no low_resolution, each later one takes exactly
 * its predecessor's resolution; every conditioning.resolution is the canvas; every text.width is
 * the encoder's d_model. `unets` has stage_count entries. */
ie_status ie_cascade_config_check(const ie_cascade_config *c, const ie_unet_config *unets,
                                  const ie_text_config *text, ie_error *err);

#endif
