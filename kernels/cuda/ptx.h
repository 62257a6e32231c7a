/* ptx.h - every PTX instruction that a kernel here uses beyond CUDA C++, one small function each.
 * Kernels contain no asm of their own. Compiled by g++, the same functions are calls of the host
 * simulator (ptx_model.h, in tests/cudasim).
 *
 * A `shared` address is 32 bits wide: the shared window's. A fragment is what one lane holds of a
 * matrix that its warp holds together; the layouts are those of the PTX manual, and stand with
 * their formulas in tests/cudasim/sim/mma.cc and wgmma.cc.
 *
 * Sections need sm_80, sm_89, sm_90 (and later), and sm_90a alone. A kernel that uses the last two
 * is compiled for what lacks them too: it wraps its body in `#if PTX_SM90` or `#if PTX_SM90A`.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CUDA_PTX_H
#define IE_CUDA_PTX_H

#include <cuda.h>
#include <cuda_runtime.h>

#include <stdint.h>

#define PTX_INLINE __device__ __forceinline__

#ifndef __CUDACC__
#define PTX_SM90  1
#define PTX_SM90A 1
#include "ptx_model.h"
#else

/* The host's pass over a file sees everything. */
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 900
#define PTX_SM90 1
#else
#define PTX_SM90 0
#endif
#if !defined(__CUDA_ARCH__) || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define PTX_SM90A 1
#else
#define PTX_SM90A 0
#endif

/* The block's dynamic shared memory, its only kind here: aligned to the longest swizzle. */
PTX_INLINE unsigned char *dynamic_shared()
{
    extern __shared__ __align__(1024) unsigned char ie_dynamic_shared[];
    return ie_dynamic_shared;
}

PTX_INLINE uint32_t shared_address(const void *pointer)
{
    return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
}

/* ---- sm_80: asynchronous copies -------------------------------------------------------------- */

/* 16 bytes from global to shared memory past L1; zeros instead, and no read, unless `valid`. */
PTX_INLINE void cp_async_16(uint32_t to, const void *from, bool valid)
{
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(from),
                 "r"(valid ? 16 : 0)
                 : "memory");
}

PTX_INLINE void cp_async_commit()
{
    asm volatile("cp.async.commit_group;" ::: "memory");
}

/* Until at most `LEFT` of the thread's groups are under way. */
template <int LEFT> PTX_INLINE void cp_async_wait()
{
    asm volatile("cp.async.wait_group %0;" ::"n"(LEFT) : "memory");
}

/* ---- sm_80: matrices ------------------------------------------------------------------------- */

/* Four 8x8 matrices of 16-bit elements; lane 8 i + r gives the address of row r of matrix i. */
PTX_INLINE void ldmatrix_x4(uint32_t (&out)[4], uint32_t row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(row)
                 : "memory");
}

PTX_INLINE void ldmatrix_x4_transposed(uint32_t (&out)[4], uint32_t row)
{
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(row)
                 : "memory");
}

