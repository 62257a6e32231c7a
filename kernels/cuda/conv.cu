/* conv.cu - from a convolution's specification to a problem of conv.h: which kernel, the packed
 * weights, the scratch, and the two small kernels around the product.
 *
 *   conv_pad_kernel      y [rows, padded] = act(x [rows, channels]), zero beyond: rows whose
 *                        channels are no multiple of 8 cannot be copied by 16 bytes. A thread makes
 *                        eight values. Memory bound; stems and conditioning only.
 *   conv_merge_kernel    moments [N, O, 2] from the partials of all tiles of a lane, by Chan's
 *                        formula. A block takes 8 outputs; thread (g, o) merges tiles g, g + G, ...
 *                        in order, then a tree over g. G follows the number of tiles of one lane.
 *                        12 bytes per tile and output are read: a few us where tiles are many.
 *
 *   limits    128 registers (nvcc 13.0; sm_80, 90a, 120), no spills
 *   measured  not yet on a device
 *
 * A source that needs no transform is read as it is, two sources one after the other within a tap:
 * nothing is concatenated. Where normed_load.h says so the sources are transformed on load, by
 * coefficients that apply.cu folds. Scratch of a call, in this order: u or these coefficients,
 * padded sources, what the product needs.
 * SPDX-License-Identifier: Apache-2.0 */
#include "conv.h"
#include "cuda_ops.h"
#include "half.h"
#include "launch.h"
#include "normed_load.h"
#include "packing.h"
#include "values.h"

#include <stdlib.h>

struct ie_conv {
    ie_conv_spec spec;
    int real[2];          /* channels of the product's sources, before they are padded */
    bool transformed;     /* by apply.cu: u takes the sources' place */
    conv_problem problem; /* without lanes and what a call brings */
};

/* ---- kernels --------------------------------------------------------------------------------- */

struct conv_pad_call {
    __nv_bfloat16 *y;
    const __nv_bfloat16 *x; /* rows of `stride` elements */
    int padded, stride, channels;
    int64_t chunks; /* of all rows */
    ie_act act;
};

enum { PAD_THREADS = 256, CHUNK = 8 };

__global__ void __launch_bounds__(PAD_THREADS) conv_pad_kernel(conv_pad_call c)
{
    wait_for_last_grid();
    const int64_t chunk = static_cast<int64_t>(blockIdx.x) * PAD_THREADS + threadIdx.x;
    if (chunk >= c.chunks) return;
    const int64_t row = chunk * CHUNK / c.padded;
    const int first = static_cast<int>(chunk * CHUNK - row * c.padded);
    const __nv_bfloat16 *x = c.x + row * c.stride + first;
    float v[CHUNK];
#pragma unroll
    for (int i = 0; i < CHUNK; i++) {
        v[i] = first + i < c.channels ? __bfloat162float(x[i]) : 0.0f;
    }
    activate(v, c.act); /* of zero: zero */
    store(c.y + chunk * CHUNK, v);
}

struct conv_merge_call {
    float *moments;        /* [lanes, outputs, 2] */
    const float *partials; /* [lanes][tiles][CONV_PARTIALS][outputs] */
    int tiles, outputs, groups;
};

enum { MERGED_OUTPUTS = 8, MAX_GROUPS = 64 };

struct spread {
    float mean, square, count;
};

PTX_INLINE spread merge(spread a, spread b)
{
    if (b.count == 0.0f) return a;
    const float count = a.count + b.count, d = b.mean - a.mean, share = b.count / count;
    return {a.mean + d * share, a.square + b.square + d * d * (a.count * share), count};
}

__global__ void __launch_bounds__(MERGED_OUTPUTS *MAX_GROUPS) conv_merge_kernel(conv_merge_call c)
{
    wait_for_last_grid();
    spread *shared = reinterpret_cast<spread *>(dynamic_shared());
    const int group = static_cast<int>(threadIdx.x) / MERGED_OUTPUTS;
    const int o = static_cast<int>(blockIdx.x * MERGED_OUTPUTS + threadIdx.x % MERGED_OUTPUTS);
    const size_t tile = static_cast<size_t>(CONV_PARTIALS) * c.outputs;
    const float *from = c.partials + blockIdx.y * c.tiles * tile + o;
    spread sum = {0.0f, 0.0f, 0.0f};
    if (o < c.outputs) {
#pragma unroll 4
        for (int i = group; i < c.tiles; i += c.groups) {
            const float *one = from + i * tile;
            sum = merge(sum, {one[CONV_MEAN * c.outputs], one[CONV_SQUARE * c.outputs],
                              one[CONV_COUNT * c.outputs]});
        }
    }
    for (int half = c.groups / 2; half > 0; half /= 2) {
        if (group >= half && group < 2 * half) shared[threadIdx.x] = sum;
        __syncthreads();
        if (group < half) sum = merge(sum, shared[threadIdx.x + half * MERGED_OUTPUTS]);
    }
    if (group > 0 || o >= c.outputs) return;
    float *to = c.moments + (static_cast<size_t>(blockIdx.y) * c.outputs + o) * 2;
    to[0] = sum.mean;
    to[1] = sum.square / sum.count;
}

