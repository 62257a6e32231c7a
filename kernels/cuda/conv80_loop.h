/* conv80_loop.h - the loop of conv80.cu over K: the shape of a tile, copies into a stage, products
 * out of it. The data sheet is in conv80.cu.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CUDA_CONV80_LOOP_H
#define IE_CUDA_CONV80_LOOP_H

#include "conv.h"
#include "ptx.h"

constexpr int K_TILE = 32, LINE = 2 * K_TILE; /* values and bytes of a row of a stage */
constexpr int CHUNK = 8, CHUNKS = K_TILE / CHUNK;

/* Rows of pixels, columns of outputs, and the grid of warps over them. */
template <int ROWS, int COLUMNS, int WARPS_DOWN, int WARPS_ACROSS, int STAGES, bool PARTS = false>
struct conv80_tile {
    static constexpr bool parts = PARTS; /* whether K may be cut */
    static constexpr int rows = ROWS, columns = COLUMNS, stages = STAGES;
    static constexpr int warps_down = WARPS_DOWN, warps_across = WARPS_ACROSS;
    static constexpr int threads = 32 * WARPS_DOWN * WARPS_ACROSS;
    static constexpr int warp_rows = ROWS / WARPS_DOWN, warp_columns = COLUMNS / WARPS_ACROSS;
    static constexpr int down = warp_rows / 16, across = warp_columns / 8; /* matrices of a warp */
    static constexpr int run = 2 * across;          /* neighbouring outputs of a lane */
    static constexpr int copied = threads / CHUNKS; /* rows that the block copies at once */
    static constexpr int row_copies = ROWS / copied;
    static constexpr int column_copies = (COLUMNS + copied - 1) / copied;
    static constexpr uint32_t weights_at = ROWS * LINE, stage_bytes = (ROWS + COLUMNS) * LINE;
    static_assert(across == 2 || across == 4, "a lane's run is 4 or 8 outputs");
    static_assert(ROWS % copied == 0, "every thread copies as many rows");
};

struct conv80_call {
    conv_problem p;
    int steps;           /* stages of K */
    int row;             /* elements of a packed row of weights */
    int chunks[2];       /* of source 0, and of a tap */
    int column_tiles;    /* of all outputs */
    int rows_of_weights; /* packed */
    /* K may be cut into parts of so many stages, whose sums lie in `sums` until they are added:
     * [parts][lanes][tiles][matrices of a warp][threads][4]. Null: K is whole. */
    int part_steps, parts;
    float *sums;
    bool vector; /* y and residual may be accessed by runs */
};

template <class TILE> using conv80_sums = float[TILE::down][TILE::across][4];

/* ---- copies ---------------------------------------------------------------------------------- */

/* The chunk of K that a thread copies: a tap, and which chunk of its channels. */
struct cursor {
    int ky, kx, chunk;
};

PTX_INLINE void settle(const conv80_call &c, cursor &at)
{
    while (at.chunk >= c.chunks[1]) {
        at.chunk -= c.chunks[1];
        if (++at.kx == c.p.kernel) at.kx = 0, at.ky++;
    }
}

PTX_INLINE uint32_t place_pixels(int row, int chunk)
{
    return static_cast<uint32_t>(row * LINE + ((chunk ^ ((row >> 1) & 3)) << 4));
}

template <class TILE> PTX_INLINE uint32_t place_weights(int row, int chunk)
{
    return TILE::weights_at +
           static_cast<uint32_t>(row * LINE + ((chunk ^ ((row / TILE::run) & 3)) << 4));
}

/* What a thread copies: its rows of pixels, by where they begin in the lane's sources (the first
 * tap, maybe outside the image), and its place in the rows of weights. */
template <class TILE> struct copies {
    int y[TILE::row_copies], x[TILE::row_copies];
    const __nv_bfloat16 *source[2], *weight;
};

