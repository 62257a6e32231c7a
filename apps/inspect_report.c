/* inspect_report.c - the numbers of a model, its text encoder and its stages.
 * SPDX-License-Identifier: Apache-2.0 */
#include "inspect_report.h"

#include "json_lines.h"
#include "units.h"

#include <string.h>

/* Parameters as the papers state them, to be compared with ours: Imagen (arXiv 2205.11487, 2.3 and
 * 2.4) for the stages, T5 v1.1 XXL's encoder for the text. */
static const struct {
    const char *model;
    double text;
    int stage_count;
    double stages[3];
} published[] = {{"imagen-full", 4.6e9, 3, {2e9, 600e6, 400e6}}};

/* One line of the table: a stage, or the text encoder (stage < 0). */
typedef struct row {
    const char *name;
    int resolution, steps, passes;
    double parameters, published, forward_flop, forward_bytes, floor;
    double pass[2], predicted; /* seconds: a pass of one lane and of two; all of an edit's */
    uint64_t weight_bytes;
} row;

static double published_of(const char *model, int stage)
{
    for (size_t i = 0; i < sizeof published / sizeof published[0]; i++) {
        if (strcmp(published[i].model, model) != 0) continue;
        if (stage < 0) return published[i].text;
        return stage < published[i].stage_count ? published[i].stages[stage] : 0;
    }
    return 0;
}

/* A step with guidance is a pass of two lanes, another one of one. */
static void predict(row *r, const ie_engine_info *info, int stage)
{
    if (stage < 0) {
        r->pass[0] = r->predicted = info->text_seconds;
        return;
    }
    const ie_stage_info *s = &info->stages[stage];
    const int guided = s->default_passes - s->default_steps;
    r->pass[0] = s->forward_seconds[0];
    r->pass[1] = s->forward_seconds[1];
    r->predicted = guided * r->pass[1] + (s->default_steps - guided) * r->pass[0];
}

static row row_of(const ie_inspect_report *r, int stage)
{
    const ie_engine_info *info = r->info;
    row out;
    if (stage < 0) {
        /* One prompt reads each weight once; what it computes on is small beside them. */
        out = (row){.name = "text",
                    .passes = 1,
                    .parameters = (double)info->text_parameters,
                    .forward_flop = info->text_flop,
                    .forward_bytes = (double)info->text_weight_bytes,
                    .weight_bytes = info->text_weight_bytes};
    } else {
        const ie_stage_info *s = &info->stages[stage];
        out = (row){.name = s->name,
                    .resolution = s->resolution,
                    .steps = s->default_steps,
                    .passes = s->default_passes,
                    .parameters = (double)s->parameters,
                    .forward_flop = s->forward_flop,
                    .forward_bytes = s->forward_bytes,
                    .weight_bytes = s->weight_bytes};
    }
    predict(&out, info, stage);
    out.published = published_of(info->model_name, stage);
    out.floor = out.passes *
                ie_machine_floor(&r->machine, info->precision, out.forward_flop, out.forward_bytes);
    return out;
}

static void print_row(const row *r, FILE *stream)
{
    char parameters[IE_UNIT_TEXT], stated[IE_UNIT_TEXT] = "-", flop[IE_UNIT_TEXT];
    char weights[IE_UNIT_TEXT], floor[IE_UNIT_TEXT] = "-", size[16] = "-", steps[16] = "-";
    if (r->published > 0) ie_unit_count(stated, r->published);
    if (r->floor > 0) ie_unit_seconds(floor, r->floor);
    if (r->resolution) (void)snprintf(size, sizeof size, "%d", r->resolution);
    if (r->steps) (void)snprintf(steps, sizeof steps, "%d", r->steps);
    fprintf(stream, "%-14s %5s %10s %10s %9s %6s %7d %10s %9s\n", r->name, size,
            ie_unit_count(parameters, r->parameters), stated, ie_unit_count(flop, r->forward_flop),
            steps, r->passes, ie_unit_bytes(weights, r->weight_bytes), floor);
}

/* Seconds of a step and of a stage, where the engine predicts them. */
static void print_predicted(const ie_inspect_report *r, FILE *stream)
{
    double edit = 0;
    char one[IE_UNIT_TEXT], two[IE_UNIT_TEXT], all[IE_UNIT_TEXT];
    fprintf(stream,
            "\npredicted with our CUDA kernels, of which no device has measured one yet\n\n");
    fprintf(stream, "%-14s %12s %14s %9s %9s\n", "stage", "plain step", "guided step", "stage",
            "of floor");
    for (int stage = -1; stage < r->info->stage_count; stage++) {
        const row line = row_of(r, stage);
        edit += line.predicted;
        fprintf(stream, "%-14s %12s %14s %9s %8.2fx\n", line.name,
                ie_unit_seconds(one, line.pass[0]),
                stage < 0 ? "-" : ie_unit_seconds(two, line.pass[1]),
                ie_unit_seconds(all, line.predicted), line.predicted / line.floor);
    }
    fprintf(stream, "\nan edit    %s alone on the device\n", ie_unit_seconds(all, edit));
}

