/* ptx_vectors.cu - what a chip makes of each wrapper of kernels/cuda/ptx.h, kept in a file, and the
 * simulator held against that file.
 *
 *   ptx_vectors write FILE      run every case here, keep inputs and outputs
 *   ptx_vectors replay FILE     run every case here on the file's inputs, compare; 77: no such file
 *   ptx_vectors rehearse FILE   write, replay, and see that a changed word is noticed
 *
 * Built by nvcc it writes (scripts/gpu_check); built by g++ on the simulator it replays
 * tests/cudasim/golden/ptx.bin, or rehearses. The file: "IEPTX001", the number of inputs and those
 * (bf16 bits), then for each case 24 bytes of name, the number of its words and those.
 *
 * Copies, layouts and barriers must agree bit for bit. Sums of products are compared with the
 * bound of an adder that aligns its terms to the largest and cuts them off: (terms + 1) of its
 * last place for each instruction, times the sum of absolute products (the same case on absolute
 * inputs). The last place is 2^-23, of 8-bit wgmma 2^-13, its accumulators being short.
 * SPDX-License-Identifier: Apache-2.0 */
#include "launch.h"
#include "ptx.h"
#include "tensor_map.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <vector>

enum { POOL = 1024, LARGEST = 256, NAME = 24, SKIP = 77, LEFT_OUT = -1 };

/* ---- inputs ---------------------------------------------------------------------------------- */

/* Element i of an operand: the pool again and again, out of step with rows of 64. */
PTX_INLINE uint16_t bf16_at(const uint16_t *pool, int i)
{
    return pool[(i * 29 + i / 64 * 17) % POOL];
}

PTX_INLINE uint32_t pair_at(const uint16_t *pool, int i)
{
    return bf16_at(pool, 2 * i) | static_cast<uint32_t>(bf16_at(pool, 2 * i + 1)) << 16;
}

/* e4m3: the sign, exponents 0, 2, 4 or 6, three bits of mantissa; never NaN. */
PTX_INLINE uint8_t e4m3_at(const uint16_t *pool, int i)
{
    const uint16_t bits = bf16_at(pool, i);
    return static_cast<uint8_t>((bits & 0x8000) >> 8 | (bits & 0x37));
}

PTX_INLINE uint32_t four_at(const uint16_t *pool, int i)
{
    uint32_t word = 0;
    for (int k = 0; k < 4; k++) word |= static_cast<uint32_t>(e4m3_at(pool, 4 * i + k)) << 8 * k;
    return word;
}

