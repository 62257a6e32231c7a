/* moments.cu - statistics of a map, alone and of a sum while it is written.
 *
 * moments  m[n, c] = mean and (biased) variance of x[n, :, :, c]
 * add      y = alpha a + beta b, b may be absent; and the moments of y before its rounding
 *
 *   shapes    x, y, a, b [N, H, W, C] bf16, m [N, C, 2] f32
 *   aliasing  y may be a or b: a thread reads an element before it writes it, and the one pixel
 *             that all read comes before a barrier
 *   numerics  f32. Values are taken relative to the first one of a part, so a constant channel has
 *             variance 0 and a mean that swamps the spread costs no digits. Four pixels at a time:
 *             their mean, then their squared deviations, merged into the running pair (Chan,
 *             Golub, LeVeque: Algorithms for computing the sample variance, 1983); then rows of
 *             threads by a tree, then parts in order. The split depends on H W and C % 8 alone
 *   cost      about 5 FLOP a byte and one pass over memory: memory-bound (alone 2 bytes an element,
 *             a sum 6)
 *   mapping   a block: 32 channels of a part of a lane's pixels, a thread 8 channels (1 where C is
 *             no multiple of 8) of every 64th (8th) pixel. The parts, up to 8, are a cluster and
 *             meet in the first one's registers; below sm_90 a lane is one part
 *   limits    118 registers (nvcc 13.0; sm_80, 90a, 120), no spills: 2 blocks an SM
 *   measured  not yet on a device
 * SPDX-License-Identifier: Apache-2.0 */
#include "cuda_ops.h"
#include "launch.h"
#include "values.h"

constexpr int MOMENTS_THREADS = 256, MOMENTS_TILE = 32, MOMENTS_RUN = 4;

/* One operand lane after the other. */
struct SumOf {
    const bf16 *a, *b; /* b null: alpha a */
    bf16 *y;           /* null: moments alone; may be a or b */
    float *m;          /* [N, C, 2] */
    float alpha, beta;
    int pixels, channels, parts;
};

template <int N> struct Stats {
    float mean[N], m2[N]; /* mean relative to a base that is kept elsewhere; sum of (x - mean)^2 */
    int count;
};

/* b, over more than nothing, into a. */
PTX_INLINE void merge_pair(float &mean, float &m2, float other_mean, float other_m2, float count,
                           float share)
{
    const float delta = other_mean - mean;
    mean += delta * share;
    m2 += other_m2 + delta * delta * (count * share);
}

PTX_INLINE float share_of(int added, int count)
{
    return static_cast<float>(added) / static_cast<float>(count + added);
}

/* R pixels, each relative to the base. */
template <int R, int N> PTX_INLINE void include_run(Stats<N> &s, const float (&x)[R][N])
{
    const float count = static_cast<float>(s.count), share = share_of(R, s.count);
#pragma unroll
    for (int c = 0; c < N; c++) {
        float mean = 0, m2 = 0;
#pragma unroll
        for (int i = 0; i < R; i++) mean += x[i][c];
        mean *= 1.0f / R;
#pragma unroll
        for (int i = 0; i < R; i++) m2 += (x[i][c] - mean) * (x[i][c] - mean);
        merge_pair(s.mean[c], s.m2[c], mean, m2, count, share);
    }
    s.count += R;
}

/* R pixels from `at` on, `step` elements apart: read, then written where a sum is wanted. */
template <int R, int N>
PTX_INLINE void read_run(float (&x)[R][N], const SumOf &f, int64_t at, int64_t step)
{
#pragma unroll
    for (int i = 0; i < R; i++) load(x[i], f.a + at + i * step);
    if (f.b) {
        float b[R][N];
#pragma unroll
        for (int i = 0; i < R; i++) load(b[i], f.b + at + i * step);
#pragma unroll
        for (int i = 0; i < R; i++) {
#pragma unroll
            for (int c = 0; c < N; c++) x[i][c] = f.alpha * x[i][c] + f.beta * b[i][c];
        }
    } else {
#pragma unroll
        for (int i = 0; i < R; i++) {
#pragma unroll
            for (int c = 0; c < N; c++) x[i][c] *= f.alpha;
        }
    }
}

template <int R, int N>
PTX_INLINE void take_run(Stats<N> &s, const float (&base)[N], const SumOf &f, int64_t at,
                         int64_t step)
{
    float x[R][N];
    read_run(x, f, at, step);
#pragma unroll
    for (int i = 0; i < R; i++) {
        if (f.y) store(f.y + at + i * step, x[i]);
#pragma unroll
        for (int c = 0; c < N; c++) x[i][c] -= base[c];
    }
    include_run(s, x);
}

