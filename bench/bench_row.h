/* bench_row.h - one row of the op bench: an operation at a shape, with operands; and the peak it is
 * measured against. SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_BENCH_ROW_H
#define IE_BENCH_ROW_H

#include "backend.h"
#include "cost.h"
#include "ops.h"

typedef enum bench_kind {
    BENCH_CONV,
    BENCH_LINEAR,
    BENCH_ATTENTION,
    BENCH_SAMPLE,
    BENCH_MOMENTS,
    BENCH_LAYER_NORM,
    BENCH_RMS_NORM
} bench_kind;

/* conv: sources of size x size; linear: `size` rows of `inputs`; attention: `size` queries, `heads`
 * of `width`; moments: size x size of `inputs`; norms: `size` rows of `inputs`. */
typedef struct bench_row {
    const char *name;
    bench_kind kind;
    int64_t size, inputs, inputs2, outputs;
    int kernel, stride;
    bool norm, residual, moments; /* norm: group norm, film and SiLU on load */
    bool gated;                   /* linear: `outputs` gates and as many values */
    ie_resample resample;
    int64_t heads, width, text, image; /* keys of the two segments */
    int64_t lanes;                     /* 0: one */
} bench_row;

extern const bench_row bench_rows[];
extern const int bench_row_count;

enum { BENCH_COPIES = 4 };

typedef struct bench_case {
    ie_backend *backend; /* the caller's, entered */
    const ie_ops *ops;
    bench_kind kind;
    ie_dtype type;
    char name[IE_OPERATION_TEXT]; /* of the operation */
    double flop, bytes;           /* of one run */
    double predicted;             /* seconds of one run on an H200 */
    ie_conv *conv;
    ie_linear *linear;
    void *weights, *scratch;
    ie_block blocks[64];
    int block_count, turn;
    ie_conv_args conv_args[BENCH_COPIES];
    ie_linear_args linear_args[BENCH_COPIES];
    ie_attention_args attention_args[BENCH_COPIES];
    ie_sample_args sample_args;
    ie_tensor y[BENCH_COPIES], x[BENCH_COPIES], gain, offset; /* of moments and norms */
} bench_case;

/* In the backend's activation type. */
bool bench_case_open(bench_case *c, const bench_row *row, ie_backend *backend);
int bench_case_run(
    bench_case *c); /* one call, on the next copy of the operands; nonzero: it failed */
int bench_case_wait(bench_case *c); /* until everything asked for is done */
void bench_case_close(bench_case *c);

/* op_serve.c: rows from the standard input, timed when it says so; nonzero: one failed. */
int bench_serve(ie_backend *backend);

/* A 1536 x 1536 x 1536 matrix product by oneDNN with all threads; bench_no_peak.c: none. */
typedef struct bench_peak {
    void *engine, *stream, *primitive, *choice, *memory[3];
} bench_peak;

bool bench_peak_open(bench_peak *p, ie_dtype type);
int bench_peak_run(const bench_peak *p);
void bench_peak_close(bench_peak *p);
double bench_peak_flop(void);

#endif
