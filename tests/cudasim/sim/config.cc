/* config.cc - the environment, read once, and the generator behind every random choice.
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "report.h"

#include <cstdlib>
#include <string>

namespace cudasim
{
static std::string variable(const char *name)
{
    const char *value = std::getenv(name);
    return value ? value : "";
}

static int choice(const char *name, const char *const (&names)[3])
{
    const std::string value = variable(name);
    if (value.empty()) return 0;
    for (int i = 0; i < 3; i++) {
        if (value == names[i]) return i;
    }
    fail("%s is '%s': it is %s, %s or %s", name, value.c_str(), names[0], names[1], names[2]);
}

static Config from_environment()
{
    Config c;
    c.order = static_cast<Order>(choice("CUDASIM_SCHED", {"fwd", "rev", "rand"}));
    c.async = static_cast<Async>(choice("CUDASIM_ASYNC", {"lazy", "eager", "rand"}));
    const std::string seed = variable("CUDASIM_SEED");
    if (!seed.empty()) {
        char *end = nullptr;
        c.seed = std::strtoull(seed.c_str(), &end, 10);
        if (*end) fail("CUDASIM_SEED is '%s': it is a number", seed.c_str());
    }
    return c;
}

Config &config()
{
    static Config c = from_environment();
    return c;
}

bool config_is_given()
{
    return !(variable("CUDASIM_SCHED") + variable("CUDASIM_ASYNC") + variable("CUDASIM_SEED"))
                .empty();
}

int arch()
{
    static const int known = [] {
        const std::string value = variable("CUDASIM_ARCH");
        for (int one : {80, 89, 90, 100, 120}) {
            if (value.empty() ? one == 90 : value == std::to_string(one)) return one;
        }
        fail("CUDASIM_ARCH is '%s': it is 80, 89, 90, 100 or 120", value.c_str());
    }();
    return known;
}

size_t shared_most()
{
    const size_t kilobytes = arch() == 80 ? 163 : arch() == 89 || arch() == 120 ? 99 : 227;
    return kilobytes << 10;
}

static uint64_t state = 1;

uint64_t random_bits() /* xorshift64 */
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

void random_start(uint64_t launch)
{
    state = (config().seed * 0x9e3779b97f4a7c15u) ^ (launch * 0xc2b2ae3d27d4eb4fu) ^ 0x1234567;
    if (state == 0) state = 1;
    for (int i = 0; i < 8; i++) random_bits();
}
} /* namespace cudasim */
