/* open_memory.h - what a model takes of its device, before it takes it; and what would fit.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CASCADE_OPEN_MEMORY_H
#define IE_CASCADE_OPEN_MEMORY_H

#include "engine.h"

/* Measured, in bytes. */
typedef struct ie_open_memory {
    uint64_t text_workspace;
    uint64_t workspace[IE_MAX_STAGES][IE_MAX_LANES + 1]; /* of a pass of so many lanes */
} ie_open_memory;

/* The weights of all networks, packed. */
uint64_t ie_open_weights(const ie_engine *e);

/* The workspace, if no stage has more than `lanes` lanes. */
uint64_t ie_open_workspace(const ie_engine *e, const ie_open_memory *m, int lanes);

/* IE_NO_MEMORY when the device says that it has less than the engine needs; with how many lanes it
 * would fit, if it would at all. */
ie_status ie_open_fits(const ie_engine *e, const ie_open_memory *m, ie_error *err);

#endif
