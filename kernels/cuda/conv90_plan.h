/* conv90_plan.h - how the convolution of sm_90a is cut: the tile's shape in pixels and outputs, and
 * the parts of its sums. Plain C, for those who launch (conv90_plan.cu) and for those who predict
 * (engine/backend/device_model.c): what a device runs first is what was predicted.
 *
 * A choice is that of least predicted clocks among few; none has been timed on a chip. It is made
 * for two lanes, a request with and without its text, and for 132 multiprocessors whatever there
 * are: results must not depend on the number of lanes, nor on the card.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CUDA_CONV90_PLAN_H
#define IE_CUDA_CONV90_PLAN_H

#include <stdbool.h>

enum {
    CONV90_PIXELS = 128, /* rows of a tile */
    CONV90_DEPTH = 64,   /* channels of a step */
    CONV90_LANES = 2,
    CONV90_PROCESSORS = 132,
    CONV90_SPLITS_MAX = 16,
    CONV90_STEPS_MIN = 8, /* of a part of a split sum */
    /* Images of more pixels are not split: at many lanes their sums would fill memory. */
    CONV90_SPLIT_PIXELS_MAX = 256
};

/* What the choice depends on. channels[i] are multiples of 8. */
typedef struct conv90_shape {
    int channels[2], out_height, out_width, outputs, kernel, stride;
    bool normed; /* on load: normed_load.h */
} conv90_shape;

/* `cluster` and `blocks` say who loads and who computes; all that a sum depends on follows the
 * shape alone. */
typedef struct conv90_plan {
    int columns;                          /* outputs of a tile: 64, 128 or 256 */
    int splits;                           /* runs of steps that are summed apart */
    int log_width, log_height, log_lanes; /* of a tile's 128 pixels */
    int cluster;                          /* blocks that load weights for each other: 1 or 2 */
    int blocks;                           /* of the grid; 0: one per multiprocessor */
} conv90_plan;

static inline int conv90_divide_up(int a, int b)
{
    return (a + b - 1) / b;
}

/* Steps of a tap; all steps of a sum. */
static inline int conv90_chunks(const conv90_shape *s)
{
    return conv90_divide_up(s->channels[0], CONV90_DEPTH) +
           conv90_divide_up(s->channels[1], CONV90_DEPTH);
}

static inline int conv90_steps(const conv90_shape *s)
{
    return s->kernel * s->kernel * conv90_chunks(s);
}

static inline int conv90_image_tiles(const conv90_shape *s, const conv90_plan *plan)
{
    return conv90_divide_up(s->out_width, 1 << plan->log_width) *
           conv90_divide_up(s->out_height, 1 << plan->log_height);
}

static inline int conv90_lane_tiles(const conv90_shape *s, const conv90_plan *plan, int lanes)
{
    return conv90_image_tiles(s, plan) * conv90_divide_up(lanes, 1 << plan->log_lanes);
}

/* Partial moments of a lane: each is of 64 rows, which are of one lane. */
static inline int conv90_partials(const conv90_shape *s, const conv90_plan *plan)
{
    return conv90_image_tiles(s, plan) * (plan->log_lanes ? 1 : 2);
}

/* Predicted, of all kernels of a product on so many processors. A step of 256 columns is 1024 of
 * wgmma alone; the kernel that adds parts costs a launch, and its traffic. */
static inline double conv90_clocks(const conv90_shape *s, const conv90_plan *plan, int lanes,
                                   int processors)
{
    const double step = plan->columns == 256 ? 1150 : plan->columns == 128 ? 700 : 480;
    const double rest = plan->columns == 256 ? 5500 : plan->columns == 128 ? 3500 : 2500;
    const double reduce = 3500, l2_bytes_per_clock = 3000;
    const int tiles = conv90_lane_tiles(s, plan, lanes);
    const int columns = conv90_divide_up(s->outputs, plan->columns);
    const double waves = conv90_divide_up(tiles * columns * plan->splits, processors);
    const double sum = waves * (conv90_divide_up(conv90_steps(s), plan->splits) * step + rest);
    if (plan->splits == 1) return sum;
    const double written = 4.0 * plan->splits * tiles * CONV90_PIXELS * columns * plan->columns;
    return sum + reduce + 2 * written / l2_bytes_per_clock;
}

static inline double conv90_planned_clocks(const conv90_shape *s, const conv90_plan *plan)
{
    return conv90_clocks(s, plan, CONV90_LANES, CONV90_PROCESSORS);
}

/* The box of fewest tiles. Rows 0-63 and 64-127 of a tile are of one lane each. */
static inline conv90_plan conv90_choose_box(const conv90_shape *s)
{
    static const struct {
        int log_width, log_height, log_lanes;
    } boxes[] = {{4, 3, 0}, {3, 4, 0}, {3, 3, 1}, {7, 0, 0}, {6, 0, 1}};
    conv90_plan best = {0, 1, 0, 0, 0, 0, 0};
    int least = 0;
    for (int i = 0; i < (int)(sizeof boxes / sizeof boxes[0]); i++) {
        conv90_plan plan = best;
        plan.log_width = boxes[i].log_width;
        plan.log_height = boxes[i].log_height;
        plan.log_lanes = boxes[i].log_lanes;
        const int tiles = conv90_lane_tiles(s, &plan, CONV90_LANES);
        if (least && tiles >= least) continue;
        least = tiles;
        best = plan;
    }
    return best;
}

/* Normed on load: rows of eight pixels, and all outputs at once where a tile can. */
static inline conv90_plan conv90_choose_normed(const conv90_shape *s)
{
    conv90_plan plan = {0, 1, 3, 4, 0, 0, 0};
    plan.columns = s->outputs > 128 ? 256 : s->outputs > 64 ? 128 : 64;
    return plan;
}

/* But for the cluster. */
static inline conv90_plan conv90_choose_plan(const conv90_shape *s)
{
    if (s->normed) return conv90_choose_normed(s);
    const int pixels = s->out_width * s->out_height, steps = conv90_steps(s);
    const int most = pixels > CONV90_SPLIT_PIXELS_MAX ? 1 : CONV90_SPLITS_MAX;
    conv90_plan plan = conv90_choose_box(s), best = plan;
    for (plan.columns = 256; plan.columns >= 64; plan.columns /= 2) {
        for (plan.splits = 1; plan.splits <= most; plan.splits++) {
            if (plan.splits > 1 && steps / plan.splits < CONV90_STEPS_MIN) break;
            if (best.columns &&
                conv90_planned_clocks(s, &plan) >= conv90_planned_clocks(s, &best)) {
                continue;
            }
            best = plan;
        }
    }
    return best;
}

/* Shapes that the copies can read and that do not leave over half of what is computed unused. */
static inline bool conv90_fits_shape(const conv90_shape *s)
{
    if (s->channels[0] % 8 || s->channels[1] % 8 || s->outputs % 4) return false;
    if (s->stride < 1 || s->stride > 2) return false;
    const conv90_plan plan = conv90_choose_plan(s);
    const double computed = (double)conv90_lane_tiles(s, &plan, CONV90_LANES) * CONV90_PIXELS *
                            conv90_divide_up(s->outputs, plan.columns) * plan.columns;
    return 2.0 * CONV90_LANES * s->out_width * s->out_height * s->outputs >= computed;
}

#endif
