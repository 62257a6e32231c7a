/* cudasim_layouts.cu - fragments, swizzles and descriptors against the formulas of the PTX manual,
 * written here in the manual's own terms (element i of the vector that a lane holds, groupID,
 * threadID_in_group), or as nested shapes and strides in units of 16 bytes, the way in which
 * CuTe publishes the canonical layouts. Operands are small integers, so that sums are exact.
 * SPDX-License-Identifier: Apache-2.0 */
#include "ptx.h"
#include "support.h"

#include <cuda_bf16.h>

#include <algorithm>

static cudaLaunchConfig_t one_block(unsigned threads, size_t shared_bytes)
{
    cudaLaunchConfig_t config = {};
    config.gridDim = dim3(1);
    config.blockDim = dim3(threads);
    config.dynamicSmemBytes = shared_bytes;
    return config;
}

/* Distinct enough that a wrong place shows, small enough to be exact. */
static float entry(int row, int column)
{
    return static_cast<float>((row * 7 + column * 3 + row * column) % 13 - 6);
}

static uint16_t bits_of(float value)
{
    const __nv_bfloat16 rounded = __float2bfloat16(value);
    uint16_t bits;
    std::memcpy(&bits, &rounded, 2);
    return bits;
}

/* e4m3 of a small integer: search the format's definition. */
static uint8_t e4m3_bits(float value)
{
    for (int bits = 0; bits < 256; bits++) {
        if ((bits & 0x7f) != 0x7f && e4m3_value(static_cast<uint8_t>(bits)) == value) {
            return static_cast<uint8_t>(bits);
        }
    }
    return 0x7f;
}

static float a_times_b(int row, int column, int k_end)
{
    float sum = 0;
    for (int k = 0; k < k_end; k++) sum += entry(row, k) * entry(100 + column, k);
    return sum;
}

/* ---- mma.sync -------------------------------------------------------------------------------- */

/* "row = groupID for 0 <= i < 2 || 4 <= i < 6, else groupID + 8; col = threadID_in_group * 2 +
 * (i & 1), + 8 for i >= 4" */
static void place_a16(int lane, int i, int &row, int &column)
{
    const bool upper = (i >= 0 && i < 2) || (i >= 4 && i < 6);
    row = upper ? lane >> 2 : (lane >> 2) + 8;
    column = lane % 4 * 2 + (i & 1) + (i >= 4 ? 8 : 0);
}

/* "row = threadID_in_group * 2 + (i & 1), + 8 for i >= 2; col = groupID" */
static void place_b16(int lane, int i, int &row, int &column)
{
    row = lane % 4 * 2 + (i & 1) + (i >= 2 ? 8 : 0);
    column = lane >> 2;
}

/* 8-bit: "row = groupID for 0 <= i < 4 || 8 <= i < 12, else groupID + 8; col = threadID_in_group *
 * 4 + (i & 3), + 16 for i >= 8" */
static void place_a8(int lane, int i, int &row, int &column)
{
    const bool upper = (i >= 0 && i < 4) || (i >= 8 && i < 12);
    row = upper ? lane >> 2 : (lane >> 2) + 8;
    column = lane % 4 * 4 + (i & 3) + (i >= 8 ? 16 : 0);
}

/* "row = threadID_in_group * 4 + (i & 3), + 16 for i >= 4; col = groupID" */
static void place_b8(int lane, int i, int &row, int &column)
{
    row = lane % 4 * 4 + (i & 3) + (i >= 4 ? 16 : 0);
    column = lane >> 2;
}

/* "row = groupID for i < 2, groupID + 8 for i >= 2; col = threadID_in_group * 2 + (i & 1)" */
static void place_c(int lane, int i, int &row, int &column)
{
    row = (lane >> 2) + (i >= 2 ? 8 : 0);
    column = lane % 4 * 2 + (i & 1);
}

