/* test_kernels_sm80.cc - the test kernels that need sm_80 or sm_89, against plain sums in double.
 * SPDX-License-Identifier: Apache-2.0 */
#include "kernels/arithmetic.h"
#include "test_kernels.h"

#include <algorithm>
#include <cmath>
#include <memory>

static void check_gemm(int m, int n, int k)
{
    const auto a = normal_bf16(static_cast<size_t>(m) * k, 1);
    const auto b = normal_bf16(static_cast<size_t>(n) * k, 1);
    const Expected expected = product(floats(a), floats(b), {m, n, k});
    const Device<bf16> da(a), db(b), dc(static_cast<size_t>(m) * n);
    for_each_order([&](const char *order) {
        assert_int_equal(run_gemm({da.data(), db.data(), dc.data(), m, n, k}, nullptr), 0);
        check_close(order, dc.download(), expected);
    });
}

static void test_gemm(void **)
{
    check_gemm(256, 128, 128);
    check_gemm(200, 136, 72); /* no side a multiple of the tile */
    check_gemm(1, 2, 8);
}

struct AttentionInputs {
    std::vector<bf16> q, k1, v1, k2, v2, bias;
    int lanes, heads, queries, n1, n2;
    float scale;
};

static AttentionInputs attention_inputs(int heads, int queries, int n1, int n2, bool bias)
{
    const auto rows = [&](int n) { return static_cast<size_t>(heads) * n * 64; };
    AttentionInputs in = {normal_bf16(rows(queries), 1),
                          normal_bf16(rows(n1), 1),
                          normal_bf16(rows(n1), 1),
                          normal_bf16(rows(n2), 1),
                          normal_bf16(rows(n2), 1),
                          {},
                          1,
                          heads,
                          queries,
                          n1,
                          n2,
                          0.125f};
    if (bias) in.bias = normal_bf16(static_cast<size_t>(heads) * queries * (n1 + n2), 1);
    return in;
}

static const bf16 *row_of(const AttentionInputs &in, const std::vector<bf16> &first,
                          const std::vector<bf16> &second, int head, int key)
{
    return key < in.n1 ? &first[(static_cast<size_t>(head) * in.n1 + key) * 64]
                       : &second[(static_cast<size_t>(head) * in.n2 + key - in.n1) * 64];
}

/* One query of one head. Weights are rounded to bf16 before they multiply the values, the result
 * is rounded once more; scores and exponentials are f32. */
static void attend(const AttentionInputs &in, int head, int query, double *value, double *bound)
{
    const int keys = in.n1 + in.n2;
    const size_t row = static_cast<size_t>(head) * in.queries + query;
    std::vector<double> weight(keys);
    double highest = -INFINITY, largest = 0, sum = 0;
    for (int j = 0; j < keys; j++) {
        const bf16 *k = row_of(in, in.k1, in.k2, head, j);
        double terms = 0;
        for (int d = 0; d < 64; d++) {
            const double term = __bfloat162float(in.q[row * 64 + d]) * __bfloat162float(k[d]);
            weight[j] += term;
            terms += std::fabs(term);
        }
        weight[j] *= in.scale;
        if (!in.bias.empty()) weight[j] += __bfloat162float(in.bias[row * keys + j]);
        largest = std::max(largest, terms * in.scale + std::fabs(weight[j]));
        highest = std::max(highest, weight[j]);
    }
    for (double &w : weight) sum += w = std::exp(w - highest);
    const double score_error = std::exp(64 * F32_ROUNDING * largest) - 1;
    for (int d = 0; d < 64; d++) {
        double terms = 0;
        for (int j = 0; j < keys; j++) {
            const bf16 *v = row_of(in, in.v1, in.v2, head, j);
            value[d] += weight[j] / sum * __bfloat162float(v[d]);
            terms += weight[j] / sum * std::fabs(__bfloat162float(v[d]));
        }
        const double sums = 2 * (keys + 8) * F32_ROUNDING + 2 * score_error;
        bound[d] = BF16_ROUNDING * std::fabs(value[d]) + terms * (BF16_ROUNDING + sums) * 1.01;
    }
}

