/* attention.cu - test kernel: attention over two segments of keys and values without a score
 * matrix in memory, head dimension 64. Four warps with 16 queries each; keys come in tiles of 64,
 * double-buffered; softmax runs along.
 * SPDX-License-Identifier: Apache-2.0 */
#include "kernels.h"
#include "ptx.h"

constexpr int TILE = 64, HEAD = 64;
constexpr uint32_t TILE_BYTES = TILE * HEAD * 2;
constexpr float LOG2_E = 1.4426950408889634f;

PTX_INLINE uint32_t place(int row, int chunk)
{
    return static_cast<uint32_t>(row * 128 + ((chunk ^ (row & 7)) << 4));
}

struct Tile { /* of keys: rows `first` on of the segment, of which `rows` exist */
    const bf16 *k, *v;
    int first, rows, before; /* before: keys of the segment before this one */
};

PTX_INLINE Tile tile_at(const Attention &a, int head, int tile)
{
    const int tiles1 = (a.n1 + TILE - 1) / TILE;
    const bool second = tile >= tiles1;
    const int rows = second ? a.n2 : a.n1;
    const size_t start = static_cast<size_t>(head) * rows * HEAD;
    return {(second ? a.k2 : a.k1) + start, (second ? a.v2 : a.v1) + start,
            (second ? tile - tiles1 : tile) * TILE, rows, second ? a.n1 : 0};
}

/* 64 rows of a matrix whose row `first` on are wanted; zeros beyond its end. */
PTX_INLINE void load_rows(uint32_t to, const bf16 *from, int first, int rows)
{
    for (int i = 0; i < 4; i++) {
        const int index = static_cast<int>(threadIdx.x) + i * 128, row = index >> 3;
        const int chunk = index & 7;
        const bool valid = first + row < rows;
        const bf16 *source =
            valid ? from + static_cast<size_t>(first + row) * HEAD + chunk * 8 : from;
        cp_async_16(to + place(row, chunk), source, valid);
    }
}

PTX_INLINE void load_tile(const Tile &tile, uint32_t k, uint32_t v)
{
    load_rows(k, tile.k, tile.first, tile.rows);
    load_rows(v, tile.v, tile.first, tile.rows);
}

PTX_INLINE void score(float (&s)[8][4], const uint32_t (&q)[4][4], uint32_t keys)
{
    const int lane = static_cast<int>(threadIdx.x) & 31;
#pragma unroll
    for (int d = 0; d < 4; d++) {
#pragma unroll
        for (int j = 0; j < 4; j++) {
            uint32_t k[4];
            const int row = j * 16 + (lane & 7) + ((lane >> 4) << 3);
            ldmatrix_x4(k, keys + place(row, d * 2 + ((lane >> 3) & 1)));
            mma_bf16(s[2 * j], q[d], k[0], k[1]);
            mma_bf16(s[2 * j + 1], q[d], k[2], k[3]);
        }
    }
}

/* Scales to powers of two, adds the bias, and cuts what is behind the segment's end. */
PTX_INLINE void finish_scores(float (&s)[8][4], const Attention &a, const Tile &tile, int query)
{
    const int lane = static_cast<int>(threadIdx.x) & 31;
    const int head = static_cast<int>(blockIdx.y) % a.heads;
#pragma unroll
    for (int j = 0; j < 8; j++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int key = tile.first + j * 8 + (lane & 3) * 2 + (i & 1);
            const int row = query + (i >> 1) * 8;
            float x = s[j][i] * (a.scale * LOG2_E);
            if (key >= tile.rows) {
                x = -INFINITY;
            } else if (a.bias && row < a.queries) {
                const size_t at = (static_cast<size_t>(head) * a.queries + row) * (a.n1 + a.n2);
                x += LOG2_E * __bfloat162float(a.bias[at + tile.before + key]);
            }
            s[j][i] = x;
        }
    }
}

struct Running { /* of rows lane / 4 and that plus 8 */
    float out[8][4], highest[2], sum[2];
};

/* Turns scores into weights relative to the highest so far, and rescales what was summed. */
PTX_INLINE void soften(Running &r, float (&s)[8][4])
{
#pragma unroll
    for (int i = 0; i < 2; i++) {
        float highest = r.highest[i];
        for (int j = 0; j < 8; j++) {
            highest = fmaxf(highest, fmaxf(s[j][2 * i], s[j][2 * i + 1]));
        }
        highest = fmaxf(highest, __shfl_xor_sync(0xffffffffu, highest, 1));
        highest = fmaxf(highest, __shfl_xor_sync(0xffffffffu, highest, 2));
        const float factor = exp2_approximate(r.highest[i] - highest);
        r.highest[i] = highest;
        r.sum[i] *= factor;
        for (int j = 0; j < 8; j++) {
            for (int h = 0; h < 2; h++) {
                r.out[j][2 * i + h] *= factor;
                s[j][2 * i + h] = exp2_approximate(s[j][2 * i + h] - highest);
                r.sum[i] += s[j][2 * i + h];
            }
        }
    }
}

