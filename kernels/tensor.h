/* tensor.h - the view every layer of the engine passes around: pointer, type, dimensions, strides.
 *
 * A tensor owns nothing and is passed by value; slicing, splitting heads or taking some lanes is
 * arithmetic. The letters used everywhere: N lanes, S slots, R requests, H W pixels, T tokens, C
 * channels, h heads, d head width. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_TENSOR_H
#define IE_TENSOR_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* X(name, bytes, safetensors spelling) */
#define IE_DTYPE_MAP(X) \
    X(F32, 4, "F32")    \
    X(BF16, 2, "BF16")  \
    X(F16, 2, "F16")    \
    X(I32, 4, "I32")    \
    X(U8, 1, "U8")

typedef enum ie_dtype {
#define X(name, bytes, text) IE_##name,
    IE_DTYPE_MAP(X)
#undef X
        IE_DTYPE_COUNT
} ie_dtype;

enum { IE_MAX_RANK = 4 };

typedef struct ie_tensor {
    void *data; /* NULL: the tensor is absent, or the plan backend only counts it */
    ie_dtype dtype;
    int rank; /* 0: absent */
    int64_t dim[IE_MAX_RANK];
    int64_t stride[IE_MAX_RANK]; /* in elements; the last one is 1 in every tensor of this engine */
} ie_tensor;

static inline int64_t ie_dtype_size(ie_dtype dtype)
{
    static const int64_t size[] = {
#define X(name, bytes, text) bytes,
        IE_DTYPE_MAP(X)
#undef X
    };
    return size[dtype];
}

static inline bool ie_present(ie_tensor t)
{
    return t.rank > 0;
}

static inline int64_t ie_numel(ie_tensor t)
{
    int64_t n = t.rank > 0;
    for (int i = 0; i < t.rank; i++) n *= t.dim[i];
    return n;
}

static inline int64_t ie_bytes(ie_tensor t)
{
    return ie_numel(t) * ie_dtype_size(t.dtype);
}

/* A contiguous view of `data`; dim has `rank` entries. */
static inline ie_tensor ie_view(void *data, ie_dtype dtype, int rank, const int64_t *dim)
{
    assert(rank > 0 && rank <= IE_MAX_RANK);
    ie_tensor t = {data, dtype, rank, {0}, {0}};
    int64_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        t.dim[i] = dim[i];
        t.stride[i] = stride;
        stride *= dim[i];
    }
    return t;
}

static inline bool ie_contiguous(ie_tensor t)
{
    int64_t stride = 1;
    for (int i = t.rank - 1; i >= 0; i--) {
        if (t.dim[i] != 1 && t.stride[i] != stride) return false;
        stride *= t.dim[i];
    }
    return true;
}

/* Address of an element offset, NULL staying NULL (the plan backend has no data). */
static inline void *ie_offset(ie_tensor t, int64_t elements)
{
    return t.data ? (char *)t.data + elements * ie_dtype_size(t.dtype) : NULL;
}

/* Rows [begin, end) along `axis`: no copy. */
static inline ie_tensor ie_slice(ie_tensor t, int axis, int64_t begin, int64_t end)
{
    assert(axis >= 0 && axis < t.rank && begin >= 0 && begin <= end && end <= t.dim[axis]);
    t.data = ie_offset(t, begin * t.stride[axis]);
    t.dim[axis] = end - begin;
    return t;
}

/* The same contiguous bytes under other dimensions. */
static inline ie_tensor ie_reshape(ie_tensor t, int rank, const int64_t *dim)
{
    assert(ie_contiguous(t));
    const ie_tensor y = ie_view(t.data, t.dtype, rank, dim);
    assert(ie_numel(y) == ie_numel(t));
    return y;
}

/* [.., T, C] seen as [.., T, h, C/h]: splitting the last axis keeps every other stride. */
static inline ie_tensor ie_split_heads(ie_tensor t, int64_t heads)
{
    assert(t.rank < IE_MAX_RANK && t.dim[t.rank - 1] % heads == 0);
    const int64_t width = t.dim[t.rank - 1] / heads;
    t.dim[t.rank] = width;
    t.stride[t.rank] = 1;
    t.dim[t.rank - 1] = heads;
    t.stride[t.rank - 1] = width;
    t.rank++;
    return t;
}

#ifdef __cplusplus
}
#endif
#endif