static __global__ void mma_kernel(float *d, bool eight_bits)
{
    const int lane = static_cast<int>(threadIdx.x);
    uint32_t a[4] = {}, b[2] = {};
    int row, column;
    for (int i = 0; i < (eight_bits ? 16 : 8); i++) {
        eight_bits ? place_a8(lane, i, row, column) : place_a16(lane, i, row, column);
        const float value = entry(row, column);
        if (eight_bits)
            a[i / 4] |= static_cast<uint32_t>(e4m3_bits(value)) << i % 4 * 8;
        else
            a[i / 2] |= static_cast<uint32_t>(bits_of(value)) << i % 2 * 16;
    }
    for (int i = 0; i < (eight_bits ? 8 : 4); i++) {
        eight_bits ? place_b8(lane, i, row, column) : place_b16(lane, i, row, column);
        const float value = entry(100 + column, row);
        if (eight_bits)
            b[i / 4] |= static_cast<uint32_t>(e4m3_bits(value)) << i % 4 * 8;
        else
            b[i / 2] |= static_cast<uint32_t>(bits_of(value)) << i % 2 * 16;
    }
    float sums[4];
    for (int i = 0; i < 4; i++) sums[i] = static_cast<float>(1000 * i); /* c */
    eight_bits ? mma_e4m3(sums, a, b[0], b[1]) : mma_bf16(sums, a, b[0], b[1]);
    for (int i = 0; i < 4; i++) {
        place_c(lane, i, row, column);
        d[row * 8 + column] = sums[i] - static_cast<float>(1000 * i);
    }
}

static void check_mma(bool eight_bits)
{
    const Device<float> d(16 * 8);
    const cudaLaunchConfig_t config = one_block(32, 0);
    assert_int_equal(cudaLaunchKernelEx(&config, mma_kernel, d.data(), eight_bits), 0);
    const std::vector<float> result = d.download();
    for (int i = 0; i < 16 * 8; i++) {
        assert_true(result[i] == a_times_b(i / 8, i % 8, eight_bits ? 32 : 16));
    }
}

static void test_mma(void **)
{
    check_mma(false);
    check_mma(true);
}

/* ---- ldmatrix, stmatrix ---------------------------------------------------------------------- */

/* Lane l of matrix m gets row l / 4, columns 2 (l % 4) and the next; transposed: the element whose
 * row and column are exchanged. Four matrices in the order of the lanes that address them. */
static __global__ void ldmatrix_kernel(uint16_t *out, bool transposed)
{
    auto *const memory = reinterpret_cast<uint16_t *>(dynamic_shared()); /* [4][8][8] */
    const int lane = static_cast<int>(threadIdx.x);
    for (int i = lane; i < 256; i += 32) memory[i] = static_cast<uint16_t>(i);
    __syncwarp();
    uint32_t r[4];
    const uint32_t row = shared_address(memory + lane * 8);
    if (transposed)
        ldmatrix_x4_transposed(r, row);
    else
        ldmatrix_x4(r, row);
    for (int m = 0; m < 4; m++) {
        for (int h = 0; h < 2; h++) {
            const int first = lane >> 2, second = lane % 4 * 2 + h;
            const int at = transposed ? second * 8 + first : first * 8 + second;
            out[m * 64 + at] = static_cast<uint16_t>(r[m] >> 16 * h);
        }
    }
    __syncwarp();
    if (transposed) return;
    stmatrix_x4(shared_address(memory + 256 + lane * 8), r); /* and back */
    __syncwarp();
    for (int i = lane; i < 256; i += 32) out[256 + i] = memory[256 + i];
}

static void test_matrices(void **)
{
    for (int transposed = 0; transposed < 2; transposed++) {
        Device<uint16_t> out(512);
        out.zero();
        const cudaLaunchConfig_t config = one_block(32, 1024);
        assert_int_equal(cudaLaunchKernelEx(&config, ldmatrix_kernel, out.data(), transposed), 0);
        const std::vector<uint16_t> result = out.download();
        for (int i = 0; i < (transposed ? 256 : 512); i++) assert_int_equal(result[i], i % 256);
    }
}

/* ---- swizzles -------------------------------------------------------------------------------- */

/* Where a tensor copy with a span of `span` bytes puts chunk c of row r, rows of `span` bytes:
 * lines of 128 bytes hold 128 / span rows, and a chunk is xored with the number of its line. */
static int swizzled_chunk(int row, int chunk, int span)
{
    return span == 16 ? chunk : chunk ^ (row / (128 / span) % (span / 16));
}

