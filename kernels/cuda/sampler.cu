/* sampler.cu - initial noise, and one step of the sampler: guidance, x0, threshold, known pixels,
 * the update.
 *
 * noise       z[slot] = normal(seed, stage, step, element)
 * sample      p = w cond + (1 - w) uncond;  x0 from z and p;  x0 clipped, to 1 or to the exact
 *             quantile of |x0|;  x0 of known pixels is theirs;
 *             z = keep z + now x0 + noise normal(...)                                 (ops.h)
 *
 *   shapes    z [S, H, W, C] f32, pred [N, H, W, >= C] bf16 or f32, steps [R] of ie_step, known
 *             [S, H, W, C + 1] u8 or absent; all are read on the device, so the launches are the
 *             same for every request and every step
 *   numerics  f32, no reduction of floats. The quantile is found by radix selection: magnitudes
 *             are ordered like their bits, and histograms of 11, 10 and 10 of these are integers,
 *             so the atomics that fill them give the same in any order. Its position is double
 *   cost      a dynamic threshold writes x0 once and reads it four or five times: 3 x 1024 x 1024
 *             are 12.6 MB and stay in L2; known adds 4 bytes a pixel. About 40 FLOP an element
 *             with noise: memory-bound
 *   mapping   requests along y; a block 4096 elements, a thread four Philox blocks. Six kernels:
 *             clear; x0 and digit 0; digit 1; digit 2; the smallest above; update. Requests
 *             without a dynamic threshold take no part in all but the last
 *   limits    40 registers (nvcc 13.0; sm_80, 90a, 120), no spills, no stack
 *   measured  not yet on a device
 * SPDX-License-Identifier: Apache-2.0 */
#include "cuda_ops.h"
#include "launch.h"
#include "rng.h"
#include "values.h"

constexpr int SAMPLE_THREADS = 256, SAMPLE_ROUNDS = 4; /* of four elements a thread */
constexpr int SAMPLE_ELEMENTS = 4 * SAMPLE_ROUNDS * SAMPLE_THREADS;

/* ---- initial noise --------------------------------------------------------------------------- */

__global__ void __launch_bounds__(SAMPLE_THREADS)
    noise_kernel(float *z, int count, uint64_t seed, uint32_t stage, uint32_t step)
{
    wait_for_last_grid();
    const int block = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    if (4 * block >= count) return;
    float normal[4];
    ie_normal4(normal, seed, stage, step, static_cast<uint32_t>(block));
    store_four(z + 4 * block, normal, count - 4 * block);
}

int ie_cuda_noise(ie_stream *s, ie_tensor z, int64_t slot, uint64_t seed, uint32_t stage,
                  uint32_t step)
{
    const int64_t count = z.dim[1] * z.dim[2] * z.dim[3];
    return launch(noise_kernel, dim3(blocks_for(count, 4 * SAMPLE_THREADS)), dim3(SAMPLE_THREADS),
                  0, s, static_cast<float *>(z.data) + slot * z.stride[0], static_cast<int>(count),
                  seed, stage, step);
}

/* ---- what the kernels of a step share -------------------------------------------------------- */

constexpr int BINS = 2048, DIGITS = 3;
constexpr uint32_t INFINITE = 0x7f800000u; /* NaN counts as infinitely large */

/* Of one request, in the scratch, behind its x0. */
struct Search {
    unsigned histogram[DIGITS][BINS];
    unsigned least; /* the smallest magnitude above the k-th */
    /* After digit d: the bits of the k-th smallest so far, how many values are below all that begin
     * with them; `upto` at the end: how many are not above it. */
    unsigned prefix[DIGITS], below[DIGITS], upto;
};

template <class P> struct Sample {
    float *z;
    const P *pred;
    const ie_step *steps;
    const uint8_t *known;  /* or NULL */
    char *scratch;         /* [R] of `scratch_bytes`: x0, Search */
    int64_t scratch_bytes; /* of one request */
    int64_t z_slot, pred_lane, known_slot;
    int count, channels, stride; /* elements of an image; channels of z, of pred */
};

