/* model.h - what a running kernel asks of the simulator: its place in the grid and one function
 * per instruction that synchronises, moves data or multiplies matrices. Kernels reach these
 * through cuda_runtime.h and ptx.h, translated PTX calls them directly.
 *
 * A `shared` address is 32 bits, as in PTX: an offset into the block's dynamic shared memory, or,
 * made by map_shared, an offset into that of another block of the cluster.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CUDASIM_MODEL_H
#define CUDASIM_MODEL_H

#include "cuda_runtime_api.h"

#include <cstdint>
#include <cstring>
#include <functional>
#include <tuple>
#include <vector>

namespace cudasim
{
/* ---- where the calling thread is ------------------------------------------------------------- */

/* Beside CUDA's own variables, which sim/scheduler.cc keeps too. */
struct Position {
    uint3 thread, block;
    int lane;
    unsigned cluster_rank, cluster_size;
};
extern const Position *here; /* of the thread that runs now; null on the host */

unsigned char *dynamic_shared();
uint32_t shared_bytes();
uint32_t shared_address(const void *pointer);
void *shared_pointer(uint32_t shared);
/* The same memory as a pointer, after a check of bounds, alignment and (in a race build) order. */
void *shared_access(uint32_t shared, unsigned bytes, bool write);
/* Same offset, in the block of that rank in the cluster. */
uint32_t map_shared(uint32_t shared, unsigned rank);

/* ---- barriers, warp functions, atomics ------------------------------------------------------- */

void syncthreads(int line);
void barrier_sync(unsigned id, unsigned threads); /* threads 0: the whole block */
void barrier_arrive(unsigned id, unsigned threads);
void cluster_arrive();
void cluster_wait();
void syncwarp(unsigned mask);
uint64_t shuffle(unsigned mask, uint64_t value, int source_lane);
unsigned ballot(unsigned mask, bool predicate);
unsigned active_mask();
void yield();                /* a step of a loop that waits for another thread */
void grid_dependency_wait(); /* for the grids before */

enum Operation { ADD, MIN, MAX, EXCHANGE, OR, AND };
template <class T> T atomic(T *address, T value, Operation operation);
unsigned compare_and_swap(unsigned *address, unsigned expected, unsigned value);
void fence();                                   /* membar: of any scope */
unsigned load_acquire(const unsigned *address); /* lets others run: for loops that wait */
void store_release(unsigned *address, unsigned value);
unsigned add_release(unsigned *address, unsigned value);

/* ---- copies ---------------------------------------------------------------------------------- */

/* bytes from global to shared memory, of which the first `source_bytes` are read, the rest zero. */
void cp_async(uint32_t to, const void *from, unsigned bytes, unsigned source_bytes);
void cp_async_commit();
void cp_async_wait(unsigned groups_left);
void cp_async_wait_all();

void mbarrier_init(uint32_t barrier, unsigned arrivals);
unsigned mbarrier_arrive(uint32_t barrier, unsigned count); /* returns the phase it arrived in */
void mbarrier_expect(uint32_t barrier, unsigned bytes);     /* without an arrival */
void mbarrier_wait(uint32_t barrier, unsigned parity);

/* Tensor copies: `map` is a CUtensorMap, `at` its coordinates, `blocks` a mask of ranks in the
 * cluster (0: this block alone). */
void tma_load(uint32_t to, const void *map, uint32_t barrier, const int *at, unsigned blocks);
void tma_store(const void *map, uint32_t from, const int *at);
void bulk_commit();
void bulk_wait(unsigned groups_left); /* until the sources may be reused, or more */
void fence_proxy_async();

/* ---- matrices -------------------------------------------------------------------------------- */

void ldmatrix(uint32_t *registers, uint32_t row, int count, bool transposed);
void stmatrix(uint32_t row, const uint32_t *registers, int count, bool transposed);

enum Number { BF16, E4M3 };
/* d = a b + c: m16n8k16 for bf16, m16n8k32 for the 8-bit numbers; a of 4 registers, b of 2. */
void mma(float *d, const uint32_t *a, const uint32_t *b, const float *c, Number number);

struct Wgmma {
    Number number;     /* k is 16 for bf16, 32 for the 8-bit numbers */
    int n;             /* columns: 8 to 256 */
    bool accumulate;   /* d += a b, else d = a b */
    bool a_mn, b_mn;   /* the operand in shared memory is MN-major, not K-major */
    const uint32_t *a; /* 4 registers per thread, or null: use a_descriptor */
    uint64_t a_descriptor, b_descriptor;
    bool at_once; /* results appear with the instruction and not with its wait: translated PTX */
};
void wgmma(float *d, const Wgmma &operation); /* d: n / 2 registers */
void wgmma_commit();
void wgmma_wait(unsigned groups_left);
void wgmma_fence();

/* ---- launch ---------------------------------------------------------------------------------- */

struct Kernel {
    const void *symbol = nullptr;          /* the function's address names it */
    std::function<void()> body;            /* one thread of the C++ source */
    std::vector<unsigned char> parameters; /* as PTX lays them out */
};
cudaError_t launch_kernel(const cudaLaunchConfig_t &config, Kernel kernel);

/* A kernel translated from PTX; a program that links some runs them in place of the sources. */
struct Translated {
    void (*symbol)();
    void (*body)(const unsigned char *parameters);
    unsigned static_bytes; /* shared memory that the translation adds to the dynamic one */
};

template <class T> void pack_parameter(std::vector<unsigned char> &bytes, const T &value)
{
    const size_t at = (bytes.size() + alignof(T) - 1) / alignof(T) * alignof(T);
    bytes.resize(at + sizeof value);
    std::memcpy(bytes.data() + at, &value, sizeof value);
}

template <class... Parameters, class... Arguments>
cudaError_t launch(const cudaLaunchConfig_t *config, void (*kernel)(Parameters...),
                   Arguments &&...arguments)
{
    const std::tuple<Parameters...> values(static_cast<Parameters>(arguments)...);
    Kernel k;
    k.symbol = reinterpret_cast<const void *>(kernel);
    k.body = [=] { std::apply(kernel, values); };
    std::apply([&](const auto &...value) { (pack_parameter(k.parameters, value), ...); }, values);
    return launch_kernel(*config, std::move(k));
}
} /* namespace cudasim */

#endif
