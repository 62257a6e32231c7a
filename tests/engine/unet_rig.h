/* unet_rig.h - one of the toy U-Nets of tests/golden on one device, with its three lanes of inputs.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_TEST_UNET_RIG_H
#define IE_TEST_UNET_RIG_H

#include "golden.h"
#include "unet.h"

enum { UNET_RIG_LANES = 3 };

typedef struct unet_rig {
    rig r;
    golden io;
    ie_unet_config config;
    ie_weights *weights;
    ie_unet *unet;
    ie_unet_slots slots; /* UNET_RIG_LANES requests */
} unet_rig;

/* `name` is a folder below tests/golden. False when this build has no such device; anything else
 * that fails ends the test with a message. Slots hold the golden texts, canvases, z and low-
 * resolution images. */
bool unet_rig_open(unet_rig *u, const char *name, const char *device, bool bf16);
void unet_rig_close(unet_rig *u);

/* Text row i of the golden file into slot i, and canvas i into slot i. */
void unet_rig_set_text(unet_rig *u, int slot, ie_tensor tokens, int length);
void unet_rig_set_canvas(unet_rig *u, int slot, ie_tensor rgb, ie_tensor mask);

/* `count` lanes, lane i being lane order[i] of the golden file (NULL: all of them in order). */
ie_unet_lanes unet_rig_lanes(unet_rig *u, const int *order, int count);

/* Predictions [lanes, H, W, output_channels]; caller frees. */
float *unet_rig_forward(unet_rig *u, const ie_unet_lanes *lanes);
int64_t unet_rig_prediction(const unet_rig *u); /* values of one lane */

#endif
