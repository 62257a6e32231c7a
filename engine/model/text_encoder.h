/* text_encoder.h - the T5 v1.1 encoder: token ids to one vector a token (MODEL.md section 5).
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_MODEL_TEXT_ENCODER_H
#define IE_MODEL_TEXT_ENCODER_H

#include "config.h"
#include "exec.h"
#include "weights.h"

typedef struct ie_text_encoder ie_text_encoder;

/* As ie_unet_open and ie_unet_load. Hugging Face names; a decoder's or a
 * language-model head's tensors in the same file are left alone, since published T5 checkpoints
 * carry them. */
ie_status ie_text_encoder_open(ie_text_encoder **out, const ie_text_config *config, int length,
                               ie_weights *weights, ie_backend *backend, ie_error *err);
ie_status ie_text_encoder_load(ie_text_encoder *encoder, ie_weights *weights, ie_load_watch watch,
                               ie_error *err);
void ie_text_encoder_close(ie_text_encoder **encoder);

uint64_t ie_text_encoder_parameters(const ie_text_encoder *encoder);
uint64_t ie_text_encoder_weight_bytes(const ie_text_encoder *encoder);

/* tokens [1, T, D] f32 on the device: encoder output, rows past `used` zero. ids [T] in host
 * memory, `used` of them real; NULL only while measuring. */
ie_status ie_text_encoder_run(const ie_text_encoder *encoder, ie_tensor tokens, const int32_t *ids,
                              int used, ie_exec *x, ie_error *err);

/* The bucket of a relative position key - query (T5's bidirectional rule), 0 .. buckets - 1. */
int ie_relative_bucket(int distance, int buckets, int max_distance);

#endif
