/* cuda_runtime.h - stand-in for the toolkit's header: the language of kernels for g++. Keywords,
 * thread indices, barriers, warp functions, atomics and a few intrinsics, each a call of the
 * simulator (sim/model.h); and the launch. nvcc has all of it built in.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CUDASIM_CUDA_RUNTIME_H
#define CUDASIM_CUDA_RUNTIME_H

#include "cuda_runtime_api.h"
#include "model.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#define __global__
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
#define __launch_bounds__(...)
#define __cluster_dims__(...)
#define __forceinline__  inline __attribute__((always_inline))
#define __align__(bytes) __attribute__((aligned(bytes)))
/* One block's static array would be every block's: kernels use dynamic_shared() of ptx.h alone. */
#define __shared__ _Pragma("GCC error \"static shared memory: use dynamic_shared() of ptx.h\"")

/* Inlined even in a debug build, so that a report names the kernel's line and not this file's. */
#define CUDASIM_INLINE inline __attribute__((always_inline))

/* Of the thread that runs now: the simulator sets them at every switch. */
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
constexpr int warpSize = 32;

CUDASIM_INLINE void __syncthreads(int line = __builtin_LINE())
{
    cudasim::syncthreads(line);
}
CUDASIM_INLINE void __syncwarp(unsigned mask = 0xffffffffu)
{
    cudasim::syncwarp(mask);
}
CUDASIM_INLINE void __threadfence()
{
    cudasim::fence();
}
CUDASIM_INLINE void __threadfence_block()
{
    cudasim::fence();
}

/* ---- warp ------------------------------------------------------------------------------------ */

template <class T> CUDASIM_INLINE T cudasim_shuffle(unsigned mask, T value, int lane)
{
    static_assert(sizeof(T) == 4 || sizeof(T) == 8, "a shuffle moves 4 or 8 bytes");
    uint64_t bits = 0;
    std::memcpy(&bits, &value, sizeof value);
    bits = cudasim::shuffle(mask, bits, lane);
    std::memcpy(&value, &bits, sizeof value);
    return value;
}
template <class T> CUDASIM_INLINE T __shfl_sync(unsigned mask, T value, int source, int width = 32)
{
    const int first = cudasim::here->lane & ~(width - 1);
    return cudasim_shuffle(mask, value, first | (source & (width - 1)));
}
template <class T>
CUDASIM_INLINE T __shfl_xor_sync(unsigned mask, T value, int bits, int width = 32)
{
    const int lane = cudasim::here->lane, end = (lane & ~(width - 1)) + width;
    return cudasim_shuffle(mask, value, (lane ^ bits) < end ? lane ^ bits : lane);
}
template <class T>
CUDASIM_INLINE T __shfl_down_sync(unsigned mask, T value, unsigned by, int width = 32)
{
    const int lane = cudasim::here->lane, end = (lane & ~(width - 1)) + width;
    const int source = lane + static_cast<int>(by);
    return cudasim_shuffle(mask, value, source < end ? source : lane);
}
template <class T>
CUDASIM_INLINE T __shfl_up_sync(unsigned mask, T value, unsigned by, int width = 32)
{
    const int lane = cudasim::here->lane, first = lane & ~(width - 1);
    const int source = lane - static_cast<int>(by);
    return cudasim_shuffle(mask, value, source >= first ? source : lane);
}
CUDASIM_INLINE unsigned __ballot_sync(unsigned mask, int predicate)
{
    return cudasim::ballot(mask, predicate != 0);
}
CUDASIM_INLINE int __any_sync(unsigned mask, int predicate)
{
    return cudasim::ballot(mask, predicate != 0) != 0;
}
CUDASIM_INLINE int __all_sync(unsigned mask, int predicate)
{
    return cudasim::ballot(mask, predicate == 0) == 0;
}

/* ---- atomics: on shared and global memory, relaxed ------------------------------------------- */

#define CUDASIM_ATOMIC(name, T, operation)                          \
    CUDASIM_INLINE T name(T *address, T value)                      \
    {                                                               \
        return cudasim::atomic(address, value, cudasim::operation); \
    }
CUDASIM_ATOMIC(atomicAdd, int, ADD)
CUDASIM_ATOMIC(atomicAdd, unsigned, ADD)
CUDASIM_ATOMIC(atomicAdd, unsigned long long, ADD)
CUDASIM_ATOMIC(atomicAdd, float, ADD)
CUDASIM_ATOMIC(atomicMax, int, MAX)
CUDASIM_ATOMIC(atomicMax, unsigned, MAX)
CUDASIM_ATOMIC(atomicMin, int, MIN)
CUDASIM_ATOMIC(atomicMin, unsigned, MIN)
CUDASIM_ATOMIC(atomicExch, int, EXCHANGE)
CUDASIM_ATOMIC(atomicExch, unsigned, EXCHANGE)
CUDASIM_ATOMIC(atomicOr, unsigned, OR)
CUDASIM_ATOMIC(atomicAnd, unsigned, AND)
#undef CUDASIM_ATOMIC

