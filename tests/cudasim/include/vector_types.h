/* vector_types.h - the toolkit's small vectors, as far as kernels here use them. Names, tags and
 * alignments are the toolkit's, so that a kernel has the same symbol from g++ and from nvcc.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CUDASIM_VECTOR_TYPES_H
#define CUDASIM_VECTOR_TYPES_H

#define CUDASIM_ALIGNED(bytes) __attribute__((aligned(bytes)))

struct uint3 {
    unsigned int x, y, z;
};
struct int2 {
    int x, y;
} CUDASIM_ALIGNED(8);
struct int4 {
    int x, y, z, w;
} CUDASIM_ALIGNED(16);
struct uint2 {
    unsigned int x, y;
} CUDASIM_ALIGNED(8);
struct uint4 {
    unsigned int x, y, z, w;
} CUDASIM_ALIGNED(16);
struct float2 {
    float x, y;
} CUDASIM_ALIGNED(8);
struct float4 {
    float x, y, z, w;
} CUDASIM_ALIGNED(16);

struct dim3 {
    unsigned int x, y, z;
#ifdef __cplusplus
    constexpr dim3(unsigned int a = 1, unsigned int b = 1, unsigned int c = 1) : x(a), y(b), z(c)
    {
    }
#endif
};

typedef struct uint3 uint3;
typedef struct int2 int2;
typedef struct int4 int4;
typedef struct uint2 uint2;
typedef struct uint4 uint4;
typedef struct float2 float2;
typedef struct float4 float4;
typedef struct dim3 dim3;

#endif
