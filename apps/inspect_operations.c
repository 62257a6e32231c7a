/* inspect_operations.c - the operations of a pass, the slowest first.
 * SPDX-License-Identifier: Apache-2.0 */
#include "inspect_operations.h"

#include "units.h"

#include <stdlib.h>

static const double least_share = 0.01; /* of a line of the table */

static double seconds_of(const ie_operation_info *o)
{
    return o->matrix_seconds + o->memory_seconds + o->launch_seconds;
}

/* What most of the time goes to. */
static const char *bound_of(const ie_operation_info *o)
{
    if (o->launch_seconds > o->matrix_seconds && o->launch_seconds > o->memory_seconds) {
        return "launch";
    }
    return o->matrix_seconds >= o->memory_seconds ? "matrix" : "memory";
}

static int slower_first(const void *a, const void *b)
{
    const double x = seconds_of(*(const ie_operation_info *const *)a),
                 y = seconds_of(*(const ie_operation_info *const *)b);
    return (x < y) - (x > y);
}

static ie_operation_info sum_of(const ie_operation_info *const *some, int count)
{
    ie_operation_info sum = {.calls = 0};
    for (int i = 0; i < count; i++) {
        sum.calls += some[i]->calls;
        sum.flop += some[i]->flop;
        sum.bytes += some[i]->bytes;
        sum.matrix_seconds += some[i]->matrix_seconds;
        sum.memory_seconds += some[i]->memory_seconds;
        sum.launch_seconds += some[i]->launch_seconds;
    }
    return sum;
}

/* Of the time that no program can beat, as benches count it. */
static double share_of_roof(const ie_operation_info *o, const ie_machine *m)
{
    const double floor = ie_machine_floor(m, IE_PRECISION_BF16, o->flop, o->bytes);
    return seconds_of(o) > 0 ? floor / seconds_of(o) : 0;
}

static void sort(const ie_operation_info *sorted[IE_INSPECT_OPERATIONS],
                 const ie_inspect_pass *pass)
{
    for (int i = 0; i < pass->count; i++) sorted[i] = &pass->operations[i];
    qsort(sorted, (size_t)pass->count, sizeof *sorted, slower_first);
}

static void print_line(const char *name, const ie_operation_info *o, double all,
                       const ie_machine *m, FILE *stream)
{
    char flop[IE_UNIT_TEXT], bytes[IE_UNIT_TEXT], time[IE_UNIT_TEXT];
    fprintf(stream, "%-58s %5d %8s %10s %6s %5.0f %% %8s %5.1f %%\n", name, o->calls,
            ie_unit_count(flop, o->flop), ie_unit_bytes(bytes, (uint64_t)o->bytes), bound_of(o),
            100 * share_of_roof(o, m), ie_unit_seconds(time, seconds_of(o)),
            100 * seconds_of(o) / all);
}

void ie_inspect_operations_table(const ie_inspect_pass *pass, const ie_machine *machine,
                                 FILE *stream)
{
    const ie_operation_info *sorted[IE_INSPECT_OPERATIONS];
    sort(sorted, pass);
    const ie_operation_info whole = sum_of(sorted, pass->count);
    const double all = seconds_of(&whole);
    char text[IE_UNIT_TEXT];
    int shown = 0;
    fprintf(stream,
            "\n%s, a pass of %d lane%s: %s, of which matrix units %.0f %%, memory %.0f %%, ",
            pass->stage, pass->lanes, pass->lanes == 1 ? "" : "s", ie_unit_seconds(text, all),
            100 * whole.matrix_seconds / all, 100 * whole.memory_seconds / all);
    fprintf(stream, "launches %.0f %%\n", 100 * whole.launch_seconds / all);
    fprintf(stream, "%-58s %5s %8s %10s %6s %7s %8s %7s\n", "operation", "calls", "FLOP", "bytes",
            "bound", "of roof", "time", "share");
    while (shown < pass->count && seconds_of(sorted[shown]) >= least_share * all) {
        print_line(sorted[shown]->name, sorted[shown], all, machine, stream);
        shown++;
    }
    if (shown < pass->count) {
        const ie_operation_info rest = sum_of(sorted + shown, pass->count - shown);
        char name[32];
        (void)snprintf(name, sizeof name, "%d others", pass->count - shown);
        print_line(name, &rest, all, machine, stream);
    }
}

void ie_inspect_operations_json(const ie_inspect_pass *pass, const ie_machine *machine, ie_jsonl *j)
{
    const ie_operation_info *sorted[IE_INSPECT_OPERATIONS];
    sort(sorted, pass);
    ie_jsonl_int(j, "lanes", pass->lanes);
    ie_jsonl_open(j, "operations", '[');
    for (int i = 0; i < pass->count; i++) {
        const ie_operation_info *o = sorted[i];
        ie_jsonl_open(j, NULL, '{');
        ie_jsonl_text(j, "name", o->name);
        ie_jsonl_int(j, "calls", o->calls);
        ie_jsonl_real(j, "flop", o->flop);
        ie_jsonl_real(j, "bytes", o->bytes);
        ie_jsonl_text(j, "bound", bound_of(o));
        ie_jsonl_real(j, "share_of_roof", share_of_roof(o, machine));
        ie_jsonl_real(j, "predicted_seconds", seconds_of(o));
        ie_jsonl_close(j, '}');
    }
    ie_jsonl_close(j, ']');
}