CUDASIM_INLINE unsigned atomicCAS(unsigned *address, unsigned expected, unsigned value)
{
    return cudasim::compare_and_swap(address, expected, value);
}
CUDASIM_INLINE int atomicCAS(int *address, int expected, int value)
{
    return static_cast<int>(cudasim::compare_and_swap(reinterpret_cast<unsigned *>(address),
                                                      static_cast<unsigned>(expected),
                                                      static_cast<unsigned>(value)));
}

/* ---- intrinsics ------------------------------------------------------------------------------ */

using std::max;
using std::min;

template <class T> CUDASIM_INLINE T __ldg(const T *address)
{
    return *address;
}
CUDASIM_INLINE float __expf(float x)
{
    return expf(x);
}
CUDASIM_INLINE float __logf(float x)
{
    return logf(x);
}
CUDASIM_INLINE float __fdividef(float x, float y)
{
    return x / y;
}
CUDASIM_INLINE float __frcp_rn(float x)
{
    return 1.0f / x;
}
CUDASIM_INLINE float rsqrtf(float x)
{
    return 1.0f / sqrtf(x);
}
CUDASIM_INLINE void sincospi(double x, double *sine, double *cosine)
{
    *sine = sin(M_PI * x);
    *cosine = cos(M_PI * x);
}
CUDASIM_INLINE unsigned __float_as_uint(float value)
{
    unsigned bits;
    std::memcpy(&bits, &value, 4);
    return bits;
}
CUDASIM_INLINE float __uint_as_float(unsigned bits)
{
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
}
CUDASIM_INLINE int __popc(unsigned bits)
{
    return __builtin_popcount(bits);
}
CUDASIM_INLINE int __clz(int bits)
{
    return bits ? __builtin_clz(static_cast<unsigned>(bits)) : 32;
}
CUDASIM_INLINE int __ffs(int bits)
{
    return __builtin_ffs(bits);
}
CUDASIM_INLINE unsigned __umulhi(unsigned a, unsigned b)
{
    return static_cast<unsigned>(static_cast<uint64_t>(a) * b >> 32);
}
CUDASIM_INLINE unsigned __brev(unsigned bits)
{
    unsigned result = 0;
    for (unsigned i = 0; i < 32; i++) result |= (bits >> i & 1) << (31 - i);
    return result;
}
/* Byte i of the result is the byte of {b, a} that the selector's nibble i names. */
CUDASIM_INLINE unsigned __byte_perm(unsigned a, unsigned b, unsigned selector)
{
    const uint64_t bytes = static_cast<uint64_t>(b) << 32 | a;
    unsigned result = 0;
    for (unsigned i = 0; i < 4; i++) {
        result |= static_cast<unsigned>(bytes >> 8 * (selector >> 4 * i & 7) & 255) << 8 * i;
    }
    return result;
}
CUDASIM_INLINE unsigned __funnelshift_l(unsigned low, unsigned high, unsigned by)
{
    const uint64_t pair = static_cast<uint64_t>(high) << 32 | low;
    return static_cast<unsigned>(pair << (by & 31) >> 32);
}
CUDASIM_INLINE unsigned __funnelshift_r(unsigned low, unsigned high, unsigned by)
{
    const uint64_t pair = static_cast<uint64_t>(high) << 32 | low;
    return static_cast<unsigned>(pair >> (by & 31));
}
CUDASIM_INLINE int __float2int_rn(float value)
{
    return static_cast<int>(std::nearbyint(value));
}
CUDASIM_INLINE void __nanosleep(unsigned)
{
    cudasim::yield();
}

/* ---- launch ---------------------------------------------------------------------------------- */

template <class... Parameters, class... Arguments>
cudaError_t cudaLaunchKernelEx(const cudaLaunchConfig_t *config, void (*kernel)(Parameters...),
                               Arguments &&...arguments)
{
    return cudasim::launch<Parameters...>(config, kernel, std::forward<Arguments>(arguments)...);
}

template <class T>
cudaError_t cudaFuncSetAttribute(T *function, cudaFuncAttribute attribute, int value)
{
    return cudaFuncSetAttribute(reinterpret_cast<const void *>(function), attribute, value);
}

#endif