static void check_attention(const AttentionInputs &in)
{
    Expected expected = {std::vector<double>(in.q.size()), std::vector<double>(in.q.size())};
    for (int row = 0; row < in.heads * in.queries; row++) {
        attend(in, row / in.queries, row % in.queries, &expected.value[row * 64],
               &expected.bound[row * 64]);
    }
    const Device<bf16> q(in.q), k1(in.k1), v1(in.v1), k2(in.k2), v2(in.v2), o(in.q.size());
    std::unique_ptr<Device<bf16>> bias;
    if (!in.bias.empty()) bias = std::make_unique<Device<bf16>>(in.bias);
    const Attention a = {
        q.data(), k1.data(), v1.data(), k2.data(),  v2.data(), bias ? bias->data() : nullptr,
        o.data(), in.lanes,  in.heads,  in.queries, in.n1,     in.n2,
        in.scale};
    for_each_order([&](const char *order) {
        assert_int_equal(run_attention(a, nullptr), 0);
        check_close(order, o.download(), expected);
    });
}

static void test_attention(void **)
{
    check_attention(attention_inputs(2, 128, 128, 64, false));
    check_attention(attention_inputs(1, 50, 64, 40, true)); /* ends inside tiles */
    check_attention(attention_inputs(1, 64, 7, 1, false));
}

static void test_group_norm(void **)
{
    const int lanes = 2, pixels = 100, channels = 256, groups = 16, per = channels / groups;
    const auto x = normal_bf16(static_cast<size_t>(lanes) * pixels * channels, 1);
    const auto gamma = normal_floats(channels, 1, 0.2f), beta = normal_floats(channels, 0, 0.2f);
    const auto scale = normal_floats(lanes * channels, 0, 0.2f);
    const auto shift = normal_floats(lanes * channels, 0, 0.2f);
    Expected expected = {std::vector<double>(x.size()), std::vector<double>(x.size())};
    for (int group = 0; group < lanes * groups; group++) {
        const int lane = group / groups, c0 = group % groups * per;
        double sum = 0, squares = 0;
        const auto at = [&](int i) {
            return (static_cast<size_t>(lane) * pixels + i / per) * channels + c0 + i % per;
        };
        const int n = pixels * per;
        for (int i = 0; i < n; i++) {
            const double v = __bfloat162float(x[at(i)]);
            sum += v;
            squares += v * v;
        }
        const double mean = sum / n, variance = squares / n - mean * mean;
        for (int i = 0; i < n; i++) {
            const int c = c0 + i % per, film = lane * channels + c;
            const double normal = (__bfloat162float(x[at(i)]) - mean) / std::sqrt(variance + 1e-5);
            const double z = (normal * gamma[c] + beta[c]) * (1 + scale[film]) + shift[film];
            /* the sums' rounding moves every value of the group together; silu's slope is < 1.1 */
            const double before = n * F32_ROUNDING * (std::fabs(normal) + 2) *
                                  std::fabs(gamma[c] * (1 + scale[film]));
            expected.value[at(i)] = z / (1 + std::exp(-z));
            expected.bound[at(i)] = BF16_ROUNDING * std::fabs(expected.value[at(i)]) +
                                    1.1 * before + 16 * F32_ROUNDING * (std::fabs(z) + 1);
        }
    }
    const Device<bf16> dx(x), dy(x.size());
    Device<float> sums(2 * lanes * groups);
    const Device<float> dg(gamma), db(beta), ds(scale), dh(shift);
    for_each_order([&](const char *order) {
        sums.zero();
        assert_int_equal(run_group_norm({dx.data(), dy.data(), sums.data(), dg.data(), db.data(),
                                         ds.data(), dh.data(), lanes, pixels, channels, groups},
                                        nullptr),
                         0);
        check_close(order, dy.download(), expected);
    });
}

static void test_last_block(void **)
{
    const int blocks = 9;
    const auto x = normal_floats(blocks * 256, 0, 1);
    double sum = 0, terms = 0;
    for (float v : x) {
        sum += v;
        terms += std::fabs(v);
    }
    const Device<float> dx(x), partial(blocks), ds(1);
    Device<unsigned> tickets(1);
    for_each_order([&](const char *order) {
        tickets.zero();
        assert_int_equal(
            run_last_block(dx.data(), partial.data(), ds.data(), tickets.data(), blocks, nullptr),
            0);
        check_close(order, ds.download(), {{sum}, {32 * F32_ROUNDING * terms}});
    });
}

