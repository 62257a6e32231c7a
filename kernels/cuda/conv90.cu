/* conv90.cu - convolution on sm_90a: tensor copies feed wgmma. Formula and packing: conv.h.
 *
 *   shapes    x_i [lanes, height, width, channels[i]] bf16, y [lanes, out_height, out_width,
 *             outputs] bf16 or f32; weights [outputs, taps * (channels padded to 64 per source)]
 *   requires  channels multiples of 8, outputs of 4, stride 1 or 2, any kernel and padding; x_i, w,
 *             bias and y aligned to 16 bytes. conv90_fits refuses what would waste over half a tile
 *   numerics  products of bf16 summed in f32 by the tensor cores, step after step (chunks of 64
 *             channels of source 0, then of source 1; within a chunk all taps); with splits, runs
 *             of steps are summed apart and added from first to last; one rounding at the store
 *   cost      2 * pixels * outputs * taps * channels FLOP. Bytes from DRAM: x, w, y and the
 *             residual once. 3x3, two lanes: 512 channels at 64x64 are 1800 FLOP/byte, tensor
 *             bound; 2048 at 8x8 are 126, bound by the weights
 *   mapping   one persistent block per multiprocessor: a producer thread and two warpgroups. An
 *             item is 128 pixels by 256, 128 or 64 outputs by a run of steps; a warpgroup has 64
 *             pixels. A step is 64 channels of one tap: a box of x shifted by the tap, and as many
 *             rows of w. Padding is the copies' zero fill, stride 2 the map's element stride
 *   ring      192 KB of stages (4, 6 or 8 of 48, 32 or 24 KB), an mbarrier for full and one for
 *             empty each. Blocks of a cluster work on the same outputs and neighbouring pixels:
 *             each loads half of the weights for both, so a stage is empty when the four
 *             warpgroups of the cluster have read it
 *   L2        per step of 1024 clocks and 256 columns: 48 KB without a cluster, 32 KB with it
 *   lanes     images of 8x8 share a tile, two at a time. A row of the product is one pixel: wgmma
 *             makes it from that row of x, w and the row's own sums. That the order of a row's
 *             additions knows neither the row's place nor the other rows is taken for granted, as
 *             everywhere where batches are (PTX promises no order at all). So a neighbour may be
 *             anything, NaN and absence (zeros) included, and no bit of this lane changes
 *             (test_neighbours); partial moments are of 64 rows, which are of one lane
 *   limits    registers: 168 at launch, moved to 40 and 232
 *   measured  never: no device has run it. Simulator: tests/cudasim/test_conv90.cc
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include "conv90_out.h"
#include "launch.h"
#include "tensor_map.h"

namespace
{
constexpr int GROUP = 128, THREADS = 3 * GROUP;
constexpr uint32_t X_BYTES = CONV90_PIXELS * CONV90_DEPTH * 2, RING_BYTES = 192 << 10;
/* Floats between the rows of a warp's stage on the way out: 8 banks apart, so that neither the
 * fragments nor the rows of float4 collide. */
constexpr int OUT_PITCH = OUT_COLUMNS + 8, OUT_STAGE_FLOATS = OUT_WARP_ROWS * OUT_PITCH;
constexpr uint32_t OUT_BYTES = 8 * (OUT_STAGE_FLOATS + OUT_WARP_FLOATS) * sizeof(float);

template <int COLUMNS> constexpr uint32_t w_bytes = COLUMNS *CONV90_DEPTH * 2;
template <int COLUMNS> constexpr int stages = RING_BYTES / (X_BYTES + w_bytes<COLUMNS>);
template <int COLUMNS>
constexpr uint32_t shared_bytes = RING_BYTES + OUT_BYTES + 16 * stages<COLUMNS>;

#if PTX_SM90A
/* ---- items and stages ------------------------------------------------------------------------ */

struct item_of_work {
    conv90_tile tile;
    int output, split, first, last; /* steps */
};

PTX_INLINE int tile_groups(const conv90_job &job)
{
    return (job.tiles + job.plan.cluster - 1) / job.plan.cluster;
}

PTX_INLINE int item_count(const conv90_job &job)
{
    return tile_groups(job) * job.column_tiles * job.plan.splits;
}

/* All outputs of the same pixels follow one another: x is read from DRAM once, w stays in L2. The
 * last tile of a cluster may not exist; its copies give zeros and it stores nothing. */
PTX_INLINE item_of_work item_at(const conv90_job &job, int index)
{
    const int groups = tile_groups(job), rest = index / job.column_tiles;
    const int rank = static_cast<int>(cluster_rank()), split = rest / groups;
    return {conv90_tile_at(job, rest % groups * job.plan.cluster + rank),
            index % job.column_tiles * job.plan.columns, split, job.steps * split / job.plan.splits,
            job.steps * (split + 1) / job.plan.splits};
}

