/* conv90_norm.cu - convolution on sm_90a of sources that are normed on load: 3x3, stride 1; group
 * norm, film and SiLU are done between memory and the tensor cores, and the pass of apply.cu over
 * memory disappears.
 *
 *   u = silu((x0 ++ x1 - centre) scale + shift), rounded to bf16; y as in conv.h, of u
 *
 *   shapes    as conv90.cu; folded [lanes, 3, channels] f32: centre, scale, shift (apply.cu)
 *   requires  kernel 3, stride 1, channels of each source multiples of 64, outputs of 4; as well
 *             as alignments of conv90.cu. Who comes here: normed_load.h
 *   numerics  u has the bits that apply.cu would have stored, and every sum its order: y and its
 *             moments are bit for bit those of apply.cu and conv90.cu on tiles of this shape
 *             (test_norm_bits). Padding is zero after the norm
 *   mapping   conv90's items of 8x16 pixels by all outputs (64, 128 or 256 columns). Of the warps
 *             that load, one copies weights as in conv90, three make operands: the 10x18 pixels
 *             that a tile and its nine taps see, 64 channels, are loaded, transformed once, and
 *             stored three times, shifted by 0, 1 and 2 pixels. In a copy each row of eight pixels
 *             is one group of the 128-byte swizzle, so a tap is a copy (kx) that begins ky groups
 *             later: every descriptor is aligned, none begins off a row group
 *   shared    226 KB: two buffers of three copies of 18 groups (108 KB), weights 96 KB (3, 6 or 12
 *             stages), the way out 22 KB
 *   cost      2 * pixels * outputs * 9 * channels FLOP; bytes from DRAM: x, w, y, residual once.
 *             Predicted clocks of a tile and 64 channels, for 64 / 128 / 256 columns:
 *               tensor cores    2300 / 4600 / 9200     nine steps
 *               shared memory   3300 / 5000 / 8500     operands of wgmma, weights and copies in
 *               L2              2100 / 3500 / 6100     23 KB of x, nine times half of w, at 28 B;
 *                                                      conv90: 6600 / 7900 / 10500
 *               makers          2500 to 4000           23040 exponentials and quotients at 10 a
 *                                                      clock; 100 instructions a row; overlapped
 *             Exponentials are 1.4 times apply.cu's (the halo). Made anew for each tap they would
 *             be nine times: 1024 clocks a step of 512
 *   limits    registers: 168 at launch, moved to 104 and 200, with 256 columns to 88 and 208; no
 *             spills (nvcc 13.0)
 *   measured  never: no device has run it. Simulator: tests/cudasim/test_conv90.cc
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "conv90_loop.h"

namespace
{
constexpr int TAPS = 9, SIDE = 3, TILE_WIDTH = 8, TILE_HEIGHT = CONV90_PIXELS / TILE_WIDTH;
constexpr int HALO_WIDTH = TILE_WIDTH + 2, HALO_HEIGHT = TILE_HEIGHT + 2;
constexpr uint32_t ROW_BYTES = CONV90_DEPTH * 2, GROUP_BYTES = 8 * ROW_BYTES;
constexpr uint32_t COPY_BYTES = HALO_HEIGHT * GROUP_BYTES, BUFFER_BYTES = SIDE * COPY_BYTES;
constexpr int BUFFERS = 2;
constexpr uint32_t X_BYTES = BUFFERS * BUFFER_BYTES, RING_BYTES = 96 << 10;

/* Makers: a thread has eight channels of one column of the halo. */
constexpr int VECTORS = CONV90_DEPTH / 8, MAKERS = VECTORS * HALO_WIDTH;

/* Rows that a maker has on their way, and how registers are shared out: a wide tile leaves fewer of
 * them, and more time. */
template <int COLUMNS> constexpr int ahead = COLUMNS == 256 ? 2 : 6;
template <int COLUMNS> constexpr int maker_registers = COLUMNS == 256 ? 88 : 104;
template <int COLUMNS> constexpr int consumer_registers = COLUMNS == 256 ? 208 : 200;
static_assert(HALO_HEIGHT % ahead<64> == 0 && HALO_HEIGHT % ahead<256> == 0, "whole turns");

template <int COLUMNS> constexpr int stages = RING_BYTES / w_bytes<COLUMNS>;
template <int COLUMNS>
constexpr uint32_t shared_bytes =
    X_BYTES + RING_BYTES + OUT_BYTES + 16 * stages<COLUMNS> + 16 * BUFFERS;
static_assert(shared_bytes<64> <= 227 << 10, "a block's shared memory");

#if PTX_SM90A
template <int COLUMNS> using weight_ring = ring<COLUMNS, stages<COLUMNS>>;

/* The operands' buffers, at the beginning of shared memory. */
struct operand_buffers {
    uint32_t barriers;
    unsigned used; /* buffers so far */

