/* ptx_model.h - the functions of kernels/cuda/ptx.h on the simulator. Only ptx.h includes it.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CUDASIM_PTX_MODEL_H
#define CUDASIM_PTX_MODEL_H

#include "cuda.h"
#include "cuda_runtime.h"
#include "model.h"

CUDASIM_INLINE unsigned char *dynamic_shared()
{
    return cudasim::dynamic_shared();
}
CUDASIM_INLINE uint32_t shared_address(const void *pointer)
{
    return cudasim::shared_address(pointer);
}

/* ---- copies ---------------------------------------------------------------------------------- */

CUDASIM_INLINE void cp_async_16(uint32_t to, const void *from, bool valid)
{
    cudasim::cp_async(to, from, 16, valid ? 16 : 0);
}
CUDASIM_INLINE void cp_async_commit()
{
    cudasim::cp_async_commit();
}
template <int LEFT> CUDASIM_INLINE void cp_async_wait()
{
    cudasim::cp_async_wait(LEFT);
}
CUDASIM_INLINE void tma_load_2d(uint32_t to, const CUtensorMap *map, uint32_t barrier, int c0,
                                int c1)
{
    const int at[] = {c0, c1};
    cudasim::tma_load(to, map, barrier, at, 0);
}
CUDASIM_INLINE void tma_load_3d(uint32_t to, const CUtensorMap *map, uint32_t barrier, int c0,
                                int c1, int c2)
{
    const int at[] = {c0, c1, c2};
    cudasim::tma_load(to, map, barrier, at, 0);
}
CUDASIM_INLINE void tma_load_4d(uint32_t to, const CUtensorMap *map, uint32_t barrier,
                                const int (&at)[4])
{
    cudasim::tma_load(to, map, barrier, at, 0);
}
CUDASIM_INLINE void tma_load_2d_multicast(uint32_t to, const CUtensorMap *map, uint32_t barrier,
                                          int c0, int c1, uint16_t blocks)
{
    const int at[] = {c0, c1};
    cudasim::tma_load(to, map, barrier, at, blocks);
}
CUDASIM_INLINE void tma_store_2d(const CUtensorMap *map, uint32_t from, int c0, int c1)
{
    const int at[] = {c0, c1};
    cudasim::tma_store(map, from, at);
}
CUDASIM_INLINE void bulk_commit()
{
    cudasim::bulk_commit();
}
template <int LEFT> CUDASIM_INLINE void bulk_wait_read()
{
    cudasim::bulk_wait(LEFT);
}
CUDASIM_INLINE void fence_proxy_async()
{
    cudasim::fence_proxy_async();
}

/* ---- matrices -------------------------------------------------------------------------------- */

