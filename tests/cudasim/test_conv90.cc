/* test_conv90.cc - kernels/cuda/conv90.cu in every order, against sums in double; that a lane's
 * result does not depend on its neighbours, bit for bit; conv90_norm.cu against apply.cu and
 * conv90.cu, bit for bit; and what conv90_plan.cu chooses.
 *
 *   test_conv90 [NAME]   NAME is a pattern of cmocka's, as in test_split or test_*
 * SPDX-License-Identifier: Apache-2.0 */
#include "conv90.h"
#include "cuda_ops.h"
#include "support.h"

#include <cmath>
#include <cstring>

typedef __nv_bfloat16 bf16;

namespace
{
struct Case {
    int lanes, height, width, channels[2], outputs, kernel, stride, pad;
    int residual; /* an ie_resample, or -1: none */
    bool y_f32, moments;
    int columns, splits, cluster, blocks; /* 0: as chosen */
};

/* The host's copy of a problem: f32 values of everything. */
struct Data {
    conv_problem p;
    std::vector<float> x[2], weight, bias, residual; /* weight packed */
};

/* The same on the device, and room for the results. */
struct Loaded {
    Device<bf16> x0, x1, weight, residual16;
    Device<float> bias, residual32, partials;
    Device<unsigned char> y;
};
} /* namespace */

static std::vector<float> rounded(std::vector<float> values)
{
    for (float &v : values) v = __bfloat162float(__float2bfloat16(v));
    return values;
}

static std::vector<bf16> to_bf16(const std::vector<float> &values)
{
    std::vector<bf16> result;
    for (float v : values) result.push_back(__float2bfloat16(v));
    return result;
}

static size_t size_of(int a, int b, int c, int d)
{
    return static_cast<size_t>(a) * b * c * d;
}

static int out_size(const Case &c, int size)
{
    return (size + 2 * c.pad - c.kernel) / c.stride + 1;
}

static conv_problem problem_of(const Case &c)
{
    conv_problem p = {};
    for (int i = 0; i < 2; i++) p.channels[i] = c.channels[i];
    p.lanes = c.lanes;
    p.height = c.height;
    p.width = c.width;
    p.out_height = out_size(c, c.height);
    p.out_width = out_size(c, c.width);
    p.outputs = c.outputs;
    p.kernel = c.kernel;
    p.stride = c.stride;
    p.pad = c.pad;
    p.unit = 64;
    p.scale = 0.75f;
    p.y_f32 = c.y_f32;
    return p;
}

/* Zero wherever the packing has no weight. */
static std::vector<float> pack_weights(const conv_problem &p)
{
    const int taps = p.kernel * p.kernel, row = conv_row(p);
    const std::vector<float> values = rounded(
        normal_floats(size_of(p.outputs, taps, p.channels[0] + p.channels[1], 1), 0, 0.05f));
    std::vector<float> packed(size_of(conv_padded_outputs(p), row, 1, 1));
    size_t next = 0;
    for (int o = 0; o < p.outputs; o++) {
        for (int tap = 0; tap < taps; tap++) {
            const size_t at = size_of(o, row, 1, 1) + size_of(tap, conv_tap(p), 1, 1);
            for (int i = 0; i < p.channels[0]; i++) packed[at + i] = values[next++];
            const size_t second = at + conv_round_up(p.channels[0], p.unit);
            for (int i = 0; i < p.channels[1]; i++) packed[second + i] = values[next++];
        }
    }
    return packed;
}

static Data make_data(const Case &c)
{
    Data d = {};
    conv_problem &p = d.p;
    p = problem_of(c);
    for (int i = 0; i < 2; i++) {
        d.x[i] = rounded(normal_floats(size_of(p.lanes, p.height, p.width, p.channels[i]), 0, 1));
    }
    d.weight = pack_weights(p);
    d.bias = normal_floats(p.outputs, 3, 1); /* moments with a mean */
    d.bias.resize(conv_padded_outputs(p));
    if (c.residual < 0) return d;
    p.residual_resample = c.residual;
    p.residual_height = p.out_height * (c.residual == IE_DOWN2 ? 2 : 1);
    p.residual_width = p.out_width * (c.residual == IE_DOWN2 ? 2 : 1);
    if (c.residual == IE_UP2) {
        p.residual_height /= 2;
        p.residual_width /= 2;
    }
    d.residual =
        normal_floats(size_of(p.lanes, p.residual_height, p.residual_width, p.outputs), 0, 1);
    if (!p.y_f32) d.residual = rounded(d.residual);
    return d;
}