template <class TILE>
PTX_INLINE void find_copies(copies<TILE> &from, const conv80_call &c, int m0, int n0)
{
    const conv_problem &p = c.p;
    const int pixels = p.out_height * p.out_width, thread = static_cast<int>(threadIdx.x);
    const size_t before = static_cast<size_t>(blockIdx.y) * p.height * p.width;
    from.source[0] = p.x[0] + before * p.channels[0];
    from.source[1] = p.x[1] + before * p.channels[1];
    from.weight =
        p.weight + static_cast<size_t>(n0 + thread / CHUNKS) * c.row + thread % CHUNKS * CHUNK;
#pragma unroll
    for (int i = 0; i < TILE::row_copies; i++) {
        const int pixel = m0 + thread / CHUNKS + i * TILE::copied;
        const int y = pixel / p.out_width, x = pixel - y * p.out_width;
        from.y[i] = pixel < pixels ? y * p.stride - p.pad : -(1 << 24); /* above any image */
        from.x[i] = x * p.stride - p.pad;
    }
}

template <class TILE>
PTX_INLINE void load_stage(const conv80_call &c, const copies<TILE> &from, cursor at, int n0,
                           uint32_t to)
{
    const conv_problem &p = c.p;
    const int first = static_cast<int>(threadIdx.x) / CHUNKS;
    const int chunk = static_cast<int>(threadIdx.x) % CHUNKS;
    const bool second = at.chunk >= c.chunks[0];
    const int channel = (second ? at.chunk - c.chunks[0] : at.chunk) * CHUNK;
    const int channels = second ? p.channels[1] : p.channels[0];
    const bool exists = at.ky < p.kernel && channel < channels;
    const __nv_bfloat16 *source = (second ? from.source[1] : from.source[0]) + channel;
#pragma unroll
    for (int i = 0; i < TILE::row_copies; i++) {
        const int y = from.y[i] + at.ky, x = from.x[i] + at.kx;
        const bool inside = exists && static_cast<unsigned>(y) < static_cast<unsigned>(p.height) &&
                            static_cast<unsigned>(x) < static_cast<unsigned>(p.width);
        const size_t pixel = static_cast<size_t>(inside ? y * p.width + x : 0);
        cp_async_16(to + place_pixels(first + i * TILE::copied, chunk),
                    inside ? source + pixel * channels : p.weight, inside);
    }
#pragma unroll
    for (int i = 0; i < TILE::column_copies; i++) {
        const int column = first + i * TILE::copied;
        if (TILE::columns % TILE::copied != 0 && column >= TILE::columns) break;
        const bool inside = n0 + column < c.rows_of_weights;
        cp_async_16(to + place_weights<TILE>(column, chunk),
                    inside ? from.weight + static_cast<size_t>(i * TILE::copied) * c.row : p.weight,
                    inside);
    }
}

/* ---- products -------------------------------------------------------------------------------- */

template <class TILE> PTX_INLINE void multiply_stage(conv80_sums<TILE> &sums, uint32_t from)
{
    const int warp = static_cast<int>(threadIdx.x) >> 5, lane = static_cast<int>(threadIdx.x) & 31;
    const int row = warp / TILE::warps_across * TILE::warp_rows + (lane & 15);
    /* Row r of matrix j holds output run * (r / 2) + 2 j + r % 2 of the warp's, which puts outputs
     * run * (lane % 4) .. + run of a pixel into one lane. */
    const int column = warp % TILE::warps_across * TILE::warp_columns +
                       ((lane & 7) >> 1) * TILE::run + ((lane >> 4) << 1) + (lane & 1);
#pragma unroll
    for (int k = 0; k < K_TILE / 16; k++) {
        uint32_t a[TILE::down][4], b[TILE::across / 2][4];
#pragma unroll
        for (int i = 0; i < TILE::down; i++) {
            ldmatrix_x4(a[i], from + place_pixels(row + i * 16, k * 2 + (lane >> 4)));
        }
#pragma unroll
        for (int j = 0; j < TILE::across / 2; j++) {
            ldmatrix_x4(b[j],
                        from + place_weights<TILE>(column + j * 4, k * 2 + ((lane >> 3) & 1)));
        }
#pragma unroll
        for (int i = 0; i < TILE::down; i++) {
#pragma unroll
            for (int j = 0; j < TILE::across; j++) {
                mma_bf16(sums[i][j], a[i], b[j >> 1][(j & 1) * 2], b[j >> 1][(j & 1) * 2 + 1]);
            }
        }
    }
}

#endif
