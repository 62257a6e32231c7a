/* check_data.c - the tensors of a case: patterns, guard bytes, poison.
 * SPDX-License-Identifier: Apache-2.0 */
#include "check_data.h"
#include "half.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 192, GUARD_BYTE = 0xA5, POISON = 0xFF }; /* 0xFF.. is a NaN in every float type */

/* SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t next_random(check *t)
{
    uint64_t z = t->random += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

double check_uniform(check *t)
{
    return (double)(next_random(t) >> 11) * 0x1p-52 - 1;
}

int64_t check_below(check *t, int64_t limit)
{
    return (int64_t)(next_random(t) >> 1) % limit;
}

const char *check_pattern_name(check_pattern pattern)
{
    static const char *const name[] = {"uniform",  "zeros",   "large",  "tiny",
                                       "constant", "outlier", "offset", "ties"};
    return name[pattern];
}

double check_load(ie_tensor x, int64_t i)
{
    switch (x.dtype) {
    case IE_F32: return (double)((const float *)x.data)[i];
    case IE_BF16: return (double)ie_f32_from_bf16(((const uint16_t *)x.data)[i]);
    case IE_F16: return (double)ie_f32_from_f16(((const uint16_t *)x.data)[i]);
    case IE_I32: return ((const int32_t *)x.data)[i];
    case IE_U8: return ((const uint8_t *)x.data)[i];
    default: return NAN;
    }
}

/* The spacing of bf16 and f16 at `value`, then round to nearest even with rint: not the way any
 * backend does it. */
static double round_to(double value, int bits, int lowest_exponent)
{
    int exponent;
    (void)frexp(value, &exponent);
    const int shift = bits - (exponent < lowest_exponent ? lowest_exponent : exponent);
    return ldexp(rint(ldexp(value, shift)), -shift);
}

double check_round(ie_dtype dtype, double value)
{
    if (dtype == IE_BF16) return round_to(value, 8, -125);
    if (dtype == IE_F16) return round_to(value, 11, -13);
    return (double)(float)value;
}

static uint16_t f16_bits(double value)
{
    int exponent;
    const double m = frexp(fabs(value), &exponent); /* value is already rounded to f16 */
    const uint16_t sign = signbit(value) ? 0x8000 : 0;
    if (exponent < -13) return (uint16_t)(sign | (uint16_t)ldexp(m, exponent + 24));
    return (uint16_t)(sign | (exponent + 14) << 10 | ((int)ldexp(m, 11) & 1023));
}

static void store(ie_tensor x, int64_t i, double value)
{
    const double rounded = check_round(x.dtype, value);
    if (x.dtype == IE_F32) ((float *)x.data)[i] = (float)rounded;
    if (x.dtype == IE_BF16) ((uint16_t *)x.data)[i] = ie_bf16_from_f32((float)rounded);
    if (x.dtype == IE_F16) ((uint16_t *)x.data)[i] = f16_bits(rounded);
}

static check_buffer *add_buffer(check *t, uint64_t bytes, check_role role)
{
    if (t->buffers == CHECK_MAX_BUFFERS) abort();
    check_buffer *b = &t->buffer[t->buffers++];
    const uint64_t room = (bytes + (uint64_t)2 * GUARD + 63) / 64 * 64;
    *b = (check_buffer){.bytes = bytes, .role = role};
    b->memory = aligned_alloc(64, room);
    b->copy = malloc(bytes + 1);
    if (!b->memory || !b->copy) abort();
    memset(b->memory, GUARD_BYTE, room);
    b->data = b->memory + GUARD;
    memset(b->data, POISON, bytes);
    memset(b->copy, POISON, bytes);
    return b;
}

static bool guards_hold(const check_buffer *b)
{
    for (int i = 0; i < GUARD; i++) {
        if ((uint8_t)b->memory[i] != GUARD_BYTE) return false;
        if ((uint8_t)b->data[b->bytes + (uint64_t)i] != GUARD_BYTE) return false;
    }
    return true;
}

static check_buffer *find_buffer(check *t, const void *data)
{
    for (int i = 0; i < t->buffers; i++) {
        if (t->buffer[i].data == data) return &t->buffer[i];
    }
    abort(); /* a mistake in a check: the tensor is not one of its buffers */
}

static void keep(check *t, const void *data)
{
    check_buffer *b = find_buffer(t, data);
    memcpy(b->copy, b->data, b->bytes);
}

static double pattern_value(check *t, check_pattern pattern, bool special)
{
    const double u = check_uniform(t);
    switch (pattern) {
    case CHECK_ZEROS: return 0;
    case CHECK_LARGE: return 1e4 * u;
    case CHECK_TINY: return 0x1p-12 * u;
    case CHECK_CONSTANT: return 1.375;
    case CHECK_OUTLIER: return special ? 300 : 0.1 * u;
    case CHECK_OFFSET: return 300 + 3 * u;
    case CHECK_TIES: return round_to(u, 9, -125);
    default: return u;
    }
}