/* ---- the sums in double ---------------------------------------------------------------------- */

namespace
{
struct Sum {
    double value, terms; /* terms: the sum of magnitudes */
};
} /* namespace */

static void add(Sum &s, double term)
{
    s.value += term;
    s.terms += std::fabs(term);
}

static void add_taps(Sum &s, const Data &d, int lane, int y, int x, int o)
{
    const conv_problem &p = d.p;
    for (int tap = 0; tap < p.kernel * p.kernel; tap++) {
        const int iy = y * p.stride + tap / p.kernel - p.pad;
        const int ix = x * p.stride + tap % p.kernel - p.pad;
        if (iy < 0 || iy >= p.height || ix < 0 || ix >= p.width) continue;
        const size_t pixel = (static_cast<size_t>(lane) * p.height + iy) * p.width + ix;
        const float *w = &d.weight[size_of(o, conv_row(p), 1, 1) + size_of(tap, conv_tap(p), 1, 1)];
        for (int source = 0; source < 2; source++) {
            for (int c = 0; c < p.channels[source]; c++) {
                add(s, static_cast<double>(d.x[source][pixel * p.channels[source] + c]) * w[c]);
            }
            w += conv_round_up(p.channels[0], p.unit);
        }
    }
}

static void add_residual(Sum &s, const Data &d, int lane, int y, int x, int o)
{
    const conv_problem &p = d.p;
    if (d.residual.empty()) return;
    const bool down = p.residual_resample == IE_DOWN2, up = p.residual_resample == IE_UP2;
    for (int i = 0; i < (down ? 4 : 1); i++) {
        const int ry = down ? 2 * y + i / 2 : up ? y / 2 : y;
        const int rx = down ? 2 * x + i % 2 : up ? x / 2 : x;
        const size_t pixel =
            (static_cast<size_t>(lane) * p.residual_height + ry) * p.residual_width + rx;
        add(s, d.residual[pixel * p.outputs + o] / (down ? 4.0 : 1.0));
    }
}

/* Values before the rounding to y's type, and how far f32 sums may be from them. */
static Expected unrounded(const Data &d)
{
    const conv_problem &p = d.p;
    const int terms = p.kernel * p.kernel * (p.channels[0] + p.channels[1]) + 6;
    Expected e;
    for (int lane = 0; lane < p.lanes; lane++) {
        for (int pixel = 0; pixel < p.out_height * p.out_width; pixel++) {
            for (int o = 0; o < p.outputs; o++) {
                Sum s = {};
                add_taps(s, d, lane, pixel / p.out_width, pixel % p.out_width, o);
                add(s, d.bias[o]);
                add_residual(s, d, lane, pixel / p.out_width, pixel % p.out_width, o);
                e.value.push_back(p.scale * s.value);
                e.bound.push_back(p.scale * terms * F32_ROUNDING * s.terms);
            }
        }
    }
    return e;
}

/* ---- running --------------------------------------------------------------------------------- */

template <class T> static std::vector<T> some(std::vector<T> values)
{
    if (values.empty()) values.resize(1); /* there is no empty allocation */
    return values;
}

static Loaded load(const Data &d)
{
    const conv_problem &p = d.p;
    const size_t results = size_of(p.lanes, p.out_height, p.out_width, p.outputs);
    const size_t parts = size_of(p.lanes, conv90_tiles(p), CONV_PARTIALS, p.outputs);
    return {Device<bf16>(some(to_bf16(d.x[0]))),
            Device<bf16>(some(to_bf16(d.x[1]))),
            Device<bf16>(to_bf16(d.weight)),
            Device<bf16>(some(to_bf16(d.residual))),
            Device<float>(d.bias),
            Device<float>(some(d.residual)),
            Device<float>(parts),
            Device<unsigned char>(results * (p.y_f32 ? 4 : 2))};
}

static conv_problem on_device(const Data &d, const Loaded &l, bool moments)
{
    conv_problem p = d.p;
    p.x[0] = l.x0.data();
    p.x[1] = l.x1.data();
    p.weight = l.weight.data();
    p.bias = l.bias.data();
    if (!d.residual.empty()) {
        p.residual = p.y_f32 ? static_cast<const void *>(l.residual32.data()) : l.residual16.data();
    }
    p.y = l.y.data();
    p.partials = moments ? l.partials.data() : nullptr;
    return p;
}