int conv_pad(ie_stream *s, __nv_bfloat16 *y, int padded, const __nv_bfloat16 *x, int stride,
             int channels, int64_t rows, ie_act act)
{
    const int64_t chunks = rows * padded / CHUNK;
    const conv_pad_call c = {y, x, padded, stride, channels, chunks, act};
    return launch(conv_pad_kernel, dim3(blocks_for(chunks, PAD_THREADS)), dim3(PAD_THREADS), 0, s,
                  c);
}

static int merge_partials(ie_stream *s, const conv_problem &p, int tiles, float *moments)
{
    int groups = 1;
    while (groups < tiles && groups < MAX_GROUPS) groups *= 2;
    const conv_merge_call c = {moments, p.partials, tiles, p.outputs, groups};
    const dim3 grid(blocks_for(p.outputs, MERGED_OUTPUTS), static_cast<unsigned>(p.lanes));
    const unsigned threads = static_cast<unsigned>(MERGED_OUTPUTS * groups);
    return launch(conv_merge_kernel, grid, dim3(threads), threads * sizeof(spread), s, c);
}

/* ---- packing --------------------------------------------------------------------------------- */

float conv_load_host(ie_tensor t, int64_t i)
{
    switch (t.dtype) {
    case IE_BF16: return ie_f32_from_bf16(static_cast<const uint16_t *>(t.data)[i]);
    case IE_F16: return ie_f32_from_f16(static_cast<const uint16_t *>(t.data)[i]);
    default: return static_cast<const float *>(t.data)[i];
    }
}

static size_t weight_bytes(const conv_problem &p)
{
    return static_cast<size_t>(conv_padded_outputs(p)) * static_cast<size_t>(conv_row(p)) *
           sizeof(uint16_t);
}

uint64_t conv_packed_bytes(const conv_problem &p)
{
    return weight_bytes(p) + static_cast<size_t>(conv_padded_outputs(p)) * sizeof(float);
}

/* The types of a file, a value at a time. */
struct from_f32 {
    using type = float;
    static uint16_t bf16(float v)
    {
        return ie_bf16_from_f32(v);
    }
};
struct from_bf16 {
    using type = uint16_t;
    static uint16_t bf16(uint16_t v)
    {
        return v;
    }
};
struct from_f16 {
    using type = uint16_t;
    static uint16_t bf16(uint16_t v)
    {
        return ie_bf16_from_f32(ie_f32_from_f16(v));
    }
};

/* One output's weights [channels][taps] to their packed row, which is zero. */
template <class FROM>
static void pack_row(uint16_t *to, const conv_problem &p, const int real[2], const void *weights,
                     int64_t first)
{
    const auto *from = static_cast<const typename FROM::type *>(weights) + first;
    const int taps = p.kernel * p.kernel, skip = conv_round_up(p.channels[0], p.unit);
    for (int tap = 0; tap < taps; tap++) {
        uint16_t *const one = to + tap * conv_tap(p);
        for (int c = 0; c < real[0]; c++) one[c] = FROM::bf16(from[c * taps + tap]);
        const auto *const second = from + real[0] * taps;
        for (int c = 0; c < real[1]; c++) one[skip + c] = FROM::bf16(second[c * taps + tap]);
    }
}

/* The row of `weight` that packed row o is. */
static int64_t row_of_output(const conv_problem &p, int64_t o)
{
    return p.gated ? o / 2 + o % 2 * (p.outputs / 2) : o;
}

int conv_pack(conv_problem *p, void *memory, const int real[2], ie_tensor weight, ie_tensor bias,
              const ie_uploader *up)
{
    const int64_t outputs = conv_padded_outputs(*p), row = conv_row(*p);
    const size_t row_bytes = static_cast<size_t>(row) * sizeof(uint16_t);
    const size_t biases = static_cast<size_t>(outputs) * sizeof(float);
    const int64_t inputs = static_cast<int64_t>(real[0] + real[1]) * p->kernel * p->kernel;
    const auto pack = weight.dtype == IE_BF16  ? pack_row<from_bf16>
                      : weight.dtype == IE_F16 ? pack_row<from_f16>
                                               : pack_row<from_f32>;
    packed to = packed_begin(up, memory, row_bytes, biases);
    for (int64_t first = 0, count; first < outputs; first += count) {
        count = outputs - first;
        uint16_t *rows = reinterpret_cast<uint16_t *>(packed_rows(&to, row_bytes, &count));
        for (int64_t i = 0; rows && i < count && first + i < p->outputs; i++) {
            const int64_t from = row_of_output(*p, first + i) * inputs;
            pack(rows + i * row, *p, real, weight.data, from);
        }
    }
    float *b = static_cast<float *>(packed_tail(&to, biases));
    for (int o = 0; b && ie_present(bias) && o < p->outputs; o++) {
        b[o] = conv_load_host(bias, row_of_output(*p, o));
    }
    p->weight = static_cast<const __nv_bfloat16 *>(memory);
    p->bias = reinterpret_cast<const float *>(static_cast<const char *>(memory) + weight_bytes(*p));
    return packed_end(&to);
}

