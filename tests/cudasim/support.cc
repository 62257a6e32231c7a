/* support.cc - orders, reports, random inputs, comparison.
 * SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "config.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <sys/wait.h>
#include <unistd.h>

void for_each_order(const std::function<void(const char *name)> &body)
{
    using cudasim::Async;
    using cudasim::Order;
    if (cudasim::config_is_given()) {
        body("the environment's order");
        return;
    }
    const struct {
        const char *name;
        cudasim::Config config;
    } orders[] = {
        {"forward, lazy", {Order::forward, Async::lazy, 1}},
        {"reverse, eager", {Order::reverse, Async::eager, 1}},
        {"random, seed 1", {Order::random, Async::random, 1}},
        {"random, seed 2", {Order::random, Async::random, 2}},
        {"random, seed 3", {Order::random, Async::random, 3}},
    };
    for (const auto &order : orders) {
        cudasim::config() = order.config;
        body(order.name);
    }
    cudasim::config() = cudasim::Config();
}

void expect_report(int exit_code, const char *text, const std::function<void()> &body)
{
    int pipe_ends[2];
    assert_int_equal(pipe(pipe_ends), 0);
    std::fflush(nullptr);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(pipe_ends[1], STDERR_FILENO);
        close(pipe_ends[0]);
        body();
        cudaDeviceSynchronize();
        _exit(0);
    }
    close(pipe_ends[1]);
    std::string said;
    char buffer[512];
    for (ssize_t n; (n = read(pipe_ends[0], buffer, sizeof buffer)) > 0;) {
        said.append(buffer, static_cast<size_t>(n));
    }
    close(pipe_ends[0]);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != exit_code ||
        said.find(text) == std::string::npos) {
        print_error("expected exit code %d and '%s', got status %#x and:\n%s\n", exit_code, text,
                    static_cast<unsigned>(status), said.c_str());
        fail();
    }
}

static std::mt19937 generator(7); /* every run draws the same */

std::vector<float> normal_floats(size_t count, float mean, float deviation)
{
    std::normal_distribution<float> distribution(mean, deviation);
    std::vector<float> values(count);
    for (float &value : values) value = distribution(generator);
    return values;
}

std::vector<__nv_bfloat16> normal_bf16(size_t count, float deviation)
{
    std::vector<__nv_bfloat16> values;
    for (float value : normal_floats(count, 0, deviation)) {
        values.push_back(__float2bfloat16(value));
    }
    return values;
}

std::vector<uint8_t> random_e4m3(size_t count)
{
    std::vector<uint8_t> values(count);
    for (uint8_t &value : values) value = static_cast<uint8_t>(generator() & 0xbf) & ~0x38;
    for (uint8_t &value : values) value |= static_cast<uint8_t>(generator() % 8 << 3);
    return values;
}

float e4m3_value(uint8_t bits)
{
    const int exponent = bits >> 3 & 15, mantissa = bits & 7;
    const double magnitude = exponent ? std::exp2(exponent - 7) * (1 + mantissa / 8.0)
                                      : std::exp2(-6) * (mantissa / 8.0);
    return static_cast<float>(bits & 0x80 ? -magnitude : magnitude);
}

void check_close(const char *what, const std::vector<float> &actual, const Expected &expected)
{
    assert_int_equal(actual.size(), expected.value.size());
    double worst = -1;
    size_t where = 0;
    for (size_t i = 0; i < actual.size(); i++) {
        const double error = std::fabs(actual[i] - expected.value[i]);
        const double ratio = std::isnan(error) ? INFINITY : error / (expected.bound[i] + 1e-300);
        if (ratio > worst) {
            worst = ratio;
            where = i;
        }
    }
    if (worst > 1) {
        print_error("%s: element %zu is %g, expected %g: %.3g times the bound\n", what, where,
                    static_cast<double>(actual[where]), expected.value[where], worst);
        fail();
    }
}

void check_close(const char *what, const std::vector<__nv_bfloat16> &actual,
                 const Expected &expected)
{
    std::vector<float> values;
    for (__nv_bfloat16 value : actual) values.push_back(__bfloat162float(value));
    check_close(what, values, expected);
}
