/* conv90_loop.h - what the products of sm_90a share (conv90.cu, conv90_norm.cu): the items of a
 * persistent block, the ring of weights, a step of wgmma, and the way of the sums out.
 *
 * A block is a warpgroup that loads and two that compute. `first` and `clusters` below: the block's
 * first item, and the step to its next. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CUDA_CONV90_LOOP_H
#define IE_CUDA_CONV90_LOOP_H

#include "conv90_out.h"
#include "launch.h"

namespace
{
constexpr int GROUP = 128, THREADS = 3 * GROUP;
/* Floats between the rows of a warp's stage on the way out: 8 banks apart, so that neither the
 * fragments nor the rows of float4 collide. */
constexpr int OUT_PITCH = OUT_COLUMNS + 8, OUT_STAGE_FLOATS = OUT_WARP_ROWS * OUT_PITCH;
constexpr uint32_t OUT_BYTES = 8 * (OUT_STAGE_FLOATS + OUT_WARP_FLOATS) * sizeof(float);

template <int COLUMNS> constexpr uint32_t w_bytes = COLUMNS *CONV90_DEPTH * 2;

#if PTX_SM90A
/* ---- items ----------------------------------------------------------------------------------- */

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

/* Stages of weights, with whatever a kernel keeps beside each; shared addresses. */
template <int COLUMNS, int STAGES> struct ring {
    uint32_t weights, barriers;
    int stage;
    unsigned phase;

    PTX_INLINE ring(uint32_t weights_at, uint32_t barriers_at)
        : weights(weights_at), barriers(barriers_at), stage(0), phase(0)
    {
    }
    PTX_INLINE void init(int cluster) const
    {
        for (int i = 0; i < STAGES; i++) {
            mbarrier_init(barriers + 8 * i, 1);
            mbarrier_init(barriers + 8 * (STAGES + i), 2 * cluster);
        }
    }
    PTX_INLINE uint32_t w() const /* of the stage at hand, as are the barriers */
    {
        return weights + stage * w_bytes<COLUMNS>;
    }
    PTX_INLINE uint32_t full() const
    {
        return barriers + 8 * stage;
    }
    PTX_INLINE uint32_t empty() const
    {
        return barriers + 8 * (STAGES + stage);
    }
    PTX_INLINE void next()
    {
        if (++stage < STAGES) return;
        stage = 0;
        phase ^= 1;
    }
};

/* ---- weights --------------------------------------------------------------------------------- */

/* Those of one step, counted by the stage's `full`. */
template <int COLUMNS, int STAGES>
PTX_INLINE void load_weights(const conv90_job &job, const ring<COLUMNS, STAGES> &r,
                             const CUtensorMap *w, int element, int output)
{
    if (job.plan.cluster == 1) {
        tma_load_2d(r.w(), w, r.full(), element, output);
        return;
    }
    const int rank = static_cast<int>(cluster_rank());
    tma_load_2d_multicast(r.w() + rank * (w_bytes<COLUMNS> / 2), w, r.full(), element,
                          output + rank * (COLUMNS / 2), 3);
}

/* ---- sums ------------------------------------------------------------------------------------ */

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

/* One step of half a tile: 64 rows of x by a stage's weights, both in the 128-byte swizzle, groups
 * of eight rows one after the other. */
template <int COLUMNS>
PTX_INLINE void multiply_step(float (&sums)[COLUMNS / 2], uint32_t x, uint32_t w)
{
    wgmma_fence();
#pragma unroll
    for (int k = 0; k < CONV90_DEPTH / 16; k++) {
        multiply(sums, wgmma_descriptor_128(x + 32 * k), wgmma_descriptor_128(w + 32 * k));
    }
    wgmma_commit();
}

/* ---- the way out ----------------------------------------------------------------------------- */

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

/* A warpgroup's halves of all items of its block: sum(sums, index, half) adds to zeros;
 * put(item, group, column, values) gets 32 columns at a time, which go through a stage of each warp
 * in `out`: shared memory of OUT_BYTES. */
template <int COLUMNS, class SUM, class PUT>
PTX_INLINE void consume(const conv90_job &job, int first, int clusters, float *out, SUM sum,
                        PUT put)
{
    const int half = static_cast<int>(threadIdx.x) / GROUP - 1;
    float *const stage = out + (static_cast<int>(threadIdx.x) / 32 - 4) * OUT_STAGE_FLOATS;
    float *const moments = out + 8 * OUT_STAGE_FLOATS + 4 * half * OUT_WARP_FLOATS;
    for (int index = first; index < item_count(job); index += clusters) {
        float sums[COLUMNS / 2];
#pragma unroll
        for (int i = 0; i < COLUMNS / 2; i++) sums[i] = 0.0f;
        sum(sums, index, half);
        const item_of_work item = item_at(job, index);
        if (item.tile.index >= job.tiles) continue;
        const out_group group = {half_at(job, item.tile, half), moments, 1 + half};
#pragma unroll 1
        for (int block = 0; block < COLUMNS / OUT_COLUMNS; block++) {
            const int column = item.output + block * OUT_COLUMNS;
            if (column >= job.p.outputs) break;
            conv90_values values;
            put_block<COLUMNS>(stage, sums, block);
            __syncwarp();
            get_block(values, stage);
            __syncwarp();
            put(item, group, column, values);
        }
    }
}
#endif
} /* namespace */

#endif
