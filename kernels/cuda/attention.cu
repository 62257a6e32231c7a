/* attention.cu - attention over two segments of keys, without a score matrix in memory.
 *
 * y[n, t, h, :] = sum_l p[l] v[l, h, :], p = softmax(scale <q, k_l> + bias[h, t, l]) over the keys
 * of both segments; the bias belongs to the second one                                    (ops.h)
 *
 *   shapes    q [N, T, h, d], k, v [S or N, L, h, d] bf16, any strides but the last; y contiguous;
 *             bias [h, T, L1] f32; lengths and slots i32. d up to 256
 *   requires  nothing; copies of 16 bytes where d, strides and addresses are multiples of 8
 *             elements, else element by element
 *   numerics  bf16 products, f32 sums; softmax in f32 on powers of two, keys in order (text, then
 *             image); p rounded to bf16 for its product with v, its sum is not
 *   cost      4 T L d FLOP a head, bf16 matrix units; exp2 16 a cycle: at d = 64 as long as both
 *             products. 4096 queries, 256 keys, d = 256: compute-bound; 64 queries: latency
 *   mapping   a block: 64 queries of one head of one lane, 16 a warp (a warp without queries only
 *             copies); keys in tiles of 64 (32 where d > 128), two of them in shared memory, the
 *             next one under way while one is used. Rows of d are padded to 16, 32, 64, 128 or 256
 *             and swizzled, so that ldmatrix has no bank conflicts. Query fragments stay in
 *             registers up to d = 128. Tiles past a length are never read
 *   shared    (64 + 4 tile) 2 d bytes: 40 KB at 64, 80 KB at 128, 96 KB at 256
 *   limits    254 registers at d = 256, 245 at 128, 165 at 64, fewer below (nvcc 13.0; sm_80, 90a,
 *             120), no spills: 2, 2 and 3 blocks an SM of sm_90
 *   measured  not yet on a device
 * SPDX-License-Identifier: Apache-2.0 */
#include "cuda_ops.h"
#include "launch.h"
#include "values.h"

constexpr int ATTENTION_THREADS = 128, QUERIES = 64;
constexpr float LOG2_E = 1.4426950408889634f;

/* Keys of a tile. */
template <int D> constexpr int KEYS = D > 128 ? 32 : 64;
template <int D> constexpr size_t ATTENTION_BYTES = (QUERIES + 4 * KEYS<D>)*D * sizeof(bf16);

struct Segment {
    const bf16 *k, *v;
    const int *index, *length;                            /* or null */
    int64_t k_lane, k_row, k_head, v_lane, v_row, v_head; /* strides */
    int rows;                                             /* 0: no such segment */
};

struct Attention {
    bf16 *y;
    const bf16 *q;
    int64_t q_lane, q_row, q_head;
    Segment keys[2];
    const float *bias; /* or null */
    int64_t bias_head, bias_row;
    int queries, heads, width;
    float scale;
    bool eights; /* copies of 16 bytes are possible */
};

/* What one head of one lane sees of a segment. */
struct Run {
    const bf16 *k, *v;
    int64_t k_row, v_row;
    int count;
};

PTX_INLINE Run run_of(const Segment &s)
{
    if (s.rows == 0) return {nullptr, nullptr, 0, 0, 0};
    const int64_t row = s.index ? s.index[blockIdx.z] : blockIdx.z, head = blockIdx.y;
    return {s.k + row * s.k_lane + head * s.k_head, s.v + row * s.v_lane + head * s.v_head, s.k_row,
            s.v_row, s.length ? s.length[row] : s.rows};
}

/* ---- shared memory --------------------------------------------------------------------------- */

/* Where 16 bytes of a row lie: eight rows of one chunk touch all banks once. */
template <int D> PTX_INLINE uint32_t place(int row, int chunk)
{
    constexpr int CHUNKS = D / 8;
    const int turn = CHUNKS >= 8 ? row & 7 : CHUNKS == 4 ? row >> 1 & 3 : row >> 2 & 1;
    return static_cast<uint32_t>(row * CHUNKS + (chunk ^ turn)) * 16;
}

/* Rows of `width` elements of which the first is wanted at `to`, `count` of ROWS exist; zeros for
 * the others, and to the right of `width`. */
struct Rows {
    const bf16 *from;
    int64_t row;
    int count, width;
    bool eights;
};