static conv90_plan plan_of(const Case &c, const conv_problem &p)
{
    conv90_plan plan = conv90_choose(p);
    if (c.columns) plan.columns = c.columns;
    if (c.splits) plan.splits = c.splits;
    if (c.cluster) plan.cluster = c.cluster;
    plan.blocks = c.blocks;
    return plan;
}

static size_t sums_of(const conv90_plan &plan, const conv_problem &p)
{
    const conv90_job job = conv90_cut(p, plan, nullptr);
    return plan.splits == 1
               ? 1
               : size_of(plan.splits, job.tiles * CONV90_PIXELS, job.column_tiles, plan.columns);
}

static void run(const conv_problem &p, const conv90_plan &plan)
{
    const Device<float> sums(sums_of(plan, p));
    assert_int_equal(conv90_run(nullptr, conv90_cut(p, plan, sums.data())), 0);
    assert_int_equal(cudaDeviceSynchronize(), 0);
}

static std::vector<float> download(const conv_problem &p)
{
    const size_t count = size_of(p.lanes, p.out_height, p.out_width, p.outputs);
    std::vector<float> values(count);
    if (p.y_f32) {
        assert_int_equal(cudaMemcpy(values.data(), p.y, count * 4, cudaMemcpyDeviceToHost), 0);
        return values;
    }
    std::vector<bf16> bits(count);
    assert_int_equal(cudaMemcpy(bits.data(), p.y, count * 2, cudaMemcpyDeviceToHost), 0);
    for (size_t i = 0; i < count; i++) values[i] = __bfloat162float(bits[i]);
    return values;
}

/* ---- moments --------------------------------------------------------------------------------- */

/* Mean and variance of one lane and output, from the partial ones. */
static void check_moments_of(const char *order, const conv_problem &p, const Expected &e, int lane,
                             int o, const std::vector<float> &partials)
{
    const int pixels = p.out_height * p.out_width, parts = conv90_tiles(p);
    double mean = 0, square = 0, count = 0;
    for (int part = 0; part < parts; part++) {
        const float *from =
            &partials[size_of(lane * parts + part, CONV_PARTIALS, p.outputs, 1) + o];
        const double n = from[CONV_COUNT * p.outputs], both = count + n;
        if (n == 0) continue;
        const double delta = from[CONV_MEAN * p.outputs] - mean;
        mean += delta * n / both;
        square += from[CONV_SQUARE * p.outputs] + delta * delta * count * n / both;
        count = both;
    }
    assert_true(count == pixels);
    double sum = 0, largest = 0, error = 0, variance = 0, deviation = 0;
    for (int i = 0; i < pixels; i++) {
        const size_t at = size_of(lane * pixels + i, p.outputs, 1, 1) + o;
        sum += e.value[at];
        largest = std::fmax(largest, std::fabs(e.value[at]));
        error = std::fmax(error, e.bound[at]);
    }
    for (int i = 0; i < pixels; i++) {
        const double v = e.value[size_of(lane * pixels + i, p.outputs, 1, 1) + o] - sum / pixels;
        variance += v * v / pixels;
        deviation = std::fmax(deviation, std::fabs(v));
    }
    /* f32 means of up to 64 values, of which none is larger than `largest` */
    const double of_mean = error + 16 * F32_ROUNDING * largest;
    check_close(order, {static_cast<float>(mean), static_cast<float>(square / pixels)},
                {{sum / pixels, variance},
                 {of_mean, 2 * of_mean * (deviation + of_mean) + 32 * F32_ROUNDING * variance}});
}

static void check_moments(const char *order, const conv_problem &p, const Expected &e,
                          const Device<float> &device)
{
    const std::vector<float> partials = device.download();
    for (int lane = 0; lane < p.lanes; lane++) {
        for (int o = 0; o < p.outputs; o++) check_moments_of(order, p, e, lane, o, partials);
    }
}

static void check_case(const Case &c)
{
    const Data d = make_data(c);
    const Expected exact = unrounded(d);
    Expected e = exact;
    for (size_t i = 0; i < e.value.size(); i++) {
        e.bound[i] +=
            (c.y_f32 ? F32_ROUNDING : BF16_ROUNDING) * (std::fabs(e.value[i]) + e.bound[i]);
    }
    const Loaded l = load(d);
    const conv_problem p = on_device(d, l, c.moments);
    const size_t bytes = e.value.size() * (c.y_f32 ? 4 : 2);
    for_each_order([&](const char *order) {
        assert_int_equal(cudaMemset(p.y, 0xff, bytes), 0); /* NaN */
        run(p, plan_of(c, p));
        check_close(order, download(p), e);
        if (c.moments) check_moments(order, p, exact, l.partials);
    });
}

