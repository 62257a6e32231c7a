/* conv90_plan.cu - how the convolution of sm_90a is cut: the tile's shape in pixels and outputs,
 * and the parts of its sums. Host code.
 *
 * A choice is that of least predicted clocks among few; none has been timed on a chip. It is made
 * for two lanes, a request with and without its text, and for 132 multiprocessors whatever there
 * are: results must not depend on the number of lanes, nor on the card.
 * SPDX-License-Identifier: Apache-2.0 */
#include "conv90.h"

static constexpr int LANES = 2, PROCESSORS = 132, SPLITS_MAX = 16, STEPS_MIN = 8;
/* Images of more pixels are not split: at many lanes their sums would fill memory. */
static constexpr int SPLIT_PIXELS_MAX = 256;
static constexpr double REDUCE_CLOCKS = 3500, L2_BYTES_PER_CLOCK = 3000;

/* Clocks of a step (wgmma alone: 4 columns per clock) and of what a tile needs besides. */
static const struct {
    int columns;
    double step, rest;
} WIDTHS[] = {{256, 1150, 5500}, {128, 700, 3500}, {64, 480, 2500}};

/* Logarithms of width, height and lanes. Rows 0-63 and 64-127 of a tile are of one lane each. */
static const struct {
    int width, height, lanes;
} BOXES[] = {{4, 3, 0}, {3, 4, 0}, {3, 3, 1}, {7, 0, 0}, {6, 0, 1}};

static int divide_up(int a, int b)
{
    return (a + b - 1) / b;
}

static int chunks_of(const conv_problem &p)
{
    return divide_up(p.channels[0], CONV90_DEPTH) + divide_up(p.channels[1], CONV90_DEPTH);
}

static int steps_of(const conv_problem &p)
{
    return p.kernel * p.kernel * chunks_of(p);
}

static int tiles_of_image(const conv_problem &p, const conv90_plan &plan)
{
    return divide_up(p.out_width, 1 << plan.log_width) *
           divide_up(p.out_height, 1 << plan.log_height);
}

static int tiles_of(const conv_problem &p, const conv90_plan &plan, int lanes)
{
    return tiles_of_image(p, plan) * divide_up(lanes, 1 << plan.log_lanes);
}

static double clocks(const conv_problem &p, const conv90_plan &plan, double step, double rest)
{
    const int tiles = tiles_of(p, plan, LANES), columns = divide_up(p.outputs, plan.columns);
    const double waves = divide_up(tiles * columns * plan.splits, PROCESSORS);
    const double sum = waves * (divide_up(steps_of(p), plan.splits) * step + rest);
    if (plan.splits == 1) return sum;
    const double written = 4.0 * plan.splits * tiles * CONV90_PIXELS * columns * plan.columns;
    return sum + REDUCE_CLOCKS + 2 * written / L2_BYTES_PER_CLOCK;
}

static void choose_box(const conv_problem &p, conv90_plan *plan)
{
    int least = 0;
    for (const auto &box : BOXES) {
        conv90_plan candidate = *plan;
        candidate.log_width = box.width;
        candidate.log_height = box.height;
        candidate.log_lanes = box.lanes;
        const int tiles = tiles_of(p, candidate, LANES);
        if (least && tiles >= least) continue;
        least = tiles;
        *plan = candidate;
    }
}

/* A lonely tile at the end leaves its partner idle. */
static int cluster_of(const conv_problem &p, const conv90_plan &plan)
{
    const int tiles = tiles_of(p, plan, p.lanes);
    return tiles % 2 == 0 || tiles >= 8 ? 2 : 1;
}

/* Normed on load: rows of eight pixels, and all outputs at once where a tile can. */
static conv90_plan choose_normed(const conv_problem &p)
{
    conv90_plan plan = {};
    plan.log_width = 3;
    plan.log_height = 4;
    plan.splits = 1;
    plan.columns = p.outputs > 128 ? 256 : p.outputs > 64 ? 128 : 64;
    plan.cluster = cluster_of(p, plan);
    return plan;
}

conv90_plan conv90_choose(const conv_problem &p)
{
    if (p.normed) return choose_normed(p);
    conv90_plan plan = {};
    choose_box(p, &plan);
    const int most = p.out_width * p.out_height > SPLIT_PIXELS_MAX ? 1 : SPLITS_MAX;
    double least = 0;
    conv90_plan best = plan;
    for (const auto &width : WIDTHS) {
        plan.columns = width.columns;
        for (int splits = 1; splits <= most; splits++) {
            if (splits > 1 && steps_of(p) / splits < STEPS_MIN) break;
            plan.splits = splits;
            const double time = clocks(p, plan, width.step, width.rest);
            if (best.columns && time >= least) continue;
            least = time;
            best = plan;
        }
    }
    best.cluster = cluster_of(p, best);
    return best;
}

bool conv90_fits(const conv_problem &p)
{
    if (p.channels[0] % 8 || p.channels[1] % 8 || p.outputs % 4) return false;
    if (p.stride < 1 || p.stride > 2) return false;
    conv_problem pair = p;
    pair.lanes = LANES;
    const conv90_plan plan = conv90_choose(pair);
    const double computed = static_cast<double>(tiles_of(pair, plan, LANES)) * CONV90_PIXELS *
                            divide_up(p.outputs, plan.columns) * plan.columns;
    return 2.0 * LANES * p.out_width * p.out_height * p.outputs >= computed;
}

int conv90_tiles(const conv_problem &p)
{
    const conv90_plan plan = conv90_choose(p);
    return tiles_of_image(p, plan) * (plan.log_lanes ? 1 : 2);
}

conv90_job conv90_cut(const conv_problem &p, const conv90_plan &plan, void *scratch)
{
    conv90_job job = {};
    job.p = p;
    job.plan = plan;
    job.across = divide_up(p.out_width, 1 << plan.log_width);
    job.down = divide_up(p.out_height, 1 << plan.log_height);
    job.tiles = tiles_of(p, plan, p.lanes);
    job.column_tiles = divide_up(p.outputs, plan.columns);
    job.taps = p.kernel * p.kernel;
    job.tap_elements = chunks_of(p) * CONV90_DEPTH;
    job.first_chunks = divide_up(p.channels[0], CONV90_DEPTH);
    job.steps = steps_of(p);
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