template <int D, int ROWS> PTX_INLINE void load_rows(uint32_t to, const Rows &rows)
{
    constexpr int CHUNKS = D / 8;
    if (rows.eights) {
        for (int i = static_cast<int>(threadIdx.x); i < ROWS * CHUNKS; i += ATTENTION_THREADS) {
            const int row = i / CHUNKS, chunk = i % CHUNKS;
            const bool valid = row < rows.count && chunk * 8 < rows.width;
            const bf16 *from = valid ? rows.from + row * rows.row + chunk * 8 : rows.from;
            cp_async_16(to + place<D>(row, chunk), from, valid);
        }
        return;
    }
    bf16 *const shared = reinterpret_cast<bf16 *>(dynamic_shared());
    for (int i = static_cast<int>(threadIdx.x); i < ROWS * D; i += ATTENTION_THREADS) {
        const int row = i / D, d = i % D;
        const bool valid = row < rows.count && d < rows.width;
        const uint32_t at = to - shared_address(shared) + place<D>(row, d / 8);
        shared[at / sizeof(bf16) + d % 8] =
            valid ? rows.from[row * rows.row + d] : __float2bfloat16(0.0f);
    }
}

/* Keys [first, first + KEYS) of a run. */
template <int D>
PTX_INLINE void load_tile(const Attention &a, const Run &run, int first, uint32_t k, uint32_t v)
{
    const int count = run.count - first;
    load_rows<D, KEYS<D>>(k, {run.k + first * run.k_row, run.k_row, count, a.width, a.eights});
    load_rows<D, KEYS<D>>(v, {run.v + first * run.v_row, run.v_row, count, a.width, a.eights});
}

/* ---- one tile of keys ------------------------------------------------------------------------ */

template <int D> PTX_INLINE void load_query(uint32_t (&q)[4], uint32_t queries, int d)
{
    const int lane = static_cast<int>(threadIdx.x) & 31, warp = static_cast<int>(threadIdx.x) >> 5;
    ldmatrix_x4(q, queries + place<D>(warp * 16 + (lane & 15), d * 2 + (lane >> 4)));
}

/* The query's fragments: all of them, or none where they do not fit into registers. */
template <int D> constexpr int KEPT = D > 128 ? 1 : D / 16;

template <int D>
PTX_INLINE void score_tile(float (&s)[KEYS<D> / 8][4], uint32_t (&q)[KEPT<D>][4], uint32_t queries,
                           uint32_t keys)
{
    const int lane = static_cast<int>(threadIdx.x) & 31;
    const int row = (lane & 7) + (lane >> 4) * 8, half = lane >> 3 & 1;
#pragma unroll
    for (int d = 0; d < D / 16; d++) {
        if (D > 128) load_query<D>(q[0], queries, d);
#pragma unroll
        for (int j = 0; j < KEYS<D> / 16; j++) {
            uint32_t k[4];
            ldmatrix_x4(k, keys + place<D>(j * 16 + row, d * 2 + half));
            mma_bf16(s[2 * j], q[d % KEPT<D>], k[0], k[1]);
            mma_bf16(s[2 * j + 1], q[d % KEPT<D>], k[2], k[3]);
        }
    }
}

/* Scores to powers of two, with the bias, and nothing past the run's end: `left` keys exist. `bias`
 * is that of the tile's first key, null: none; `query` the thread's first row. */
template <int TILE>
PTX_INLINE void finish_scores(float (&s)[TILE / 8][4], const Attention &a, const float *bias,
                              int query, int left)
{
    const int column = static_cast<int>(threadIdx.x) % 4 * 2;
    const float scale = a.scale * LOG2_E;
#pragma unroll
    for (int j = 0; j < TILE / 8; j++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int key = j * 8 + column + i % 2, row = query + i / 2 * 8;
            s[j][i] *= scale;
            if (key >= left) {
                s[j][i] = -INFINITY;
            } else if (bias && row < a.queries) {
                s[j][i] += LOG2_E * bias[row * a.bias_row + key];
            }
        }
    }
}

/* Of rows lane / 4 and that plus 8. */
template <int D> struct Softmax {
    float out[D / 8][4], highest[2], sum[2];
};

/* Scores to weights relative to the highest so far; what was summed is scaled to it. */
template <int D> PTX_INLINE void soften(Softmax<D> &r, float (&s)[KEYS<D> / 8][4])
{
#pragma unroll
    for (int i = 0; i < 2; i++) {
        float highest = r.highest[i];
#pragma unroll
        for (int j = 0; j < KEYS<D> / 8; j++) {
            highest = fmaxf(highest, fmaxf(s[j][2 * i], s[j][2 * i + 1]));
        }
        highest = fmaxf(highest, __shfl_xor_sync(0xffffffffu, highest, 1));
        highest = fmaxf(highest, __shfl_xor_sync(0xffffffffu, highest, 2));
        const float factor = exp2_approximate(r.highest[i] - highest);
        r.highest[i] = highest;
        r.sum[i] *= factor;
#pragma unroll
        for (int j = 0; j < KEYS<D> / 8; j++) {
#pragma unroll
            for (int h = 2 * i; h < 2 * i + 2; h++) {
                s[j][h] = exp2_approximate(s[j][h] - highest);
                r.sum[i] += s[j][h];
            }
        }
#pragma unroll
        for (int j = 0; j < D / 8; j++) {
            r.out[j][2 * i] *= factor;
            r.out[j][2 * i + 1] *= factor;
        }
    }
}