/* What a block's threads leave for each other; the first row ends up with the part's statistics. */
template <int ROWS> struct MomentsShared {
    float mean[ROWS][MOMENTS_TILE], m2[ROWS][MOMENTS_TILE];
    float base[MOMENTS_TILE];
    int count[ROWS];
};

/* Rows by halves; all threads take part. */
template <int ROWS> PTX_INLINE void merge_rows(MomentsShared<ROWS> *shared)
{
    const int thread = static_cast<int>(threadIdx.x);
    for (int half = ROWS / 2; half > 0; half /= 2) {
        __syncthreads();
        for (int i = thread; i < half * MOMENTS_TILE; i += MOMENTS_THREADS) {
            const int row = i / MOMENTS_TILE, c = i % MOMENTS_TILE, other = row + half;
            const int count = shared->count[row], added = shared->count[other];
            if (added == 0) continue;
            merge_pair(shared->mean[row][c], shared->m2[row][c], shared->mean[other][c],
                       shared->m2[other][c], static_cast<float>(count), share_of(added, count));
        }
        __syncthreads();
        if (thread < half) shared->count[thread] += shared->count[thread + half];
    }
    __syncthreads();
}

PTX_INLINE int part_pixels(const SumOf &f, int part)
{
    const int each = (f.pixels + f.parts - 1) / f.parts;
    return min(each, f.pixels - part * each);
}

#if PTX_SM90
PTX_INLINE float of_part(const float *shared, int part)
{
    return load_cluster(map_shared(shared_address(shared), static_cast<unsigned>(part)));
}

/* The statistics of channel c of the other parts into those of the first, in order. */
template <int ROWS> PTX_INLINE void merge_parts(const SumOf &f, MomentsShared<ROWS> *shared, int c)
{
    const float base = shared->base[c];
    float mean = shared->mean[0][c], m2 = shared->m2[0][c];
    int count = part_pixels(f, 0);
    for (int part = 1; part < f.parts; part++) {
        const int added = part_pixels(f, part);
        const float other =
            of_part(&shared->base[c], part) - base + of_part(&shared->mean[0][c], part);
        merge_pair(mean, m2, other, of_part(&shared->m2[0][c], part), static_cast<float>(count),
                   share_of(added, count));
        count += added;
    }
    shared->mean[0][c] = mean;
    shared->m2[0][c] = m2;
}
#endif

/* The part's statistics of the tile that begins at channel c0, to shared memory. */
template <int N, int ROWS>
PTX_INLINE void part_moments(const SumOf &f, MomentsShared<ROWS> *shared, int part, int c0)
{
    constexpr int VECTORS = MOMENTS_TILE / N;
    const int row = static_cast<int>(threadIdx.x) / VECTORS;
    const int vector = static_cast<int>(threadIdx.x) % VECTORS, c = c0 + vector * N;
    const bool exists = c < f.channels;
    const int each = (f.pixels + f.parts - 1) / f.parts, pixels = part_pixels(f, part);
    const int64_t first =
        (static_cast<int64_t>(blockIdx.y) * f.pixels + part * each) * f.channels + c;
    float base[1][N] = {};
    if (exists) read_run(base, f, first, 0);
    __syncthreads(); /* now y may be written over it */

    Stats<N> s = {};
    if (exists) {
        const int64_t step = static_cast<int64_t>(ROWS) * f.channels;
        int p = row;
        for (; p + (MOMENTS_RUN - 1) * ROWS < pixels; p += MOMENTS_RUN * ROWS) {
            take_run<MOMENTS_RUN>(s, base[0], f, first + static_cast<int64_t>(p) * f.channels,
                                  step);
        }
        for (; p < pixels; p += ROWS) {
            take_run<1>(s, base[0], f, first + static_cast<int64_t>(p) * f.channels, step);
        }
    }
#pragma unroll
    for (int i = 0; i < N; i++) {
        shared->mean[row][vector * N + i] = s.mean[i];
        shared->m2[row][vector * N + i] = s.m2[i];
        if (row == 0) shared->base[vector * N + i] = base[0][i];
    }
    if (vector == 0) shared->count[row] = s.count; /* the tile's first channel always exists */
    merge_rows(shared);
}