template <int COLUMNS> struct ring { /* shared addresses */
    uint32_t x, w, full, empty;
    int stage;
    unsigned phase;

    PTX_INLINE explicit ring(uint32_t start)
        : x(start), w(start + stages<COLUMNS> * X_BYTES), full(start + RING_BYTES + OUT_BYTES),
          empty(full + 8 * stages<COLUMNS>), stage(0), phase(0)
    {
    }
    PTX_INLINE void next()
    {
        if (++stage < stages<COLUMNS>) return;
        stage = 0;
        phase ^= 1;
    }
};

/* ---- producer -------------------------------------------------------------------------------- */

struct conv90_maps {
    const CUtensorMap *x0, *x1, *w;
};

template <int COLUMNS>
PTX_INLINE void load_weights(const conv90_job &job, const ring<COLUMNS> &r, const CUtensorMap *w,
                             int element, int output)
{
    const uint32_t full = r.full + 8 * r.stage, to = r.w + r.stage * w_bytes<COLUMNS>;
    if (job.plan.cluster == 1) {
        tma_load_2d(to, w, full, element, output);
        return;
    }
    const int rank = static_cast<int>(cluster_rank());
    tma_load_2d_multicast(to + rank * (w_bytes<COLUMNS> / 2), w, full, element,
                          output + rank * (COLUMNS / 2), 3);
}

template <int COLUMNS>
PTX_INLINE void load_item(const conv90_job &job, const item_of_work &item, ring<COLUMNS> &r,
                          const conv90_maps &maps)
{
    const conv_problem &p = job.p;
    int chunk = item.first / job.taps, tap = item.first % job.taps;
    int ky = tap / p.kernel, kx = tap % p.kernel;
    const int y = item.tile.y * p.stride - p.pad, x = item.tile.x * p.stride - p.pad;
    for (int step = item.first; step < item.last; step++) {
        const uint32_t full = r.full + 8 * r.stage;
        const bool first_source = chunk < job.first_chunks;
        const int channel = (first_source ? chunk : chunk - job.first_chunks) * CONV90_DEPTH;
        const int at[4] = {channel, x + kx, y + ky, item.tile.lane};
        mbarrier_wait(r.empty + 8 * r.stage, r.phase ^ 1);
        mbarrier_arrive_expect(full, X_BYTES + w_bytes<COLUMNS>);
        tma_load_4d(r.x + r.stage * X_BYTES, first_source ? maps.x0 : maps.x1, full, at);
        load_weights(job, r, maps.w, tap * job.tap_elements + chunk * CONV90_DEPTH, item.output);
        r.next();
        tap++;
        if (++kx < p.kernel) continue;
        kx = 0;
        if (++ky < p.kernel) continue;
        ky = tap = 0;
        chunk++;
    }
}

/* ---- consumers ------------------------------------------------------------------------------- */

PTX_INLINE void multiply(float (&sums)[128], uint64_t x, uint64_t w)
{
    wgmma_n256_bf16(sums, x, w, true);
}
PTX_INLINE void multiply(float (&sums)[64], uint64_t x, uint64_t w)
{
    wgmma_n128_bf16(sums, x, w, true);
}
PTX_INLINE void multiply(float (&sums)[32], uint64_t x, uint64_t w)
{
    wgmma_n64_bf16(sums, x, w, true);
}

/* The warpgroup has read the stage: told to every block that loads into it. */
PTX_INLINE void release(uint32_t empty, int cluster)
{
    const unsigned thread = threadIdx.x % GROUP;
    if (thread < static_cast<unsigned>(cluster)) {
        mbarrier_arrive_cluster_read(map_shared(empty, thread));
    }
}

template <int COLUMNS>
PTX_INLINE void sum_item(float (&sums)[COLUMNS / 2], ring<COLUMNS> &r, int half, int steps,
                         int cluster)
{
    uint32_t before = 0;
    for (int step = 0; step < steps; step++) {
        mbarrier_wait(r.full + 8 * r.stage, r.phase);
        const uint32_t x = r.x + r.stage * X_BYTES + half * (X_BYTES / 2);
        const uint32_t w = r.w + r.stage * w_bytes<COLUMNS>;
        wgmma_fence();
#pragma unroll
        for (int k = 0; k < CONV90_DEPTH / 16; k++) {
            multiply(sums, wgmma_descriptor_128(x + 32 * k), wgmma_descriptor_128(w + 32 * k));
        }
        wgmma_commit();
        wgmma_wait<1>(); /* the step before has read its stage */
        if (step) release(before, cluster);
        before = r.empty + 8 * r.stage;
        r.next();
    }
    wgmma_wait<0>();
    release(before, cluster);
}