/* ---- running a problem ----------------------------------------------------------------------- */

/* conv90 wants channels by 64, and has no other problems. */
enum { UNIT_80 = 8, UNIT_90 = 64 };

int conv_choose(conv_problem *p)
{
    int arch = 0;
    const int code = device_arch(&arch);
    p->unit = arch == 90 && conv90_fits(*p) ? UNIT_90 : UNIT_80;
    return code;
}

static size_t round_up(size_t bytes)
{
    return (bytes + 255) / 256 * 256;
}

static int tiles_of(const conv_problem &p)
{
    return p.unit == UNIT_90 ? conv90_tiles(p) : conv80_tiles(p);
}

static size_t partial_bytes(const conv_problem &p)
{
    return round_up(static_cast<size_t>(p.lanes) * static_cast<size_t>(tiles_of(p)) *
                    CONV_PARTIALS * static_cast<size_t>(p.outputs) * sizeof(float));
}

uint64_t conv_run_scratch(const conv_problem &p, bool moments)
{
    return (moments ? partial_bytes(p) : 0) +
           (p.unit == UNIT_90 ? conv90_scratch(p) : conv80_scratch(p));
}

int conv_run(ie_stream *s, const conv_problem &p, void *scratch, float *y_moments)
{
    conv_problem q = p;
    char *rest = static_cast<char *>(scratch);
    if (y_moments) {
        q.partials = reinterpret_cast<float *>(rest);
        rest += partial_bytes(q);
    }
    const int code = q.unit == UNIT_90 ? conv90(s, q, rest) : conv80(s, q, rest);
    return code || !y_moments ? code : merge_partials(s, q, tiles_of(q), y_moments);
}

/* ---- the operation --------------------------------------------------------------------------- */

static int set_sources(ie_conv *conv, int first, int second)
{
    conv->real[0] = first;
    conv->real[1] = second;
    for (int i = 0; i < 2; i++) conv->problem.channels[i] = conv_round_up(conv->real[i], CHUNK);
    return conv_choose(&conv->problem);
}

/* A cudaError. */
static int describe(ie_conv *conv, const ie_conv_spec *spec)
{
    *conv = {};
    conv->spec = *spec;
    conv_problem *p = &conv->problem;
    p->height = static_cast<int>(ie_resampled(spec->height, spec->resample));
    p->width = static_cast<int>(ie_resampled(spec->width, spec->resample));
    p->out_height = static_cast<int>(ie_conv_out(spec, spec->height));
    p->out_width = static_cast<int>(ie_conv_out(spec, spec->width));
    p->outputs = static_cast<int>(spec->outputs);
    p->kernel = spec->kernel;
    p->stride = spec->stride;
    p->pad = spec->pad;
    p->y_f32 = spec->y_f32;
    const int first = static_cast<int>(spec->channels[0]);
    const int second = static_cast<int>(spec->channels[1]);
    p->normed = ie_cuda_normed_load(spec);
    const int code = set_sources(conv, first, second);
    if (code || (p->normed && p->unit == UNIT_90)) return code;
    p->normed = false;
    conv->transformed = spec->groups > 0 || spec->act != IE_ACT_NONE || spec->resample != IE_SAME;
    return set_sources(conv, conv->transformed ? first + second : first,
                       conv->transformed ? 0 : second);
}

static bool is_padded(const ie_conv *conv, int i)
{
    return conv->real[i] != conv->problem.channels[i];
}

/* Bytes of a call's scratch before the product's: u, or the folded norm of what is normed on load;
 * then the padded sources. u is there for a padded source too: film without norm, act or resampling
 * then finds it. */
struct conv_layout {
    size_t u, padded[2];
};

