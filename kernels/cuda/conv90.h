/* conv90.h - inside the convolution of sm_90a: how a problem is cut (conv90_plan.h), and what the
 * kernels are told (conv90.cu, conv90_norm.cu). Callers see conv.h alone.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CUDA_CONV90_H
#define IE_CUDA_CONV90_H

#include "conv.h"
#include "conv90_plan.h"

#include <cuda.h>

conv90_plan conv90_choose(const conv_problem &p);

struct conv90_job {
    conv_problem p;
    conv90_plan plan;
    int across, down; /* tiles of one image */
    int tiles;        /* of pixels: of one or two lanes each */
    int column_tiles; /* of outputs */
    int taps;         /* kernel * kernel */
    int tap_elements; /* packed weights of an output and a tap */
    int first_chunks; /* steps of a tap in the first source */
    int steps;        /* of all taps and both sources */
    float *sums;      /* [splits, tiles * 128, column_tiles * columns], or null: splits == 1 */
};
conv90_job conv90_cut(const conv_problem &p, const conv90_plan &plan, void *scratch);
/* conv90.cu; problems that are normed on load go on to conv90_norm.cu. */
int conv90_run(ie_stream *s, const conv90_job &job);
int conv90_norm_run(ie_stream *s, const conv90_job &job);
/* Of both launches: the map of the weights, and the grid. A cudaError. */
int conv90_map_weights(CUtensorMap *map, const conv90_job &job);
int conv90_grid(dim3 *grid, const conv90_job &job);

#endif