    PTX_INLINE void init() const
    {
        for (int i = 0; i < BUFFERS; i++) {
            mbarrier_init(barriers + 8 * i, MAKERS);
            mbarrier_init(barriers + 8 * (BUFFERS + i), 2);
        }
    }
    PTX_INLINE uint32_t offset() const /* of the buffer at hand, as are the barriers */
    {
        return used % BUFFERS * BUFFER_BYTES;
    }
    PTX_INLINE uint32_t full() const
    {
        return barriers + 8 * (used % BUFFERS);
    }
    PTX_INLINE uint32_t empty() const
    {
        return barriers + 8 * (BUFFERS + used % BUFFERS);
    }
    PTX_INLINE unsigned phase() const
    {
        return used / BUFFERS % 2;
    }
};

/* ---- makers of operands ---------------------------------------------------------------------- */

/* The thread's place among the makers, who begin with the second warp. */
PTX_INLINE int maker_vector()
{
    return static_cast<int>(threadIdx.x) % VECTORS;
}

PTX_INLINE int maker_column()
{
    return (static_cast<int>(threadIdx.x) - 32) / VECTORS;
}

/* The thread's column of what a tile sees. */
struct halo_column {
    int lane, pixel; /* pixel: the first row's, in the sources */
    unsigned inside; /* bit i: row i is in the image */
};

PTX_INLINE halo_column column_of(const conv_problem &p, const conv90_tile &tile)
{
    const int x = tile.x + maker_column() - p.pad, y = tile.y - p.pad;
    halo_column column = {tile.lane, (tile.lane * p.height + y) * p.width + x, 0};
    if (tile.lane >= p.lanes || x < 0 || x >= p.width) return column;
    const int first = y < 0 ? -y : 0, end = min(p.height - y, HALO_HEIGHT);
    if (first < end) column.inside = (1u << end) - (1u << first);
    return column;
}

/* The thread's channels of 64, at every pixel. */
struct column_source {
    const bf16 *x;
    int channels, row; /* row: pixels */
};

PTX_INLINE column_source source_of(const conv90_job &job, int chunk)
{
    const conv_problem &p = job.p;
    const bool first = chunk < job.first_chunks;
    const int own = (first ? chunk : chunk - job.first_chunks) * CONV90_DEPTH + maker_vector() * 8;
    return {(first ? p.x[0] : p.x[1]) + own, first ? p.channels[0] : p.channels[1], p.width};
}

PTX_INLINE uint4 fetch(const column_source &from, const halo_column &column, int row)
{
    if (!(column.inside >> row & 1)) return uint4{0, 0, 0, 0};
    const size_t pixel = static_cast<size_t>(column.pixel + row * from.row);
    return *reinterpret_cast<const uint4 *>(from.x + pixel * from.channels);
}

PTX_INLINE void fetch_norm(folded_norm<8> &norm, const conv_problem &p, int lane, int chunk)
{
    if (lane >= p.lanes) return; /* nothing is inside */
    const int channels = p.channels[0] + p.channels[1];
    const float *from = p.folded + static_cast<size_t>(lane) * 3 * channels + chunk * CONV90_DEPTH +
                        maker_vector() * 8;
    load(norm.centre, from);
    load(norm.scale, from + channels);
    load(norm.shift, from + 2 * channels);
}

/* To all copies; `row` lies in shared memory. */
PTX_INLINE void store_copies(unsigned char *row, const uint4 &u)
{
#pragma unroll
    for (int copy = 0; copy < SIDE; copy++) {
        const int x = maker_column() - copy;
        if (x < 0 || x >= TILE_WIDTH) continue;
        *reinterpret_cast<uint4 *>(row + copy * COPY_BYTES + x * ROW_BYTES +
                                   (maker_vector() ^ x) * 16) = u;
    }
}

/* A row that has been taken up gives its registers to the one that is AHEAD of it. */
template <int AHEAD>
PTX_INLINE void make_chunk(const conv90_job &job, const halo_column &column, int chunk,
                           const operand_buffers &b)
{
    const column_source from = source_of(job, chunk);
    uint4 coming[AHEAD];
#pragma unroll
    for (int i = 0; i < AHEAD; i++) coming[i] = fetch(from, column, i);
    folded_norm<8> norm = {};
    fetch_norm(norm, job.p, column.lane, chunk);
    mbarrier_wait(b.empty(), b.phase() ^ 1);
    unsigned char *const buffer = dynamic_shared() + b.offset();
#pragma unroll 1
    for (int begin = 0; begin < HALO_HEIGHT; begin += AHEAD) {
#pragma unroll
        for (int i = 0; i < AHEAD; i++) {
            const int row = begin + i;
            float v[8];
            expand(v, coming[i]);
            if (row + AHEAD < HALO_HEIGHT) coming[i] = fetch(from, column, row + AHEAD);
            normalise(v, norm);
            activate(v, IE_ACT_SILU);
            const bool inside = column.inside >> row & 1; /* padding is zero after all this */
            const uint4 u = inside ? rounded(v) : uint4{0, 0, 0, 0};
            store_copies(buffer + row * GROUP_BYTES, u);
        }
    }
    fence_proxy_async(); /* wgmma will read what was stored */
    mbarrier_arrive(b.full());
}