static conv_layout lay_out(const ie_conv *conv, int64_t lanes)
{
    const conv_problem *p = &conv->problem;
    const size_t pixels = static_cast<size_t>(lanes) * static_cast<size_t>(p->height) *
                          static_cast<size_t>(p->width) * sizeof(__nv_bfloat16);
    conv_layout layout = {};
    if (p->normed) {
        layout.u = round_up(static_cast<size_t>(lanes) * 3 * sizeof(float) *
                            static_cast<size_t>(conv->real[0] + conv->real[1]));
        return layout;
    }
    if (conv->transformed || is_padded(conv, 0) || is_padded(conv, 1)) {
        layout.u = round_up(pixels * static_cast<size_t>(conv->real[0] + conv->real[1]));
    }
    for (int i = 0; i < 2; i++) {
        if (!is_padded(conv, i)) continue;
        layout.padded[i] = round_up(pixels * static_cast<size_t>(p->channels[i]));
    }
    return layout;
}

uint64_t ie_cuda_conv_bytes(const ie_conv_spec *spec)
{
    ie_conv conv;
    return describe(&conv, spec) ? 0 : conv_packed_bytes(conv.problem);
}

int ie_cuda_conv_prepare(ie_conv **out, const ie_conv_spec *spec, void *memory, ie_tensor weight,
                         ie_tensor bias, const ie_uploader *up)
{
    *out = nullptr;
    if (spec->dtype != IE_BF16) return cudaErrorInvalidValue;
    ie_conv *conv = static_cast<ie_conv *>(malloc(sizeof *conv));
    if (!conv) return cudaErrorMemoryAllocation;
    int code = describe(conv, spec);
    if (!code && memory) code = conv_pack(&conv->problem, memory, conv->real, weight, bias, up);
    if (code) {
        free(conv);
        return code;
    }
    *out = conv;
    return 0;
}

uint64_t ie_cuda_conv_scratch(const ie_conv *conv, int64_t lanes)
{
    const conv_layout layout = lay_out(conv, lanes);
    conv_problem p = conv->problem;
    p.lanes = static_cast<int>(lanes);
    return layout.u + layout.padded[0] + layout.padded[1] + conv_run_scratch(p, true);
}

void ie_cuda_conv_release(ie_conv *conv)
{
    free(conv);
}

/* The product's sources: as they are, or u, and in either case padded where they must be. */
static int make_sources(ie_stream *s, conv_problem *p, const ie_conv *conv, const ie_conv_args *a,
                        char *scratch)
{
    if (p->normed) {
        for (int i = 0; i < 2; i++) p->x[i] = static_cast<const __nv_bfloat16 *>(a->x[i].data);
        float *folded = reinterpret_cast<float *>(scratch);
        p->folded = folded;
        return ie_cuda_fold(s, &conv->spec, a, folded);
    }
    const conv_layout layout = lay_out(conv, p->lanes);
    const bool made = conv->transformed || ie_present(a->film);
    if (made && layout.u == 0) return cudaErrorInvalidValue; /* film alone */
    int code = made ? ie_cuda_apply(s, &conv->spec, a, scratch) : 0;
    char *padded = scratch + layout.u;
    for (int i = 0; i < 2 && !code && conv->real[i] > 0; i++) {
        const __nv_bfloat16 *u = reinterpret_cast<const __nv_bfloat16 *>(scratch);
        p->x[i] = made ? u + i * conv->real[0] : static_cast<const __nv_bfloat16 *>(a->x[i].data);
        if (layout.padded[i] == 0) continue;
        const int64_t pixels = static_cast<int64_t>(p->lanes) * p->height * p->width;
        const int stride = made ? conv->real[0] + conv->real[1] : conv->real[i];
        __nv_bfloat16 *to = reinterpret_cast<__nv_bfloat16 *>(padded);
        code = conv_pad(s, to, p->channels[i], p->x[i], stride, conv->real[i], pixels, IE_ACT_NONE);
        p->x[i] = to;
        padded += layout.padded[i];
    }
    return code;
}

int ie_cuda_conv(ie_stream *s, const ie_conv *conv, const ie_conv_args *a)
{
    conv_problem p = conv->problem;
    p.lanes = static_cast<int>(a->y.dim[0]);
    p.scale = a->scale;
    p.y = a->y.data;
    if (ie_present(a->residual)) {
        p.residual = a->residual.data;
        p.residual_height = static_cast<int>(a->residual.dim[1]);
        p.residual_width = static_cast<int>(a->residual.dim[2]);
        p.residual_resample = a->residual_resample;
    }
    char *scratch = static_cast<char *>(a->scratch);
    const int code = make_sources(s, &p, conv, a, scratch);
    if (code) return code;
    const conv_layout layout = lay_out(conv, p.lanes);
    return conv_run(s, p, scratch + layout.u + layout.padded[0] + layout.padded[1],
                    ie_present(a->y_moments) ? static_cast<float *>(a->y_moments.data) : nullptr);
}