CUDASIM_INLINE void ldmatrix_x4(uint32_t (&out)[4], uint32_t row)
{
    cudasim::ldmatrix(out, row, 4, false);
}
CUDASIM_INLINE void ldmatrix_x4_transposed(uint32_t (&out)[4], uint32_t row)
{
    cudasim::ldmatrix(out, row, 4, true);
}
CUDASIM_INLINE void stmatrix_x4(uint32_t row, const uint32_t (&in)[4])
{
    cudasim::stmatrix(row, in, 4, false);
}
CUDASIM_INLINE void mma_bf16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
{
    const uint32_t b[] = {b0, b1};
    cudasim::mma(d, a, b, d, cudasim::BF16);
}
CUDASIM_INLINE void mma_e4m3(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
{
    const uint32_t b[] = {b0, b1};
    cudasim::mma(d, a, b, d, cudasim::E4M3);
}
CUDASIM_INLINE void wgmma_fence()
{
    cudasim::wgmma_fence();
}
CUDASIM_INLINE void wgmma_commit()
{
    cudasim::wgmma_commit();
}
template <int LEFT> CUDASIM_INLINE void wgmma_wait()
{
    cudasim::wgmma_wait(LEFT);
}
CUDASIM_INLINE cudasim::Wgmma cudasim_k_major(cudasim::Number number, int n, uint64_t a, uint64_t b,
                                              bool accumulate)
{
    return {number, n, accumulate, false, false, nullptr, a, b, false};
}
CUDASIM_INLINE void wgmma_n64_bf16(float (&d)[32], uint64_t a, uint64_t b, bool accumulate)
{
    cudasim::wgmma(d, cudasim_k_major(cudasim::BF16, 64, a, b, accumulate));
}
CUDASIM_INLINE void wgmma_n128_bf16(float (&d)[64], uint64_t a, uint64_t b, bool accumulate)
{
    cudasim::wgmma(d, cudasim_k_major(cudasim::BF16, 128, a, b, accumulate));
}
CUDASIM_INLINE void wgmma_n256_bf16(float (&d)[128], uint64_t a, uint64_t b, bool accumulate)
{
    cudasim::wgmma(d, cudasim_k_major(cudasim::BF16, 256, a, b, accumulate));
}
CUDASIM_INLINE void wgmma_n64_e4m3(float (&d)[32], uint64_t a, uint64_t b, bool accumulate)
{
    cudasim::wgmma(d, cudasim_k_major(cudasim::E4M3, 64, a, b, accumulate));
}
template <int REGISTERS> CUDASIM_INLINE void registers_increase()
{
}
template <int REGISTERS> CUDASIM_INLINE void registers_decrease()
{
}
CUDASIM_INLINE float exp2_approximate(float x)
{
    return exp2f(x);
}
CUDASIM_INLINE float divide_approximate(float x, float y)
{
    return x / y;
}

/* ---- barriers and order ---------------------------------------------------------------------- */

CUDASIM_INLINE void named_barrier_sync(int id, int threads)
{
    cudasim::barrier_sync(static_cast<unsigned>(id), static_cast<unsigned>(threads));
}
CUDASIM_INLINE void named_barrier_arrive(int id, int threads)
{
    cudasim::barrier_arrive(static_cast<unsigned>(id), static_cast<unsigned>(threads));
}
CUDASIM_INLINE unsigned load_acquire(const unsigned *address)
{
    return cudasim::load_acquire(address);
}
CUDASIM_INLINE void store_release(unsigned *address, unsigned value)
{
    cudasim::store_release(address, value);
}
CUDASIM_INLINE unsigned add_release(unsigned *address, unsigned value)
{
    return cudasim::add_release(address, value);
}
CUDASIM_INLINE void mbarrier_init(uint32_t barrier, unsigned arrivals)
{
    cudasim::mbarrier_init(barrier, arrivals);
}
CUDASIM_INLINE void mbarrier_init_fence()
{
}
CUDASIM_INLINE void mbarrier_arrive(uint32_t barrier)
{
    cudasim::mbarrier_arrive(barrier, 1);
}
CUDASIM_INLINE void mbarrier_arrive_cluster(uint32_t barrier)
{
    cudasim::mbarrier_arrive(barrier, 1);
}
CUDASIM_INLINE void mbarrier_arrive_cluster_read(uint32_t barrier)
{
    cudasim::mbarrier_arrive(barrier, 1);
}
CUDASIM_INLINE void mbarrier_arrive_expect(uint32_t barrier, unsigned bytes)
{
    cudasim::mbarrier_expect(barrier, bytes);
    cudasim::mbarrier_arrive(barrier, 1);
}
CUDASIM_INLINE void mbarrier_wait(uint32_t barrier, unsigned parity)
{
    cudasim::mbarrier_wait(barrier, parity);
}
CUDASIM_INLINE void mbarrier_wait_cluster(uint32_t barrier, unsigned parity)
{
    cudasim::mbarrier_wait(barrier, parity);
}

/* ---- clusters and grids ---------------------------------------------------------------------- */

CUDASIM_INLINE unsigned cluster_rank()
{
    return cudasim::here->cluster_rank;
}
CUDASIM_INLINE void cluster_arrive()
{
    cudasim::cluster_arrive();
}
CUDASIM_INLINE void cluster_wait()
{
    cudasim::cluster_wait();
}
CUDASIM_INLINE uint32_t map_shared(uint32_t shared, unsigned rank)
{
    return cudasim::map_shared(shared, rank);
}
CUDASIM_INLINE float load_cluster(uint32_t mapped)
{
    return *static_cast<const float *>(cudasim::shared_access(mapped, 4, false));
}
CUDASIM_INLINE void store_cluster(uint32_t mapped, float value)
{
    *static_cast<float *>(cudasim::shared_access(mapped, 4, true)) = value;
}
CUDASIM_INLINE void grid_dependency_wait()
{
    cudasim::grid_dependency_wait();
}
CUDASIM_INLINE void grid_dependency_launch()
{
}

#endif