void ie_inspect_table(const ie_inspect_report *r, FILE *stream)
{
    const ie_engine_info *info = r->info;
    const char *precision = info->precision == IE_PRECISION_BF16 ? "bf16" : "f32";
    char text[IE_UNIT_TEXT];
    row total = {.name = "sum"};
    fprintf(stream, "model      %s (%s)\n", info->model_name, r->model_dir);
    if (info->model_hash[0]) fprintf(stream, "sha-256    %s\n", info->model_hash);
    fprintf(stream, "canvas     %d x %d pixels, prompts of up to %d tokens\n", info->canvas,
            info->canvas, info->text_length);
    fprintf(stream, "device     %s\n", info->device);
    fprintf(stream, "floor on   %s, one request\n\n", r->machine.words);
    fprintf(stream, "%-14s %5s %10s %10s %9s %6s %7s %10s %9s\n", "stage", "size", "parameters",
            "published", "FLOP/pass", "steps", "passes", "weights", "floor");
    for (int stage = -1; stage < info->stage_count; stage++) {
        const row one = row_of(r, stage);
        print_row(&one, stream);
        total.parameters += one.parameters;
        total.published += one.published;
        total.forward_flop += one.forward_flop * one.passes;
        total.floor += one.floor;
        total.weight_bytes += one.weight_bytes;
    }
    fprintf(stream, "\n%-10s %s parameters", "sum", ie_unit_count(text, total.parameters));
    fprintf(stream, ", %s", ie_unit_bytes(text, info->weight_bytes));
    fprintf(stream, " of weights and %s of workspace", ie_unit_bytes(text, info->workspace_bytes));
    fprintf(stream, ", %sFLOP an edit", ie_unit_count(text, total.forward_flop));
    if (total.floor > 0) fprintf(stream, ", floor %s", ie_unit_seconds(text, total.floor));
    fprintf(stream, "\n");
    if (total.floor <= 0) {
        fprintf(stream, "no floor: %s was not measured with %s\n", r->machine.name, precision);
    }
    if (info->text_seconds > 0) print_predicted(r, stream);
    for (int i = 0; r->passes && i <= info->stage_count; i++) {
        ie_inspect_operations_table(&r->passes[i], &r->machine, stream);
    }
}

void ie_inspect_json(const ie_inspect_report *r, FILE *stream)
{
    const ie_engine_info *info = r->info;
    ie_jsonl j;
    ie_jsonl_begin(&j, stream);
    ie_jsonl_text(&j, "model", info->model_name);
    ie_jsonl_text(&j, "model_dir", r->model_dir);
    ie_jsonl_text(&j, "model_sha256", info->model_hash[0] ? info->model_hash : NULL);
    ie_jsonl_int(&j, "canvas", info->canvas);
    ie_jsonl_int(&j, "text_length", info->text_length);
    ie_jsonl_text(&j, "device", info->device);
    ie_jsonl_text(&j, "precision", info->precision == IE_PRECISION_BF16 ? "bf16" : "f32");
    ie_jsonl_text(&j, "machine", r->machine.name);
    ie_jsonl_uint(&j, "weight_bytes", info->weight_bytes);
    ie_jsonl_uint(&j, "workspace_bytes", info->workspace_bytes);
    ie_jsonl_open(&j, "stages", '[');
    for (int stage = -1; stage < info->stage_count; stage++) {
        const row one = row_of(r, stage);
        ie_jsonl_open(&j, NULL, '{');
        ie_jsonl_text(&j, "name", one.name);
        if (stage >= 0) ie_jsonl_int(&j, "resolution", one.resolution);
        ie_jsonl_uint(&j, "parameters", (uint64_t)one.parameters);
        if (one.published > 0) ie_jsonl_uint(&j, "published_parameters", (uint64_t)one.published);
        ie_jsonl_uint(&j, "weight_bytes", one.weight_bytes);
        ie_jsonl_real(&j, "forward_flop", one.forward_flop);
        ie_jsonl_real(&j, "forward_bytes", one.forward_bytes);
        if (stage >= 0) ie_jsonl_int(&j, "steps", one.steps);
        ie_jsonl_int(&j, "passes", one.passes);
        if (one.floor > 0) ie_jsonl_real(&j, "floor_seconds", one.floor);
        if (one.predicted > 0) {
            ie_jsonl_real(&j, "predicted_seconds", one.predicted);
            ie_jsonl_real(&j, "predicted_plain_step_seconds", one.pass[0]);
            if (stage >= 0) ie_jsonl_real(&j, "predicted_guided_step_seconds", one.pass[1]);
        }
        if (r->passes) ie_inspect_operations_json(&r->passes[1 + stage], &r->machine, &j);
        ie_jsonl_close(&j, '}');
    }
    ie_jsonl_close(&j, ']');
    ie_jsonl_end(&j);
}
