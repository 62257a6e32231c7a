/* step_profile.h - where a forward pass spends its time, by operation and shape.
 *
 * The profile puts a table of its own before the backend's: each entry takes the clock around the
 * real one. An entry finds the profile in place of the stream, so nothing is global; a layer's
 * shape is found by its address in the U-Net. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_BENCH_STEP_PROFILE_H
#define IE_BENCH_STEP_PROFILE_H

#include "unet_layers.h"

enum { BENCH_PROFILE_ROWS = 192 };

typedef struct bench_profile_row {
    char what[IE_OPERATION_TEXT];
    int calls;
    double flop, seconds; /* of all calls */
} bench_profile_row;

typedef struct bench_profile {
    const ie_ops *ops; /* the backend's own */
    ie_stream *stream; /* likewise */
    ie_ops table;
    const ie_unet *unet;
    bool busy; /* processor time instead of the wall clock */
    int count;
    bench_profile_row rows[BENCH_PROFILE_ROWS];
} bench_profile;

/* From here until the end, operations on this backend are timed; `unet` has its layers prepared
 * already. */
void bench_profile_begin(bench_profile *p, ie_backend *backend, const ie_unet *unet, bool busy);
/* The backend is as it was; rows are sorted, the most expensive first. */
void bench_profile_end(bench_profile *p, ie_backend *backend);

#endif