static __global__ void swizzle_kernel(const __grid_constant__ CUtensorMap map, uint8_t *out,
                                      unsigned bytes)
{
    const uint32_t start = shared_address(dynamic_shared()), barrier = start + bytes;
    if (threadIdx.x != 0) return;
    mbarrier_init(barrier, 1);
    mbarrier_init_fence();
    mbarrier_arrive_expect(barrier, bytes);
    tma_load_2d(start, &map, barrier, 0, 0);
    mbarrier_wait(barrier, 0);
    for (unsigned i = 0; i < bytes; i++) out[i] = dynamic_shared()[i];
}

static void test_swizzles(void **)
{
    const int rows = 32;
    for (int mode = 0; mode < 4; mode++) {
        const int span = 16 << mode, bytes = rows * span;
        std::vector<uint8_t> values(static_cast<size_t>(bytes));
        for (int i = 0; i < bytes; i++) values[i] = static_cast<uint8_t>(i / 16 * 5 + i % 16);
        const Device<uint8_t> from(values), out(values.size());
        const cuuint64_t lengths[] = {static_cast<cuuint64_t>(span), rows};
        const cuuint64_t strides[] = {static_cast<cuuint64_t>(span)};
        const cuuint32_t box[] = {static_cast<cuuint32_t>(span), rows}, steps[] = {1, 1};
        CUtensorMap map;
        assert_int_equal(cuTensorMapEncodeTiled(
                             &map, CU_TENSOR_MAP_DATA_TYPE_UINT8, 2, from.data(), lengths, strides,
                             box, steps, CU_TENSOR_MAP_INTERLEAVE_NONE,
                             static_cast<CUtensorMapSwizzle>(mode), CU_TENSOR_MAP_L2_PROMOTION_NONE,
                             CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE),
                         0);
        const cudaLaunchConfig_t config = one_block(1, static_cast<size_t>(bytes) + 8);
        assert_int_equal(cudaLaunchKernelEx(&config, swizzle_kernel, map, out.data(),
                                            static_cast<unsigned>(bytes)),
                         0);
        const std::vector<uint8_t> result = out.download();
        for (int i = 0; i < bytes; i++) {
            const int row = i / span, chunk = i % span / 16;
            const int at = row * span + swizzled_chunk(row, chunk, span) * 16 + i % 16;
            assert_int_equal(result[at], values[i]);
        }
    }
}

/* ---- ranks ----------------------------------------------------------------------------------- */

constexpr int RANKS = 5;
struct Box { /* of bytes */
    int rank, start[RANKS], length[RANKS], side[RANKS], step[RANKS];
    bool stored;
};

/* Loads the box, and stores it again where it came from, plus one. */
static __global__ void box_kernel(const __grid_constant__ CUtensorMap map, Box box, uint8_t *out,
                                  unsigned bytes)
{
    const uint32_t start = shared_address(dynamic_shared()), barrier = start + bytes;
    if (threadIdx.x != 0) return;
    mbarrier_init(barrier, 1);
    mbarrier_init_fence();
    mbarrier_arrive_expect(barrier, bytes);
    cudasim::tma_load(start, &map, barrier, box.start, 0);
    mbarrier_wait(barrier, 0);
    for (unsigned i = 0; i < bytes; i++) out[i] = dynamic_shared()[i]++;
    if (!box.stored) return;
    fence_proxy_async();
    cudasim::tma_store(&map, start, box.start);
    bulk_commit();
    bulk_wait_read<0>();
}

/* Element i of the box, the innermost side running fastest: its place in the tensor, or -1. */
static int place_of(const Box &box, int i)
{
    int place = 0, stride = 1;
    for (int d = 0; d < box.rank; d++) {
        const int count = (box.side[d] + box.step[d] - 1) / box.step[d];
        const int x = box.start[d] + i % count * box.step[d];
        if (x < 0 || x >= box.length[d]) return -1;
        place += x * stride;
        stride *= box.length[d];
        i /= count;
    }
    return place;
}