static void test_grid_barrier(void **)
{
    const int blocks = 6, n = blocks * 128;
    const auto x = normal_floats(n, 1, 0.25f);
    double sum = 0;
    for (float v : x) sum += v;
    Expected expected;
    for (float v : x) {
        expected.value.push_back(v / sum);
        expected.bound.push_back(32 * F32_ROUNDING * std::fabs(v / sum));
    }
    const Device<float> dx(x), dy(n), partial(blocks);
    Device<unsigned> arrived(1);
    for_each_order([&](const char *order) {
        arrived.zero();
        assert_int_equal(
            run_normalise(dx.data(), dy.data(), partial.data(), arrived.data(), blocks, nullptr),
            0);
        check_close(order, dy.download(), expected);
    });
}

static void test_named_barriers(void **)
{
    const int rounds = 7;
    const auto x = normal_floats(rounds * 64, 0, 1);
    Expected expected;
    for (float v : x) {
        expected.value.push_back(2 * v);
        expected.bound.push_back(0);
    }
    const Device<float> dx(x), dy(x.size());
    for_each_order([&](const char *order) {
        assert_int_equal(run_hand_over(dx.data(), dy.data(), rounds, nullptr), 0);
        check_close(order, dy.download(), expected);
    });
}

/* Of lanes first .. end - 1 of the warp that begins at x[warp]. */
static unsigned votes_of(const std::vector<unsigned> &x, int warp, int first, int end,
                         const std::function<bool(unsigned)> &predicate)
{
    unsigned votes = 0;
    for (int lane = first; lane < end; lane++) {
        if (predicate(x[warp + lane])) votes |= 1u << lane;
    }
    return votes;
}

static void test_votes(void **)
{
    const int blocks = 4, n = blocks * 64; /* in block 0 nobody is above 250, in block 3 all are */
    std::vector<unsigned> x(n), expected;
    for (int i = 0; i < n; i++) x[i] = i * 37 % 251;
    for (int i = n - 64; i < n; i++) x[i] = 251 + i % 5;
    for (int i = 64; i < 96; i++) x[i] = i % 32 < VOTE_PART ? 255 : 16 + i % 3;
    const unsigned low = (1u << VOTE_PART) - 1;
    for (int i = 0; i < n; i++) {
        const int warp = i / 32 * 32;
        const bool first = i % 32 < VOTE_PART;
        const auto all = [&](auto p) { return votes_of(x, warp, 0, 32, p); };
        const auto part = [&](auto p) {
            return first ? votes_of(x, warp, 0, VOTE_PART, p) : votes_of(x, warp, VOTE_PART, 32, p);
        };
        expected.push_back(all([](unsigned v) { return v % 2 == 1; }));
        expected.push_back(all([](unsigned v) { return v > 250; }) != 0);
        expected.push_back(all([](unsigned v) { return v < 255; }) == 0xffffffffu);
        expected.push_back(part([=](unsigned v) { return (v & (first ? 2 : 4)) != 0; }));
        expected.push_back(part([=](unsigned v) { return first ? v > 250 : v < 4; }) != 0);
        expected.push_back(part([=](unsigned v) { return first ? v < 240 : v > 15; }) ==
                           (first ? low : ~low));
    }
    const Device<unsigned> dx(x), out(expected.size());
    for_each_order([&](const char *) {
        assert_int_equal(run_votes(dx.data(), out.data(), blocks, nullptr), 0);
        assert_true(out.download() == expected);
    });
}

/* "If the computed source lane is out of range" of the lane's group its own value comes back; an
 * index counts within the group, and xor may reach a group before. */
static void test_shuffles(void **)
{
    std::vector<int> x(64), expected;
    for (int i = 0; i < 64; i++) x[i] = 1000 + i * i;
    for (int i = 0; i < 64; i++) {
        for (int width = 32; width >= 4; width /= 2) {
            const int first = i / width * width, end = first + width;
            expected.push_back(x[first + 5 % width]);
            expected.push_back(x[i - 3 >= first ? i - 3 : i]);
            expected.push_back(x[i + 3 < end ? i + 3 : i]);
            expected.push_back(x[(i ^ 5) < end ? i ^ 5 : i]);
        }
    }
    const Device<int> dx(x), out(expected.size());
    for_each_order([&](const char *) {
        assert_int_equal(run_shuffles(dx.data(), out.data(), nullptr), 0);
        assert_true(out.download() == expected);
    });
}

