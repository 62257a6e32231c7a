/* gemm_tile.h - the inner product of attention: a few rows of A times one or two vectors of columns
 * of B, in registers.
 *
 *   C[i, j] (+)= sum_k A[i, k] B[k, j]      all f32; A of any strides
 *
 * Sums run over k in order, one fused multiply-add each, so how rows and columns are cut does not
 * show in the result. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CPU_GEMM_TILE_H
#define IE_CPU_GEMM_TILE_H

#include "vec.h"

/* Rows x vectors of sums that fit the register file beside two operands. */
#if defined(__AVX512F__)
enum { IE_TILE_ROWS = 8, IE_TILE_VECTORS = 2 };
#else
enum { IE_TILE_ROWS = 4, IE_TILE_VECTORS = 1 };
#endif

typedef struct ie_gemm {
    const float *a;
    int64_t a_row, a_step; /* strides of i and k */
    const float *b;
    int64_t b_step; /* stride of k; j is contiguous */
    float *c;
    int64_t c_row;
    int64_t rows, columns, depth;
    bool add; /* to what C holds */
} ie_gemm;

typedef enum ie_gemm_kind {
    IE_GEMM_F32,
    /* an element of A and of B is two bf16 in the place of an f32; their products are summed */
    IE_GEMM_PAIRS
} ie_gemm_kind;

/* Rows [i, i + rows), columns [j, j + n) with n <= vectors * 16; rows, vectors and kind are
 * constants after inlining. */
IE_INLINE void ie_gemm_tile(const ie_gemm *g, int64_t i, int64_t j, int64_t n, int rows,
                            int vectors, ie_gemm_kind kind)
{
    ie_v sum[IE_TILE_ROWS][IE_TILE_VECTORS];
    const bool whole = n == (int64_t)vectors * IE_LANES;
    for (int r = 0; r < rows; r++) {
        for (int v = 0; v < vectors; v++) {
            const int64_t at = (i + r) * g->c_row + j + (int64_t)v * IE_LANES;
            sum[r][v] = ie_v_set(0.0f);
            if (!g->add) continue;
            sum[r][v] = whole ? ie_v_load(g->c, at, IE_F32) : ie_v_load_part(g->c, at, n, IE_F32);
        }
    }
    const float *a = g->a + i * g->a_row;
    for (int64_t k = 0; k < g->depth; k++) {
        ie_v b[IE_TILE_VECTORS];
        for (int v = 0; v < vectors; v++) {
            const int64_t at = k * g->b_step + j + (int64_t)v * IE_LANES;
            b[v] = whole ? ie_v_load(g->b, at, IE_F32) : ie_v_load_part(g->b, at, n, IE_F32);
        }
        for (int r = 0; r < rows; r++) {
            const ie_v x = ie_v_set(a[r * g->a_row + k * g->a_step]);
            for (int v = 0; v < vectors; v++) {
                sum[r][v] = kind == IE_GEMM_PAIRS ? ie_v_dot_pairs(x, b[v], sum[r][v])
                                                  : ie_v_fma(x, b[v], sum[r][v]);
            }
        }
    }
    for (int r = 0; r < rows; r++) {
        for (int v = 0; v < vectors; v++) {
            const int64_t at = (i + r) * g->c_row + j + (int64_t)v * IE_LANES;
            if (whole) {
                ie_v_store(g->c, at, sum[r][v], IE_F32);
            } else {
                ie_v_store_part(g->c, at, n, sum[r][v], IE_F32);
            }
        }
    }
}

IE_INLINE void ie_gemm_columns(const ie_gemm *g, int64_t j, int64_t n, int vectors,
                               ie_gemm_kind kind)
{
    int64_t i = 0;
    for (; i + IE_TILE_ROWS <= g->rows; i += IE_TILE_ROWS)
        ie_gemm_tile(g, i, j, n, IE_TILE_ROWS, vectors, kind);
    for (; i < g->rows; i++) ie_gemm_tile(g, i, j, n, 1, vectors, kind);
}

/* Over k in runs of IE_GEMM_DEPTH, so that a panel of B stays in L1 while all rows pass over it. */
enum { IE_GEMM_DEPTH = 128 };

IE_INLINE void ie_gemm_run(ie_gemm g, ie_gemm_kind kind)
{
    const int64_t step = (int64_t)IE_TILE_VECTORS * IE_LANES, depth = g.depth;
    for (int64_t k = 0; k < depth; k += IE_GEMM_DEPTH) {
        g.depth = depth - k < IE_GEMM_DEPTH ? depth - k : IE_GEMM_DEPTH;
        int64_t j = 0;
        for (; j + step <= g.columns; j += step) {
            ie_gemm_columns(&g, j, step, IE_TILE_VECTORS, kind);
        }
        for (; j + IE_LANES <= g.columns; j += IE_LANES) ie_gemm_columns(&g, j, IE_LANES, 1, kind);
        if (j < g.columns) ie_gemm_columns(&g, j, g.columns - j, 1, kind);
        g.a += g.depth * g.a_step;
        g.b += g.depth * g.b_step;
        g.add = true;
    }
}

#endif
