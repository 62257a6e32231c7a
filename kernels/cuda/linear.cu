/* linear.cu - linear layers: tokens by the GEMM of conv.h with one tap, T5's gate in its epilogue;
 * single rows (time, film) by streaming the weights.
 *
 *   formula   y[n, o] = bias[o] + sum_k w[o, k] * act(x[n, k]) + residual[n, o]
 *   shapes    N lanes (1 to about 64), K up to a few thousand, O up to 100 thousand (all blocks'
 *             film vectors at once); x, y f32 or bf16, w bf16 or f32; packed [O][K padded to 8]
 *   bytes     2 K O, once per eight lanes
 *   cost      2 N K O FLOP
 *   bound     memory
 *   numerics  act and sums in f32; lane l of a warp adds k = 8 (l + 32 i) .. + 7 in order, then a
 *             tree over the lanes: the same for every N
 *   mapping   a warp makes an output of eight rows of x at a time, a block `rounds` outputs a warp;
 *             act(x) lies in shared memory, 2048 values of K of the eight rows, and is made once a
 *             block where K is not longer
 *   limits    80 registers (nvcc 13.0; sm_80, 90a, 120), no spills: 3 blocks an SM
 *   measured  not yet on a device
 * SPDX-License-Identifier: Apache-2.0 */
#include "conv.h"
#include "cuda_ops.h"
#include "half.h"
#include "launch.h"
#include "packing.h"
#include "values.h"

#include <stdlib.h>

struct ie_linear {
    ie_linear_spec spec;
    conv_problem problem; /* unless a vector */
    const void *weight;   /* of a vector */
    const float *bias;
};

/* ---- one row a lane -------------------------------------------------------------------------- */

enum { WARPS = 8, ROWS = 8, SPAN = 2048, CHUNK = 8, AHEAD = 4, MAX_ROUNDS = 8 };
enum { STEP = 32 * CHUNK }; /* values that a warp takes at once */

struct linear_row_call {
    void *y;
    const void *x, *weight, *residual;
    const float *bias;
    int lanes, inputs, padded, outputs, rounds;
    ie_act act;
    bool x_f32, y_f32;
};

PTX_INLINE float load_value(const void *from, size_t at, bool f32)
{
    if (f32) return static_cast<const float *>(from)[at];
    return __bfloat162float(static_cast<const __nv_bfloat16 *>(from)[at]);
}

/* shared[r][k - k0] = act(x[first + r, k]) for one span of k, zero where there is none. */
PTX_INLINE void make_span(float *shared, const linear_row_call &c, int first, int k0)
{
    for (int i = static_cast<int>(threadIdx.x); i < ROWS * SPAN; i += 32 * WARPS) {
        const int row = first + i / SPAN, k = k0 + i % SPAN;
        if (row >= c.lanes) break;
        float v[1] = {0.0f};
        if (k < c.inputs) v[0] = load_value(c.x, static_cast<size_t>(row) * c.inputs + k, c.x_f32);
        activate(v, c.act); /* of zero: zero */
        shared[i] = v[0];
    }
}

/* sums[r] += the products of a span; four chunks of weights a lane are under way at once. */
template <class W>
PTX_INLINE void add_span(float (&sums)[ROWS], const W *weight, const float *shared, int rows,
                         int length)
{
    for (int k = (static_cast<int>(threadIdx.x) & 31) * CHUNK; k < length; k += AHEAD * STEP) {
        float w[AHEAD][CHUNK];
#pragma unroll
        for (int i = 0; i < AHEAD; i++) {
            if (k + i * STEP < length) load(w[i], weight + k + i * STEP);
        }
#pragma unroll
        for (int r = 0; r < ROWS; r++) {
            if (r >= rows) break;
#pragma unroll
            for (int i = 0; i < AHEAD; i++) {
                if (k + i * STEP >= length) break;
                float x[CHUNK];
                load(x, shared + r * SPAN + k + i * STEP);
#pragma unroll
                for (int j = 0; j < CHUNK; j++) sums[r] = fmaf(w[i][j], x[j], sums[r]);
            }
        }
    }
}

PTX_INLINE void write_output(float (&sums)[ROWS], const linear_row_call &c, int first, int o)
{
    const int lane = static_cast<int>(threadIdx.x) & 31;
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
#pragma unroll
        for (int bits = 16; bits > 0; bits /= 2) {
            sums[r] += __shfl_xor_sync(~0u, sums[r], bits);
        }
        if (lane != r || first + r >= c.lanes) continue;
        const size_t at = static_cast<size_t>(first + r) * c.outputs + o;
        float v = sums[r] + c.bias[o];
        if (c.residual) v += load_value(c.residual, at, c.y_f32);
        if (c.y_f32) {
            static_cast<float *>(c.y)[at] = v;
        } else {
            static_cast<__nv_bfloat16 *>(c.y)[at] = __float2bfloat16(v);
        }
    }
}

