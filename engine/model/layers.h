/* layers.h - from named weights to prepared layers, in two passes over the same code.
 *
 * The first pass checks every name and shape, chooses kernels, and adds up bytes and parameters;
 * the second fills the one block of device memory of that size. Without weights (the plan backend)
 * there is no second. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_MODEL_LAYERS_H
#define IE_MODEL_LAYERS_H

#include "exec.h"
#include "weights.h"

typedef struct ie_loader {
    ie_backend *backend;
    ie_weights *weights; /* NULL: plan */
    char *memory;        /* NULL: first pass */
    uint64_t used;       /* bytes so far */
    uint64_t parameters; /* so far */
    ie_load_watch watch; /* of the second pass */
} ie_loader;

/* Names: `format` and its arguments would be one more parameter list; callers build the prefix
 * once. */
typedef struct ie_name {
    char text[96];
} ie_name;

__attribute__((format(printf, 1, 2))) ie_name ie_name_of(const char *format, ...);

/* <name>.weight [O, C, k, k], <name>.bias [O]; norm != NULL: also <norm>.weight, <norm>.bias [C]
 * for the norm on load. */
ie_status ie_load_conv(ie_loader *l, ie_conv_layer *out, const ie_conv_spec *spec, const char *name,
                       const char *norm, ie_error *err);

/* The same for a 1x1 convolution that is stored as a linear layer, <name>.weight [O, C]. */
ie_status ie_load_projection(ie_loader *l, ie_conv_layer *out, const ie_conv_spec *spec,
                             const char *name, const char *norm, ie_error *err);

/* <names[i]>.weight [outputs[i], K] stacked into one layer of ie_linear_sums(spec) rows; with .bias
 * when `biased`. */
typedef struct ie_linear_parts {
    int count;
    const ie_name *names;
    const int64_t *outputs;
    bool biased;
} ie_linear_parts;
ie_status ie_load_linear(ie_loader *l, ie_linear_layer *out, const ie_linear_spec *spec,
                         ie_linear_parts parts, ie_error *err);
/* One biased part. */
ie_status ie_load_linear_one(ie_loader *l, ie_linear_layer *out, const ie_linear_spec *spec,
                             const char *name, ie_error *err);

/* A tensor `name` of this shape, converted to `dtype`, on the device. */
ie_status ie_load_tensor(ie_loader *l, ie_tensor *out, ie_dtype dtype, const char *name, int rank,
                         const int64_t *dim, ie_error *err);

/* Release what a backend prepared; zeroed layers are fine. */
void ie_conv_layer_release(ie_conv_layer *layer, const ie_backend *backend);
void ie_linear_layer_release(ie_linear_layer *layer, const ie_backend *backend);

#endif
