/* check.h - the harness that holds a table of operations (ops.h) against an independent oracle.
 *
 * A check of one operation makes tensors, says what every output element should be and how far off
 * honest arithmetic may be, and hands a callback to check_case. check_case runs it with 1, 2 and 3
 * threads (as many as `runs`) and then lane by lane, and demands: every element within its bound,
 * the same bits every time, no write outside the result, no input changed, scratch used within the
 * size asked for.
 *
 * To add an operation: write its check_<op>.c and give it a line in check_ops.c.
 * SPDX-License-Identifier: Apache-2.0 */
#ifndef IE_CHECK_H
#define IE_CHECK_H

#include "ops.h"

#include <stdio.h>

enum { CHECK_MAX_BUFFERS = 32, CHECK_MAX_OUTPUTS = 2, CHECK_LABEL = 200 };

typedef enum check_role { CHECK_INPUT, CHECK_OUTPUT, CHECK_BOTH } check_role;

/* One allocation: guard bytes, `bytes` of data, guard bytes. `copy` is what the data was given. */
typedef struct check_buffer {
    char *memory, *data, *copy;
    uint64_t bytes;
    check_role role;
} check_buffer;

/* What an output should hold. Row i of axis 0 belongs to lane i, or lane[i] when given (-1: none,
 * and then the row must stay as it was). */
typedef struct check_output {
    ie_tensor t; /* contiguous */
    double *want, *bound;
    const int64_t *lane;
} check_output;

typedef struct check {
    const ie_ops *ops;
    uint64_t random; /* state of the generator */
    ie_dtype act;    /* the activation type of the current case */
    int runs;        /* of a case with all its lanes */
    check_buffer buffer[CHECK_MAX_BUFFERS];
    int buffers;
    check_output output[CHECK_MAX_OUTPUTS];
    int outputs;
    char label[CHECK_LABEL]; /* describes the current case */
    /* Results of one operation with one type. */
    int cases, failures, complaints;
    double worst;
    char worst_label[CHECK_LABEL];
} check;

/* ---- data
 * -------------------------------------------------------------------------------------- */

typedef enum check_pattern {
    CHECK_UNIFORM,  /* in [-1, 1] */
    CHECK_ZEROS,    /* nothing but 0 */
    CHECK_LARGE,    /* in [-10000, 10000] */
    CHECK_TINY,     /* of size 2^-12: variances far below any eps */
    CHECK_CONSTANT, /* 1.375: variances are zero */
    CHECK_OUTLIER,  /* small, and one element of 300 */
    CHECK_OFFSET,   /* 300 + [-3, 3]: a mean that swamps the variance */
    CHECK_TIES,     /* in [-1, 1], every other one halfway between two bf16 */
    CHECK_PATTERNS
} check_pattern;

double check_uniform(check *t);               /* in [-1, 1) */
int64_t check_below(check *t, int64_t limit); /* in 0 .. limit - 1 */
const char *check_pattern_name(check_pattern pattern);

/* Values rounded to dtype (f32, bf16, f16), or all bytes random for u8. */
ie_tensor check_input(check *t, ie_dtype dtype, int rank, const int64_t *dim,
                      check_pattern pattern);
ie_tensor check_both(check *t, ie_dtype dtype, int rank, const int64_t *dim, check_pattern pattern);
/* Changes the values of an input after the fact: x = offset + scale * x. */
void check_affine(check *t, ie_tensor x, double offset, double scale);
ie_tensor check_values(check *t, ie_dtype dtype, int rank, const int64_t *dim,
                       const double *values);
ie_tensor check_int(check *t, int64_t count, const int32_t *values);
/* A copy of raw bytes as an input [rows, bytes / rows] of u8. */
ie_tensor check_bytes(check *t, const void *bytes, int64_t rows, int64_t row_bytes);

/* A poisoned output, or one that lives in a tensor of check_both. want and bound start as zeros. */
check_output *check_result(check *t, ie_dtype dtype, int rank, const int64_t *dim);
check_output *check_in_place(check *t, ie_tensor x);

double check_load(ie_tensor x,
                  int64_t i); /* element i of contiguous f32, bf16, f16, u8, i32 memory */
double check_round(ie_dtype dtype, double value); /* to nearest even */

/* ---- running
 * ----------------------------------------------------------------------------------- */

/* Runs lanes [begin, end) of the case; returns the operation's own code. */
typedef int (*check_run)(check *t, const void *self, int64_t begin, int64_t end);

/* Scratch of exactly `bytes`, poisoned and guarded, gone after the call; NULL for 0. */
void *check_scratch(check *t, uint64_t bytes);
/* Memory with guards that lives as long as the case (packed weights). */
void *check_memory(check *t, uint64_t bytes);

__attribute__((format(printf, 2, 3))) void check_label(check *t, const char *format, ...);
void check_case(check *t, check_run run, const void *self,
                int64_t lanes); /* and forgets its data */
void check_fail(check *t, const char *reason);

/* ---- the operations
 * ---------------------------------------------------------------------------- */

/* Checks the operations whose names are given (count 0: all), in the activation types that the
 * table has; returns how many failed. */
enum { CHECK_IN_F32 = 1, CHECK_IN_BF16 = 2 };
int check_ops(const ie_ops *table, unsigned types, int count, char **names);

/* check_device.c: a table whose tensors live on the CUDA device, as one that takes host memory. */
const ie_ops *check_on_device(const ie_ops *table);

void check_conv(check *t);
void check_linear(check *t);
void check_attention(check *t);
void check_moments(check *t);
void check_add(check *t);
void check_layer_norm(check *t);
void check_rms_norm(check *t);
void check_gather(check *t);
void check_add_rows(check *t);
void check_sinusoid(check *t);
void check_embed(check *t);
void check_mask_image(check *t);
void check_noise(check *t);
void check_augment(check *t);
void check_sample(check *t);

#endif