PTX_INLINE uint32_t pack(float low, float high)
{
    const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
    return *reinterpret_cast<const uint32_t *>(&pair);
}

PTX_INLINE void weigh(Running &r, const float (&s)[8][4], uint32_t values)
{
    const int lane = static_cast<int>(threadIdx.x) & 31;
#pragma unroll
    for (int k = 0; k < 4; k++) {
        const uint32_t p[4] = {pack(s[2 * k][0], s[2 * k][1]), pack(s[2 * k][2], s[2 * k][3]),
                               pack(s[2 * k + 1][0], s[2 * k + 1][1]),
                               pack(s[2 * k + 1][2], s[2 * k + 1][3])};
#pragma unroll
        for (int j = 0; j < 4; j++) {
            uint32_t v[4];
            ldmatrix_x4_transposed(v, values + place(k * 16 + (lane & 15), j * 2 + (lane >> 4)));
            mma_bf16(r.out[2 * j], p, v[0], v[1]);
            mma_bf16(r.out[2 * j + 1], p, v[2], v[3]);
        }
    }
}

PTX_INLINE void write_rows(const Attention &a, Running &r, int query)
{
    const int lane = static_cast<int>(threadIdx.x) & 31;
#pragma unroll
    for (int i = 0; i < 2; i++) {
        r.sum[i] += __shfl_xor_sync(0xffffffffu, r.sum[i], 1);
        r.sum[i] += __shfl_xor_sync(0xffffffffu, r.sum[i], 2);
        const float inverse = 1.0f / r.sum[i];
        const int row = query + 8 * i;
        if (row >= a.queries) continue;
        bf16 *out = a.o + (static_cast<size_t>(blockIdx.y) * a.queries + row) * HEAD;
        for (int j = 0; j < 8; j++) {
            *reinterpret_cast<__nv_bfloat162 *>(out + j * 8 + (lane & 3) * 2) =
                __floats2bfloat162_rn(r.out[j][2 * i] * inverse, r.out[j][2 * i + 1] * inverse);
        }
    }
}

__global__ void __launch_bounds__(128) attention_kernel(Attention a)
{
    const int warp = static_cast<int>(threadIdx.x) >> 5, lane = static_cast<int>(threadIdx.x) & 31;
    const int head = static_cast<int>(blockIdx.y), query0 = static_cast<int>(blockIdx.x) * TILE;
    const int tiles = (a.n1 + TILE - 1) / TILE + (a.n2 + TILE - 1) / TILE;
    const uint32_t queries = shared_address(dynamic_shared());
    const uint32_t keys = queries + TILE_BYTES, values = keys + 2 * TILE_BYTES;
    const int query = query0 + warp * 16 + (lane >> 2);

    load_rows(queries, a.q + static_cast<size_t>(head) * a.queries * HEAD, query0, a.queries);
    load_tile(tile_at(a, head, 0), keys, values);
    cp_async_commit();
    uint32_t q[4][4];
    Running r = {{}, {-INFINITY, -INFINITY}, {}};
    for (int t = 0; t < tiles; t++) {
        cp_async_wait<0>();
        __syncthreads();
        if (t == 0) {
            for (int d = 0; d < 4; d++) {
                ldmatrix_x4(q[d], queries + place(warp * 16 + (lane & 15), d * 2 + (lane >> 4)));
            }
        }
        if (t + 1 < tiles) {
            const uint32_t other = ((t + 1) & 1) * TILE_BYTES;
            load_tile(tile_at(a, head, t + 1), keys + other, values + other);
            cp_async_commit();
        }
        float s[8][4] = {};
        score(s, q, keys + (t & 1) * TILE_BYTES);
        finish_scores(s, a, tile_at(a, head, t), query);
        soften(r, s);
        weigh(r, s, values + (t & 1) * TILE_BYTES);
    }
    write_rows(a, r, query);
}

cudaError_t run_attention(Attention a, cudaStream_t stream)
{
    const dim3 grid(divide_up(a.queries, TILE), a.lanes * a.heads);
    return launch(launch_config(grid, dim3(128), 5 * TILE_BYTES, stream), attention_kernel, a);
}