template <int D>
PTX_INLINE void weigh_tile(Softmax<D> &r, const float (&s)[KEYS<D> / 8][4], uint32_t values)
{
    const int lane = static_cast<int>(threadIdx.x) & 31;
#pragma unroll
    for (int k = 0; k < KEYS<D> / 16; k++) {
        const float(&low)[4] = s[2 * k], (&high)[4] = s[2 * k + 1];
        const uint32_t p[4] = {bf16_pair(low[0], low[1]), bf16_pair(low[2], low[3]),
                               bf16_pair(high[0], high[1]), bf16_pair(high[2], high[3])};
#pragma unroll
        for (int j = 0; j < D / 16; j++) {
            uint32_t v[4];
            ldmatrix_x4_transposed(v, values + place<D>(k * 16 + (lane & 15), j * 2 + (lane >> 4)));
            mma_bf16(r.out[2 * j], p, v[0], v[1]);
            mma_bf16(r.out[2 * j + 1], p, v[2], v[3]);
        }
    }
}

/* ---- the result ------------------------------------------------------------------------------ */

PTX_INLINE void write_pair(bf16 *to, int d, int width, float low, float high)
{
    if (width % 2 == 0) {
        if (d < width) *reinterpret_cast<uint32_t *>(to + d) = bf16_pair(low, high);
        return;
    }
    if (d < width) to[d] = __float2bfloat16(low);
    if (d + 1 < width) to[d + 1] = __float2bfloat16(high);
}

/* `any`: there was a key at all. */
template <int D> PTX_INLINE void write_rows(const Attention &a, Softmax<D> &r, int query, bool any)
{
    const int column = static_cast<int>(threadIdx.x) % 4 * 2;
#pragma unroll
    for (int i = 0; i < 2; i++) {
        r.sum[i] += __shfl_xor_sync(0xffffffffu, r.sum[i], 1);
        r.sum[i] += __shfl_xor_sync(0xffffffffu, r.sum[i], 2);
        const float inverse = any ? 1.0f / r.sum[i] : 0.0f;
        const int row = query + 8 * i;
        if (row >= a.queries) continue;
        const int64_t token = static_cast<int64_t>(blockIdx.z) * a.queries + row;
        bf16 *const to = a.y + (token * a.heads + blockIdx.y) * a.width;
#pragma unroll
        for (int j = 0; j < D / 8; j++) {
            write_pair(to, j * 8 + column, a.width, r.out[j][2 * i] * inverse,
                       r.out[j][2 * i + 1] * inverse);
        }
    }
}

/* ---- the kernel ------------------------------------------------------------------------------ */

template <int D> __global__ void __launch_bounds__(ATTENTION_THREADS) attention_kernel(Attention a)
{
    wait_for_last_grid();
    constexpr int TILE = KEYS<D>;
    constexpr uint32_t TILE_BYTES = TILE * D * sizeof(bf16);
    const int lane = static_cast<int>(threadIdx.x) & 31, warp = static_cast<int>(threadIdx.x) >> 5;
    const int query0 = static_cast<int>(blockIdx.x) * QUERIES;
    const int query = query0 + warp * 16 + lane / 4;   /* the thread's first */
    const bool idle = query0 + warp * 16 >= a.queries; /* the whole warp */
    const uint32_t queries = shared_address(dynamic_shared());
    const uint32_t keys = queries + QUERIES * D * sizeof(bf16), values = keys + 2 * TILE_BYTES;

    const Run text = run_of(a.keys[0]), image = run_of(a.keys[1]);
    const int text_tiles = (text.count + TILE - 1) / TILE;
    const int tiles = text_tiles + (image.count + TILE - 1) / TILE;
    const auto load_numbered = [&](int t) {
        const uint32_t turn = (t & 1) * TILE_BYTES;
        const bool second = t >= text_tiles;
        const Run run = {second ? image.k : text.k, second ? image.v : text.v,
                         second ? image.k_row : text.k_row, second ? image.v_row : text.v_row,
                         second ? image.count : text.count};
        load_tile<D>(a, run, (second ? t - text_tiles : t) * TILE, keys + turn, values + turn);
    };

    load_rows<D, QUERIES>(queries,
                          {a.q + blockIdx.z * a.q_lane + query0 * a.q_row + blockIdx.y * a.q_head,
                           a.q_row, a.queries - query0, a.width, a.eights});
    if (tiles > 0) load_numbered(0);
    cp_async_commit();

    uint32_t q[KEPT<D>][4] = {};
    Softmax<D> r = {{}, {-INFINITY, -INFINITY}, {}};
    for (int t = 0; t < tiles; t++) {
        cp_async_wait<0>();
        __syncthreads(); /* tile t is there, and tile t - 1 has been used */
        if (t == 0 && D <= 128) {
#pragma unroll
            for (int d = 0; d < KEPT<D>; d++) load_query<D>(q[d], queries, d);
        }
        if (t + 1 < tiles) {
            load_numbered(t + 1);
            cp_async_commit();
        }
        if (idle) continue;
        const bool second = t >= text_tiles;
        const int first = (second ? t - text_tiles : t) * TILE;
        const float *bias = a.bias && second ? a.bias + blockIdx.y * a.bias_head + first : nullptr;
        float s[TILE / 8][4] = {};
        score_tile<D>(s, q, queries, keys + (t & 1) * TILE_BYTES);
        finish_scores<TILE>(s, a, bias, query, (second ? image.count : text.count) - first);
        soften(r, s);
        weigh_tile(r, s, values + (t & 1) * TILE_BYTES);
    }
    cp_async_wait<0>(); /* without a key the queries are still on their way */
    if (!idle) write_rows(a, r, query, tiles > 0);
}

