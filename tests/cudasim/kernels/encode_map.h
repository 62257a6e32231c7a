/* encode_map.h - tensor maps of bf16 and 8-bit matrices in the 128-byte swizzle, for tests.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CUDASIM_ENCODE_MAP_H
#define CUDASIM_ENCODE_MAP_H

#include <cuda.h>
#include <cuda_runtime.h>

#include <cstdint>

struct TensorShape {
    int rank;
    cuuint64_t length[4];
    cuuint32_t box[4], step[4];
};

/* The driver's function; its library is not linked, the runtime knows where it is. */
inline decltype(&cuTensorMapEncodeTiled) encode_function()
{
#ifdef __CUDACC__
    void *function = nullptr;
    cudaDriverEntryPointQueryResult found;
    cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function, 12000, cudaEnableDefault,
                                     &found);
    return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(function);
#else
    return cuTensorMapEncodeTiled;
#endif
}

/* Dense, innermost dimension first. */
inline CUresult make_tensor_map(CUtensorMap *map, const void *base, const TensorShape &shape,
                                CUtensorMapDataType type, int element_bytes)
{
    cuuint64_t strides[4] = {};
    cuuint64_t stride = static_cast<cuuint64_t>(element_bytes);
    for (int i = 0; i + 1 < shape.rank; i++) strides[i] = stride *= shape.length[i];
    return encode_function()(map, type, static_cast<cuuint32_t>(shape.rank),
                             const_cast<void *>(base), shape.length, strides, shape.box, shape.step,
                             CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                             CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
}

#endif
