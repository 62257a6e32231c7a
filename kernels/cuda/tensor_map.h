/* tensor_map.h - tensor maps of bf16 tensors for the copies of sm_90: dense, in the 128-byte
 * swizzle, zero outside. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CUDA_TENSOR_MAP_H
#define IE_CUDA_TENSOR_MAP_H

#include <cuda.h>
#include <cuda_runtime.h>

enum { TENSOR_MAP_RANK = 4 };

/* Innermost dimension first. A box is counted in elements of the tensor: with a step of 2 a box of
 * 32 copies 16. */
struct tensor_map_shape {
    int rank;
    cuuint64_t length[TENSOR_MAP_RANK];
    cuuint32_t box[TENSOR_MAP_RANK], step[TENSOR_MAP_RANK];
};

typedef decltype(&cuTensorMapEncodeTiled) tensor_map_encoder;

/* The driver's function, or a cudaError. Its library is not linked: the runtime knows where it
 * is. */
static inline int tensor_map_find(tensor_map_encoder *encode)
{
#ifdef __CUDACC__
    void *function = nullptr;
    cudaDriverEntryPointQueryResult found;
    const cudaError_t code = cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &function,
                                                              12000, cudaEnableDefault, &found);
    *encode = reinterpret_cast<tensor_map_encoder>(function);
    if (code != cudaSuccess) return code;
    return function ? cudaSuccess : cudaErrorSymbolNotFound; /* a driver that is too old */
#else
    *encode = cuTensorMapEncodeTiled;
    return cudaSuccess;
#endif
}

/* A cudaError: the driver's codes are the runtime's, number by number. `base` is aligned to 16
 * bytes, and so is every stride. */
static inline int tensor_map_make(CUtensorMap *map, const void *base, const tensor_map_shape &shape)
{
    tensor_map_encoder encode = nullptr;
    const int missing = tensor_map_find(&encode);
    if (missing) return missing;
    cuuint64_t strides[TENSOR_MAP_RANK] = {};
    cuuint64_t stride = 2;
    for (int i = 0; i + 1 < shape.rank; i++) strides[i] = stride *= shape.length[i];
    const CUresult made =
        encode(map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, static_cast<cuuint32_t>(shape.rank),
               const_cast<void *>(base), shape.length, strides, shape.box, shape.step,
               CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
               CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    return static_cast<int>(made);
}

#endif
