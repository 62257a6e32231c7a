/* conv80.cu - the implicit GEMM by cp.async, ldmatrix and mma.sync: any problem, sm_80 and later.
 *
 *   formula   conv.h
 *   shapes    per lane: pixels P = out_height * out_width, outputs O, K = taps * (C0 + C1), each
 *             source's channels padded to `unit` and K to 32
 *   bytes     2 K O of weights, 2 P C stride^2 of sources (each pixel is read from the L2 once per
 *             tap), 2 P O of y and of the residual
 *   cost      2 P K O FLOP
 *   bound     tensor cores from C of about 128 up; below it the epilogue's traffic
 *   numerics  bf16 products, f32 sums in the order of K; bias, residual and scale in f32; moments
 *             of the f32 values in two passes over a tile
 *   mapping   a block makes a tile of one lane's pixels and some outputs, by a ring of stages of 32
 *             values of K: rows of 64 bytes, four chunks of 16. A thread copies the same column of
 *             chunks in all its rows, so it follows one place in K (`cursor`) and adds the tap to
 *             its pixels. Warps hold 16 x 8 sums; the rows of the weights' matrices are taken in an
 *             order that gives a lane 8 (or 4) neighbouring outputs, so that y is read and written
 *             by 16 bytes.
 *   swizzle   two rows share a line of 128 bytes; a chunk's number is xored with that of the line,
 *             for weights with row / 8 (or 4): no bank twice within eight rows of ldmatrix
 *   tiles     follow P and O of one lane alone (choose_tile)
 *   parts     where a lane has few small tiles and a long K, K is cut (choose_parts): blocks leave
 *             their sums in the scratch, conv80_add_kernel adds them in the order of K and ends as
 *             the others do
 *   limits    registers by the launch bounds: 128 for tiles of 128 x 128 (2 blocks an SM of 256
 *             threads), 168 of 128 x 64 (3 of 128 threads), 128 of 64 x 64 and 128 x 16 (4); no
 *             spills (tests/cuda/check_ptxas.py: nvcc 13.0; sm_80, 90a, 120)
 *   measured  not yet on a device
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "conv.h"
#include "conv80_out.h"
#include "launch.h"

/* ---- the kernel ------------------------------------------------------------------------------ */

/* A block's tile: its first pixel and output, and of the calling lane's sums. */
template <class TILE> struct placed {
    int m0, n0, row, column;

    PTX_INLINE explicit placed(const conv80_call &c)
    {
        const int warp = static_cast<int>(threadIdx.x) >> 5;
        const int lane = static_cast<int>(threadIdx.x) & 31;
        m0 = static_cast<int>(blockIdx.x) / c.column_tiles * TILE::rows;
        n0 = static_cast<int>(blockIdx.x) % c.column_tiles * TILE::columns;
        row = m0 + warp / TILE::warps_across * TILE::warp_rows + (lane >> 2);
        column = warp % TILE::warps_across * TILE::warp_columns + (lane & 3) * TILE::run;
    }
};

template <class TILE>
PTX_INLINE void finish_tile(conv80_sums<TILE> &sums, const conv80_call &c, const placed<TILE> &at)
{
    write_tile<TILE>(sums, c, at.row, at.n0 + at.column);
    if (c.p.partials) {
        write_partials<TILE>(sums, c, at.m0, at.row, at.n0 + at.column, at.column);
    }
}