template <int AHEAD>
PTX_INLINE void make_operands(const conv90_job &job, operand_buffers &b, int first, int clusters)
{
    for (int index = first; index < item_count(job); index += clusters) {
        const halo_column column = column_of(job.p, item_at(job, index).tile);
        for (int chunk = 0; chunk < job.steps / TAPS; chunk++) {
            make_chunk<AHEAD>(job, column, chunk, b);
            b.used++;
        }
    }
}

/* ---- weights and sums ------------------------------------------------------------------------ */

template <int COLUMNS>
PTX_INLINE void load_item(const conv90_job &job, const item_of_work &item, weight_ring<COLUMNS> &r,
                          const CUtensorMap *w)
{
    for (int step = 0; step < job.steps; step++) {
        const int element = step % TAPS * job.tap_elements + step / TAPS * CONV90_DEPTH;
        mbarrier_wait(r.empty(), r.phase ^ 1);
        mbarrier_arrive_expect(r.full(), w_bytes<COLUMNS>);
        load_weights(job, r, w, element, item.output);
        r.next();
    }
}

template <int COLUMNS>
PTX_INLINE void sum_item(float (&sums)[COLUMNS / 2], weight_ring<COLUMNS> &r, operand_buffers &b,
                         int half, const conv90_job &job)
{
    for (int chunk = 0; chunk < job.steps / TAPS; chunk++) {
        const uint32_t x =
            shared_address(dynamic_shared()) + b.offset() + half * (TILE_HEIGHT / 2) * GROUP_BYTES;
        uint32_t before = 0;
        mbarrier_wait(b.full(), b.phase());
        for (int tap = 0; tap < TAPS; tap++) {
            mbarrier_wait(r.full(), r.phase);
            multiply_step<COLUMNS>(sums, x + tap % SIDE * COPY_BYTES + tap / SIDE * GROUP_BYTES,
                                   r.w());
            wgmma_wait<1>(); /* the tap before has read its stage */
            if (tap) release(before, job.plan.cluster);
            before = r.empty();
            r.next();
        }
        wgmma_wait<0>();
        release(before, job.plan.cluster);
        if (threadIdx.x % GROUP == 0) mbarrier_arrive(b.empty());
        b.used++;
    }
}
#endif
} /* namespace */

/* ---- kernel and launch ----------------------------------------------------------------------- */

template <int COLUMNS>
__global__ void __launch_bounds__(THREADS, 1)
    conv90_norm_kernel(const __grid_constant__ CUtensorMap w,
                       const __grid_constant__ conv90_job job)
{
#if PTX_SM90A
    const uint32_t shared = shared_address(dynamic_shared());
    const uint32_t barriers = shared + X_BYTES + RING_BYTES + OUT_BYTES;
    weight_ring<COLUMNS> r(shared + X_BYTES, barriers);
    operand_buffers b = {barriers + 16 * stages<COLUMNS>, 0};
    if (threadIdx.x == 0) {
        r.init(job.plan.cluster);
        b.init();
        mbarrier_init_fence();
    }
    cluster_arrive(); /* all barriers are there before anybody's copies and arrivals */
    cluster_wait();
    wait_for_last_grid();
    const int first = static_cast<int>(blockIdx.x) / job.plan.cluster;
    const int clusters = static_cast<int>(gridDim.x) / job.plan.cluster;
    if (threadIdx.x < GROUP) {
        registers_decrease<maker_registers<COLUMNS>>();
        if (threadIdx.x >= 32 && threadIdx.x < 32 + MAKERS) {
            make_operands<ahead<COLUMNS>>(job, b, first, clusters);
        } else if (threadIdx.x == 0) {
            for (int index = first; index < item_count(job); index += clusters) {
                load_item<COLUMNS>(job, item_at(job, index), r, &w);
            }
        }
        __syncwarp();
    } else {
        registers_increase<consumer_registers<COLUMNS>>();
        float *const out = reinterpret_cast<float *>(dynamic_shared() + X_BYTES + RING_BYTES);
        const auto sum = [&](float(&sums)[COLUMNS / 2], int, int half) {
            sum_item<COLUMNS>(sums, r, b, half, job);
        };
        const auto put = [&](const item_of_work &, const out_group &group, int column,
                             conv90_values &values) { finish_block(job, group, column, values); };
        consume<COLUMNS>(job, first, clusters, out, sum, put);
    }
    cluster_arrive(); /* nobody leaves while copies and arrivals are under way to it */
    cluster_wait();
#endif
}

template <int COLUMNS> static int launch_product(ie_stream *s, const conv90_job &job)
{
    CUtensorMap w;
    dim3 grid;
    int code = conv90_map_weights(&w, job);
    if (!code) code = conv90_grid(&grid, job);
    if (code) return launch_failed(conv90_norm_kernel<COLUMNS>, code);
    return launch_cluster(conv90_norm_kernel<COLUMNS>, grid, dim3(THREADS), dim3(job.plan.cluster),
                          shared_bytes<COLUMNS>, s, w, job);
}

int conv90_norm_run(ie_stream *s, const conv90_job &job)
{
    switch (job.plan.columns) {
    case 256: return launch_product<256>(s, job);
    case 128: return launch_product<128>(s, job);
    default: return launch_product<64>(s, job);
    }
}
