/* tokens.cu - rows of tokens and embeddings: norms, sinusoids, look-up.
 *
 * layer_norm  y = (x - mean) / sqrt(var + eps) * w + b     rows t >= length[n] of y are zero
 * rms_norm    y = x / sqrt(mean(x^2) + eps) * w            likewise
 * sinusoid    y[n, k] = cos(v f_k), y[n, D/2 + k] = sin(v f_k), f_k = max_period^(-k / (D/2))
 * embed       y[r, :] = table[ids[r], :]
 *
 *   shapes    x, y [N, T, C] f32 or bf16; w, b [C] f32; table [V, C] f32 or bf16
 *   aliasing  y may be x of a norm: a thread writes the elements that it alone has read
 *   numerics  f32; norms in two passes over a row, sums by a tree over the threads; angles in
 *             double, since they reach 1000
 *   cost      2 to 6 FLOP a byte: memory-bound. A norm reads a row three times, twice from L1
 *   mapping   norms: a block a row, as many warps as the row has runs of 256 elements, at most 8
 *             others: a thread 8 elements (or 1, where C is no multiple of 8)
 *   limits    40 registers (nvcc 13.0; sm_80, 90a, 120), no spills, no stack
 *   measured  not yet on a device
 * SPDX-License-Identifier: Apache-2.0 */
#include "cuda_ops.h"
#include "launch.h"
#include "values.h"

constexpr int TOKEN_THREADS = 256;

/* ---- layer norm and RMS norm ----------------------------------------------------------------- */

struct NormRows {
    const float *w, *b; /* b null: RMS norm */
    const int *length;  /* or null */
    int tokens, channels;
    float eps;
};

/* Of every thread, in every thread, in an order that the size of the block decides. `warps` has
 * room for one number of each warp. */
PTX_INLINE float block_sum(float v, float *warps)
{
#pragma unroll
    for (int d = 16; d; d >>= 1) v += __shfl_xor_sync(0xffffffffu, v, d);
    if (blockDim.x == 32) return v;
    __syncthreads(); /* what an earlier sum left has been read */
    if (threadIdx.x % 32 == 0) warps[threadIdx.x / 32] = v;
    __syncthreads();
    float sum = 0;
    for (unsigned i = 0; i < blockDim.x / 32; i++) sum += warps[i];
    return sum;
}

template <int N, class Y, class X>
__global__ void __launch_bounds__(TOKEN_THREADS) norm_rows_kernel(Y *y, const X *x, NormRows p)
{
    wait_for_last_grid();
    float *const warps = reinterpret_cast<float *>(dynamic_shared());
    const int row = static_cast<int>(blockIdx.x);
    const int first = static_cast<int>(threadIdx.x) * N, step = static_cast<int>(blockDim.x) * N;
    const X *from = x + static_cast<int64_t>(row) * p.channels;
    Y *to = y + static_cast<int64_t>(row) * p.channels;
    float v[N];
    if (p.length && row % p.tokens >= p.length[row / p.tokens]) {
#pragma unroll
        for (int i = 0; i < N; i++) v[i] = 0;
        for (int c = first; c < p.channels; c += step) store(to + c, v);
        return;
    }
    float mean = 0, square = 0;
    if (p.b) {
        for (int c = first; c < p.channels; c += step) {
            load(v, from + c);
#pragma unroll
            for (int i = 0; i < N; i++) mean += v[i];
        }
        mean = block_sum(mean, warps) / static_cast<float>(p.channels);
    }
    for (int c = first; c < p.channels; c += step) {
        load(v, from + c);
#pragma unroll
        for (int i = 0; i < N; i++) square += (v[i] - mean) * (v[i] - mean);
    }
    square = block_sum(square, warps) / static_cast<float>(p.channels);
    const float inverse = 1.0f / sqrtf(square + p.eps);
    for (int c = first; c < p.channels; c += step) {
        float w[N], b[N] = {};
        load(v, from + c);
        load(w, p.w + c);
        if (p.b) load(b, p.b + c);
#pragma unroll
        for (int i = 0; i < N; i++) v[i] = (v[i] - mean) * inverse * w[i] + b[i];
        store(to + c, v);
    }
}

template <class Y, class X>
static int norm_rows_of(ie_stream *s, ie_tensor y, ie_tensor x, const NormRows &p)
{
    const bool eight = p.channels % 8 == 0;
    const unsigned runs = blocks_for(p.channels, 256), warps = runs > 8 ? 8 : runs;
    const dim3 grid(static_cast<unsigned>(x.dim[0] * x.dim[1])), block(32 * warps);
    return launch(eight ? norm_rows_kernel<8, Y, X> : norm_rows_kernel<1, Y, X>, grid, block,
                  warps * sizeof(float), s, static_cast<Y *>(y.data),
                  static_cast<const X *>(x.data), p);
}