/* ---- cases ----------------------------------------------------------------------------------- */

static void test_plain(void **)
{
    check_case({1, 16, 16, {64, 0}, 64, 3, 1, 1, -1, false, false, 0, 0, 0, 0});
}

static void test_two_sources(void **) /* and ragged sides, and a block with several tiles */
{
    check_case({2, 9, 18, {72, 40}, 68, 3, 1, 1, IE_SAME, false, true, 128, 1, 2, 4});
}

static void test_stride(void **) /* an odd width: the last column of y reads the padding */
{
    check_case({1, 15, 33, {64, 0}, 200, 3, 2, 1, -1, false, true, 256, 1, 2, 0});
    check_case({1, 16, 32, {8, 0}, 64, 2, 2, 0, -1, true, false, 64, 1, 1, 0});
}

static void test_split(void **) /* pairs of lanes share a tile; the last one has no partner */
{
    check_case({3, 8, 8, {128, 64}, 132, 3, 1, 1, IE_UP2, false, true, 128, 3, 1, 0});
    check_case({1, 16, 16, {64, 64}, 260, 3, 1, 1, IE_SAME, true, true, 256, 2, 2, 2});
}

static void test_tokens(void **)
{
    check_case({2, 1, 100, {200, 0}, 64, 1, 1, 0, IE_SAME, true, false, 0, 0, 0, 0});
    check_case({1, 1, 60, {64, 0}, 64, 1, 1, 0, IE_SAME, false, true, 0, 0, 0, 0});
}

static void test_down_residual(void **) /* three tiles in clusters of two: one has no partner */
{
    check_case({3, 8, 16, {64, 0}, 96, 1, 1, 0, IE_DOWN2, false, true, 0, 0, 2, 0});
}

/* Lane 1 of three, in a batch with neighbours of NaN, and alone. */
static void check_neighbours(const Case &c)
{
    Data d = make_data(c), one = d;
    one.p.lanes = 1;
    for (int i = 0; i < 2; i++) {
        const size_t image = d.x[i].size() / 3;
        one.x[i].assign(d.x[i].begin() + image, d.x[i].begin() + 2 * image);
        std::fill(d.x[i].begin(), d.x[i].begin() + image, NAN);
        std::fill(d.x[i].begin() + 2 * image, d.x[i].end(), INFINITY);
    }
    const Loaded many = load(d), alone = load(one);
    const conv_problem p = on_device(d, many, true), q = on_device(one, alone, true);
    conv90_plan plan = plan_of(c, p);
    run(p, plan);
    plan.cluster = 1;
    run(q, plan);
    const std::vector<float> all = download(p), mine = download(q);
    assert_memory_equal(&all[mine.size()], mine.data(), mine.size() * sizeof(float));
    const std::vector<float> parts = many.partials.download(), own = alone.partials.download();
    assert_memory_equal(&parts[own.size()], own.data(), own.size() * sizeof(float));
}

static void test_neighbours(void **)
{
    check_neighbours({3, 8, 8, {64, 0}, 64, 3, 1, 1, -1, true, true, 64, 1, 2, 0});
    check_neighbours({3, 8, 8, {64, 64}, 64, 3, 1, 1, -1, true, true, 128, 2, 1, 0});
    check_neighbours({3, 8, 20, {64, 0}, 64, 3, 1, 1, -1, false, true, 64, 1, 2, 4});
}

/* ---- norm on load ---------------------------------------------------------------------------- */

namespace
{
/* Of a case, on the device: what the norm needs, its folded form, and u in memory. */
struct Norm {
    Device<float> moments0, moments1, gamma, beta, film, folded;
    Device<bf16> u;
};
} /* namespace */

static std::vector<float> moments_like(int count) /* mean, variance */
{
    std::vector<float> m = normal_floats(2 * count, 0, 0.5f);
    for (size_t i = 1; i < m.size(); i += 2) m[i] = 1 + m[i] * m[i];
    return m;
}

static Norm make_norm(const conv_problem &p)
{
    const int channels = p.channels[0] + p.channels[1];
    return {Device<float>(moments_like(p.lanes * p.channels[0])),
            Device<float>(moments_like(p.lanes * channels)), /* more than enough; never empty */
            Device<float>(normal_floats(channels, 1, 0.2f)),
            Device<float>(normal_floats(channels, 0, 1)),
            Device<float>(normal_floats(p.lanes * 2 * channels, 0, 0.3f)),
            Device<float>(size_of(p.lanes, 3, channels, 1)),
            Device<bf16>(size_of(p.lanes, p.height, p.width, channels))};
}