/* Columns 32 block .. + 31 of the warp's fragment, to its stage. */
template <int COLUMNS>
PTX_INLINE void put_block(float *stage, const float (&sums)[COLUMNS / 2], int block)
{
    const int lane = static_cast<int>(threadIdx.x) % 32;
    float *to = stage + lane / 4 * OUT_PITCH + lane % 4 * 2;
#pragma unroll
    for (int b = 0; b < COLUMNS / OUT_COLUMNS; b++) { /* registers have no computed index */
        if (b != block) continue;
#pragma unroll
        for (int j = 0; j < OUT_COLUMNS / 8; j++) {
            const int from = b * 16 + j * 4;
            *reinterpret_cast<float2 *>(to + 8 * j) = {sums[from], sums[from + 1]};
            *reinterpret_cast<float2 *>(to + 8 * OUT_PITCH + 8 * j) = {sums[from + 2],
                                                                       sums[from + 3]};
        }
    }
}

PTX_INLINE void get_block(conv90_values &values, const float *stage)
{
    const int lane = static_cast<int>(threadIdx.x) % 32;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const float *from = stage + (4 * i + lane / 8) * OUT_PITCH + lane % 8 * 4;
        const float4 row = *reinterpret_cast<const float4 *>(from);
        values.v[i][0] = row.x;
        values.v[i][1] = row.y;
        values.v[i][2] = row.z;
        values.v[i][3] = row.w;
    }
}

PTX_INLINE float *sums_at(const conv90_job &job, int split, int tile, int row, int output)
{
    const size_t r = (static_cast<size_t>(split) * job.tiles + tile) * CONV90_PIXELS + row;
    return job.sums + r * job.column_tiles * job.plan.columns + output;
}

/* Half a tile's sums, on the way out: 32 columns at a time, through a stage of each warp. */
template <int COLUMNS>
PTX_INLINE void put_item(const conv90_job &job, const item_of_work &item, const out_group &group,
                         const float (&sums)[COLUMNS / 2], float *stage)
{
#pragma unroll 1
    for (int block = 0; block < COLUMNS / OUT_COLUMNS; block++) {
        const int column = item.output + block * OUT_COLUMNS;
        if (column >= job.p.outputs) break;
        conv90_values values;
        put_block<COLUMNS>(stage, sums, block);
        __syncwarp();
        get_block(values, stage);
        __syncwarp();
        if (!job.sums) {
            finish_block(job, group, column, values);
            continue;
        }
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const int row = conv90_row(group.part.half, i),
                      o = column + static_cast<int>(threadIdx.x) % 8 * 4;
            *reinterpret_cast<float4 *>(sums_at(job, item.split, item.tile.index, row, o)) = {
                values.v[i][0], values.v[i][1], values.v[i][2], values.v[i][3]};
        }
    }
}

template <int COLUMNS>
PTX_INLINE void consume(const conv90_job &job, ring<COLUMNS> &r, int first, int clusters)
{
    const int half = static_cast<int>(threadIdx.x) / GROUP - 1;
    const int warp = static_cast<int>(threadIdx.x) / 32 - 4;
    float *const out = reinterpret_cast<float *>(dynamic_shared() + RING_BYTES);
    float *const moments = out + 8 * OUT_STAGE_FLOATS + 4 * half * OUT_WARP_FLOATS;
    for (int index = first; index < item_count(job); index += clusters) {
        const item_of_work item = item_at(job, index);
        float sums[COLUMNS / 2];
#pragma unroll
        for (int i = 0; i < COLUMNS / 2; i++) sums[i] = 0.0f;
        sum_item<COLUMNS>(sums, r, half, item.last - item.first, job.plan.cluster);
        if (item.tile.index >= job.tiles) continue;
        put_item<COLUMNS>(job, item, {half_at(job, item.tile, half), moments, 1 + half}, sums,
                          out + warp * OUT_STAGE_FLOATS);
    }
}
#endif
} /* namespace */

/* ---- kernels --------------------------------------------------------------------------------- */

template <int COLUMNS>
__global__ void __launch_bounds__(THREADS, 1)
    conv90_kernel(const __grid_constant__ CUtensorMap x0, const __grid_constant__ CUtensorMap x1,
                  const __grid_constant__ CUtensorMap w, const __grid_constant__ conv90_job job)
{
#if PTX_SM90A
    ring<COLUMNS> r(shared_address(dynamic_shared()));
    if (threadIdx.x == 0) {
        for (int i = 0; i < stages<COLUMNS>; i++) {
            mbarrier_init(r.full + 8 * i, 1);
            mbarrier_init(r.empty + 8 * i, 2 * job.plan.cluster);
        }
        mbarrier_init_fence();
    }
    cluster_arrive(); /* all barriers are there before anybody's copies and arrivals */
    cluster_wait();
    wait_for_last_grid();
    const int first = static_cast<int>(blockIdx.x) / job.plan.cluster;
    const int clusters = static_cast<int>(gridDim.x) / job.plan.cluster;
    if (threadIdx.x < GROUP) {
        registers_decrease<40>();
        if (threadIdx.x == 0) {
            for (int index = first; index < item_count(job); index += clusters) {
                load_item<COLUMNS>(job, item_at(job, index), r, {&x0, &x1, &w});
            }
        }
        __syncwarp();
    } else {
        registers_increase<232>();
        consume<COLUMNS>(job, r, first, clusters);
    }
    cluster_arrive(); /* nobody leaves while copies and arrivals are under way to it */
    cluster_wait();
#endif
}

