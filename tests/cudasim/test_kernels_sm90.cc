/* test_kernels_sm90.cc - the test kernels that need sm_90 or sm_90a.
 * SPDX-License-Identifier: Apache-2.0 */
#include "test_kernels.h"

#include <cmath>

static void add_taps(const Conv &c, const std::vector<float> &x, const std::vector<float> &w,
                     size_t index, Expected &expected)
{
    const int width = c.width / c.stride, height = c.height / c.stride;
    const int o = static_cast<int>(index % c.outputs), px = static_cast<int>(index / c.outputs);
    const int lane = px / (width * height), row = px / width % height, column = px % width;
    double sum = 0, terms = 0;
    for (int tap = 0; tap < 9; tap++) {
        const int y = row * c.stride + tap / 3 - 1, z = column * c.stride + tap % 3 - 1;
        if (y < 0 || y >= c.height || z < 0 || z >= c.width) continue;
        const float *from =
            &x[((static_cast<size_t>(lane) * c.height + y) * c.width + z) * c.inputs];
        const float *weight = &w[(static_cast<size_t>(o) * 9 + tap) * c.inputs];
        for (int i = 0; i < c.inputs; i++) {
            const double term = static_cast<double>(from[i]) * weight[i];
            sum += term;
            terms += std::fabs(term);
        }
    }
    expected.value[index] = sum;
    expected.bound[index] =
        BF16_ROUNDING * std::fabs(sum) * 1.01 + 9 * c.inputs * F32_ROUNDING * terms;
}

static void check_conv(Conv c)
{
    const size_t outputs =
        static_cast<size_t>(c.lanes) * c.height * c.width * c.outputs / (c.stride * c.stride);
    const auto x = normal_bf16(static_cast<size_t>(c.lanes) * c.height * c.width * c.inputs, 1);
    const auto w = normal_bf16(static_cast<size_t>(c.outputs) * 9 * c.inputs, 0.05f);
    const std::vector<float> fx = floats(x), fw = floats(w);
    Expected expected = {std::vector<double>(outputs), std::vector<double>(outputs)};
    for (size_t i = 0; i < outputs; i++) add_taps(c, fx, fw, i, expected);
    const Device<bf16> dx(x), dw(w), dy(outputs);
    c.x = dx.data();
    c.w = dw.data();
    c.y = dy.data();
    for_each_order([&](const char *order) {
        assert_int_equal(run_conv(c, nullptr), 0);
        check_close(order, dy.download(), expected);
    });
}

static void test_conv(void **)
{
    check_conv({nullptr, nullptr, nullptr, 1, 16, 16, 64, 40, 1}); /* fewer outputs than a tile */
    check_conv({nullptr, nullptr, nullptr, 1, 16, 32, 64, 136, 2});
}

static void test_small_product(void **)
{
    const int columns = 96, column = 48; /* 16 columns of the tile fall beyond the matrix */
    const auto a = normal_bf16(64 * 64, 1), b = normal_bf16(64 * 64, 1);
    const Expected inner = product(floats(a), floats(b), {64, 64, 64});
    Expected expected = {std::vector<double>(64 * columns), std::vector<double>(64 * columns)};
    for (int i = 0; i < 64 * columns; i++) {
        const int from = i / columns * 64 + i % columns - column;
        if (i % columns < column) continue;
        expected.value[i] = inner.value[from];
        expected.bound[i] = inner.bound[from];
    }
    const Device<bf16> da(a), db(b);
    Device<bf16> dc(64 * columns);
    for_each_order([&](const char *order) {
        dc.zero();
        assert_int_equal(
            run_small_product(da.data(), db.data(), dc.data(), columns, column, nullptr), 0);
        check_close(order, dc.download(), expected);
    });
}

static void test_small_fp8(void **)
{
    const auto a = random_e4m3(64 * 128), b = random_e4m3(64 * 128);
    const Expected expected = product_f32(floats(a), floats(b), {64, 64, 128});
    const Device<uint8_t> da(a), db(b);
    const Device<float> d(64 * 64);
    for_each_order([&](const char *order) {
        assert_int_equal(run_small_fp8(da.data(), db.data(), d.data(), nullptr), 0);
        check_close(order, d.download(), expected);
    });
}

static void test_wide_product(void **)
{
    const auto a = normal_bf16(128 * 64, 1), b = normal_bf16(256 * 64, 1);
    const Expected expected = product(floats(a), floats(b), {128, 256, 64});
    const Device<bf16> da(a), db(b), dc(128 * 256);
    for_each_order([&](const char *order) {
        assert_int_equal(run_wide_product(da.data(), db.data(), dc.data(), nullptr), 0);
        check_close(order, dc.download(), expected);
    });
}

static void test_cluster(void **)
{
    const auto x = normal_bf16(64 * 64, 1);
    const Expected expected = product_f32(floats(x), std::vector<float>(64, 1), {64, 1, 64});
    const Device<bf16> dx(x);
    const Device<float> sums(64);
    for_each_order([&](const char *order) {
        assert_int_equal(run_cluster_sums(dx.data(), sums.data(), nullptr), 0);
        check_close(order, sums.download(), expected);
    });
}

static void test_overlap(void **)
{
    const int blocks = 3, n = 64 * blocks, times = 4;
    const auto x = normal_floats(n, 0, 1), constant = normal_floats(n, 0, 1);
    std::vector<float> from = x, to(n);
    for (int t = 0; t < times; t++, from.swap(to)) {
        for (int i = 0; i < n; i++) to[i] = from[n - 1 - i] + constant[i];
    }
    const Expected expected = {std::vector<double>(from.begin(), from.end()),
                               std::vector<double>(n, 1e-6)};
    Device<float> dx(n), dy(n);
    const Device<float> dc(constant);
    cudaStream_t stream;
    assert_int_equal(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), 0);
    for_each_order([&](const char *order) {
        dx.upload(x);
        dy.zero();
        assert_int_equal(run_mirrors(dx.data(), dc.data(), dy.data(), blocks, times, stream), 0);
        assert_int_equal(cudaStreamSynchronize(stream), 0);
        check_close(order, dx.download(), expected);
    });
    assert_int_equal(cudaStreamDestroy(stream), 0);
}

const std::vector<CMUnitTest> tests_sm90 = {cmocka_unit_test(test_cluster),
                                            cmocka_unit_test(test_overlap)};
const std::vector<CMUnitTest> tests_sm90a = {
    cmocka_unit_test(test_conv),
    cmocka_unit_test(test_small_product),
    cmocka_unit_test(test_small_fp8),
    cmocka_unit_test(test_wide_product),
};