template <class W>
__global__ void __launch_bounds__(32 * WARPS, 3) linear_row_kernel(linear_row_call c)
{
    wait_for_last_grid();
    float *shared = reinterpret_cast<float *>(dynamic_shared());
    const int first = static_cast<int>(blockIdx.y) * ROWS,
              warp = static_cast<int>(threadIdx.x) / 32;
    const int rows = c.lanes - first;
    for (int round = 0; round < c.rounds; round++) {
        const int o = (static_cast<int>(blockIdx.x) * c.rounds + round) * WARPS + warp;
        float sums[ROWS] = {};
        for (int k0 = 0; k0 < c.padded; k0 += SPAN) {
            if (round == 0 || c.padded > SPAN) {
                __syncthreads();
                make_span(shared, c, first, k0);
                __syncthreads();
            }
            if (o >= c.outputs) continue;
            const W *weight =
                static_cast<const W *>(c.weight) + static_cast<size_t>(o) * c.padded + k0;
            const int length = c.padded - k0;
            add_span(sums, weight, shared, rows, length < SPAN ? length : SPAN);
        }
        if (o < c.outputs) write_output(sums, c, first, o);
    }
}

static int run_rows(ie_stream *s, const ie_linear *linear, const ie_linear_args *a)
{
    const ie_linear_spec *spec = &linear->spec;
    linear_row_call c = {};
    c.y = a->y.data;
    c.x = a->x.data;
    c.weight = linear->weight;
    c.residual = ie_present(a->residual) ? a->residual.data : nullptr;
    c.bias = linear->bias;
    c.lanes = static_cast<int>(a->y.dim[0]);
    c.inputs = static_cast<int>(spec->inputs);
    c.padded = conv_round_up(c.inputs, CHUNK);
    c.outputs = static_cast<int>(spec->outputs);
    c.act = spec->act;
    c.x_f32 = spec->x_dtype == IE_F32;
    c.y_f32 = spec->y_dtype == IE_F32;
    /* Enough blocks for a chip first; then act(x) is made for more and more outputs at once. */
    const int blocks = (c.outputs + WARPS - 1) / WARPS;
    c.rounds = blocks / 256 < 1 ? 1 : blocks / 256 > MAX_ROUNDS ? MAX_ROUNDS : blocks / 256;
    const dim3 grid(static_cast<unsigned>((blocks + c.rounds - 1) / c.rounds),
                    static_cast<unsigned>((c.lanes + ROWS - 1) / ROWS));
    const size_t shared =
        static_cast<size_t>(c.lanes < ROWS ? c.lanes : ROWS) * SPAN * sizeof(float);
    if (spec->w_dtype == IE_F32) {
        return launch(linear_row_kernel<float>, grid, dim3(32 * WARPS), shared, s, c);
    }
    return launch(linear_row_kernel<__nv_bfloat16>, grid, dim3(32 * WARPS), shared, s, c);
}

/* ---- packing of single rows ------------------------------------------------------------------ */

static size_t row_bytes(const ie_linear_spec *spec)
{
    const int padded = conv_round_up(static_cast<int>(spec->inputs), CHUNK);
    return static_cast<size_t>(padded) * static_cast<size_t>(ie_dtype_size(spec->w_dtype));
}

/* Weights, whose rows are multiples of 16 bytes, then the bias. */
static size_t rows_bytes(const ie_linear_spec *spec)
{
    return static_cast<size_t>(spec->outputs) * (row_bytes(spec) + sizeof(float));
}

static void pack_value(char *row, ie_dtype dtype, int64_t k, float value)
{
    if (dtype == IE_F32) {
        reinterpret_cast<float *>(row)[k] = value;
    } else {
        reinterpret_cast<uint16_t *>(row)[k] = ie_bf16_from_f32(value);
    }
}

static int pack_rows(ie_linear *linear, void *memory, ie_tensor weight, ie_tensor bias,
                     const ie_uploader *up)
{
    const ie_linear_spec *spec = &linear->spec;
    const size_t row = row_bytes(spec), biases = static_cast<size_t>(spec->outputs) * sizeof(float);
    packed to = packed_begin(up, memory, row, biases);
    for (int64_t first = 0, count; first < spec->outputs; first += count) {
        count = spec->outputs - first;
        char *rows = packed_rows(&to, row, &count);
        const int64_t values = rows ? count * spec->inputs : 0;
        for (int64_t i = 0; i < values; i++) {
            pack_value(rows + i / spec->inputs * static_cast<int64_t>(row), spec->w_dtype,
                       i % spec->inputs, conv_load_host(weight, first * spec->inputs + i));
        }
    }
    float *b = static_cast<float *>(packed_tail(&to, biases));
    for (int64_t o = 0; b && ie_present(bias) && o < spec->outputs; o++) {
        b[o] = conv_load_host(bias, o);
    }
    linear->weight = memory;
    linear->bias = reinterpret_cast<const float *>(static_cast<const char *>(memory) +
                                                   static_cast<size_t>(spec->outputs) * row);
    return packed_end(&to);
}

