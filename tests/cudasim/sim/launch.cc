/* launch.cc - from a launch's configuration to a grid, with the limits of the chip and what a
 * driver refuses. A program that links translated kernels runs those, and every kernel it
 * launches must be among them.
 * SPDX-License-Identifier: Apache-2.0 */
#include "config.h"
#include "memory.h"
#include "model.h"
#include "report.h"
#include "state.h"
#include "stream.h"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>
#include <string>

/* In the translation of a program's PTX: rows, up to one without a body. */
extern "C" const cudasim::Translated *cudasim_translated() __attribute__((weak));

namespace cudasim
{
static constexpr unsigned SHARED_DEFAULT = 48 << 10, MULTIPROCESSORS = 132;
static constexpr unsigned CLUSTER_PORTABLE = 8, CLUSTER_MAX = 16;

namespace
{
struct Allowed { /* cudaFuncSetAttribute */
    size_t shared_bytes = SHARED_DEFAULT;
    bool large_cluster = false;
};
} /* namespace */
static std::map<const void *, Allowed> allowed;

static const char *problem_of_cluster(const Grid &grid, bool large)
{
    const dim3 c = grid.cluster;
    const unsigned blocks = c.x * c.y * c.z;
    if (blocks == 0) return "a cluster has at least one block";
    if (blocks > 1 && arch() < 90) return "this chip has no clusters";
    if (blocks > (large ? CLUSTER_MAX : CLUSTER_PORTABLE)) return "the cluster is too large";
    if (grid.grid.x % c.x || grid.grid.y % c.y || grid.grid.z % c.z) {
        return "the grid is not a whole number of clusters";
    }
    return nullptr;
}

static const char *problem_of(const Grid &grid, const Allowed &limits)
{
    if (grid.threads == 0 || grid.threads > THREADS_MAX) return "a block has 1 to 1024 threads";
    if (grid.grid.x == 0 || grid.grid.y == 0 || grid.grid.z == 0) return "the grid is empty";
    if (grid.grid.y > 65535 || grid.grid.z > 65535) return "y and z of a grid are at most 65535";
    if (grid.shared_bytes > shared_most()) return "a block of this chip has less shared memory";
    if (grid.shared_bytes > limits.shared_bytes) {
        return "over 48 KB of shared memory need cudaFuncSetAttribute";
    }
    return problem_of_cluster(grid, limits.large_cluster);
}

static bool fits_on_chip(const Grid &grid)
{
    const size_t by_threads = 2048 / ((grid.threads + WARP - 1) / WARP * WARP);
    const size_t by_shared = (SHARED_MAX + 1024) / (grid.shared_bytes + 1024);
    const size_t per = std::min({by_threads, by_shared, size_t{32}});
    const size_t blocks = size_t{grid.grid.x} * grid.grid.y * grid.grid.z;
    if (blocks <= per * MULTIPROCESSORS && blocks > GRID_SLOTS) {
        fail("a cooperative grid of %zu blocks: at most %zu are simulated", blocks, GRID_SLOTS);
    }
    return blocks <= per * MULTIPROCESSORS;
}

static void read_attributes(const cudaLaunchConfig_t &config, Grid &grid)
{
    for (unsigned i = 0; i < config.numAttrs; i++) {
        const cudaLaunchAttribute &a = config.attrs[i];
        if (a.id == cudaLaunchAttributeCooperative) grid.cooperative = a.val.cooperative != 0;
        if (a.id == cudaLaunchAttributeClusterDimension) {
            grid.cluster = dim3(a.val.clusterDim.x, a.val.clusterDim.y, a.val.clusterDim.z);
        }
        if (a.id == cudaLaunchAttributeProgrammaticStreamSerialization) {
            grid.may_begin_early = a.val.programmaticStreamSerializationAllowed != 0;
        }
    }
}

static void use_translation(const Kernel &kernel, Grid &grid)
{
    for (const Translated *t = cudasim_translated(); t->body; t++) {
        if (reinterpret_cast<const void *>(t->symbol) != kernel.symbol) continue;
        auto *body = t->body;
        const std::vector<unsigned char> parameters = kernel.parameters;
        grid.body = [=] { body(parameters.data()); };
        if (t->static_bytes) {
            grid.shared_bytes = (grid.shared_bytes + 15) / 16 * 16 + t->static_bytes;
        }
        return;
    }
    fail("%s has no translation from PTX", name_of(kernel.symbol).c_str());
}

/* CUDASIM_LAUNCHED=file: every kernel that was launched adds its place in the program to it, once
 * per process; tests/cuda/check_executed knows the names. */
static void note_launch(const void *symbol)
{
    static const char *const path = std::getenv("CUDASIM_LAUNCHED");
    static std::set<const void *> known;
    if (!path || !known.insert(symbol).second) return;
    if (FILE *file = std::fopen(path, "a")) {
        std::fprintf(file, "%s\n", place_of(symbol).c_str());
        std::fclose(file);
    }
}

cudaError_t launch_kernel(const cudaLaunchConfig_t &config, Kernel kernel)
{
    Grid grid;
    grid.grid = config.gridDim;
    grid.block = config.blockDim;
    grid.cluster = dim3(1, 1, 1);
    grid.threads = grid.block.x * grid.block.y * grid.block.z;
    grid.shared_bytes = config.dynamicSmemBytes;
    grid.symbol = kernel.symbol;
    grid.body = std::move(kernel.body);
    read_attributes(config, grid);
    if (const char *problem = problem_of(grid, allowed[kernel.symbol])) {
        std::fprintf(stderr, "cudasim: launch of %s refused: %s\n", name_of(kernel.symbol).c_str(),
                     problem);
        return remember_error(cudaErrorInvalidConfiguration);
    }
    if (grid.may_begin_early && arch() < 90) {
        std::fprintf(stderr, "cudasim: launch of %s refused: this chip begins no grid early\n",
                     name_of(kernel.symbol).c_str());
        return remember_error(cudaErrorNotSupported);
    }
    if (grid.cooperative && !fits_on_chip(grid)) {
        return remember_error(cudaErrorCooperativeLaunchTooLarge);
    }
    if (cudasim_translated) use_translation(kernel, grid);
    note_launch(kernel.symbol);
    return enqueue_grid(config.stream, std::make_shared<const Grid>(std::move(grid)));
}
} /* namespace cudasim */

cudaError_t cudaFuncSetAttribute(const void *function, cudaFuncAttribute attribute, int value)
{
    using namespace cudasim;
    if (const cudaError_t error = device_state()) return error;
    if (attribute == cudaFuncAttributeNonPortableClusterSizeAllowed) {
        allowed[function].large_cluster = value != 0;
        return cudaSuccess;
    }
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0 ||
        static_cast<size_t>(value) > shared_most()) {
        return remember_error(cudaErrorInvalidValue);
    }
    allowed[function].shared_bytes = static_cast<size_t>(value);
    return cudaSuccess;
}

/* Demangled; the toolkit's is not. Valid until the next call. */
cudaError_t cudaFuncGetName(const char **name, const void *function)
{
    static std::string known;
    known = cudasim::name_of(function);
    *name = known.c_str();
    return cudaSuccess;
}
