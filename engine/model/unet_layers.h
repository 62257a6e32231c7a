/* unet_layers.h - the inside of an ie_unet, shared by its loader, its inputs and its forward pass.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_MODEL_UNET_LAYERS_H
#define IE_MODEL_UNET_LAYERS_H

#include "layers.h"
#include "unet.h"
#include "unet_plan.h"

#define IE_LAYER_NORM_EPS 1e-5f /* of every layer norm on text (MODEL.md section 4) */

/* A step of the plan with its layers; which ones exist depends on its kind. */
typedef struct ie_unet_node {
    ie_unet_step step;
    ie_conv_layer conv1, conv2, shortcut; /* block; conv1 alone: the resampling convolution */
    int64_t film_at;                      /* block: its first column of the joint film vector */
    ie_conv_layer query, out;             /* attention: q or qkv; output projection */
    ie_linear_layer text_kv;
    ie_norm_layer text_norm;
    int64_t kv_at; /* attention: its first column of slots->text_kv */
} ie_unet_node;

typedef struct ie_unet_embedding {
    ie_linear_layer linear1, linear2;
} ie_unet_embedding;

struct ie_unet {
    ie_unet_config config;
    ie_backend *backend;
    int text_length;
    int text_inner; /* P: width of the tokens that attention reads */
    ie_unet_node *nodes;
    int count;
    int64_t film_width, kv_width;
    ie_unet_embedding time, aug;
    ie_linear_layer film; /* of all blocks in one product */
    struct {
        ie_norm_layer norm;
        ie_linear_layer project;
        ie_tensor query; /* [1, 1, h, d] act */
        ie_linear_layer pool_kv;
        ie_norm_layer pool_norm;
        ie_unet_embedding pool;
    } text;
    ie_conv_layer conditioning[IE_MAX_CONDITIONING];
    ie_conv_layer stem, head;
    int stem_inputs, condition_channels;
    uint64_t parameters, weight_bytes;
    ie_block weights; /* empty until loaded */
};

/* Keys and values that every text row has in one attention layer: [S+1, T, 2 inner], keys first. */
ie_tensor ie_unet_text_kv(const ie_unet *u, const ie_unet_slots *slots, const ie_unet_node *n);

#endif