static ie_conv_spec spec_of(const conv_problem &p, int groups)
{
    ie_conv_spec spec = {};
    spec.dtype = IE_BF16;
    spec.height = p.height;
    spec.width = p.width;
    for (int i = 0; i < 2; i++) spec.channels[i] = p.channels[i];
    spec.groups = groups;
    spec.eps = 1e-5f;
    spec.act = IE_ACT_SILU;
    return spec;
}

static ie_conv_args args_of(const conv_problem &p, const Norm &n, bool film)
{
    ie_conv_args args = {};
    for (int i = 0; i < 2; i++) args.x[i].data = const_cast<bf16 *>(p.x[i]);
    args.x[0].dim[0] = p.lanes;
    args.moments[0].data = n.moments0.data();
    args.moments[1].data = n.moments1.data();
    args.gamma.data = n.gamma.data();
    args.beta.data = n.beta.data();
    if (!film) return args;
    args.film.data = n.film.data();
    args.film.rank = 2;
    args.film.stride[0] = 2 * (p.channels[0] + p.channels[1]);
    return args;
}

/* u of the pass over memory, by the folded norm, in double. */
static void check_u(const Data &d, const Norm &n)
{
    const conv_problem &p = d.p;
    const int channels = p.channels[0] + p.channels[1], pixels = p.height * p.width;
    const std::vector<float> folded = n.folded.download();
    Expected e;
    for (int i = 0; i < p.lanes * pixels * channels; i++) {
        const int pixel = i / channels, c = i % channels, second = c >= p.channels[0];
        const float x = second ? d.x[1][pixel * p.channels[1] + c - p.channels[0]]
                               : d.x[0][pixel * p.channels[0] + c];
        const float *norm = &folded[size_of(pixel / pixels, 3, channels, 1) + c];
        const double centred = static_cast<double>(x) - norm[0], scaled = centred * norm[channels];
        const double v = scaled + norm[2 * channels], u = v / (1 + std::exp(-v));
        e.value.push_back(u);
        e.bound.push_back(BF16_ROUNDING * std::fabs(u) +
                          8 * F32_ROUNDING * (std::fabs(v) + std::fabs(scaled)));
    }
    check_close("u", n.u.download(), e);
}

/* Of the case on its sources, normed on load and by a pass over memory: the same bits, partial
 * moments included, since the tiles are the same. */
static void check_norm_bits(const Case &c, int groups, bool film)
{
    const Data d = make_data(c);
    const Loaded l = load(d);
    conv_problem p = on_device(d, l, true);
    p.normed = true;
    const Norm n = make_norm(p);
    const ie_conv_spec spec = spec_of(p, groups);
    const ie_conv_args args = args_of(p, n, film);
    p.folded = n.folded.data();
    conv_problem q = p;
    q.normed = false;
    q.channels[0] = p.channels[0] + p.channels[1];
    q.channels[1] = 0;
    q.x[0] = n.u.data();
    const conv90_plan plan = plan_of(c, p);
    const Device<float> partials(size_of(p.lanes, conv90_tiles(p), CONV_PARTIALS, p.outputs));
    p.partials = q.partials = partials.data();
    const size_t bytes = size_of(p.lanes, p.out_height, p.out_width, p.outputs) * (c.y_f32 ? 4 : 2);
    assert_int_equal(ie_cuda_fold(nullptr, &spec, &args, n.folded.data()), 0);
    assert_int_equal(ie_cuda_apply(nullptr, &spec, &args, n.u.data()), 0);
    run(q, plan);
    check_u(d, n);
    const std::vector<float> y = download(q), moments = partials.download();
    for_each_order([&](const char *) {
        assert_int_equal(cudaMemset(p.y, 0xff, bytes), 0);
        assert_int_equal(cudaMemset(p.partials, 0xff, moments.size() * sizeof(float)), 0);
        run(p, plan);
        const std::vector<float> mine = download(p), parts = partials.download();
        assert_memory_equal(mine.data(), y.data(), y.size() * sizeof(float));
        assert_memory_equal(parts.data(), moments.data(), moments.size() * sizeof(float));
    });
}