template <class P> PTX_INLINE float *x0_of(const Sample<P> &a)
{
    return reinterpret_cast<float *>(a.scratch + blockIdx.y * a.scratch_bytes);
}

template <class P> PTX_INLINE Search *search_of(const Sample<P> &a)
{
    char *end = a.scratch + (blockIdx.y + 1) * a.scratch_bytes;
    return reinterpret_cast<Search *>(end - sizeof(Search));
}

template <class P> PTX_INLINE bool is_dynamic(const Sample<P> &a)
{
    return a.steps[blockIdx.y].threshold == IE_THRESHOLD_DYNAMIC;
}

/* Round `i` of the thread: the first of its four elements. */
PTX_INLINE int element_of(int i)
{
    return static_cast<int>(blockIdx.x) * SAMPLE_ELEMENTS +
           (i * SAMPLE_THREADS + static_cast<int>(threadIdx.x)) * 4;
}

PTX_INLINE unsigned magnitude(float x)
{
    return min(__float_as_uint(x) & 0x7fffffffu, INFINITE);
}

/* Where the quantile lies among count values in order: between the k-th and the next. */
struct Position {
    int k;
    double share; /* of the next one */
};

PTX_INLINE Position position_of(const ie_step &s, int count)
{
    const double at = static_cast<double>(s.percentile) * (count - 1);
    const int k = min(max(static_cast<int>(at), 0), count - 1);
    return {k, at - k};
}

/* ---- x0 -------------------------------------------------------------------------------------- */

PTX_INLINE float as_float(float v)
{
    return v;
}

PTX_INLINE float as_float(bf16 v)
{
    return __bfloat162float(v);
}

/* x0 of elements [at, at + 4), before any threshold; `inverse` is 1 / alpha. */
template <class P>
PTX_INLINE void predict_four(float (&x0)[4], const float (&z)[4], const Sample<P> &a,
                             const ie_step &s, float inverse, int at)
{
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const int e = at + i;
        if (e >= a.count) continue;
        const int pixel = e / a.channels;
        const int64_t from = static_cast<int64_t>(pixel) * a.stride + e - pixel * a.channels;
        float p = as_float(a.pred[s.lane_cond * a.pred_lane + from]);
        if (s.lane_uncond >= 0) {
            const float u = as_float(a.pred[s.lane_uncond * a.pred_lane + from]);
            p = s.guidance * p + (1.0f - s.guidance) * u;
        }
        x0[i] = s.prediction == IE_PREDICT_V ? s.alpha * z[i] - s.sigma * p
                                             : (z[i] - s.sigma * p) * inverse;
    }
}

/* What is known of elements [at, at + 4), in place of what was predicted. A pixel has one value
 * more there than in z, so element e of pixel p is at p + e. */
template <class P>
PTX_INLINE void put_known(float (&x0)[4], const Sample<P> &a, const ie_step &s, int at)
{
    const uint8_t *const known = a.known + s.slot * a.known_slot;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const int e = at + i;
        if (e >= a.count) continue;
        const int pixel = e / a.channels;
        if (known[pixel + (pixel + 1) * a.channels] == 0)
            x0[i] = static_cast<float>(2 * known[pixel + e] - 255) * (1.0f / 255.0f);
    }
}

/* ---- selection ------------------------------------------------------------------------------- */

/* Bits of digit d: 31 in all, from the top. */
PTX_INLINE int digit_shift(int d)
{
    return d == 0 ? 20 : d == 1 ? 10 : 0;
}

PTX_INLINE unsigned digit_of(unsigned bits, int d)
{
    return bits >> digit_shift(d) & (d == 0 ? 2047u : 1023u);
}

/* A block's histogram, and room for a search in one. It ends with a whole vector: nvcc may read its
 * last three numbers as four. */
struct alignas(16) SampleShared {
    unsigned histogram[BINS];
    unsigned warps[SAMPLE_THREADS / 32];
    unsigned bin, below, upto;
};