/* The calling thread's first sums in a part; those of its next matrix are TILE::threads further. */
template <class TILE> PTX_INLINE float4 *sums_of_part(const conv80_call &c, unsigned part)
{
    const size_t block =
        (static_cast<size_t>(part) * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    return reinterpret_cast<float4 *>(c.sums) + block * TILE::down * TILE::across * TILE::threads +
           threadIdx.x;
}

template <class TILE, int BLOCKS>
__global__ void __launch_bounds__(TILE::threads, BLOCKS) conv80_kernel(conv80_call c)
{
    wait_for_last_grid();
    const placed<TILE> tile(c);
    const uint32_t ring = shared_address(dynamic_shared());
    const int begin = TILE::parts ? static_cast<int>(blockIdx.z) * c.part_steps : 0;
    const int end = TILE::parts ? min(begin + c.part_steps, c.steps) : c.steps;
    copies<TILE> from;
    find_copies<TILE>(from, c, tile.m0, tile.n0);
    from.weight += begin * K_TILE;
    cursor at = {0, 0, begin * CHUNKS + static_cast<int>(threadIdx.x) % CHUNKS};
    settle(c, at);

    conv80_sums<TILE> sums = {};
    int filled = 0, used = 0; /* stages of the ring */
    for (int step = begin + 1 - TILE::stages; step < end; step++) {
        if (step >= begin) {
            cp_async_wait<TILE::stages - 2>();
            __syncthreads(); /* the stage is there for all, and the one before is free */
        }
        if (step + TILE::stages - 1 < end) {
            load_stage<TILE>(c, from, at, tile.n0, ring + filled * TILE::stage_bytes);
            at.chunk += CHUNKS;
            settle(c, at);
            from.weight += K_TILE;
            filled = filled + 1 == TILE::stages ? 0 : filled + 1;
        }
        cp_async_commit();
        if (step < begin) continue;
        multiply_stage<TILE>(sums, ring + used * TILE::stage_bytes);
        used = used + 1 == TILE::stages ? 0 : used + 1;
    }
    cp_async_wait<0>();
    if (TILE::parts && c.sums) {
        float4 *to = sums_of_part<TILE>(c, blockIdx.z);
#pragma unroll
        for (int i = 0; i < TILE::down * TILE::across; i++) {
            const float(&v)[4] = sums[i / TILE::across][i % TILE::across];
            to[i * TILE::threads] = float4{v[0], v[1], v[2], v[3]};
        }
        return;
    }
    finish_tile<TILE>(sums, c, tile);
}

template <class TILE>
__global__ void __launch_bounds__(TILE::threads) conv80_add_kernel(conv80_call c)
{
    wait_for_last_grid();
    conv80_sums<TILE> sums = {};
    for (int part = 0; part < c.parts; part++) {
        const float4 *from = sums_of_part<TILE>(c, static_cast<unsigned>(part));
#pragma unroll
        for (int i = 0; i < TILE::down * TILE::across; i++) {
            const float4 v = from[i * TILE::threads];
            float(&sum)[4] = sums[i / TILE::across][i % TILE::across];
            sum[0] += v.x;
            sum[1] += v.y;
            sum[2] += v.z;
            sum[3] += v.w;
        }
    }
    finish_tile<TILE>(sums, c, placed<TILE>(c));
}

/* ---- launch ---------------------------------------------------------------------------------- */

using tile_large = conv80_tile<128, 128, 2, 4, 3>;
using tile_tall = conv80_tile<128, 64, 2, 2, 3>;
using tile_small = conv80_tile<64, 64, 2, 2, 4, true>;
using tile_head = conv80_tile<128, 16, 4, 1, 4>;

/* Large tiles where one lane fills a good part of a chip with them; small ones otherwise. */
enum tile_choice { LARGE, TALL, SMALL, HEAD };
enum { ENOUGH_BLOCKS = 48 };
/* K is cut until a lane has so many blocks, into parts that are worth a block each. */
enum { WANTED_BLOCKS = 128, MOST_PARTS = 16, LEAST_STEPS = 12 };

static int divide_up(int a, int b)
{
    return (a + b - 1) / b;
}

static tile_choice choose_tile(const conv_problem &p)
{
    const int down = divide_up(p.out_height * p.out_width, tile_large::rows);
    if (p.outputs <= tile_head::columns) return HEAD;
    if (down * divide_up(p.outputs, tile_large::columns) < ENOUGH_BLOCKS) return SMALL;
    return p.outputs <= tile_tall::columns ? TALL : LARGE;
}

template <class TILE> static int tiles_of(const conv_problem &p)
{
    return divide_up(p.out_height * p.out_width, TILE::rows);
}

int conv80_tiles(const conv_problem &p)
{
    return choose_tile(p) == SMALL ? tiles_of<tile_small>(p) : tiles_of<tile_large>(p);
}

static int steps_of(const conv_problem &p)
{
    return divide_up(p.kernel * p.kernel * conv_tap(p), K_TILE);
}

static int blocks_of_small(const conv_problem &p)
{
    return tiles_of<tile_small>(p) * divide_up(p.outputs, tile_small::columns);
}

/* How many stages of K a part has, where K is cut. */
static int choose_part(const conv_problem &p)
{
    const int steps = steps_of(p);
    int parts = min(WANTED_BLOCKS / blocks_of_small(p), steps / LEAST_STEPS);
    if (parts > MOST_PARTS) parts = MOST_PARTS;
    return parts > 1 && choose_tile(p) == SMALL ? divide_up(steps, parts) : steps;
}

uint64_t conv80_scratch(const conv_problem &p)
{
    const int parts = divide_up(steps_of(p), choose_part(p));
    if (parts == 1) return 0;
    return static_cast<uint64_t>(parts) * static_cast<uint64_t>(p.lanes) *
           static_cast<uint64_t>(blocks_of_small(p)) * tile_small::rows * tile_small::columns *
           sizeof(float);
}

template <class TILE, int BLOCKS> static int launch_tile(ie_stream *s, conv80_call c)
{
    c.column_tiles = divide_up(c.p.outputs, TILE::columns);
    const dim3 grid(static_cast<unsigned>(tiles_of<TILE>(c.p) * c.column_tiles),
                    static_cast<unsigned>(c.p.lanes), static_cast<unsigned>(c.parts));
    return launch(conv80_kernel<TILE, BLOCKS>, grid, dim3(TILE::threads),
                  TILE::stages * TILE::stage_bytes, s, c);
}

static int launch_small(ie_stream *s, conv80_call c, void *scratch)
{
    c.part_steps = choose_part(c.p);
    c.parts = divide_up(c.steps, c.part_steps);
    c.sums = c.parts > 1 ? static_cast<float *>(scratch) : nullptr;
    const int code = launch_tile<tile_small, 4>(s, c);
    if (code || c.parts == 1) return code;
    c.column_tiles = divide_up(c.p.outputs, tile_small::columns);
    const dim3 grid(static_cast<unsigned>(blocks_of_small(c.p)), static_cast<unsigned>(c.p.lanes));
    /* The memory that moments are taken in. */
    const size_t shared = tile_small::warps_down * tile_small::columns * sizeof(float);
    return launch(conv80_add_kernel<tile_small>, grid, dim3(tile_small::threads), shared, s, c);
}

static bool aligned(const void *pointer)
{
    return (reinterpret_cast<uintptr_t>(pointer) & 15) == 0;
}

int conv80(ie_stream *s, const conv_problem &p, void *scratch)
{
    conv80_call c = {};
    c.p = p;
    c.row = conv_row(p);
    c.steps = steps_of(p);
    c.parts = 1;
    c.chunks[0] = conv_round_up(p.channels[0], p.unit) / CHUNK;
    c.chunks[1] = conv_tap(p) / CHUNK;
    c.rows_of_weights = conv_padded_outputs(p);
    c.vector = p.outputs % 8 == 0 && aligned(p.y) && aligned(p.residual);
    switch (choose_tile(p)) {
    case LARGE: return launch_tile<tile_large, 2>(s, c);
    case TALL: return launch_tile<tile_tall, 3>(s, c);
    case SMALL: return launch_small(s, c, scratch);
    default: return launch_tile<tile_head, 4>(s, c);
    }
}