/* ---- launch ---------------------------------------------------------------------------------- */

static bool in_eights(ie_tensor t)
{
    return reinterpret_cast<uintptr_t>(t.data) % 16 == 0 && t.stride[0] % 8 == 0 &&
           t.stride[1] % 8 == 0 && t.stride[2] % 8 == 0;
}

static Segment segment_of(const ie_keys &keys)
{
    Segment s = {};
    if (!ie_present(keys.k)) return s;
    s.k = static_cast<const bf16 *>(keys.k.data);
    s.v = static_cast<const bf16 *>(keys.v.data);
    if (ie_present(keys.index)) s.index = static_cast<const int *>(keys.index.data);
    if (ie_present(keys.length)) s.length = static_cast<const int *>(keys.length.data);
    s.k_lane = keys.k.stride[0];
    s.k_row = keys.k.stride[1];
    s.k_head = keys.k.stride[2];
    s.v_lane = keys.v.stride[0];
    s.v_row = keys.v.stride[1];
    s.v_head = keys.v.stride[2];
    s.rows = static_cast<int>(keys.k.dim[1]);
    return s;
}

uint64_t ie_cuda_attention_scratch(const ie_attention_args *)
{
    return 0;
}

template <int D> static int attention_of(ie_stream *s, const Attention &a, int64_t lanes)
{
    const dim3 grid(blocks_for(a.queries, QUERIES), static_cast<unsigned>(a.heads),
                    static_cast<unsigned>(lanes));
    return launch(attention_kernel<D>, grid, dim3(ATTENTION_THREADS), ATTENTION_BYTES<D>, s, a);
}

int ie_cuda_attention(ie_stream *s, const ie_attention_args *args)
{
    const ie_tensor q = args->q;
    if (q.dtype != IE_BF16 || q.dim[3] > 256) return cudaErrorInvalidValue;
    Attention a = {};
    a.y = static_cast<bf16 *>(args->y.data);
    a.q = static_cast<const bf16 *>(q.data);
    a.q_lane = q.stride[0];
    a.q_row = q.stride[1];
    a.q_head = q.stride[2];
    a.eights = q.dim[3] % 8 == 0 && in_eights(q);
    for (int i = 0; i < 2; i++) {
        a.keys[i] = segment_of(args->keys[i]);
        if (!ie_present(args->keys[i].k)) continue;
        a.eights = a.eights && in_eights(args->keys[i].k) && in_eights(args->keys[i].v);
    }
    if (ie_present(args->bias)) {
        a.bias = static_cast<const float *>(args->bias.data);
        a.bias_head = args->bias.stride[0];
        a.bias_row = args->bias.stride[1];
    }
    a.queries = static_cast<int>(q.dim[1]);
    a.heads = static_cast<int>(q.dim[2]);
    a.width = static_cast<int>(q.dim[3]);
    a.scale = args->scale;
    const int64_t lanes = args->y.dim[0];
    if (a.width <= 16) return attention_of<16>(s, a, lanes);
    if (a.width <= 32) return attention_of<32>(s, a, lanes);
    if (a.width <= 64) return attention_of<64>(s, a, lanes);
    if (a.width <= 128) return attention_of<128>(s, a, lanes);
    return attention_of<256>(s, a, lanes);
}
