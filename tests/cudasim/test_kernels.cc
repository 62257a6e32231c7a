/* test_kernels.cc - runs the test kernels in every order and compares them with sums in double.
 *
 *   test_kernels [LEVEL] [NAME]   up to LEVEL: 80, 89, 90 or 90a (without one: everything); NAME is
 *                                 a pattern of cmocka's, as in test_conv or test_*
 * SPDX-License-Identifier: Apache-2.0 */
#include "test_kernels.h"

#include <cmath>
#include <cstdio>
#include <cstring>

std::vector<float> floats(const std::vector<bf16> &values)
{
    std::vector<float> result;
    for (bf16 value : values) result.push_back(__bfloat162float(value));
    return result;
}

std::vector<float> floats(const std::vector<uint8_t> &values)
{
    std::vector<float> result;
    for (uint8_t value : values) result.push_back(e4m3_value(value));
    return result;
}

Expected product_f32(const std::vector<float> &a, const std::vector<float> &b, Shape shape)
{
    Expected expected;
    for (int i = 0; i < shape.m * shape.n; i++) {
        const float *x = &a[static_cast<size_t>(i / shape.n) * shape.k];
        const float *y = &b[static_cast<size_t>(i % shape.n) * shape.k];
        double sum = 0, terms = 0;
        for (int k = 0; k < shape.k; k++) {
            sum += static_cast<double>(x[k]) * y[k];
            terms += std::fabs(static_cast<double>(x[k]) * y[k]);
        }
        expected.value.push_back(sum);
        expected.bound.push_back(shape.k * F32_ROUNDING * terms);
    }
    return expected;
}

Expected product(const std::vector<float> &a, const std::vector<float> &b, Shape shape)
{
    Expected expected = product_f32(a, b, shape);
    for (size_t i = 0; i < expected.value.size(); i++) {
        expected.bound[i] += BF16_ROUNDING * (std::fabs(expected.value[i]) + expected.bound[i]);
    }
    return expected;
}

int main(int count, char **arguments)
{
    static const char *const levels[] = {"80", "89", "90", "90a"};
    static const std::vector<CMUnitTest> *const groups[] = {&tests_sm80, &tests_sm89, &tests_sm90,
                                                            &tests_sm90a};
    std::vector<CMUnitTest> tests;
    const char *last = count > 1 ? arguments[1] : "90a";
    bool known = false;
    for (int i = 0; i < 4 && !known; i++) {
        tests.insert(tests.end(), groups[i]->begin(), groups[i]->end());
        known = std::strcmp(levels[i], last) == 0;
    }
    if (!known) {
        std::fprintf(stderr, "test_kernels: level '%s' is none of 80, 89, 90, 90a\n", last);
        return 2;
    }
    if (count > 2) cmocka_set_test_filter(arguments[2]);
    return _cmocka_run_group_tests("kernels", tests.data(), tests.size(), nullptr, nullptr);
}