PTX_INLINE SampleShared *sample_shared()
{
    return reinterpret_cast<SampleShared *>(dynamic_shared());
}

/* In how many of the histogram's values lie before the thread's eight bins; all threads take
 * part. */
PTX_INLINE unsigned counts_before(unsigned mine, unsigned *warps)
{
    const int lane = static_cast<int>(threadIdx.x) & 31, warp = static_cast<int>(threadIdx.x) >> 5;
    unsigned sum = mine;
#pragma unroll
    for (int d = 1; d < 32; d *= 2) {
        const unsigned other = __shfl_up_sync(0xffffffffu, sum, d);
        if (lane >= d) sum += other;
    }
    if (lane == 31) warps[warp] = sum;
    __syncthreads();
    unsigned before = sum - mine;
    for (int w = 0; w < warp; w++) before += warps[w];
    return before;
}

/* The bin with the k-th value of a histogram that begins at value `below`, to shared memory, with
 * the counts before it and up to it. One thread finds it. */
PTX_INLINE void find_bin(const unsigned *histogram, unsigned below, unsigned k,
                         SampleShared *shared)
{
    constexpr int EACH = BINS / SAMPLE_THREADS;
    unsigned counts[EACH], mine = 0;
    const int first = static_cast<int>(threadIdx.x) * EACH;
#pragma unroll
    for (int i = 0; i < EACH; i++) mine += counts[i] = histogram[first + i];
    unsigned at = below + counts_before(mine, shared->warps);
    if (at <= k && k < at + mine) {
#pragma unroll
        for (int i = 0; i < EACH; i++) {
            if (at <= k && k < at + counts[i]) {
                shared->bin = static_cast<unsigned>(first + i);
                shared->below = at;
                shared->upto = at + counts[i];
            }
            at += counts[i];
        }
    }
    __syncthreads();
}

/* Digit d of the k-th smallest, known to the whole block; block 0 keeps it for later kernels.
 * Returns its bits so far. */
PTX_INLINE unsigned find_digit(Search *search, int d, int k, SampleShared *shared)
{
    const unsigned prefix = d > 0 ? search->prefix[d - 1] : 0;
    find_bin(search->histogram[d], d > 0 ? search->below[d - 1] : 0, static_cast<unsigned>(k),
             shared);
    const unsigned bits = prefix | shared->bin << digit_shift(d);
    if (blockIdx.x == 0 && threadIdx.x == 0) {
        search->prefix[d] = bits;
        search->below[d] = shared->below;
        if (d == DIGITS - 1) search->upto = shared->upto;
    }
    return bits;
}

PTX_INLINE void clear_histogram(unsigned *histogram)
{
    for (int i = static_cast<int>(threadIdx.x); i < BINS; i += SAMPLE_THREADS) histogram[i] = 0;
    __syncthreads();
}

PTX_INLINE void add_histogram(unsigned *to, const unsigned *histogram)
{
    __syncthreads();
    for (int i = static_cast<int>(threadIdx.x); i < BINS; i += SAMPLE_THREADS) {
        if (histogram[i]) atomicAdd(&to[i], histogram[i]);
    }
}

/* ---- the kernels ----------------------------------------------------------------------------- */

template <class P>
__global__ void __launch_bounds__(SAMPLE_THREADS) sample_clear_kernel(Sample<P> a)
{
    wait_for_last_grid();
    if (!is_dynamic(a)) return;
    Search *const search = search_of(a);
    const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x); /* < DIGITS * BINS */
    unsigned *const words = search->histogram[0];
    words[i] = 0;
    if (i == 0) search->least = INFINITE;
}