PTX_INLINE uint32_t bits_of(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* ---- sm_80 ----------------------------------------------------------------------------------- */

__global__ void vectors_cp_async(const uint16_t *pool, uint32_t *out)
{
    wait_for_last_grid();
    const int lane = static_cast<int>(threadIdx.x);
    unsigned char *const memory = dynamic_shared();
    cp_async_16(shared_address(memory + 16 * lane), pool + 8 * lane, lane % 3 != 1);
    cp_async_commit();
    cp_async_wait<0>();
    __syncwarp();
    for (int i = lane; i < 128; i += 32) out[i] = reinterpret_cast<const uint32_t *>(memory)[i];
}

__global__ void vectors_ldmatrix(const uint16_t *pool, uint32_t *out, bool transposed)
{
    wait_for_last_grid();
    const int lane = static_cast<int>(threadIdx.x);
    uint16_t *const memory = reinterpret_cast<uint16_t *>(dynamic_shared());
    for (int i = lane; i < 256; i += 32) memory[i] = bf16_at(pool, i);
    __syncwarp();
    uint32_t r[4];
    if (transposed) {
        ldmatrix_x4_transposed(r, shared_address(memory + 8 * lane));
    } else {
        ldmatrix_x4(r, shared_address(memory + 8 * lane));
    }
    for (int i = 0; i < 4; i++) out[4 * lane + i] = r[i];
}

__global__ void vectors_mma_bf16(const uint16_t *pool, uint32_t *out)
{
    wait_for_last_grid();
    const int lane = static_cast<int>(threadIdx.x);
    uint32_t a[4];
    float d[4];
    for (int i = 0; i < 4; i++) a[i] = pair_at(pool, 4 * lane + i);
    for (int i = 0; i < 4; i++) d[i] = 0;
    mma_bf16(d, a, pair_at(pool, 200 + 2 * lane), pair_at(pool, 201 + 2 * lane));
    mma_bf16(d, a, pair_at(pool, 301 + 2 * lane), pair_at(pool, 302 + 2 * lane));
    for (int i = 0; i < 4; i++) out[4 * lane + i] = bits_of(d[i]);
}

__global__ void vectors_mma_e4m3(const uint16_t *pool, uint32_t *out)
{
    wait_for_last_grid();
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 890
    const int lane = static_cast<int>(threadIdx.x);
    uint32_t a[4];
    float d[4];
    for (int i = 0; i < 4; i++) a[i] = four_at(pool, 4 * lane + i);
    for (int i = 0; i < 4; i++) d[i] = 0;
    mma_e4m3(d, a, four_at(pool, 200 + 2 * lane), four_at(pool, 201 + 2 * lane));
    for (int i = 0; i < 4; i++) out[4 * lane + i] = bits_of(d[i]);
#endif
}

/* Results from tiny to large, then the ends of the range. */
__global__ void vectors_exp2(const uint16_t *pool, uint32_t *out)
{
    wait_for_last_grid();
    const float ends[] = {0.0f, -0.0f, 127.5f, 128.0f, 200.0f, -125.75f, -200.0f, -INFINITY};
    const int i = static_cast<int>(threadIdx.x);
    const uint32_t bits = static_cast<uint32_t>(pool[i]) << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    x = i < 8 ? ends[i] : 25.0f * x;
    out[i] = bits_of(exp2_approximate(x));
}

/* Quotients by powers of two from 2^-8 to 2^119 and a little more, and by infinity. */
__global__ void vectors_divide(const uint16_t *pool, uint32_t *out)
{
    wait_for_last_grid();
    const int i = static_cast<int>(threadIdx.x);
    const uint32_t bits[] = {static_cast<uint32_t>(pool[i]) << 16,
                             static_cast<uint32_t>(119 + i) << 23 | pool[127 - i]};
    float x[2];
    memcpy(x, bits, sizeof x);
    out[i] = bits_of(divide_approximate(x[0], i == 127 ? INFINITY : x[1]));
}

/* The first warp arrives and goes on, the second waits for it; then both wait. */
__global__ void vectors_named_barrier(const uint16_t *pool, uint32_t *out)
{
    wait_for_last_grid();
    uint32_t *const memory = reinterpret_cast<uint32_t *>(dynamic_shared());
    const int thread = static_cast<int>(threadIdx.x), lane = thread % 32;
    if (thread < 32) {
        memory[lane] = pair_at(pool, lane);
        named_barrier_arrive(1, 64);
    } else {
        named_barrier_sync(1, 64);
        memory[32 + lane] = memory[31 - lane] ^ 0x5a5a5a5au;
    }
    named_barrier_sync(2, 64);
    if (thread < 32) out[lane] = memory[63 - lane];
}

__global__ void vectors_acquire(const uint16_t *pool, uint32_t *out)
{
    wait_for_last_grid();
    out[0] = pool[0];
    out[1] = add_release(out, 3);
    out[2] = add_release(out, pool[1]);
    out[3] = load_acquire(out);
    store_release(out + 4, out[3] ^ 0xffffu);
    out[5] = load_acquire(out + 4);
}

/* ---- sm_90: mbarriers and tensor copies ------------------------------------------------------ */

__global__ void vectors_mbarrier(const uint16_t *pool, uint32_t *out)
{
#if PTX_SM90
    grid_dependency_wait();
    grid_dependency_launch();
    uint32_t *const memory = reinterpret_cast<uint32_t *>(dynamic_shared());
    const uint32_t barrier = shared_address(memory + 64);
    const int lane = static_cast<int>(threadIdx.x);
    if (lane == 0) {
        mbarrier_init(barrier, 32);
        mbarrier_init_fence();
    }
    __syncwarp();
    for (unsigned turn = 0; turn < 3; turn++) {
        memory[lane] = pair_at(pool, lane + static_cast<int>(turn));
        mbarrier_arrive(barrier);
        mbarrier_wait(barrier, turn % 2);
        out[32 * turn + threadIdx.x] = memory[31 - lane];
        __syncwarp();
    }
#endif
}

__global__ void vectors_stmatrix(const uint16_t *pool, uint32_t *out)
{
    wait_for_last_grid();
#if PTX_SM90
    const int lane = static_cast<int>(threadIdx.x);
    uint32_t *const memory = reinterpret_cast<uint32_t *>(dynamic_shared());
    uint32_t r[4];
    for (int i = 0; i < 4; i++) r[i] = pair_at(pool, 4 * lane + i);
    stmatrix_x4(shared_address(memory + 4 * lane), r);
    __syncwarp();
    for (int i = lane; i < 128; i += 32) out[i] = memory[i];
#endif
}

struct Box {
    int rank, at[4], bytes;
};

__global__ void vectors_tma_load(const __grid_constant__ CUtensorMap map, uint32_t *out, Box box)
{
    wait_for_last_grid();
#if PTX_SM90
    unsigned char *const memory = dynamic_shared();
    const uint32_t start = shared_address(memory), barrier = start + 1024;
    const int(&at)[4] = box.at;
    const int lane = static_cast<int>(threadIdx.x);
    if (lane == 0) {
        mbarrier_init(barrier, 1);
        mbarrier_init_fence();
        mbarrier_arrive_expect(barrier, static_cast<unsigned>(box.bytes));
        if (box.rank == 2) tma_load_2d(start, &map, barrier, at[0], at[1]);
        if (box.rank == 3) tma_load_3d(start, &map, barrier, at[0], at[1], at[2]);
        if (box.rank == 4) tma_load_4d(start, &map, barrier, at);
    }
    __syncwarp();
    mbarrier_wait(barrier, 0);
    for (int i = lane; i < box.bytes / 4; i += 32)
        out[i] = reinterpret_cast<const uint32_t *>(memory)[i];
#endif
}

/* Each of two blocks sends its two rows of 64 to both. */
__global__ void vectors_multicast(const __grid_constant__ CUtensorMap map, uint32_t *out)
{
    wait_for_last_grid();
#if PTX_SM90
    unsigned char *const memory = dynamic_shared();
    const uint32_t start = shared_address(memory), barrier = start + 2048;
    const unsigned rank = cluster_rank();
    if (threadIdx.x == 0) {
        mbarrier_init(barrier, 1);
        mbarrier_init_fence();
        mbarrier_arrive_expect(barrier, 512);
    }
    __syncwarp();
    cluster_arrive();
    cluster_wait();
    if (threadIdx.x == 0) {
        tma_load_2d_multicast(start + 1024 * rank, &map, barrier, 0, 4 * static_cast<int>(rank), 3);
    }
    mbarrier_wait(barrier, 0);
    for (unsigned i = threadIdx.x; i < 128; i += 32) {
        out[128 * rank + i] = reinterpret_cast<const uint32_t *>(memory + 1024 * (i / 64))[i % 64];
    }
    __syncwarp();
    cluster_arrive();
    cluster_wait();
#endif
}

__global__ void vectors_tma_store(const __grid_constant__ CUtensorMap map, const uint16_t *pool)
{
    wait_for_last_grid();
#if PTX_SM90
    uint32_t *const memory = reinterpret_cast<uint32_t *>(dynamic_shared());
    for (unsigned i = threadIdx.x; i < 128; i += 32) memory[i] = pair_at(pool, static_cast<int>(i));
    fence_proxy_async();
    __syncwarp();
    if (threadIdx.x != 0) return;
    tma_store_2d(&map, shared_address(memory), 0, 0);
    bulk_commit();
    bulk_wait_read<0>();
#endif
}

/* Words to the other block's shared memory, an arrival on its barrier, and words from there. */
__global__ void vectors_cluster(const uint16_t *pool, uint32_t *out)
{
    wait_for_last_grid();
#if PTX_SM90
    float *const memory = reinterpret_cast<float *>(dynamic_shared());
    const uint32_t start = shared_address(memory), barrier = start + 1024;
    const unsigned rank = cluster_rank(), lane = threadIdx.x;
    if (lane == 0) {
        mbarrier_init(barrier, 32);
        mbarrier_init_fence();
    }
    memory[32 + lane] = static_cast<float>(pool[lane] + rank);
    __syncwarp();
    cluster_arrive();
    cluster_wait();
    store_cluster(map_shared(start + 4 * lane, rank ^ 1), static_cast<float>(pool[lane] % 97));
    mbarrier_arrive_cluster(map_shared(barrier, rank ^ 1));
    mbarrier_wait_cluster(barrier, 0);
    const float there = load_cluster(map_shared(start + 4 * (63 - lane), rank ^ 1));
    out[32 * rank + lane] = bits_of(memory[31 - lane] + 1000.0f * there);
    /* Nobody still waits for the first phase when the second ends. */
    cluster_arrive();
    cluster_wait();
    mbarrier_arrive_cluster_read(map_shared(barrier, rank ^ 1));
    mbarrier_wait_cluster(barrier, 1);
    cluster_arrive();
    cluster_wait();
#endif
}

/* ---- sm_90a: wgmma --------------------------------------------------------------------------- */

#if PTX_SM90A
PTX_INLINE void multiply(float (&d)[32], uint64_t a, uint64_t b, bool more)
{
    wgmma_n64_bf16(d, a, b, more);
}
PTX_INLINE void multiply(float (&d)[64], uint64_t a, uint64_t b, bool more)
{
    wgmma_n128_bf16(d, a, b, more);
}
PTX_INLINE void multiply(float (&d)[128], uint64_t a, uint64_t b, bool more)
{
    wgmma_n256_bf16(d, a, b, more);
}
#endif

/* a [64, K] b [K, N], rows of 128 bytes in the 128-byte swizzle, in steps of 32 bytes of K; of a
 * thread's sums one is kept. A second group of warps gives its registers up meanwhile. */
template <int N, bool EIGHT>
__global__ void __launch_bounds__(256, 1) vectors_wgmma(const uint16_t *pool, uint32_t *out)
{
    wait_for_last_grid();
#if PTX_SM90A
    unsigned char *const memory = dynamic_shared();
    const int thread = static_cast<int>(threadIdx.x);
    for (int i = thread; i < (64 + N) * 32; i += 256) {
        const int row = i / 32, word = i % 32;
        const uint32_t bits = EIGHT ? four_at(pool, i) : pair_at(pool, i);
        memcpy(memory + 128 * row + ((word / 4) ^ (row % 8)) * 16 + word % 4 * 4, &bits, 4);
    }
    fence_proxy_async();
    __syncthreads();
    if (thread >= 128) {
        registers_decrease<40>();
        return;
    }
    registers_increase<232>();
    const uint64_t a = wgmma_descriptor_128(shared_address(memory));
    const uint64_t b = wgmma_descriptor_128(shared_address(memory + 64 * 128));
    float d[N / 2];
#pragma unroll
    for (int i = 0; i < N / 2; i++) d[i] = 0;
    wgmma_fence();
#pragma unroll
    for (uint64_t k = 0; k < 4; k++) {
        if constexpr (EIGHT) {
            wgmma_n64_e4m3(d, a + 2 * k, b + 2 * k, k > 0);
        } else {
            multiply(d, a + 2 * k, b + 2 * k, k > 0);
        }
    }
    wgmma_commit();
    wgmma_wait<0>();
    const int kept = thread * 37 % (N / 2);
#pragma unroll
    for (int i = 0; i < N / 2; i++) {
        if (i == kept) out[thread] = bits_of(d[i]);
    }
#endif
}

/* ---- the cases ------------------------------------------------------------------------------- */

static int run_tma(const uint16_t *pool, uint32_t *out, const tensor_map_shape &shape,
                   const Box &box)
{
    CUtensorMap map;
    const int code = tensor_map_make(&map, pool, shape);
    return code ? code : launch(vectors_tma_load, 1, 32, 2048, nullptr, map, out, box);
}

/* Rows outside at the end, and before the beginning; three and four dimensions; every second row,
 * from row -1. */
static int tma_2d(const uint16_t *pool, uint32_t *out)
{
    return run_tma(pool, out, {2, {64, 14}, {64, 4}, {1, 1}}, {2, {0, 12}, 512});
}
static int tma_2d_before(const uint16_t *pool, uint32_t *out)
{
    return run_tma(pool, out, {2, {64, 14}, {64, 4}, {1, 1}}, {2, {-8, -1}, 512});
}
static int tma_3d(const uint16_t *pool, uint32_t *out)
{
    return run_tma(pool, out, {3, {64, 4, 4}, {64, 2, 2}, {1, 1, 1}}, {3, {0, 3, -1}, 512});
}
static int tma_4d(const uint16_t *pool, uint32_t *out)
{
    return run_tma(pool, out, {4, {64, 2, 2, 4}, {64, 2, 1, 2}, {1, 1, 1, 1}},
                   {4, {0, 1, 1, 2}, 512});
}
static int tma_4d_steps(const uint16_t *pool, uint32_t *out)
{
    return run_tma(pool, out, {4, {64, 8, 2, 1}, {64, 8, 1, 1}, {1, 2, 1, 1}},
                   {4, {0, -1, 1, 0}, 512});
}
static int multicast(const uint16_t *pool, uint32_t *out)
{
    CUtensorMap map;
    const int code = tensor_map_make(&map, pool, {2, {64, 16}, {64, 2}, {1, 1}});
    return code ? code : launch_cluster(vectors_multicast, 2, 32, 2, 3072, nullptr, map, out);
}
static int tma_store(const uint16_t *pool, uint32_t *out)
{
    CUtensorMap map;
    const int code = tensor_map_make(&map, out, {2, {64, 4}, {64, 4}, {1, 1}});
    return code ? code : launch(vectors_tma_store, 1, 32, 1024, nullptr, map, pool);
}
static int cluster(const uint16_t *pool, uint32_t *out)
{
    return launch_cluster(vectors_cluster, 2, 32, 2, 2048, nullptr, pool, out);
}
static int ldmatrix_plain(const uint16_t *pool, uint32_t *out)
{
    return launch(vectors_ldmatrix, 1, 32, 1024, nullptr, pool, out, false);
}
static int ldmatrix_transposed(const uint16_t *pool, uint32_t *out)
{
    return launch(vectors_ldmatrix, 1, 32, 1024, nullptr, pool, out, true);
}
template <void (*KERNEL)(const uint16_t *, uint32_t *), unsigned THREADS, size_t SHARED>
static int simple(const uint16_t *pool, uint32_t *out)
{
    return launch(KERNEL, 1, THREADS, SHARED, nullptr, pool, out);
}
template <int N, bool EIGHT> static int wgmma(const uint16_t *pool, uint32_t *out)
{
    return launch(vectors_wgmma<N, EIGHT>, 1, 256, (64 + N) * 128, nullptr, pool, out);
}

struct Case {
    const char *name;
    int oldest, newest; /* compute capabilities, inclusive */
    int words;
    int (*run)(const uint16_t *pool, uint32_t *out);
    double bound; /* relative to the sum of absolute products; 0: bit for bit; -1: of 2^x, x / y */
};

/* bf16: (16 + 1) terms and a rounding, for each of 2 or 4 instructions; 8-bit likewise. */
static const double MMA = 2 * 18 * 0x1p-23, WGMMA = 4 * 18 * 0x1p-23;
static const double MMA_EIGHT = 34 * 0x1p-13, WGMMA_EIGHT = 4 * 34 * 0x1p-13;

static const Case cases[] = {
    {"cp_async", 80, 999, 128, simple<vectors_cp_async, 32, 1024>, 0},
    {"ldmatrix", 80, 999, 128, ldmatrix_plain, 0},
    {"ldmatrix_transposed", 80, 999, 128, ldmatrix_transposed, 0},
    {"mma_bf16", 80, 999, 128, simple<vectors_mma_bf16, 32, 0>, MMA},
    {"mma_e4m3", 89, 999, 128, simple<vectors_mma_e4m3, 32, 0>, MMA_EIGHT},
    {"exp2", 80, 999, 128, simple<vectors_exp2, 128, 0>, -1},
    {"divide", 80, 999, 128, simple<vectors_divide, 128, 0>, -1},
    {"named_barrier", 80, 999, 32, simple<vectors_named_barrier, 64, 1024>, 0},
    {"acquire", 80, 999, 6, simple<vectors_acquire, 1, 0>, 0},
    {"mbarrier", 90, 999, 96, simple<vectors_mbarrier, 32, 1024>, 0},
    {"stmatrix", 90, 999, 128, simple<vectors_stmatrix, 32, 1024>, 0},
    {"tma_load_2d", 90, 999, 128, tma_2d, 0},
    {"tma_load_2d_before", 90, 999, 128, tma_2d_before, 0},
    {"tma_load_3d", 90, 999, 128, tma_3d, 0},
    {"tma_load_4d", 90, 999, 128, tma_4d, 0},
    {"tma_load_4d_steps", 90, 999, 128, tma_4d_steps, 0},
    {"tma_load_multicast", 90, 999, 256, multicast, 0},
    {"tma_store_2d", 90, 999, 128, tma_store, 0},
    {"cluster", 90, 999, 64, cluster, 0},
    {"wgmma_n64_bf16", 90, 90, 128, wgmma<64, false>, WGMMA},
    {"wgmma_n128_bf16", 90, 90, 128, wgmma<128, false>, WGMMA},
    {"wgmma_n256_bf16", 90, 90, 128, wgmma<256, false>, WGMMA},
    {"wgmma_n64_e4m3", 90, 90, 128, wgmma<64, true>, WGMMA_EIGHT},
};

using Words = std::vector<uint32_t>;

/* One case on these inputs; LEFT_OUT: not for this chip. */
static int run_case(const Case &c, const std::vector<uint16_t> &inputs, Words &words)
{
    words.assign(static_cast<size_t>(c.words), 0);
    int arch = 0, code = device_arch(&arch);
    if (code) return code;
    if (arch < c.oldest || arch > c.newest) return LEFT_OUT;
    const size_t bytes = words.size() * sizeof words[0];
    void *pool = nullptr, *out = nullptr;
    code = cudaMalloc(&pool, POOL * sizeof inputs[0]);
    if (!code) code = cudaMalloc(&out, LARGEST * sizeof words[0]);
    if (!code) {
        code = cudaMemcpy(pool, inputs.data(), POOL * sizeof inputs[0], cudaMemcpyHostToDevice);
    }
    if (!code) code = cudaMemset(out, 0, LARGEST * sizeof words[0]);
    if (!code) code = c.run(static_cast<const uint16_t *>(pool), static_cast<uint32_t *>(out));
    if (!code) code = cudaDeviceSynchronize();
    if (!code) code = cudaMemcpy(words.data(), out, bytes, cudaMemcpyDeviceToHost);
    cudaFree(pool);
    cudaFree(out);
    if (code) {
        printf("FAIL %s: %s\n", c.name, cudaGetErrorString(static_cast<cudaError_t>(code)));
    }
    return code;
}

/* ---- the file -------------------------------------------------------------------------------- */

struct Kept {
    char name[NAME];
    Words words; /* none: not for the chip that wrote them */
};
struct File {
    std::vector<uint16_t> inputs;
    std::vector<Kept> kept;
};

static const char MAGIC[] = "IEPTX001";

/* Signs, exponents from 2^-3 to 2, seven bits of mantissa. */
static std::vector<uint16_t> random_inputs()
{
    std::vector<uint16_t> inputs(POOL);
    uint32_t state = 20261126;
    for (uint16_t &x : inputs) {
        state = state * 1664525u + 1013904223u;
        const uint32_t r = state >> 8;
        x = static_cast<uint16_t>((r & 1) << 15 | (124 + (r >> 1) % 5) << 7 | (r >> 16 & 0x7f));
    }
    return inputs;
}

static bool save(const char *path, const File &file)
{
    FILE *f = fopen(path, "wb");
    if (!f) return false;
    const uint32_t count = POOL;
    bool good = fwrite(MAGIC, 8, 1, f) == 1 && fwrite(&count, 4, 1, f) == 1 &&
                fwrite(file.inputs.data(), 2, POOL, f) == POOL;
    for (const Kept &k : file.kept) {
        const uint32_t words = static_cast<uint32_t>(k.words.size());
        good = good && fwrite(k.name, NAME, 1, f) == 1 && fwrite(&words, 4, 1, f) == 1 &&
               fwrite(k.words.data(), 4, words, f) == words;
    }
    return fclose(f) == 0 && good;
}

static bool load(const char *path, File &file)
{
    FILE *f = fopen(path, "rb");
    if (!f) return false;
    char magic[8];
    uint32_t count = 0;
    bool good = fread(magic, 8, 1, f) == 1 && memcmp(magic, MAGIC, 8) == 0 &&
                fread(&count, 4, 1, f) == 1 && count == POOL;
    file.inputs.resize(POOL);
    good = good && fread(file.inputs.data(), 2, POOL, f) == POOL;
    for (Kept k; good && fread(k.name, NAME, 1, f) == 1;) {
        good = k.name[NAME - 1] == 0 && fread(&count, 4, 1, f) == 1 && count <= LARGEST;
        k.words.resize(good ? count : 0);
        good = good && fread(k.words.data(), 4, count, f) == count;
        file.kept.push_back(k);
    }
    fclose(f);
    return good;
}

static int write_file(const char *path)
{
    File file = {random_inputs(), {}};
    for (const Case &c : cases) {
        Kept k = {};
        const int code = run_case(c, file.inputs, k.words);
        if (code && code != LEFT_OUT) return 1;
        if (code == LEFT_OUT) k.words.clear();
        snprintf(k.name, NAME, "%s", c.name);
        file.kept.push_back(k);
    }
    if (!save(path, file)) {
        printf("FAIL: cannot write %s\n", path);
        return 1;
    }
    int arch = 0;
    const int code = device_arch(&arch);
    printf("%zu cases of sm_%d in %s\n", file.kept.size(), arch, path);
    return code != 0;
}

/* ---- comparing ------------------------------------------------------------------------------- */

static double value_of(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return static_cast<double>(x);
}

/* How far apart two words are, in units of what they may differ by. */
static double distance(const Case &c, uint32_t got, uint32_t want, uint32_t magnitude)
{
    if (got == want) return 0;
    if (c.bound == 0) return INFINITY;
    const double a = value_of(got), b = value_of(want);
    /* 2^x: the manual's 2^-22, and results below the normal numbers are 0. */
    if (c.bound < 0 && fabs(a) <= 0x1p-126 && fabs(b) <= 0x1p-126) return 0;
    const double allowed = c.bound < 0 ? fabs(b) * 0x1p-22 : c.bound * value_of(magnitude);
    const double off = fabs(a - b) / allowed;
    return std::isfinite(off) ? off : INFINITY;
}

static bool replay_case(const Case &c, const File &file, const Kept &k, bool quiet)
{
    std::vector<uint16_t> absolute = file.inputs;
    for (uint16_t &x : absolute) x &= 0x7fff;
    Words words, magnitude;
    const int code = run_case(c, file.inputs, words);
    if (code == LEFT_OUT || k.words.empty()) {
        if (!quiet) printf("skip %-20s not for both chips\n", c.name);
        return true;
    }
    if (code || run_case(c, absolute, magnitude) || words.size() != k.words.size()) return false;
    double worst = 0;
    size_t same = 0;
    for (size_t i = 0; i < words.size(); i++) {
        worst = fmax(worst, distance(c, words[i], k.words[i], magnitude[i]));
        same += words[i] == k.words[i];
    }
    if (!quiet) {
        printf("%-4s %-20s %3zu of %3zu words the same, worst %.3g of the bound\n",
               worst <= 1 ? "ok" : "FAIL", c.name, same, words.size(), worst);
    }
    return worst <= 1;
}

static int replay(const File &file, bool quiet)
{
    int bad = 0;
    for (const Case &c : cases) {
        const Kept *found = nullptr;
        for (const Kept &k : file.kept) {
            if (strcmp(k.name, c.name) == 0) found = &k;
        }
        if (!found && !quiet) printf("FAIL %s is not in the file: write it again\n", c.name);
        bad += !found || !replay_case(c, file, *found, quiet);
    }
    return bad;
}

static int replay_file(const char *path)
{
    FILE *there = fopen(path, "rb");
    if (!there) {
        printf("SKIP: %s does not exist yet: scripts/gpu_check writes it on a device\n", path);
        return SKIP;
    }
    fclose(there);
    File file;
    if (!load(path, file)) {
        printf("FAIL: %s is no file of vectors\n", path);
        return 1;
    }
    return replay(file, false) > 0;
}

/* One word of each case changed, in turn. */
static int rehearse(const char *path)
{
    File file;
    if (write_file(path) || !load(path, file) || replay(file, false)) return 1;
    int bad = 0;
    for (size_t i = 0; i < file.kept.size(); i++) {
        if (file.kept[i].words.empty()) continue;
        File changed = {file.inputs, {file.kept[i]}};
        uint32_t &word = changed.kept[0].words[changed.kept[0].words.size() / 2];
        word ^= 0x81810000u;
        if (replay_case(cases[i], changed, changed.kept[0], true)) {
            printf("FAIL %s: a changed word was not noticed\n", file.kept[i].name);
            bad++;
        }
    }
    return bad > 0;
}

/* Without this the file would say that no case is for this chip. */
static bool no_device()
{
    int count = 0;
    const cudaError_t code = cudaGetDeviceCount(&count);
    if (code == cudaSuccess && count > 0) return false;
    printf("FAIL: no CUDA device (%s)\n", cudaGetErrorString(code));
    return true;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "write") == 0) return no_device() || write_file(argv[2]);
    if (argc == 3 && strcmp(argv[1], "replay") == 0) return replay_file(argv[2]);
    if (argc == 3 && strcmp(argv[1], "rehearse") == 0) return rehearse(argv[2]);
    printf("ptx_vectors write|replay|rehearse FILE\n");
    return 2;
}
