/* conv90_plan.cu - a problem of the convolution of sm_90a, cut as conv90_plan.h chooses. Host code.
 * SPDX-License-Identifier: Apache-2.0 */
#include "conv90.h"

static conv90_shape shape_of(const conv_problem &p)
{
    return {{p.channels[0], p.channels[1]},
            p.out_height,
            p.out_width,
            p.outputs,
            p.kernel,
            p.stride,
            p.normed};
}

conv90_plan conv90_choose(const conv_problem &p)
{
    const conv90_shape shape = shape_of(p);
    conv90_plan plan = conv90_choose_plan(&shape);
    /* A lonely tile at the end leaves its partner idle. */
    const int tiles = conv90_lane_tiles(&shape, &plan, p.lanes);
    plan.cluster = tiles % 2 == 0 || tiles >= 8 ? 2 : 1;
    return plan;
}

bool conv90_fits(const conv_problem &p)
{
    const conv90_shape shape = shape_of(p);
    return conv90_fits_shape(&shape);
}

int conv90_tiles(const conv_problem &p)
{
    const conv90_shape shape = shape_of(p);
    const conv90_plan plan = conv90_choose_plan(&shape);
    return conv90_partials(&shape, &plan);
}

conv90_job conv90_cut(const conv_problem &p, const conv90_plan &plan, void *scratch)
{
    const conv90_shape shape = shape_of(p);
    conv90_job job = {};
    job.p = p;
    job.plan = plan;
    job.across = conv90_divide_up(p.out_width, 1 << plan.log_width);
    job.down = conv90_divide_up(p.out_height, 1 << plan.log_height);
    job.tiles = conv90_lane_tiles(&shape, &plan, p.lanes);
    job.column_tiles = conv90_divide_up(p.outputs, plan.columns);
    job.taps = p.kernel * p.kernel;
    job.tap_elements = conv90_chunks(&shape) * CONV90_DEPTH;
    job.first_chunks = conv90_divide_up(p.channels[0], CONV90_DEPTH);
    job.steps = conv90_steps(&shape);
    job.sums = plan.splits > 1 ? static_cast<float *>(scratch) : nullptr;
    return job;
}

uint64_t conv90_scratch(const conv_problem &p)
{
    const conv90_plan plan = conv90_choose(p);
    if (plan.splits == 1) return 0;
    const conv90_job job = conv90_cut(p, plan, nullptr);
    return sizeof(float) * static_cast<uint64_t>(plan.splits) * job.tiles * CONV90_PIXELS *
           job.column_tiles * plan.columns;
}

int conv90(ie_stream *s, const conv_problem &p, void *scratch)
{
    return conv90_run(s, conv90_cut(p, conv90_choose(p), scratch));
}