template <class P>
__global__ void __launch_bounds__(SAMPLE_THREADS) sample_predict_kernel(Sample<P> a)
{
    wait_for_last_grid();
    if (!is_dynamic(a)) return;
    unsigned *const histogram = sample_shared()->histogram;
    const ie_step &s = a.steps[blockIdx.y];
    const float *z = a.z + s.slot * a.z_slot, inverse = 1.0f / s.alpha;
    clear_histogram(histogram);
    for (int i = 0; i < SAMPLE_ROUNDS; i++) {
        const int at = element_of(i), left = a.count - at;
        if (left <= 0) break;
        float from[4], x0[4] = {};
        load_four(from, z + at, left);
        predict_four(x0, from, a, s, inverse, at);
        store_four(x0_of(a) + at, x0, left);
        for (int e = 0; e < 4; e++) {
            if (e < left) atomicAdd(&histogram[digit_of(magnitude(x0[e]), 0)], 1u);
        }
    }
    add_histogram(search_of(a)->histogram[0], histogram);
}

/* Digit d of those values whose digits before it are the k-th's. */
template <class P>
__global__ void __launch_bounds__(SAMPLE_THREADS) sample_count_kernel(Sample<P> a, int d)
{
    wait_for_last_grid();
    if (!is_dynamic(a)) return;
    SampleShared *const shared = sample_shared();
    Search *const search = search_of(a);
    const int k = position_of(a.steps[blockIdx.y], a.count).k, top = digit_shift(d - 1);
    const unsigned prefix = find_digit(search, d - 1, k, shared);
    clear_histogram(shared->histogram);
    for (int i = 0; i < SAMPLE_ROUNDS; i++) {
        const int at = element_of(i), left = a.count - at;
        if (left <= 0) break;
        float x0[4];
        load_four(x0, x0_of(a) + at, left);
        for (int e = 0; e < 4; e++) {
            const unsigned bits = magnitude(x0[e]);
            const bool candidate = e < left && bits >> top == prefix >> top;
            if (candidate) atomicAdd(&shared->histogram[digit_of(bits, d)], 1u);
        }
    }
    add_histogram(search->histogram[d], shared->histogram);
}

/* The smallest value above the k-th, where the quantile lies between two values. */
template <class P>
__global__ void __launch_bounds__(SAMPLE_THREADS) sample_least_kernel(Sample<P> a)
{
    wait_for_last_grid();
    if (!is_dynamic(a)) return;
    SampleShared *const shared = sample_shared();
    Search *const search = search_of(a);
    const int k = position_of(a.steps[blockIdx.y], a.count).k;
    const unsigned kth = find_digit(search, DIGITS - 1, k, shared);
    if (shared->upto > static_cast<unsigned>(k) + 1) return; /* the next is the same */
    unsigned least = INFINITE;
    for (int i = 0; i < SAMPLE_ROUNDS; i++) {
        const int at = element_of(i), left = a.count - at;
        if (left <= 0) break;
        float x0[4];
        load_four(x0, x0_of(a) + at, left);
        for (int e = 0; e < 4; e++) {
            const unsigned bits = magnitude(x0[e]);
            if (e < left && bits > kth) least = min(least, bits);
        }
    }
    if (least != INFINITE) atomicMin(&search->least, least);
}

/* What |x0| is clipped to. */
PTX_INLINE float find_limit(const Search *search, const ie_step &s, int count)
{
    const Position at = position_of(s, count);
    const unsigned kth = search->prefix[DIGITS - 1];
    float quantile = __uint_as_float(kth);
    if (search->upto <= static_cast<unsigned>(at.k) + 1 && at.k < count - 1 && at.share > 0) {
        const double low = quantile, high = __uint_as_float(search->least);
        if (high > low) quantile = static_cast<float>(low + at.share * (high - low));
    }
    const float limit = fmaxf(1.0f, quantile);
    return s.cap > 0 ? fminf(limit, s.cap) : limit;
}