/* d [16, 8] += a [16, 16] b [16, 8], f32 sums of bf16 products */
PTX_INLINE void mma_bf16(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
{
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
                 "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 890
/* sm_89: d [16, 8] += a [16, 32] b [32, 8], f32 sums of e4m3 products */
PTX_INLINE void mma_e4m3(float (&d)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1)
{
    asm volatile("mma.sync.aligned.m16n8k32.row.col.f32.e4m3.e4m3.f32 "
                 "{%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
#endif

PTX_INLINE float exp2_approximate(float x)
{
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

/* Within two units of the last place for divisors up to 2^126; zero for those up to 2^128. */
PTX_INLINE float divide_approximate(float x, float y)
{
    float quotient;
    asm("div.approx.ftz.f32 %0, %1, %2;" : "=f"(quotient) : "f"(x), "f"(y));
    return quotient;
}

/* ---- sm_80: barriers of some of a block's warps, and between blocks ------------------------- */

/* Barrier `id` (1 to 15) of `threads` threads, a multiple of 32; those that arrive do not wait. */
PTX_INLINE void named_barrier_sync(int id, int threads)
{
    asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

PTX_INLINE void named_barrier_arrive(int id, int threads)
{
    asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(threads) : "memory");
}

/* Order between blocks: what a thread did before a release is seen after the acquire that reads
 * it. Loops that wait for another block load with this. */
PTX_INLINE unsigned load_acquire(const unsigned *address)
{
    unsigned value;
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(address) : "memory");
    return value;
}

PTX_INLINE void store_release(unsigned *address, unsigned value)
{
    asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(address), "r"(value) : "memory");
}

/* Acquires and releases; returns what was there. */
PTX_INLINE unsigned add_release(unsigned *address, unsigned value)
{
    unsigned old;
    asm volatile("atom.acq_rel.gpu.global.add.u32 %0, [%1], %2;"
                 : "=r"(old)
                 : "l"(address), "r"(value)
                 : "memory");
    return old;
}

/* ---- sm_90: grids that overlap; nothing before it -------------------------------------------- */

/* Until the grids before this one have ended, and what they wrote is there. */
PTX_INLINE void grid_dependency_wait()
{
#if PTX_SM90
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

/* Once all blocks have said so, or ended, those of the next grid may begin. */
PTX_INLINE void grid_dependency_launch()
{
#if PTX_SM90
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

#if PTX_SM90
/* ---- sm_90: mbarriers ------------------------------------------------------------------------ */

PTX_INLINE void mbarrier_init(uint32_t barrier, unsigned arrivals)
{
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals)
                 : "memory");
}

/* After the initialisations and before a barrier, for the copies and the cluster to see them. */
PTX_INLINE void mbarrier_init_fence()
{
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
}

PTX_INLINE void mbarrier_arrive(uint32_t barrier)
{
    asm volatile("{ .reg .b64 t; mbarrier.arrive.shared::cta.b64 t, [%0]; }" ::"r"(barrier)
                 : "memory");
}

/* On the barrier of any block of the cluster; an address from map_shared. */
PTX_INLINE void mbarrier_arrive_cluster(uint32_t barrier)
{
    asm volatile("mbarrier.arrive.release.cluster.shared::cluster.b64 _, [%0];" ::"r"(barrier)
                 : "memory");
}

/* The same of a thread that has only read what the barrier guards: no write of its is ordered for
 * the other block, which saves a fence of the whole device. */
PTX_INLINE void mbarrier_arrive_cluster_read(uint32_t barrier)
{
    asm volatile("mbarrier.arrive.shared::cluster.b64 _, [%0];" ::"r"(barrier) : "memory");
}

/* One arrival, and `bytes` more that this phase waits for. */
PTX_INLINE void mbarrier_arrive_expect(uint32_t barrier, unsigned bytes)
{
    asm volatile(
        "{ .reg .b64 t; mbarrier.arrive.expect_tx.shared::cta.b64 t, [%0], %1; }" ::"r"(barrier),
        "r"(bytes)
        : "memory");
}

/* Until the phase of that parity is over; phases begin with parity 0. */
PTX_INLINE void mbarrier_wait(uint32_t barrier, unsigned parity)
{
    asm volatile("{\n .reg .pred p;\n"
                 "AGAIN:\n mbarrier.try_wait.parity.acquire.cta.shared::cta.b64 p, [%0], %1;\n"
                 "@p bra DONE;\n bra AGAIN;\n DONE:\n }" ::"r"(barrier),
                 "r"(parity)
                 : "memory");
}

/* The same, seeing what other blocks of the cluster did before their arrivals. */
PTX_INLINE void mbarrier_wait_cluster(uint32_t barrier, unsigned parity)
{
    asm volatile("{\n .reg .pred p;\n"
                 "AGAIN:\n mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%0], %1;\n"
                 "@p bra DONE;\n bra AGAIN;\n DONE:\n }" ::"r"(barrier),
                 "r"(parity)
                 : "memory");
}

/* ---- sm_90: tensor copies -------------------------------------------------------------------- */

/* The box at those coordinates, innermost first; zeros outside the tensor. `barrier` counts its
 * bytes. */
PTX_INLINE void tma_load_2d(uint32_t to, const CUtensorMap *map, uint32_t barrier, int c0, int c1)
{
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
                 "[%0], [%1, {%3,%4}], [%2];" ::"r"(to),
                 "l"(map), "r"(barrier), "r"(c0), "r"(c1)
                 : "memory");
}

PTX_INLINE void tma_load_3d(uint32_t to, const CUtensorMap *map, uint32_t barrier, int c0, int c1,
                            int c2)
{
    asm volatile("cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
                 "[%0], [%1, {%3,%4,%5}], [%2];" ::"r"(to),
                 "l"(map), "r"(barrier), "r"(c0), "r"(c1), "r"(c2)
                 : "memory");
}

/* `at` is unrolled into registers. */
PTX_INLINE void tma_load_4d(uint32_t to, const CUtensorMap *map, uint32_t barrier,
                            const int (&at)[4])
{
    asm volatile("cp.async.bulk.tensor.4d.shared::cluster.global.tile.mbarrier::complete_tx::bytes "
                 "[%0], [%1, {%3,%4,%5,%6}], [%2];" ::"r"(to),
                 "l"(map), "r"(barrier), "r"(at[0]), "r"(at[1]), "r"(at[2]), "r"(at[3])
                 : "memory");
}

/* Into every block of the cluster whose bit is set in `blocks`, at the same address there, and
 * counted by the barrier at the same address there. */
PTX_INLINE void tma_load_2d_multicast(uint32_t to, const CUtensorMap *map, uint32_t barrier, int c0,
                                      int c1, uint16_t blocks)
{
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
                 ".multicast::cluster [%0], [%1, {%3,%4}], [%2], %5;" ::"r"(to),
                 "l"(map), "r"(barrier), "r"(c0), "r"(c1), "h"(blocks)
                 : "memory");
}

PTX_INLINE void tma_store_2d(const CUtensorMap *map, uint32_t from, int c0, int c1)
{
    asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.tile.bulk_group "
                 "[%0, {%2,%3}], [%1];" ::"l"(map),
                 "r"(from), "r"(c0), "r"(c1)
                 : "memory");
}

