/* support.h - what tests on the simulator share: device memory with an owner, random inputs, the
 * legal orders one after the other, and expecting a report.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CUDASIM_SUPPORT_H
#define CUDASIM_SUPPORT_H

#include <cuda_bf16.h>
#include <cuda_runtime.h>

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
extern "C" {
#include <cmocka.h>
}

#include <functional>
#include <random>
#include <string>
#include <vector>

/* Once under each of: forward and lazy, reverse and eager, three random seeds; or once under what
 * the environment asks for. `body` is told the name. */
void for_each_order(const std::function<void(const char *name)> &body);

/* Runs `body` in a child process, which must end with that exit code after a line on stderr that
 * contains `text`. */
void expect_report(int exit_code, const char *text, const std::function<void()> &body);

template <class T> class Device
{
  public:
    explicit Device(size_t count) : count_(count)
    {
        assert_int_equal(cudaMalloc(reinterpret_cast<void **>(&data_), count * sizeof(T)), 0);
    }
    explicit Device(const std::vector<T> &values) : Device(values.size())
    {
        upload(values);
    }
    ~Device()
    {
        cudaFree(data_);
    }
    Device(const Device &) = delete;
    Device &operator=(const Device &) = delete;

    void upload(const std::vector<T> &values)
    {
        assert_int_equal(
            cudaMemcpy(data_, values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice), 0);
    }
    void zero()
    {
        assert_int_equal(cudaMemset(data_, 0, count_ * sizeof(T)), 0);
    }
    std::vector<T> download() const
    {
        std::vector<T> values(count_);
        assert_int_equal(
            cudaMemcpy(values.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost), 0);
        return values;
    }
    T *data() const
    {
        return data_;
    }

  private:
    T *data_ = nullptr;
    size_t count_;
};

std::vector<float> normal_floats(size_t count, float mean, float deviation);
std::vector<__nv_bfloat16> normal_bf16(size_t count, float deviation);
std::vector<uint8_t> random_e4m3(size_t count); /* no NaN, magnitudes up to 4 */
float e4m3_value(uint8_t bits);                 /* by the definition of the format */

/* What a result should be, and by how much it may differ, as the arithmetic says. */
struct Expected {
    std::vector<double> value, bound;
};
void check_close(const char *what, const std::vector<float> &actual, const Expected &expected);
void check_close(const char *what, const std::vector<__nv_bfloat16> &actual,
                 const Expected &expected);

/* Half a unit in the last place of bf16, relative; of f32. */
constexpr double BF16_ROUNDING = 1.0 / 256, F32_ROUNDING = 1.0 / (1 << 24);

#endif
