/* conv_sm90.cu - test kernel: 3x3 convolution as an implicit product. A tile is 8 x 16 pixels by
 * 128 outputs. A producer warpgroup loads the shifted windows of x with tensor copies (the padding
 * is their fill, a stride of 2 is the map's element stride), two warpgroups multiply 64 pixels
 * each; a ring of mbarriers joins them.
 * SPDX-License-Identifier: Apache-2.0 */
#include "encode_map.h"
#include "kernels.h"
#include "ptx.h"

constexpr int TILE_H = 8, TILE_W = 16, TILE_N = 128, K_TILE = 64, STAGES = 4;
constexpr uint32_t X_BYTES = TILE_H * TILE_W * K_TILE * 2, W_BYTES = TILE_N * K_TILE * 2;

struct ConvTile {
    int lane, y, x, output, steps, channel_steps, stride;
};

struct Ring { /* shared addresses */
    uint32_t x, w, full, empty;
};

#if PTX_SM90A
PTX_INLINE Ring ring_at(uint32_t start)
{
    const uint32_t full = start + STAGES * (X_BYTES + W_BYTES);
    return {start, start + STAGES * X_BYTES, full, full + 8 * STAGES};
}

PTX_INLINE void produce(const ConvTile &tile, const Ring &ring, const CUtensorMap *x,
                        const CUtensorMap *w)
{
    for (int step = 0; step < tile.steps; step++) {
        const int stage = step % STAGES, phase = step / STAGES & 1;
        const int tap = step / tile.channel_steps;
        const int channel = step % tile.channel_steps * K_TILE;
        const uint32_t full = ring.full + 8 * stage;
        mbarrier_wait(ring.empty + 8 * stage, phase ^ 1);
        mbarrier_arrive_expect(full, X_BYTES + W_BYTES);
        const int at[4] = {channel, tile.x * tile.stride + tap % 3 - 1,
                           tile.y * tile.stride + tap / 3 - 1, tile.lane};
        tma_load_4d(ring.x + stage * X_BYTES, x, full, at);
        tma_load_3d(ring.w + stage * W_BYTES, w, full, channel, tap, tile.output);
    }
}

PTX_INLINE void consume(const ConvTile &tile, const Ring &ring, float (&sums)[64], int rows)
{
    for (int step = 0; step < tile.steps; step++) {
        const int stage = step % STAGES;
        mbarrier_wait(ring.full + 8 * stage, step / STAGES & 1);
        const uint32_t x = ring.x + stage * X_BYTES + rows * 128, w = ring.w + stage * W_BYTES;
        wgmma_fence();
#pragma unroll
        for (int k = 0; k < 4; k++) {
            wgmma_n128_bf16(sums, wgmma_descriptor_128(x + k * 32),
                            wgmma_descriptor_128(w + k * 32), true);
        }
        wgmma_commit();
        wgmma_wait<1>(); /* the step before has read its stage */
        if (step && threadIdx.x % 128 == 0) {
            mbarrier_arrive(ring.empty + 8 * ((step - 1) % STAGES));
        }
    }
    wgmma_wait<0>();
}
#endif

__global__ void __launch_bounds__(384, 1) conv_kernel(const __grid_constant__ CUtensorMap x,
                                                      const __grid_constant__ CUtensorMap w, Conv c)
{
#if PTX_SM90A
    const int height = c.height / c.stride, width = c.width / c.stride;
    const int across = width / TILE_W, tiles = across * (height / TILE_H);
    const int block = static_cast<int>(blockIdx.x), in = block % tiles;
    const int output = static_cast<int>(blockIdx.y) * TILE_N, channel_steps = c.inputs / K_TILE;
    const ConvTile tile = {block / tiles, in / across * TILE_H, in % across * TILE_W,
                           output,        9 * channel_steps,    channel_steps,
                           c.stride};
    const Ring ring = ring_at(shared_address(dynamic_shared()));
    if (threadIdx.x == 0) {
        for (int i = 0; i < STAGES; i++) {
            mbarrier_init(ring.full + 8 * i, 1);
            mbarrier_init(ring.empty + 8 * i, 2);
        }
        mbarrier_init_fence();
    }
    __syncthreads();
    if (threadIdx.x < 128) {
        registers_decrease<40>();
        if (threadIdx.x == 0) produce(tile, ring, &x, &w);
        return;
    }
    registers_increase<232>();
    const int rows = (static_cast<int>(threadIdx.x) / 128 - 1) * 64;
    const int warp = static_cast<int>(threadIdx.x) % 128 / 32, lane = threadIdx.x % 32;
    float sums[64];
#pragma unroll
    for (int i = 0; i < 64; i++) sums[i] = 0.0f;
    consume(tile, ring, sums, rows);
#pragma unroll
    for (int j = 0; j < 16; j++) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const int row = rows + warp * 16 + (lane >> 2) + 8 * half;
            const int o = output + j * 8 + (lane & 3) * 2;
            const int py = tile.y + row / TILE_W, px = tile.x + row % TILE_W;
            if (o >= c.outputs) continue;
            const size_t pixel = (static_cast<size_t>(tile.lane) * height + py) * width + px;
            *reinterpret_cast<__nv_bfloat162 *>(c.y + pixel * c.outputs + o) =
                __floats2bfloat162_rn(sums[4 * j + 2 * half], sums[4 * j + 2 * half + 1]);
        }
    }
#endif
}

cudaError_t run_conv(Conv c, cudaStream_t stream)
{
    const cuuint32_t s = static_cast<cuuint32_t>(c.stride);
    const cuuint64_t inputs = static_cast<cuuint64_t>(c.inputs);
    const TensorShape x = {4,
                           {inputs, static_cast<cuuint64_t>(c.width),
                            static_cast<cuuint64_t>(c.height), static_cast<cuuint64_t>(c.lanes)},
                           {K_TILE, TILE_W * s, TILE_H * s, 1},
                           {1, s, s, 1}};
    const TensorShape w = {3,
                           {inputs, 9, static_cast<cuuint64_t>(c.outputs), 0},
                           {K_TILE, 1, TILE_N, 0},
                           {1, 1, 1, 0}};
    CUtensorMap maps[2];
    if (make_tensor_map(&maps[0], c.x, x, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2) != CUDA_SUCCESS ||
        make_tensor_map(&maps[1], c.w, w, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2) != CUDA_SUCCESS) {
        return cudaErrorInvalidValue;
    }
    const int tiles = (c.height / c.stride / TILE_H) * (c.width / c.stride / TILE_W);
    const dim3 grid(c.lanes * tiles, divide_up(c.outputs, TILE_N));
    return launch(launch_config(grid, dim3(384), STAGES * (X_BYTES + W_BYTES + 16), stream),
                  conv_kernel, maps[0], maps[1], c);
}
