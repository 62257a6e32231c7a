/* model_hash.h - which model made this image: one SHA-256 over everything that decides the result.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_MODEL_HASH_H
#define IE_MODEL_HASH_H

#include "config.h"
#include "weights.h"

enum { IE_HASH_TEXT = 65 }; /* 64 hex digits and the end */

/* For each file, in this order: its path below `directory` with a NUL, its size (8 bytes, little
 * endian), its bytes. Files: ./cascade.json, tokenizer/spiece.model, text_encoder/config.json, that
 * folder's safetensors files in order of name, then config.json and safetensors files of each stage
 * in the cascade's order. Reads every byte of the model; the
 * watch is told how many of the files of weights. */
ie_status ie_model_hash(char out[IE_HASH_TEXT], const char *directory,
                        const ie_cascade_config *cascade, ie_load_watch watch, ie_error *err);

#endif