static void test_norm_bits(void **) /* ragged sides; an odd tile in a cluster; a group across */
{
    check_norm_bits({1, 18, 23, {64, 0}, 64, 3, 1, 1, -1, true, true, 0, 0, 0, 0}, 32, false);
    check_norm_bits({3, 17, 8, {128, 0}, 100, 3, 1, 1, IE_SAME, false, true, 0, 0, 1, 2}, 8, true);
    check_norm_bits({1, 16, 24, {64, 128}, 132, 3, 1, 1, IE_UP2, true, true, 0, 0, 2, 2}, 16, true);
}

static void test_norm_neighbours(void **) /* lane 1 of three, and alone */
{
    const Case c = {3, 10, 12, {64, 0}, 64, 3, 1, 1, -1, true, true, 0, 0, 2, 2};
    Data d = make_data(c), one = d;
    one.p.lanes = 1;
    const size_t image = d.x[0].size() / 3, folded = 3 * 64;
    one.x[0].assign(d.x[0].begin() + image, d.x[0].begin() + 2 * image);
    std::fill(d.x[0].begin(), d.x[0].begin() + image, NAN);
    std::fill(d.x[0].begin() + 2 * image, d.x[0].end(), INFINITY);
    const std::vector<float> norm = normal_floats(3 * folded, 0, 1);
    const Device<float> norms(norm);
    const Loaded many = load(d), alone = load(one);
    conv_problem p = on_device(d, many, true), q = on_device(one, alone, true);
    p.normed = q.normed = true;
    p.folded = norms.data();
    q.folded = norms.data() + folded;
    run(p, plan_of(c, p));
    run(q, plan_of({1, 10, 12, {64, 0}, 64, 3, 1, 1, -1, true, true, 0, 0, 1, 0}, q));
    const std::vector<float> all = download(p), mine = download(q);
    assert_memory_equal(&all[mine.size()], mine.data(), mine.size() * sizeof(float));
}

/* ---- choices --------------------------------------------------------------------------------- */

static conv_problem square(int side, int channels, int outputs)
{
    return problem_of(
        {2, side, side, {channels, 0}, outputs, 3, 1, 1, -1, false, false, 0, 0, 0, 0});
}

static void check_plan(int side, int channels, int columns, int splits)
{
    const conv90_plan plan = conv90_choose(square(side, channels, channels));
    assert_int_equal(plan.columns, columns);
    assert_int_equal(plan.splits, splits);
}

static void test_choices(void **)
{
    check_plan(64, 512, 256, 1);
    check_plan(32, 1024, 128, 1);
    check_plan(16, 1536, 256, 5);
    check_plan(8, 2048, 128, 8);
    check_plan(512, 128, 128, 1);
    for (int lanes = 1; lanes < 40; lanes++) { /* whatever the batch */
        conv_problem p = square(8, 2048, 2048);
        p.lanes = lanes;
        const conv90_plan plan = conv90_choose(p);
        assert_int_equal(plan.columns * 100 + plan.splits, 128 * 100 + 8);
        assert_int_equal(plan.log_lanes, 1);
        assert_true(conv90_fits(p) && conv90_tiles(p) == 1);
    }
    assert_false(conv90_fits(square(64, 12, 64)));
    assert_false(conv90_fits(square(64, 64, 6)));
    assert_false(conv90_fits(square(64, 64, 24))); /* more than half of 64 columns idle */
    assert_false(conv90_fits(square(4, 64, 64)));
    assert_true(conv90_fits(square(12, 64, 64)));
    conv_problem normed = square(17, 64, 64);
    normed.normed = true;
    assert_int_equal(conv90_choose(normed).log_width, 3);
    assert_false(conv90_fits(normed)); /* more than half of 3 x 2 tiles idle */
    normed = square(23, 64, 200);
    normed.normed = true;
    assert_true(conv90_fits(normed));
    assert_int_equal(conv90_choose(normed).columns, 256);
    assert_int_equal(conv90_scratch(square(64, 512, 512)), 0);
    assert_int_equal(conv90_scratch(square(8, 2048, 2048)), 4 * 8 * 128 * 2048);
}

int main(int count, char **arguments)
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_choices),       cmocka_unit_test(test_plain),
        cmocka_unit_test(test_two_sources),   cmocka_unit_test(test_stride),
        cmocka_unit_test(test_split),         cmocka_unit_test(test_tokens),
        cmocka_unit_test(test_down_residual), cmocka_unit_test(test_neighbours),
        cmocka_unit_test(test_norm_bits),     cmocka_unit_test(test_norm_neighbours),
    };
    if (count > 1) cmocka_set_test_filter(arguments[1]);
    return cmocka_run_group_tests_name("conv90", tests, nullptr, nullptr);
}