PTX_INLINE void bulk_commit()
{
    asm volatile("cp.async.bulk.commit_group;" ::: "memory");
}

/* Until the sources of all but `LEFT` groups of stores may be overwritten. */
template <int LEFT> PTX_INLINE void bulk_wait_read()
{
    asm volatile("cp.async.bulk.wait_group.read %0;" ::"n"(LEFT) : "memory");
}

/* Between ordinary writes to shared memory and tensor stores or wgmma that read them. */
PTX_INLINE void fence_proxy_async()
{
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
}

/* ---- sm_90: clusters ------------------------------------------------------------------------- */

PTX_INLINE unsigned cluster_rank()
{
    unsigned rank;
    asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return rank;
}

PTX_INLINE void cluster_arrive()
{
    asm volatile("barrier.cluster.arrive.release.aligned;" ::: "memory");
}

PTX_INLINE void cluster_wait()
{
    asm volatile("barrier.cluster.wait.acquire.aligned;" ::: "memory");
}

/* The same place in the shared memory of the block of that rank. */
PTX_INLINE uint32_t map_shared(uint32_t shared, unsigned rank)
{
    uint32_t mapped;
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(mapped) : "r"(shared), "r"(rank));
    return mapped;
}

PTX_INLINE float load_cluster(uint32_t mapped)
{
    float value;
    asm volatile("ld.shared::cluster.f32 %0, [%1];" : "=f"(value) : "r"(mapped) : "memory");
    return value;
}

PTX_INLINE void store_cluster(uint32_t mapped, float value)
{
    asm volatile("st.shared::cluster.f32 [%0], %1;" ::"r"(mapped), "f"(value) : "memory");
}

/* ---- sm_90: matrices ------------------------------------------------------------------------- */

/* The reverse of ldmatrix_x4. */
PTX_INLINE void stmatrix_x4(uint32_t row, const uint32_t (&in)[4])
{
    asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1,%2,%3,%4};" ::"r"(row),
                 "r"(in[0]), "r"(in[1]), "r"(in[2]), "r"(in[3])
                 : "memory");
}
#endif /* PTX_SM90 */

#if PTX_SM90A
/* ---- sm_90a: wgmma --------------------------------------------------------------------------- */

/* Before the first wgmma, and between ordinary uses of its registers and the next one. */
PTX_INLINE void wgmma_fence()
{
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
}

PTX_INLINE void wgmma_commit()
{
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
}

template <int LEFT> PTX_INLINE void wgmma_wait()
{
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(LEFT) : "memory");
}

/* Registers per thread of the calling warpgroup from here on. */
template <int REGISTERS> PTX_INLINE void registers_increase()
{
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(REGISTERS));
}

template <int REGISTERS> PTX_INLINE void registers_decrease()
{
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(REGISTERS));
}

/* clang-format off */
#define PTX_TEN(t) "%" #t "0,%" #t "1,%" #t "2,%" #t "3,%" #t "4,"                                 \
                   "%" #t "5,%" #t "6,%" #t "7,%" #t "8,%" #t "9,"
