/* bench_peak.c - the machine's matrix rate, as its vendor library reaches it.
 * SPDX-License-Identifier: Apache-2.0 */
#include "bench_row.h"

#include <oneapi/dnnl/dnnl.h>
#include <stdlib.h>
#include <string.h>

enum { SIDE = 1536 };

double bench_peak_flop(void)
{
    return 2.0 * SIDE * SIDE * SIDE;
}

static dnnl_status_t describe(dnnl_memory_desc_t *square, dnnl_memory_desc_t *result, ie_dtype type)
{
    const dnnl_dims_t dims = {SIDE, SIDE};
    const dnnl_status_t status = dnnl_memory_desc_init_by_tag(
        square, 2, dims, type == IE_F32 ? dnnl_f32 : dnnl_bf16, dnnl_ab);
    return status ? status : dnnl_memory_desc_init_by_tag(result, 2, dims, dnnl_f32, dnnl_ab);
}

bool bench_peak_open(bench_peak *p, ie_dtype type)
{
    *p = (bench_peak){0};
    dnnl_engine_t engine = NULL;
    dnnl_stream_t stream = NULL;
    dnnl_primitive_desc_t choice = NULL;
    dnnl_primitive_t primitive = NULL;
    dnnl_memory_t memory[3] = {NULL};
    dnnl_memory_desc_t square, result;
    dnnl_matmul_desc_t product;
    dnnl_status_t status = dnnl_engine_create(&engine, dnnl_cpu, 0);
    if (!status) status = dnnl_stream_create(&stream, engine, dnnl_stream_default_flags);
    if (!status) status = describe(&square, &result, type);
    if (!status) status = dnnl_matmul_desc_init(&product, &square, &square, NULL, &result);
    if (!status) status = dnnl_primitive_desc_create(&choice, &product, NULL, engine, NULL);
    if (!status) status = dnnl_primitive_create(&primitive, choice);
    for (int i = 0; i < 3 && !status; i++) {
        status =
            dnnl_memory_create(&memory[i], i < 2 ? &square : &result, engine, DNNL_MEMORY_ALLOCATE);
        void *data = NULL;
        if (!status) status = dnnl_memory_get_data_handle(memory[i], &data);
        if (!status) memset(data, 0, dnnl_memory_desc_get_size(i < 2 ? &square : &result));
    }
    *p = (bench_peak){engine, stream, primitive, choice, {memory[0], memory[1], memory[2]}};
    if (status) bench_peak_close(p);
    return status == dnnl_success;
}

int bench_peak_run(const bench_peak *p)
{
    const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, p->memory[0]},
                                         {DNNL_ARG_WEIGHTS, p->memory[1]},
                                         {DNNL_ARG_DST, p->memory[2]}};
    const dnnl_status_t status = dnnl_primitive_execute(p->primitive, p->stream, 3, arguments);
    return status ? (int)status : (int)dnnl_stream_wait(p->stream);
}

void bench_peak_close(bench_peak *p)
{
    for (int i = 0; i < 3; i++) (void)dnnl_memory_destroy(p->memory[i]);
    (void)dnnl_primitive_destroy(p->primitive);
    (void)dnnl_primitive_desc_destroy(p->choice);
    (void)dnnl_stream_destroy(p->stream);
    (void)dnnl_engine_destroy(p->engine);
    *p = (bench_peak){0};
}
