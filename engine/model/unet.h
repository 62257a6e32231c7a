/* unet.h - one U-Net of the cascade: weights on a device, per-request inputs in slots, one forward
 * over lanes.
 *
 * ie_unet       weights; immutable once loaded.
 * ie_unet_slots what a request keeps on the device while it is in the stage: z, low-resolution
 *               image, encoded conditioning, known pixels, text keys and values. One more text row
 *               than requests: the null text, ready from the start.
 * ie_unet_lanes one forward pass: which slots its rows read, and their time.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_MODEL_UNET_H
#define IE_MODEL_UNET_H

#include "config.h"
#include "exec.h"
#include "weights.h"

typedef struct ie_unet ie_unet;

/* Check names and shapes against the configuration, choose kernels, count; nothing is allocated on
 * the device, and what is known then is all that measuring a forward pass needs. A tensor nobody
 * uses is an error. weights NULL only on a planning backend. text_length: tokens of a prompt (T).
 * The config is copied. */
ie_status ie_unet_open(ie_unet **out, const ie_unet_config *config, int text_length,
                       ie_weights *weights, ie_backend *backend, ie_error *err);
/* Then, once, allocate and load. */
ie_status ie_unet_load(ie_unet *unet, ie_weights *weights, ie_load_watch watch, ie_error *err);
void ie_unet_close(ie_unet **unet);

const ie_unet_config *ie_unet_configuration(const ie_unet *unet);
uint64_t ie_unet_parameters(const ie_unet *unet);
uint64_t ie_unet_weight_bytes(const ie_unet *unet); /* packed, on the device */

typedef struct ie_unet_slots {
    int requests;        /* S */
    bool keeps_known;    /* there is `known` */
    ie_tensor z;         /* [S, R, R, C] f32: the diffusion state */
    ie_tensor low;       /* [S, R, R, C] f32: augmented low-resolution image; absent without one */
    ie_tensor condition; /* [S, R, R, E] act: encoded image and mask; absent without them */
    ie_tensor known;     /* [S, R, R, C + 1] u8, for the sampler (ops.h); absent if none is kept */
    ie_tensor
        text_kv; /* act, for each attention layer in turn [S+1, T, 2 inner]: keys, then values */
    ie_tensor pooled; /* [S+1, embedding] f32 */
    ie_tensor length; /* [S+1] i32 */
    ie_tensor zero;   /* [1] i32: the index of a tensor that has one row */
    uint64_t bytes;
    ie_block block; /* owns all of the above, once it is open */
} ie_unet_slots;

/* Lay out, which needs no memory: slots->bytes says how much they will take. */
ie_status ie_unet_slots_plan(ie_unet_slots *out, const ie_unet *unet, int requests,
                             bool keeps_known, ie_error *err);
/* Then, once, allocate; nothing is computed yet. On a planning backend nothing happens. */
ie_status ie_unet_slots_open(ie_unet_slots *slots, const ie_unet *unet, ie_error *err);
void ie_unet_slots_close(ie_unet_slots *slots);

/* Fill row S with the null text. Once, before the first forward. */
ie_status ie_unet_set_null_text(const ie_unet *unet, ie_unet_slots *slots, ie_exec *x,
                                ie_error *err);
/* Text of a slot: tokens [1, T, D] f32 on the device, rows past `length` zero. */
ie_status ie_unet_set_text(const ie_unet *unet, ie_unet_slots *slots, int slot, ie_tensor tokens,
                           int length, ie_exec *x, ie_error *err);
/* Image and mask of a slot at canvas size: rgb [1, K, K, 3] u8, mask [1, K, K, 1] u8 (1 = fill), on
 * the device. */
ie_status ie_unet_set_condition(const ie_unet *unet, ie_unet_slots *slots, int slot, ie_tensor rgb,
                                ie_tensor mask, ie_exec *x, ie_error *err);

typedef struct ie_unet_lanes {
    ie_tensor v;       /* [N] f32: the time input (ie_unet_time_input) */
    ie_tensor v_aug;   /* [N] f32: of the augmentation; absent without a low-resolution image */
    ie_tensor request; /* [N] i32: slot of z, low and condition */
    ie_tensor text;    /* [N] i32: slot of the text; S = null */
    /* Watch intermediate maps by name (tests); NULL otherwise. */
    void (*tap)(void *user, const char *name, ie_tensor map);
    void *user;
} ie_unet_lanes;

/* What the network is told about time: of log-SNR lambda or t, as its configuration says (MODEL.md,
 * `time`). */
float ie_unet_time_input(const ie_unet_config *config, double lambda, double t);

/* pred [N, R, R, output_channels] f32, contiguous. */
ie_status ie_unet_forward(const ie_unet *unet, const ie_unet_slots *slots,
                          const ie_unet_lanes *lanes, ie_tensor pred, ie_exec *x, ie_error *err);

#endif