static void check_box(const Box &box)
{
    cuuint64_t lengths[RANKS], strides[RANKS], all = 1;
    cuuint32_t sides[RANKS], steps[RANKS];
    unsigned bytes = 1;
    for (int d = 0; d < box.rank; d++) {
        lengths[d] = static_cast<cuuint64_t>(box.length[d]);
        sides[d] = static_cast<cuuint32_t>(box.side[d]);
        steps[d] = static_cast<cuuint32_t>(box.step[d]);
        strides[d] = all *= lengths[d];
        bytes *= (sides[d] + steps[d] - 1) / steps[d];
    }
    std::vector<uint8_t> values(all);
    for (size_t i = 0; i < all; i++) values[i] = static_cast<uint8_t>(i * 7 + i / 256);
    const Device<uint8_t> tensor(values), out(bytes);
    CUtensorMap map;
    assert_int_equal(cuTensorMapEncodeTiled(
                         &map, CU_TENSOR_MAP_DATA_TYPE_UINT8, static_cast<cuuint32_t>(box.rank),
                         tensor.data(), lengths, strides, sides, steps,
                         CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_NONE,
                         CU_TENSOR_MAP_L2_PROMOTION_NONE, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE),
                     0);
    const cudaLaunchConfig_t config = one_block(1, bytes + 8);
    assert_int_equal(cudaLaunchKernelEx(&config, box_kernel, map, box, out.data(), bytes), 0);
    const std::vector<uint8_t> loaded = out.download(), after = tensor.download();
    for (unsigned i = 0; i < bytes; i++) {
        const int place = place_of(box, static_cast<int>(i));
        assert_int_equal(loaded[i], place < 0 ? 0 : values[place]);
        if (place >= 0 && box.stored) values[place]++;
    }
    assert_true(after == values); /* and nothing beside the box was written */
}

static void test_ranks(void **)
{
    check_box({1, {80}, {96}, {32}, {1}, true}); /* half of it beyond the end */
    check_box({1, {-16}, {96}, {48}, {1}, true});
    check_box({3, {0, 1, -1}, {16, 3, 4}, {16, 2, 3}, {1, 1, 1}, true});
    check_box({5, {16, 1, -1, 2, 0}, {32, 3, 2, 4, 2}, {16, 2, 2, 2, 2}, {1, 1, 1, 1, 1}, true});
    check_box({5, {0, 0, 0, 1, 0}, {16, 5, 2, 4, 3}, {16, 5, 2, 4, 3}, {1, 2, 1, 2, 2}, false});
}

/* ---- wgmma ----------------------------------------------------------------------------------- */

/* A canonical layout: where the 16-byte unit (mn, k) lies, in units, before the swizzle. Along mn
 * it nests ((inner, outer)); strides in units; `lbo` and `sbo` are such strides. */
struct Canonical {
    bool mn_major;
    int mode; /* swizzle: 16 << mode bytes */
    int lbo, sbo;
};

/* K-major, units of 8 rows x 16 bytes: shape ((8, m), (T, 2)): none ((1, SBO), LBO), 32 bytes
 * ((2, SBO), 1), 64 ((4, SBO), 1), 128 ((8, SBO), 1). MN-major, units along mn: none ((X, SBO),
 * (1, LBO)), else ((1, LBO), (span, SBO)). */
static uint32_t canonical_byte(const Canonical &c, int mn, int k, int element)
{
    const int span = 1 << c.mode; /* units */
    int unit, within;
    if (!c.mn_major) {
        const int row = mn % 8, group = mn / 8, column = k * element / 16;
        within = k * element % 16;
        unit = c.mode == 0 ? row + group * c.sbo + column * c.lbo
                           : row * span + group * c.sbo + column;
    } else {
        const int row = mn / 8;
        within = mn % 8 * 2;
        unit = c.mode == 0 ? row * c.sbo + k % 8 + k / 8 * c.lbo
                           : row % span + row / span * c.lbo + k % 8 * span + k / 8 * c.sbo;
    }
    const uint32_t byte = static_cast<uint32_t>(unit * 16 + within);
    /* Swizzle<mode, 4, 3>: bits 4.. ^= bits 7.. */
    return byte ^ (byte >> 3 & ((1u << c.mode) - 1) << 4);
}

static uint64_t descriptor(uint32_t start, const Canonical &c)
{
    const uint64_t field[] = {0, 3, 2, 1};
    return static_cast<uint64_t>(start >> 4) | static_cast<uint64_t>(c.lbo) << 16 |
           static_cast<uint64_t>(c.sbo) << 32 | field[c.mode] << 62;
}