#define PTX_D8(i) "+f"(d[i]), "+f"(d[i + 1]), "+f"(d[i + 2]), "+f"(d[i + 3]),                      \
                  "+f"(d[i + 4]), "+f"(d[i + 5]), "+f"(d[i + 6]), "+f"(d[i + 7])
#define PTX_D32(i) PTX_D8(i), PTX_D8(i + 8), PTX_D8(i + 16), PTX_D8(i + 24)
/* clang-format on */

/* d [64, 64] = a [64, 16] b [16, 64] (+ d when `accumulate`), both bf16 in shared memory, K-major.
 * Register 4 j + i of a lane: row 16 (warp in the group) + lane / 4 + 8 (i / 2), column
 * 8 j + 2 (lane % 4) + i % 2. */
PTX_INLINE void wgmma_n64_bf16(float (&d)[32], uint64_t a, uint64_t b, bool accumulate)
{
    asm volatile("{ .reg .pred p; setp.ne.b32 p, %34, 0;\n"
                 "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {" PTX_TEN() PTX_TEN(1)
                     PTX_TEN(2) "%30,%31}, %32, %33, p, 1, 1, 0, 0; }"
                 : PTX_D32(0)
                 : "l"(a), "l"(b), "r"(static_cast<int>(accumulate)));
}

/* The same for 128 columns. */
PTX_INLINE void wgmma_n128_bf16(float (&d)[64], uint64_t a, uint64_t b, bool accumulate)
{
    asm volatile("{ .reg .pred p; setp.ne.b32 p, %66, 0;\n"
                 "wgmma.mma_async.sync.aligned.m64n128k16.f32.bf16.bf16 {" PTX_TEN() PTX_TEN(1)
                     PTX_TEN(2) PTX_TEN(3) PTX_TEN(4)
                         PTX_TEN(5) "%60,%61,%62,%63}, %64, %65, p, 1, 1, 0, 0; }"
                 : PTX_D32(0), PTX_D32(32)
                 : "l"(a), "l"(b), "r"(static_cast<int>(accumulate)));
}

/* The same for 256 columns. */
PTX_INLINE void wgmma_n256_bf16(float (&d)[128], uint64_t a, uint64_t b, bool accumulate)
{
    asm volatile(
        "{ .reg .pred p; setp.ne.b32 p, %130, 0;\n"
        "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16 {" PTX_TEN() PTX_TEN(1) PTX_TEN(2)
            PTX_TEN(3) PTX_TEN(4) PTX_TEN(5) PTX_TEN(6) PTX_TEN(7) PTX_TEN(8) PTX_TEN(9) PTX_TEN(10)
                PTX_TEN(11) "%120,%121,%122,%123,%124,%125,%126,%127}, %128, %129, p, 1, 1, 0, 0; }"
        : PTX_D32(0), PTX_D32(32), PTX_D32(64), PTX_D32(96)
        : "l"(a), "l"(b), "r"(static_cast<int>(accumulate)));
}

/* d [64, 64] = a [64, 32] b [32, 64] (+ d), both e4m3 in shared memory, K-major. */
PTX_INLINE void wgmma_n64_e4m3(float (&d)[32], uint64_t a, uint64_t b, bool accumulate)
{
    asm volatile("{ .reg .pred p; setp.ne.b32 p, %34, 0;\n"
                 "wgmma.mma_async.sync.aligned.m64n64k32.f32.e4m3.e4m3 {" PTX_TEN() PTX_TEN(1)
                     PTX_TEN(2) "%30,%31}, %32, %33, p, 1, 1; }"
                 : PTX_D32(0)
                 : "l"(a), "l"(b), "r"(static_cast<int>(accumulate)));
}
#undef PTX_TEN
#undef PTX_D8
#undef PTX_D32
#endif /* PTX_SM90A */
#endif /* __CUDACC__ */

/* The descriptor of a K-major operand in the 128-byte swizzle: rows of 128 bytes, groups of eight
 * rows 1024 bytes apart. `start` may lie 32, 64 or 96 bytes into a row. */
PTX_INLINE uint64_t wgmma_descriptor_128(uint32_t start)
{
    return static_cast<uint64_t>((start & 0x3ffff) >> 4) | 1ull << 16 |
           static_cast<uint64_t>(1024 >> 4) << 32 | 1ull << 62;
}

#endif
