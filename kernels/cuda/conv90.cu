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
#include "conv90_loop.h"
#include "tensor_map.h"

namespace
{
constexpr uint32_t X_BYTES = CONV90_PIXELS * CONV90_DEPTH * 2, RING_BYTES = 192 << 10;

template <int COLUMNS> constexpr int stages = RING_BYTES / (X_BYTES + w_bytes<COLUMNS>);
template <int COLUMNS>
constexpr uint32_t shared_bytes = RING_BYTES + OUT_BYTES + 16 * stages<COLUMNS>;

#if PTX_SM90A
template <int COLUMNS> using stage_ring = ring<COLUMNS, stages<COLUMNS>>;

/* Of the ring's stage; the first lies where shared memory begins, the weights behind the last. */
template <int COLUMNS> PTX_INLINE uint32_t x_of(const stage_ring<COLUMNS> &r)
{
    return shared_address(dynamic_shared()) + r.stage * X_BYTES;
}

/* ---- producer -------------------------------------------------------------------------------- */

struct conv90_maps {
    const CUtensorMap *x0, *x1, *w;
};

template <int COLUMNS>
PTX_INLINE void load_item(const conv90_job &job, const item_of_work &item, stage_ring<COLUMNS> &r,
                          const conv90_maps &maps)
{
    const conv_problem &p = job.p;
    int chunk = item.first / job.taps, tap = item.first % job.taps;
    int ky = tap / p.kernel, kx = tap % p.kernel;
    const int y = item.tile.y * p.stride - p.pad, x = item.tile.x * p.stride - p.pad;
    for (int step = item.first; step < item.last; step++) {
        const bool first_source = chunk < job.first_chunks;
        const int channel = (first_source ? chunk : chunk - job.first_chunks) * CONV90_DEPTH;
        const int at[4] = {channel, x + kx, y + ky, item.tile.lane};
        mbarrier_wait(r.empty(), r.phase ^ 1);
        mbarrier_arrive_expect(r.full(), X_BYTES + w_bytes<COLUMNS>);
        tma_load_4d(x_of<COLUMNS>(r), first_source ? maps.x0 : maps.x1, r.full(), at);
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

template <int COLUMNS>
PTX_INLINE void sum_item(float (&sums)[COLUMNS / 2], stage_ring<COLUMNS> &r, int half, int steps,
                         int cluster)
{
    uint32_t before = 0;
    for (int step = 0; step < steps; step++) {
        mbarrier_wait(r.full(), r.phase);
        multiply_step<COLUMNS>(sums, x_of<COLUMNS>(r) + half * (X_BYTES / 2), r.w());
        wgmma_wait<1>(); /* the step before has read its stage */
        if (step) release(before, cluster);
        before = r.empty();
        r.next();
    }
    wgmma_wait<0>();
    release(before, cluster);
}

/* ---- sums of a split ------------------------------------------------------------------------- */

PTX_INLINE float *sums_at(const conv90_job &job, int split, int tile, int row, int output)
{
    const size_t r = (static_cast<size_t>(split) * job.tiles + tile) * CONV90_PIXELS + row;
    return job.sums + r * job.column_tiles * job.plan.columns + output;
}

PTX_INLINE void keep_sums(const conv90_job &job, const item_of_work &item, int half, int column,
                          const conv90_values &values)
{
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const int row = conv90_row(half, i), o = column + static_cast<int>(threadIdx.x) % 8 * 4;
        *reinterpret_cast<float4 *>(sums_at(job, item.split, item.tile.index, row, o)) = {
            values.v[i][0], values.v[i][1], values.v[i][2], values.v[i][3]};
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
    const uint32_t shared = shared_address(dynamic_shared());
    stage_ring<COLUMNS> r(shared + stages<COLUMNS> * X_BYTES, shared + RING_BYTES + OUT_BYTES);
    if (threadIdx.x == 0) {
        r.init(job.plan.cluster);
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
        float *const out = reinterpret_cast<float *>(dynamic_shared() + RING_BYTES);
        const auto sum = [&](float(&sums)[COLUMNS / 2], int index, int half) {
            const item_of_work item = item_at(job, index);
            sum_item<COLUMNS>(sums, r, half, item.last - item.first, job.plan.cluster);
        };
        const auto put = [&](const item_of_work &item, const out_group &group, int column,
                             conv90_values &values) {
            if (job.sums) {
                keep_sums(job, item, group.part.half, column, values);
            } else {
                finish_block(job, group, column, values);
            }
        };
        consume<COLUMNS>(job, first, clusters, out, sum, put);
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

int conv90_map_weights(CUtensorMap *map, const conv90_job &job)
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

int conv90_grid(dim3 *grid, const conv90_job &job)
{
    int device = 0, blocks = job.plan.blocks;
    if (blocks == 0) {
        cudaError_t code = cudaGetDevice(&device);
        if (code == cudaSuccess) {
            code = cudaDeviceGetAttribute(&blocks, cudaDevAttrMultiProcessorCount, device);
        }
        if (code != cudaSuccess) return static_cast<int>(code);
    }
    const int cluster = job.plan.cluster, groups = (job.tiles + cluster - 1) / cluster;
    const int items = groups * job.column_tiles * job.plan.splits;
    *grid = dim3((blocks / cluster < items ? blocks / cluster : items) * cluster);
    return 0;
}

template <int COLUMNS> static int launch_product(ie_stream *s, const conv90_job &job)
{
    CUtensorMap x0, x1, w;
    dim3 grid;
    int code = map_source(&x0, job, 0);
    if (!code) code = map_source(&x1, job, job.p.channels[1] > 0);
    if (!code) code = conv90_map_weights(&w, job);
    if (!code) code = conv90_grid(&grid, job);
    if (code) return launch_failed(conv90_kernel<COLUMNS>, code);
    return launch_cluster(conv90_kernel<COLUMNS>, grid, dim3(THREADS), dim3(job.plan.cluster),
                          shared_bytes<COLUMNS>, s, x0, x1, w, job);
}

int conv90_run(ie_stream *s, const conv90_job &job)
{
    if (job.p.normed) return conv90_norm_run(s, job);
    int code;
    switch (job.plan.columns) {
    case 256: code = launch_product<256>(s, job); break;
    case 128: code = launch_product<128>(s, job); break;
    default: code = launch_product<64>(s, job); break;
    }
    if (code || !job.sums) return code;
    const dim3 parts(2 * job.tiles, (job.p.outputs + OUT_COLUMNS - 1) / OUT_COLUMNS);
    return launch(conv90_reduce_kernel, parts, dim3(GROUP), 4 * OUT_WARP_FLOATS * sizeof(float), s,
                  job);
}
