/* tensor_map.h - what is inside a CUtensorMap here.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef CUDASIM_TENSOR_MAP_H
#define CUDASIM_TENSOR_MAP_H

#include <cstdint>

namespace cudasim
{
constexpr unsigned TENSOR_RANK = 5;

struct TensorMap {
    uint64_t magic;
    unsigned char *base;
    uint64_t stride[TENSOR_RANK]; /* bytes */
    uint32_t length[TENSOR_RANK];
    uint16_t box[TENSOR_RANK];      /* elements that are copied, after the element strides */
    uint8_t step[TENSOR_RANK];      /* element strides */
    uint8_t rank, element, swizzle; /* element: bytes */
};

TensorMap tensor_map(const void *map); /* of a CUtensorMap; fails when it is none */
uint32_t box_bytes(const TensorMap &map);
} /* namespace cudasim */

#endif