/* Adds the splits' sums of 64 pixels by 32 outputs, from first to last, and finishes them. */
__global__ void __launch_bounds__(GROUP)
    conv90_reduce_kernel(const __grid_constant__ conv90_job job)
{
#if PTX_SM90A
    wait_for_last_grid();
    const int half = static_cast<int>(blockIdx.x) % 2, tile = static_cast<int>(blockIdx.x) / 2;
    const int column = static_cast<int>(blockIdx.y) * OUT_COLUMNS;
    const int o = column + static_cast<int>(threadIdx.x) % 8 * 4;
    conv90_values values = {};
    for (int split = 0; split < job.plan.splits; split++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
            const float4 more = *reinterpret_cast<const float4 *>(
                sums_at(job, split, tile, conv90_row(half, i), o));
            values.v[i][0] += more.x;
            values.v[i][1] += more.y;
            values.v[i][2] += more.z;
            values.v[i][3] += more.w;
        }
    }
    float *const moments = reinterpret_cast<float *>(dynamic_shared());
    const conv90_half part = half_at(job, conv90_tile_at(job, tile), half);
    finish_block(job, {part, moments, 1}, column, values);
#endif
}

/* ---- launch ---------------------------------------------------------------------------------- */

static int map_source(CUtensorMap *map, const conv90_job &job, int source)
{
    const conv_problem &p = job.p;
    const auto length = [](int n) { return static_cast<cuuint64_t>(n); };
    const auto side = [](int n) { return static_cast<cuuint32_t>(n); };
    const cuuint32_t s = side(p.stride);
    return tensor_map_make(
        map, p.x[source],
        {4,
         {length(p.channels[source]), length(p.width), length(p.height), length(p.lanes)},
         {CONV90_DEPTH, s << job.plan.log_width, s << job.plan.log_height,
          side(1 << job.plan.log_lanes)},
         {1, s, s, 1}});
}

static int map_weights(CUtensorMap *map, const conv90_job &job)
{
    const conv_problem &p = job.p;
    return tensor_map_make(
        map, p.weight,
        {2,
         {static_cast<cuuint64_t>(job.taps) * job.tap_elements,
          static_cast<cuuint64_t>(conv_padded_outputs(p)), 0, 0},
         {CONV90_DEPTH, static_cast<cuuint32_t>(job.plan.columns / job.plan.cluster), 0, 0},
         {1, 1, 0, 0}});
}

static int blocks_of(const conv90_job &job)
{
    int device = 0, blocks = job.plan.blocks;
    if (blocks == 0 &&
        (cudaGetDevice(&device) != cudaSuccess ||
         cudaDeviceGetAttribute(&blocks, cudaDevAttrMultiProcessorCount, device) != cudaSuccess)) {
        return 0;
    }
    const int cluster = job.plan.cluster, groups = (job.tiles + cluster - 1) / cluster;
    const int items = groups * job.column_tiles * job.plan.splits;
    return (blocks / cluster < items ? blocks / cluster : items) * cluster;
}

int conv90_run(ie_stream *s, const conv90_job &job)
{
    CUtensorMap x0, x1, w;
    int code = map_source(&x0, job, 0);
    if (!code) code = map_source(&x1, job, job.p.channels[1] > 0);
    if (!code) code = map_weights(&w, job);
    if (code) return code;
    const dim3 grid(static_cast<unsigned>(blocks_of(job))), cluster(job.plan.cluster);
#define LAUNCH(COLUMNS)                                                                            \
    launch_cluster(conv90_kernel<COLUMNS>, grid, dim3(THREADS), cluster, shared_bytes<COLUMNS>, s, \
                   x0, x1, w, job)
    switch (job.plan.columns) {
    case 256: code = LAUNCH(256); break;
    case 128: code = LAUNCH(128); break;
    default: code = LAUNCH(64); break;
    }
#undef LAUNCH
    if (code || !job.sums) return code;
    const dim3 parts(2 * job.tiles, (job.p.outputs + OUT_COLUMNS - 1) / OUT_COLUMNS);
    return launch(conv90_reduce_kernel, parts, dim3(GROUP), 4 * OUT_WARP_FLOATS * sizeof(float), s,
                  job);
}