/* ---- the operation --------------------------------------------------------------------------- */

/* A cudaError. */
static int describe(ie_linear *linear, const ie_linear_spec *spec)
{
    *linear = {};
    linear->spec = *spec;
    conv_problem *p = &linear->problem;
    p->channels[0] = conv_round_up(static_cast<int>(spec->inputs), CHUNK);
    p->height = p->out_height = p->kernel = p->stride = 1;
    p->width = p->out_width = static_cast<int>(spec->rows);
    p->outputs = static_cast<int>(ie_linear_sums(spec));
    p->gated = spec->gated;
    p->residual_height = 1;
    p->residual_width = p->width;
    p->scale = 1;
    p->y_f32 = spec->y_dtype == IE_F32;
    return ie_linear_is_vector(spec) ? 0 : conv_choose(p);
}

/* Tokens that are not the GEMM's operand as they stand. */
static bool is_made(const ie_linear *linear)
{
    return linear->spec.act != IE_ACT_NONE || linear->spec.inputs != linear->problem.channels[0];
}

static uint64_t made_bytes(const ie_linear *linear, int64_t lanes)
{
    if (!is_made(linear)) return 0;
    const int64_t elements = lanes * linear->spec.rows * linear->problem.channels[0];
    return (static_cast<uint64_t>(elements) * sizeof(__nv_bfloat16) + 255) / 256 * 256;
}

uint64_t ie_cuda_linear_bytes(const ie_linear_spec *spec)
{
    if (ie_linear_is_vector(spec)) return rows_bytes(spec);
    ie_linear linear;
    return describe(&linear, spec) ? 0 : conv_packed_bytes(linear.problem);
}

int ie_cuda_linear_prepare(ie_linear **out, const ie_linear_spec *spec, void *memory,
                           ie_tensor weight, ie_tensor bias, const ie_uploader *up)
{
    *out = nullptr;
    const bool vector = ie_linear_is_vector(spec);
    if (!vector && spec->x_dtype != IE_BF16) return cudaErrorInvalidValue;
    ie_linear *linear = static_cast<ie_linear *>(malloc(sizeof *linear));
    if (!linear) return cudaErrorMemoryAllocation;
    const int real[2] = {static_cast<int>(spec->inputs), 0};
    int code = describe(linear, spec);
    if (!code && memory && vector) code = pack_rows(linear, memory, weight, bias, up);
    if (!code && memory && !vector)
        code = conv_pack(&linear->problem, memory, real, weight, bias, up);
    if (code) {
        free(linear);
        return code;
    }
    *out = linear;
    return 0;
}

uint64_t ie_cuda_linear_scratch(const ie_linear *linear, int64_t lanes)
{
    if (ie_linear_is_vector(&linear->spec)) return 0;
    conv_problem p = linear->problem;
    p.lanes = static_cast<int>(lanes);
    return made_bytes(linear, lanes) + conv_run_scratch(p, false);
}

int ie_cuda_linear(ie_stream *s, const ie_linear *linear, const ie_linear_args *a)
{
    if (ie_linear_is_vector(&linear->spec)) return run_rows(s, linear, a);
    conv_problem p = linear->problem;
    p.lanes = static_cast<int>(a->y.dim[0]);
    p.y = a->y.data;
    p.residual = ie_present(a->residual) ? a->residual.data : nullptr;
    p.x[0] = static_cast<const __nv_bfloat16 *>(a->x.data);
    if (is_made(linear)) {
        const int inputs = static_cast<int>(linear->spec.inputs);
        __nv_bfloat16 *made = static_cast<__nv_bfloat16 *>(a->scratch);
        const int64_t rows = p.lanes * linear->spec.rows;
        const int code =
            conv_pad(s, made, p.channels[0], p.x[0], inputs, inputs, rows, linear->spec.act);
        if (code) return code;
        p.x[0] = made;
    }
    char *scratch = static_cast<char *>(a->scratch);
    return conv_run(s, p, scratch + made_bytes(linear, p.lanes), nullptr);
}

void ie_cuda_linear_release(ie_linear *linear)
{
    free(linear);
}