template <class P>
__global__ void __launch_bounds__(SAMPLE_THREADS) sample_update_kernel(Sample<P> a)
{
    wait_for_last_grid();
    const ie_step &s = a.steps[blockIdx.y];
    const bool dynamic = s.threshold == IE_THRESHOLD_DYNAMIC;
    float limit = s.threshold == IE_THRESHOLD_NONE ? INFINITY : 1.0f;
    if (dynamic) limit = find_limit(search_of(a), s, a.count);
    /* Exactly so at the limit, where a product with the inverse could be more than 1. */
    const float highest = dynamic ? 1.0f : limit, factor = dynamic ? 1.0f / limit : 1.0f;
    const float inverse = 1.0f / s.alpha;
    const uint64_t seed = static_cast<uint64_t>(s.seed_high) << 32 | s.seed_low;
    float *const z = a.z + s.slot * a.z_slot;
    for (int i = 0; i < SAMPLE_ROUNDS; i++) {
        const int at = element_of(i), left = a.count - at;
        if (left <= 0) break;
        float from[4], x0[4] = {}, normal[4] = {};
        if (s.noise != 0) {
            ie_normal4(normal, seed, s.stage, static_cast<uint32_t>(s.step),
                       static_cast<uint32_t>(at / 4));
        }
        load_four(from, z + at, left);
        if (dynamic) {
            load_four(x0, x0_of(a) + at, left);
        } else {
            predict_four(x0, from, a, s, inverse, at);
        }
#pragma unroll
        for (int e = 0; e < 4; e++) {
            x0[e] = x0[e] >= limit    ? highest
                    : x0[e] <= -limit ? -highest
                                      : x0[e] * factor; /* a NaN stays one */
        }
        if (a.known) put_known(x0, a, s, at);
#pragma unroll
        for (int e = 0; e < 4; e++) {
            from[e] = s.keep * from[e] + s.now * x0[e] + s.noise * normal[e];
        }
        store_four(z + at, from, left);
    }
}

/* ---- launch ---------------------------------------------------------------------------------- */

static int64_t request_bytes(const ie_sample_args *a)
{
    const int64_t count = a->z.dim[1] * a->z.dim[2] * a->z.dim[3], search = sizeof(Search);
    return (count * 4 + search + 255) / 256 * 256;
}

uint64_t ie_cuda_sample_scratch(const ie_sample_args *a)
{
    return static_cast<uint64_t>(a->steps.dim[0] * request_bytes(a));
}

template <class P> static int sample(ie_stream *s, const ie_sample_args *args)
{
    const ie_tensor z = args->z, pred = args->pred;
    Sample<P> a = {};
    a.z = static_cast<float *>(z.data);
    a.pred = static_cast<const P *>(pred.data);
    a.steps = static_cast<const ie_step *>(args->steps.data);
    a.known = static_cast<const uint8_t *>(args->known.data);
    a.scratch = static_cast<char *>(args->scratch);
    a.scratch_bytes = request_bytes(args);
    a.z_slot = z.stride[0];
    a.pred_lane = pred.stride[0];
    a.known_slot = args->known.stride[0];
    a.count = static_cast<int>(z.dim[1] * z.dim[2] * z.dim[3]);
    a.channels = static_cast<int>(z.dim[3]);
    a.stride = static_cast<int>(pred.dim[3]);

    const unsigned requests = static_cast<unsigned>(args->steps.dim[0]);
    const dim3 grid(blocks_for(a.count, SAMPLE_ELEMENTS), requests), block(SAMPLE_THREADS);
    const dim3 words(DIGITS * BINS / SAMPLE_THREADS, requests);
    const size_t shared = sizeof(SampleShared);
    int code = launch(sample_clear_kernel<P>, words, block, 0, s, a);
    if (!code) code = launch(sample_predict_kernel<P>, grid, block, shared, s, a);
    for (int d = 1; d < DIGITS && !code; d++) {
        code = launch(sample_count_kernel<P>, grid, block, shared, s, a, d);
    }
    if (!code) code = launch(sample_least_kernel<P>, grid, block, shared, s, a);
    return code ? code : launch(sample_update_kernel<P>, grid, block, 0, s, a);
}

int ie_cuda_sample(ie_stream *s, const ie_sample_args *a)
{
    return a->pred.dtype == IE_F32 ? sample<float>(s, a) : sample<bf16>(s, a);
}
