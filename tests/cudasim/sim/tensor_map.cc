/* tensor_map.cc - cuTensorMapEncodeTiled, with the limits that the driver documents.
 * SPDX-License-Identifier: Apache-2.0 */
#include "tensor_map.h"
#include "cuda.h"
#include "report.h"
#include "stream.h"

#include <cstdio>
#include <cstring>

namespace cudasim
{
static constexpr uint64_t MAGIC = 0x636173696d544d41;
static_assert(sizeof(TensorMap) <= sizeof(CUtensorMap), "a tensor map has 128 bytes");

TensorMap tensor_map(const void *map)
{
    TensorMap result;
    std::memcpy(&result, map, sizeof result);
    if (result.magic != MAGIC) fail("a tensor copy through something that is no tensor map");
    return result;
}

uint32_t box_bytes(const TensorMap &map)
{
    uint32_t bytes = map.element;
    for (unsigned i = 0; i < map.rank; i++) bytes *= map.box[i];
    return bytes;
}

static unsigned element_bytes(CUtensorMapDataType type)
{
    switch (type) {
    case CU_TENSOR_MAP_DATA_TYPE_UINT8: return 1;
    case CU_TENSOR_MAP_DATA_TYPE_BFLOAT16: return 2;
    case CU_TENSOR_MAP_DATA_TYPE_FLOAT32: return 4;
    }
    return 0;
}

namespace
{
struct Request {
    unsigned element, rank;
    const void *address;
    const cuuint64_t *lengths, *strides;
    const cuuint32_t *box, *steps;
    unsigned swizzle;
};
} /* namespace */

static const char *problem_of_dimension(const Request &r, unsigned i)
{
    if (r.lengths[i] == 0 || r.lengths[i] > uint64_t{1} << 32) return "a length is 1 to 2^32";
    if (r.box[i] == 0 || r.box[i] > 256) return "a side of the box is 1 to 256";
    if (r.steps[i] == 0 || r.steps[i] > 8) return "an element stride is 1 to 8";
    if (i == 0) return nullptr;
    if (r.strides[i - 1] % 16) return "a stride is a multiple of 16 bytes";
    if (r.strides[i - 1] >= uint64_t{1} << 40) return "a stride is below 2^40 bytes";
    return nullptr;
}

static const char *problem_of(const Request &r)
{
    if (r.element == 0) return "this type of element is not modelled";
    if (r.rank == 0 || r.rank > TENSOR_RANK) return "the rank is 1 to 5";
    if (reinterpret_cast<uintptr_t>(r.address) % 16) return "the address is aligned to 16 bytes";
    if (r.swizzle > 3) return "the swizzle is none, 32, 64 or 128 bytes";
    for (unsigned i = 0; i < r.rank; i++) {
        if (const char *problem = problem_of_dimension(r, i)) return problem;
    }
    const unsigned inner = r.box[0] * r.element;
    if (inner % 16) return "the inner side of the box is a multiple of 16 bytes";
    if (r.swizzle && inner > 16u << r.swizzle) return "the inner side is within the swizzle span";
    return nullptr;
}
} /* namespace cudasim */

CUresult cuTensorMapEncodeTiled(CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank,
                                void *address, const cuuint64_t *lengths, const cuuint64_t *strides,
                                const cuuint32_t *box, const cuuint32_t *element_strides,
                                CUtensorMapInterleave, CUtensorMapSwizzle swizzle,
                                CUtensorMapL2promotion, CUtensorMapFloatOOBfill)
{
    using namespace cudasim;
    if (const cudaError_t error = device_state()) return static_cast<CUresult>(error);
    const Request r = {
        element_bytes(type),           rank, address, lengths, strides, box, element_strides,
        static_cast<unsigned>(swizzle)};
    if (const char *problem = problem_of(r)) {
        std::fprintf(stderr, "cudasim: tensor map refused: %s\n", problem);
        return CUDA_ERROR_INVALID_VALUE;
    }
    TensorMap t = {};
    t.magic = MAGIC;
    t.base = static_cast<unsigned char *>(address);
    t.rank = static_cast<uint8_t>(rank);
    t.element = static_cast<uint8_t>(r.element);
    t.swizzle = static_cast<uint8_t>(swizzle);
    for (unsigned i = 0; i < rank; i++) {
        /* The driver ignores the step of the innermost dimension. */
        const unsigned step = i ? element_strides[i] : 1;
        t.step[i] = static_cast<uint8_t>(step);
        t.length[i] = static_cast<uint32_t>(lengths[i]);
        t.stride[i] = i ? strides[i - 1] : r.element;
        t.box[i] = static_cast<uint16_t>((box[i] + step - 1) / step);
    }
    std::memset(map, 0, sizeof *map);
    std::memcpy(map, &t, sizeof t);
    return CUDA_SUCCESS;
}
