/* test_kernels.h - the parts of test_kernels: cases by what they need, and the reference product.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CUDASIM_TEST_KERNELS_CASES_H
#define CUDASIM_TEST_KERNELS_CASES_H

#include "kernels/kernels.h"
#include "support.h"

#include <vector>

extern const std::vector<CMUnitTest> tests_sm80, tests_sm89, tests_sm90, tests_sm90a;

std::vector<float> floats(const std::vector<bf16> &values);
std::vector<float> floats(const std::vector<uint8_t> &values); /* e4m3 */

struct Shape {
    int m, n, k;
};
/* a [m, k] b [n, k]^T with f32 sums, rounded to bf16, or not */
Expected product(const std::vector<float> &a, const std::vector<float> &b, Shape shape);
Expected product_f32(const std::vector<float> &a, const std::vector<float> &b, Shape shape);

#endif