static int norm_rows(ie_stream *s, ie_tensor y, ie_tensor x, ie_tensor length, NormRows p)
{
    p.length = ie_present(length) ? static_cast<const int *>(length.data) : nullptr;
    p.tokens = static_cast<int>(x.dim[1]);
    p.channels = static_cast<int>(x.dim[2]);
    const bool wide_x = x.dtype == IE_F32, wide_y = y.dtype == IE_F32;
    if (wide_x && wide_y) return norm_rows_of<float, float>(s, y, x, p);
    if (wide_x) return norm_rows_of<bf16, float>(s, y, x, p);
    if (wide_y) return norm_rows_of<float, bf16>(s, y, x, p);
    return norm_rows_of<bf16, bf16>(s, y, x, p);
}

int ie_cuda_layer_norm(ie_stream *s, ie_tensor y, ie_tensor x, ie_tensor w, ie_tensor b,
                       ie_tensor length, float eps)
{
    NormRows p = {};
    p.w = static_cast<const float *>(w.data);
    p.b = static_cast<const float *>(b.data);
    p.eps = eps;
    return norm_rows(s, y, x, length, p);
}

int ie_cuda_rms_norm(ie_stream *s, ie_tensor y, ie_tensor x, ie_tensor w, ie_tensor length,
                     float eps)
{
    NormRows p = {};
    p.w = static_cast<const float *>(w.data);
    p.eps = eps;
    return norm_rows(s, y, x, length, p);
}

/* ---- sinusoid -------------------------------------------------------------------------------- */

__global__ void __launch_bounds__(TOKEN_THREADS)
    sinusoid_kernel(float *y, const float *v, int64_t row, int half, float max_period)
{
    wait_for_last_grid();
    const int k = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (k >= half) return;
    const double share = static_cast<double>(k) / half;
    const double angle = v[blockIdx.y] * exp(-log(static_cast<double>(max_period)) * share);
    const double turns = angle * 0.15915494309189533577; /* 1 / (2 pi) */
    double sine, cosine;
    sincospi(2.0 * (turns - rint(turns)), &sine, &cosine); /* sin and cos would need a stack */
    float *to = y + blockIdx.y * row;
    to[k] = static_cast<float>(cosine);
    to[half + k] = static_cast<float>(sine);
}

int ie_cuda_sinusoid(ie_stream *s, ie_tensor y, ie_tensor v, float max_period)
{
    const int half = static_cast<int>(y.dim[1] / 2);
    const dim3 grid(blocks_for(half, TOKEN_THREADS), static_cast<unsigned>(y.dim[0]));
    return launch(sinusoid_kernel, grid, dim3(TOKEN_THREADS), 0, s, static_cast<float *>(y.data),
                  static_cast<const float *>(v.data), y.stride[0], half, max_period);
}

/* ---- embed: a row of blocks for every row ---------------------------------------------------- */

template <int N, class T>
__global__ void __launch_bounds__(TOKEN_THREADS)
    embed_kernel(float *y, const T *table, const int *ids, int channels)
{
    wait_for_last_grid();
    const int c = static_cast<int>(blockIdx.y * blockDim.x + threadIdx.x) * N;
    if (c >= channels) return;
    float v[N];
    load(v, table + static_cast<int64_t>(ids[blockIdx.x]) * channels + c);
    store(y + static_cast<int64_t>(blockIdx.x) * channels + c, v);
}

template <class T> static int embed_of(ie_stream *s, ie_tensor y, ie_tensor table, ie_tensor ids)
{
    const int channels = static_cast<int>(y.dim[2]);
    const bool eight = channels % 8 == 0;
    const dim3 grid(static_cast<unsigned>(y.dim[0] * y.dim[1]),
                    blocks_for(channels, (eight ? 8 : 1) * TOKEN_THREADS));
    return launch(eight ? embed_kernel<8, T> : embed_kernel<1, T>, grid, dim3(TOKEN_THREADS), 0, s,
                  static_cast<float *>(y.data), static_cast<const T *>(table.data),
                  static_cast<const int *>(ids.data), channels);
}

int ie_cuda_embed(ie_stream *s, ie_tensor y, ie_tensor table, ie_tensor ids)
{
    return table.dtype == IE_F32 ? embed_of<float>(s, y, table, ids)
                                 : embed_of<bf16>(s, y, table, ids);
}