static void test_atomics(void **)
{
    const int blocks = 3;
    const AtomicResults before = {INT32_MAX,  INT32_MIN, 0, UINT32_MAX, 0, 0,
                                  UINT32_MAX, 0,         0, 0,          0};
    AtomicResults expected = before;
    std::vector<unsigned> x(blocks * 64);
    for (size_t i = 0; i < x.size(); i++) {
        const unsigned v = x[i] = static_cast<unsigned>(i + 1) * 2654435761u | 1u << 8;
        expected.least = std::min(expected.least, static_cast<int>(v));
        expected.most = std::max(expected.most, static_cast<int>(v));
        expected.least_unsigned = std::min(expected.least_unsigned, v);
        expected.most_unsigned = std::max(expected.most_unsigned, v);
        expected.count++;
        expected.some_bits |= v;
        expected.all_bits &= v;
        expected.odd_bits ^= v;
        expected.swapped += v;
        expected.sum += v;
    }
    const Device<unsigned> dx(x);
    Device<AtomicResults> r(1);
    for_each_order([&](const char *) {
        r.upload({before});
        assert_int_equal(run_atomics(dx.data(), r.data(), blocks, nullptr), 0);
        AtomicResults got = r.download()[0];
        assert_true(std::find(x.begin(), x.end(), got.chain) != x.end());
        got.swapped += got.chain;
        got.chain = 0;
        assert_memory_equal(&got, &expected, sizeof got);
    });
}

/* The host computes the same: what differs between the paths is who compiled it, and how. */
static void test_arithmetic(void **)
{
    /* The last two are a NaN and an infinity in double too. */
    std::vector<uint32_t> pairs = {0,           0,           1,           0x80000000u,
                                   0x80000000u, 0xffffffffu, 0x7fc00000u, 0,
                                   0x7ff80000u, 5,           0xfff00000u, 0};
    for (uint32_t i = 0; i < 200; i++) pairs.push_back(i * 2654435761u ^ i << 27);
    const int count = static_cast<int>(pairs.size() / 2);
    const Device<uint32_t> in(pairs), out(static_cast<size_t>(count) * ARITHMETIC_RESULTS);
    for_each_order([&](const char *) {
        assert_int_equal(run_arithmetic(in.data(), out.data(), count, nullptr), 0);
        const std::vector<uint32_t> results = out.download();
        for (int i = 0; i < count; i++) {
            uint32_t expected[ARITHMETIC_RESULTS];
            const int n = arithmetic(pairs[2 * i], pairs[2 * i + 1], arithmetic_bytes, expected);
            assert_true(n <= ARITHMETIC_RESULTS);
            for (int k = 0; k < n; k++) {
                const uint32_t result = results[static_cast<size_t>(i) * ARITHMETIC_RESULTS + k];
                if (result == expected[k]) continue;
                print_error("result %d of %#x and %#x: %#x, the host has %#x\n", k, pairs[2 * i],
                            pairs[2 * i + 1], result, expected[k]);
                fail();
            }
        }
    });
}

static void test_fp8_tile(void **)
{
    const auto a = random_e4m3(16 * 32), b = random_e4m3(8 * 32);
    const Expected expected = product_f32(floats(a), floats(b), {16, 8, 32});
    const Device<uint8_t> da(a), db(b);
    const Device<float> d(16 * 8);
    for_each_order([&](const char *order) {
        assert_int_equal(run_fp8_tile(da.data(), db.data(), d.data(), nullptr), 0);
        check_close(order, d.download(), expected);
    });
}

const std::vector<CMUnitTest> tests_sm80 = {
    cmocka_unit_test(test_gemm),         cmocka_unit_test(test_attention),
    cmocka_unit_test(test_group_norm),   cmocka_unit_test(test_last_block),
    cmocka_unit_test(test_grid_barrier), cmocka_unit_test(test_named_barriers),
    cmocka_unit_test(test_votes),        cmocka_unit_test(test_shuffles),
    cmocka_unit_test(test_atomics),      cmocka_unit_test(test_arithmetic),
};
const std::vector<CMUnitTest> tests_sm89 = {cmocka_unit_test(test_fp8_tile)};