static ie_tensor make(check *t, ie_dtype dtype, int rank, const int64_t *dim, check_role role)
{
    const ie_tensor shape = ie_view(NULL, dtype, rank, dim);
    return ie_view(add_buffer(t, (uint64_t)ie_bytes(shape), role)->data, dtype, rank, dim);
}

static void fill(check *t, ie_tensor x, check_pattern pattern)
{
    const int64_t count = ie_numel(x), special = count > 0 ? check_below(t, count) : 0;
    for (int64_t i = 0; i < count; i++) {
        if (x.dtype == IE_U8) {
            ((uint8_t *)x.data)[i] = (uint8_t)next_random(t);
        } else {
            store(x, i, pattern_value(t, pattern, i == special));
        }
    }
    keep(t, x.data);
}

ie_tensor check_input(check *t, ie_dtype dtype, int rank, const int64_t *dim, check_pattern pattern)
{
    const ie_tensor x = make(t, dtype, rank, dim, CHECK_INPUT);
    fill(t, x, pattern);
    return x;
}

ie_tensor check_both(check *t, ie_dtype dtype, int rank, const int64_t *dim, check_pattern pattern)
{
    const ie_tensor x = make(t, dtype, rank, dim, CHECK_BOTH);
    fill(t, x, pattern);
    return x;
}

void check_affine(check *t, ie_tensor x, double offset, double scale)
{
    for (int64_t i = 0; i < ie_numel(x); i++) store(x, i, offset + scale * check_load(x, i));
    keep(t, x.data);
}

ie_tensor check_values(check *t, ie_dtype dtype, int rank, const int64_t *dim, const double *values)
{
    const ie_tensor x = make(t, dtype, rank, dim, CHECK_INPUT);
    for (int64_t i = 0; i < ie_numel(x); i++) store(x, i, values[i]);
    keep(t, x.data);
    return x;
}

ie_tensor check_int(check *t, int64_t count, const int32_t *values)
{
    const ie_tensor x = make(t, IE_I32, 1, &count, CHECK_INPUT);
    memcpy(x.data, values, (size_t)count * sizeof *values);
    keep(t, x.data);
    return x;
}

ie_tensor check_bytes(check *t, const void *bytes, int64_t rows, int64_t row_bytes)
{
    const ie_tensor x = make(t, IE_U8, 2, (const int64_t[]){rows, row_bytes}, CHECK_INPUT);
    memcpy(x.data, bytes, (size_t)(rows * row_bytes));
    keep(t, x.data);
    return x;
}

static check_output *add_output(check *t, ie_tensor x)
{
    if (t->outputs == CHECK_MAX_OUTPUTS) abort();
    check_output *out = &t->output[t->outputs++];
    const size_t count = (size_t)ie_numel(x);
    *out = (check_output){.t = x};
    out->want = calloc(count + 1, sizeof(double));
    out->bound = calloc(count + 1, sizeof(double));
    if (!out->want || !out->bound) abort();
    return out;
}

check_output *check_result(check *t, ie_dtype dtype, int rank, const int64_t *dim)
{
    return add_output(t, make(t, dtype, rank, dim, CHECK_OUTPUT));
}

check_output *check_in_place(check *t, ie_tensor x)
{
    return add_output(t, x);
}

/* Scratch and packed memory are outputs nobody reads: guarded, poisoned, never compared. */
void *check_memory(check *t, uint64_t bytes)
{
    if (bytes == 0) return NULL;
    check_buffer *b = add_buffer(t, bytes, CHECK_OUTPUT);
    free(b->copy);
    b->copy = NULL; /* keeps its contents from call to call */
    return b->data;
}

void *check_scratch(check *t, uint64_t bytes)
{
    return check_memory(t, bytes);
}

void check_restore(check *t)
{
    for (int i = 0; i < t->buffers; i++) {
        const check_buffer *b = &t->buffer[i];
        if (b->copy) memcpy(b->data, b->copy, b->bytes);
    }
}

void check_intact(check *t)
{
    for (int i = 0; i < t->buffers; i++) {
        const check_buffer *b = &t->buffer[i];
        if (!guards_hold(b)) check_fail(t, "wrote outside a buffer");
        if (b->role == CHECK_INPUT && memcmp(b->data, b->copy, b->bytes) != 0) {
            check_fail(t, "changed an input");
        }
    }
}

const char *check_before(check *t, const void *data)
{
    return find_buffer(t, data)->copy;
}

/* Forget the buffers from number `first` on. */
void check_forget(check *t, int first)
{
    for (; t->buffers > first; t->buffers--) {
        free(t->buffer[t->buffers - 1].memory);
        free(t->buffer[t->buffers - 1].copy);
    }
    if (first > 0) return;
    for (; t->outputs > 0; t->outputs--) {
        free(t->output[t->outputs - 1].want);
        free(t->output[t->outputs - 1].bound);
    }
}
