/* cmd_inspect.c - imagen-editor inspect: what a model is and costs, without running it.
 * SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include "inspect_report.h"
#include "model_path.h"

#include <stddef.h>
#include <stdlib.h>

typedef struct inspect_values {
    const char *model, *device, *machine;
    int precision; /* choice */
    bool operations, json;
} inspect_values;

static const char *const precision_names[] = {"f32", "bf16", NULL};

/* clang-format off */
#define AT(field) .offset = offsetof(inspect_values, field)
static const ie_option options[] = {
    {.name = "model", .value = "DIR", .kind = IE_OPTION_TEXT, AT(model),
     .help = "the model (default: IMAGEN_EDITOR_MODEL, else the shipped one)"},
    {.name = "precision", .value = "WHAT", .kind = IE_OPTION_CHOICE, AT(precision),
     .help = "f32 or bf16 (default: bf16, the precision the machines are described in)",
     .choices = precision_names},
    {.name = "machine", .value = "NAME", .kind = IE_OPTION_TEXT, AT(machine),
     .help = "whose time floor: h200 (default), or FLOPS,BYTES per second like 2e11,1.5e10"},
    {.name = "device", .value = "NAME", .kind = IE_OPTION_TEXT, AT(device),
     .help = "plan (default) reads no weights; cuda:h200 the same, with the time that our kernels "
     "are predicted to take there; cpu, ref, cuda load the model and report it as loaded"},
    {.name = "operations", .kind = IE_OPTION_FLAG, AT(operations),
     .help = "with --device cuda:h200 also the predicted time of each operation of a step, by the "
     "names under which scripts/gpu_check measures them"},
    {.name = "json", .kind = IE_OPTION_FLAG, AT(json),
     .help = "one JSON object on stdout instead of the table"},
};
#undef AT
/* clang-format on */

static void defaults(void *values)
{
    inspect_values *v = values;
    v->device = "plan";
    v->machine = "h200";
    v->precision = 1 + IE_PRECISION_BF16;
}

/* The operations of the pass that each part of the model makes most often. */
static ie_status list_operations(ie_inspect_pass *passes, ie_engine *engine,
                                 const ie_engine_info *info, ie_error *err)
{
    if (info->text_seconds <= 0) {
        return ie_app_fail(err, IE_BAD_ARGUMENT,
                           "--operations needs a described device: --device cuda:h200");
    }
    for (int i = 0; i <= info->stage_count; i++) {
        const ie_stage_info *stage = i ? &info->stages[i - 1] : NULL;
        ie_inspect_pass *p = &passes[i];
        const bool guided = stage && stage->default_passes > stage->default_steps;
        p->stage = stage ? stage->name : "text";
        p->lanes = guided ? 2 : 1;
        p->count = IE_INSPECT_OPERATIONS;
        IE_APP_TRY(ie_engine_operations(engine, i - 1, p->lanes, p->operations, &p->count, err));
    }
    return IE_OK;
}

static ie_status report(const inspect_values *v, ie_inspect_report *r, ie_engine *engine,
                        ie_error *err)
{
    ie_inspect_pass *passes = NULL;
    if (v->operations) {
        passes = calloc((size_t)r->info->stage_count + 1, sizeof *passes);
        if (!passes) return ie_app_fail(err, IE_NO_MEMORY, "no memory for a table of operations");
    }
    const ie_status status = passes ? list_operations(passes, engine, r->info, err) : IE_OK;
    r->passes = passes;
    if (!status && v->json) ie_inspect_json(r, stdout);
    if (!status && !v->json) ie_inspect_table(r, stdout);
    free(passes);
    return status;
}

static ie_status run(void *values, ie_error *err)
{
    const inspect_values *v = values;
    char model_dir[PATH_MAX];
    ie_inspect_report r;
    ie_engine_info info;
    ie_engine *engine = NULL;
    ie_options open;
    ie_options_default(&open);
    open.device = v->device;
    open.precision = (ie_precision)(v->precision - 1);

    IE_APP_TRY(ie_machine_parse(&r.machine, v->machine, err));
    IE_APP_TRY(ie_model_path_here(model_dir, v->model, err));
    IE_APP_TRY(ie_engine_open(&engine, model_dir, &open, err));
    ie_engine_describe(engine, &info);
    r.info = &info;
    r.model_dir = model_dir;
    const ie_status status = report(v, &r, engine, err);
    ie_engine_close(&engine);
    return status;
}

static const char *const examples[] = {
    "imagen-editor inspect",
    "imagen-editor inspect --model examples/imagen-full --device cuda:h200 --operations",
    "imagen-editor inspect --model models/demo --precision f32 --machine 2e11,1.5e10 --json",
    NULL,
};

const ie_command ie_command_inspect = {
    .name = "inspect",
    .summary = "Stages, parameters, FLOP, memory and the least time per stage of a model.",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .examples = examples,
    .notes = "A stage's floor is its passes times the larger of FLOP / peak FLOP rate and bytes / "
             "memory bandwidth: no program can be faster on that machine, one request at a time.",
    .values_bytes = sizeof(inspect_values),
    .defaults = defaults,
    .run = run,
};