constexpr int WG_N = 64, OPERAND = 32768; /* columns; bytes for each operand */

struct WgmmaCase {
    Canonical a, b;
    bool a_in_registers, eight_bits;
};

static __global__ void wgmma_kernel(float *d, WgmmaCase c)
{
    unsigned char *const memory = dynamic_shared();
    const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
    const int element = c.eight_bits ? 1 : 2, k_end = 32 / element;
    const auto put = [&](unsigned char *at, float value) {
        const uint16_t wide = bits_of(value);
        if (c.eight_bits)
            *at = e4m3_bits(value);
        else
            std::memcpy(at, &wide, 2);
    };
    for (int i = thread; i < 64 * k_end; i += 128) {
        const int row = i / k_end, k = i % k_end;
        put(memory + canonical_byte(c.a, row, k, element), entry(row, k));
        put(memory + OPERAND + canonical_byte(c.b, row, k, element), entry(100 + row, k));
    }
    uint32_t a[4] = {};
    for (int i = 0; i < 8; i++) { /* registers: an mma.sync fragment of 16 rows per warp */
        int row, k;
        place_a16(lane, i, row, k);
        a[i / 2] |= static_cast<uint32_t>(bits_of(entry(16 * warp + row, k))) << i % 2 * 16;
    }
    fence_proxy_async();
    __syncthreads();
    float sums[32] = {};
    const uint32_t start = shared_address(memory);
    cudasim::wgmma(sums, {c.eight_bits ? cudasim::E4M3 : cudasim::BF16, WG_N, false, c.a.mn_major,
                          c.b.mn_major, c.a_in_registers ? a : nullptr,
                          c.a_in_registers ? 0 : descriptor(start, c.a),
                          descriptor(start + OPERAND, c.b), false});
    wgmma_commit();
    wgmma_wait<0>();
    /* "row = warp * 16 + groupID + 8 (i % 4 / 2),
     * col = 8 (i / 4) + threadID_in_group * 2 + i % 2" */
    for (int i = 0; i < 32; i++) {
        const int row = warp * 16 + (lane >> 2) + i % 4 / 2 * 8;
        d[row * WG_N + i / 4 * 8 + lane % 4 * 2 + i % 2] = sums[i];
    }
}

static void check_wgmma(const WgmmaCase &c)
{
    const Device<float> d(64 * WG_N);
    const cudaLaunchConfig_t config = one_block(128, 2 * OPERAND);
    cudaFuncSetAttribute(wgmma_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, 2 * OPERAND);
    assert_int_equal(cudaLaunchKernelEx(&config, wgmma_kernel, d.data(), c), 0);
    const std::vector<float> result = d.download();
    for (int i = 0; i < 64 * WG_N; i++) {
        assert_true(result[i] == a_times_b(i / WG_N, i % WG_N, c.eight_bits ? 32 : 16));
    }
}

static void test_wgmma(void **)
{
    /* Strides in units that are not the tightest, so that the two cannot be confused; groups of a
     * swizzled layout begin at multiples of its period. */
    const Canonical k_major[] = {
        {false, 0, 96, 10}, {false, 1, 1, 16}, {false, 2, 1, 64}, {false, 3, 1, 192}};
    const Canonical mn_major[] = {
        {true, 0, 9, 32}, {true, 1, 64, 16}, {true, 2, 128, 64}, {true, 3, 512, 128}};
    for (const Canonical &a : k_major) {
        for (const Canonical &b : k_major) {
            check_wgmma({a, b, false, false});
            check_wgmma({a, b, false, true});
        }
        check_wgmma({a, k_major[3], true, false});
    }
    for (const Canonical &mn : mn_major) {
        check_wgmma({mn, k_major[3], false, false});
        check_wgmma({k_major[3], mn, false, false});
        check_wgmma({mn, mn, false, false});
    }
}

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(test_mma),      cmocka_unit_test(test_matrices),
        cmocka_unit_test(test_swizzles), cmocka_unit_test(test_ranks),
        cmocka_unit_test(test_wgmma),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