template <int N> __global__ void __launch_bounds__(MOMENTS_THREADS, 2) moments_kernel(SumOf f)
{
    wait_for_last_grid();
    constexpr int ROWS = MOMENTS_THREADS * N / MOMENTS_TILE;
    auto *const shared = reinterpret_cast<MomentsShared<ROWS> *>(dynamic_shared());
    const int part = static_cast<int>(blockIdx.x) % f.parts;
    const int c0 = static_cast<int>(blockIdx.x) / f.parts * MOMENTS_TILE;
    const int c = static_cast<int>(threadIdx.x);
#if !PTX_SM90
    if (part > 0) return; /* code for a chip without clusters: the first block does it all */
    f.parts = 1;
#endif
    part_moments<N>(f, shared, part, c0);
#if PTX_SM90
    if (f.parts > 1) {
        cluster_arrive();
        cluster_wait();
        if (part == 0 && c < MOMENTS_TILE) merge_parts(f, shared, c);
        cluster_arrive(); /* no part may end before the first has read it */
        cluster_wait();
    }
#endif
    if (part > 0 || c >= MOMENTS_TILE || c0 + c >= f.channels) return;
    float *to = f.m + (static_cast<int64_t>(blockIdx.y) * f.channels + c0 + c) * 2;
    to[0] = shared->base[c] + shared->mean[0][c];
    to[1] = shared->m2[0][c] / static_cast<float>(f.pixels);
}

/* ---- a sum without moments ------------------------------------------------------------------- */

template <int N>
__global__ void __launch_bounds__(MOMENTS_THREADS) add_kernel(SumOf f, int64_t count)
{
    wait_for_last_grid();
    const int64_t at = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) * N;
    if (at >= count) return;
    float x[1][N];
    read_run(x, f, at, 0);
    store(f.y + at, x[0]);
}

/* ---- launch ---------------------------------------------------------------------------------- */

static bool is_aligned(const void *p)
{
    return reinterpret_cast<uintptr_t>(p) % 16 == 0;
}

/* How many blocks share a tile of channels: by the shape of a lane, so that maps whose channels
 * alone do not fill the chip are spread. */
static int parts_of(int64_t pixels, int arch)
{
    if (arch < 90) return 1;
    return pixels >= 4096 ? 8 : pixels >= 1024 ? 4 : 1;
}

template <int N> static int moments_of(ie_stream *s, SumOf f, int64_t lanes)
{
    constexpr int ROWS = MOMENTS_THREADS * N / MOMENTS_TILE;
    int arch = 0;
    const int code = device_arch(&arch);
    if (code) return launch_failed(moments_kernel<N>, code);
    f.parts = parts_of(f.pixels, arch);
    const unsigned parts = static_cast<unsigned>(f.parts);
    const dim3 grid(blocks_for(f.channels, MOMENTS_TILE) * parts, static_cast<unsigned>(lanes));
    return launch_cluster(moments_kernel<N>, grid, dim3(MOMENTS_THREADS), dim3(parts),
                          sizeof(MomentsShared<ROWS>), s, f);
}

static int sum_with_moments(ie_stream *s, SumOf f, ie_tensor a, ie_tensor m)
{
    f.m = static_cast<float *>(m.data);
    f.pixels = static_cast<int>(a.dim[1] * a.dim[2]);
    f.channels = static_cast<int>(a.dim[3]);
    return f.channels % 8 == 0 ? moments_of<8>(s, f, a.dim[0]) : moments_of<1>(s, f, a.dim[0]);
}

int ie_cuda_moments(ie_stream *s, ie_tensor m, ie_tensor x)
{
    if (x.dtype != IE_BF16) return cudaErrorInvalidValue;
    SumOf f = {};
    f.a = static_cast<const bf16 *>(x.data);
    f.alpha = 1;
    return sum_with_moments(s, f, x, m);
}

int ie_cuda_add(ie_stream *s, ie_tensor y, ie_tensor y_moments, ie_tensor a, ie_tensor b,
                float alpha, float beta)
{
    if (a.dtype != IE_BF16) return cudaErrorInvalidValue;
    SumOf f = {};
    f.a = static_cast<const bf16 *>(a.data);
    f.b = ie_present(b) ? static_cast<const bf16 *>(b.data) : nullptr;
    f.y = static_cast<bf16 *>(y.data);
    f.alpha = alpha;
    f.beta = beta;
    if (ie_present(y_moments)) return sum_with_moments(s, f, a, y_moments);
    const int64_t count = ie_numel(y);
    const bool eight =
        count % 8 == 0 && is_aligned(f.a) && is_aligned(f.y) && (!f.b || is_aligned(f.b));
    const dim3 grid(blocks_for(count, (eight ? 8 : 1) * MOMENTS_THREADS));
    return launch(eight ? add_kernel<8> : add_kernel<1>, grid, dim3(MOMENTS_THREADS), 0, s, f,
                  count);
}
