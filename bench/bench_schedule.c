/* bench_schedule.c - what sharing passes gains: a schedule simulated with the plan's costs, and the
 * same requests measured on the engine.
 *
 *   bench_schedule --model DIR [--requests N] [--rate R] [--lanes A[,B..]] [--steps A[,B..]]
 *                  [--guidance HIGH,LOW,HOLD] [--mixed] [--precision f32|bf16] [--seed N]
 *                  [--flops F] [--bandwidth B] [--fill A[,B..]]
 *                  [--measure cpu|ref] [--threads N] [--rounds N]
 *
 * --rate: requests a second, arriving at random (Poisson); 0: all at once. --mixed: a third of the
 * requests has half the steps, a third half as many again. A pass of n lanes takes
 *
 *     max(flop(max(n, fill)) / flops, bytes(n) / bandwidth)   seconds,
 *
 * flop and bytes from the plan backend. --fill: lanes at which the device reaches its rate in each
 * stage; one lane does on a CPU, on a GPU small maps need several.
 *
 * --measure runs the requests on an engine, without arrivals: one by one, in batches as large as
 * two lanes for each allow, and all submitted at once, in turns that reverse every round. On a busy
 * machine processor time says more than the clock.
 * SPDX-License-Identifier: Apache-2.0 */
#include "engine.h"
#include "schedule_sim.h"
#include "timing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MOST_REQUESTS = 4096 };

typedef struct options {
    const char *model, *measure;
    ie_options engine;
    int requests, rounds, steps[IE_MAX_STAGES], fill[IE_MAX_STAGES];
    double rate, flops, bandwidth;
    ie_guidance guidance; /* kind IE_GUIDANCE_DEFAULT: the model's */
    bool mixed;
    uint64_t seed;
} options;

/* ---- costs ----------------------------------------------------------------------------------- */

static int filled(const options *o, int stage, int lanes)
{
    return lanes < o->fill[stage] ? o->fill[stage] : lanes;
}

static double seconds_of(const options *o, double flop, double bytes)
{
    return fmax(flop / o->flops, bytes / o->bandwidth);
}

static ie_status fill_costs(sim_costs *c, const options *o, ie_engine *e, ie_error *err)
{
    *c = (sim_costs){.stage_count = e->stage_count,
                     .text = seconds_of(o, e->text_cost.flop, e->text_cost.bytes)};
    ie_arena arena;
    for (int s = 0; s < e->stage_count; s++) {
        double flop_of_one = 0;
        c->lanes[s] = e->lanes[s];
        for (int n = 1; n <= e->lanes[s]; n++) {
            ie_arena_measure(&arena);
            ie_exec x = {.backend = e->backend, .arena = &arena};
            IE_TRY(ie_stage_measure(&e->stages[s], n, n, &x, err));
            if (n == 1) flop_of_one = x.cost.flop;
            c->pass[s][n] = seconds_of(o, flop_of_one * filled(o, s, n), x.cost.bytes);
        }
    }
    return IE_OK;
}

/* ---- requests -------------------------------------------------------------------------------- */

static double uniform(uint64_t *random) /* 0 .. 1, neither */
{
    *random ^= *random >> 12;
    *random ^= *random << 25;
    *random ^= *random >> 27;
    return ((double)((*random * (uint64_t)0x2545f4914f6cdd1d) >> 12) + 0.5) * 0x1p-52;
}

/* Steps of request i in a stage whose own number is `steps`. */
static int steps_of(const options *o, int stage, int steps, int i)
{
    const int own = o->steps[stage] ? o->steps[stage] : steps;
    if (!o->mixed || i % 3 == 0) return own;
    return i % 3 == 1 ? (own + 1) / 2 : own + own / 2;
}

static void fill_requests(sim_request *r, const options *o, const ie_engine *e)
{
    uint64_t random = o->seed * 2 + 1;
    double arrival = 0;
    for (int i = 0; i < o->requests; i++) {
        r[i] = (sim_request){.arrival = arrival};
        if (o->rate > 0) arrival += -log(uniform(&random)) / o->rate;
        for (int s = 0; s < e->stage_count; s++) {
            const ie_stage_config *c = &e->cascade.stages[s];
            r[i].entry.stages[s] = (ie_job_stage){
                .steps = steps_of(o, s, c->steps, i),
                .guidance = o->guidance.kind ? o->guidance : c->guidance,
            };
        }
    }
}

/* ---- simulated ------------------------------------------------------------------------------- */

static void report_way(const sim_costs *c, const sim_request *r, int count, sim_way way,
                       const sim_result *result)
{
    double latency[MOST_REQUESTS];
    for (int i = 0; i < count; i++) latency[i] = r[i].end - r[i].arrival;
    printf("%-11s  %9.4g edits/s  busy %5.1f %%  lanes used", sim_way_names[way],
           count / result->seconds, 100 * result->busy / result->seconds);
    for (int s = 0; s < c->stage_count; s++)
        printf(" %5.1f %%", 100 * result->lanes[s] / (result->passes[s] * c->lanes[s]));
    printf("  latency p50 %.4g s, p95 %.4g s\n", bench_quantile(latency, count, 0.5),
           bench_quantile(latency, count, 0.95));
}

static ie_status simulate_all(double seconds[SIM_WAYS], const options *o, ie_error *err)
{
    static sim_costs costs;
    static sim_request requests[MOST_REQUESTS];
    ie_engine *e = NULL;
    ie_options plan = o->engine;
    plan.device = "plan";
    ie_status status = ie_engine_open(&e, o->model, &plan, err);
    if (status == IE_OK) status = fill_costs(&costs, o, e, err);
    if (status == IE_OK) {
        ie_engine_info info;
        ie_engine_describe(e, &info);
        printf("%s: %d requests, %s, batches of %d; workspace %.1f MB\n", info.model_name,
               o->requests, o->rate > 0 ? "arriving at random" : "all at once",
               sim_batch_size(&costs), (double)info.workspace_bytes / 1e6);
        for (int w = 0; w < SIM_WAYS; w++) {
            fill_requests(requests, o, e);
            const sim_result result = simulate(&costs, requests, o->requests, (sim_way)w);
            seconds[w] = result.seconds;
            report_way(&costs, requests, o->requests, (sim_way)w, &result);
        }
    }
    ie_engine_close(&e);
    return status;
}

/* ---- measured -------------------------------------------------------------------------------- */

typedef struct work {
    ie_engine *engine;
    ie_request *requests;
    int count, batch;
} work;

static ie_status serve(const work *k, sim_way way, ie_error *err)
{
    const int at_once = way == SIM_ONE_BY_ONE ? 1 : way == SIM_LOCK_STEP ? k->batch : k->count;
    for (int i = 0; i < k->count; i += at_once) {
        const int left = k->count - i;
        const ie_status status =
            ie_edit(k->engine, &k->requests[i], left < at_once ? left : at_once, err);
        if (status) return status;
    }
    return IE_OK;
}

static void paint(ie_request *r, uint8_t *memory, int side)
{
    const size_t pixels = (size_t)side * (size_t)side;
    r->image = (ie_pixels){memory, side, side, 3, 8, (size_t)side * 3};
    r->output = r->image;
    r->output.data = memory + 3 * pixels;
    r->mask = (ie_pixels){memory + 6 * pixels, side, side, 1, 8, (size_t)side};
    for (size_t i = 0; i < 3 * pixels; i++) memory[i] = (uint8_t)(i / 3 % 251);
    for (size_t i = 0; i < pixels; i++)
        memory[6 * pixels + i] = i / (size_t)side % 512 > 200 && i % 512 > 200 ? 255 : 0;
}

static void request_of(ie_request *r, const options *o, const ie_engine_info *info, int i)
{
    r->prompt = "a glass fish bowl on the table";
    r->seed = (uint64_t)i;
    for (int s = 0; s < info->stage_count; s++) {
        r->steps[s] = steps_of(o, s, info->stages[s].default_steps, i);
        r->guidance[s] = o->guidance;
    }
}

static ie_status take_turns(const options *o, const work *k, const double predicted[SIM_WAYS],
                            ie_error *err)
{
    double processor[SIM_WAYS] = {0}, wall[SIM_WAYS] = {0};
    ie_status status = serve(k, SIM_CONTINUOUS, err); /* warm */
    for (int turn = 0; !status && turn < o->rounds * SIM_WAYS; turn++) {
        const int in_round = turn % SIM_WAYS;
        const int way = turn / SIM_WAYS % 2 ? SIM_WAYS - 1 - in_round : in_round;
        const double p = bench_seconds(true), t = bench_seconds(false);
        status = serve(k, (sim_way)way, err);
        processor[way] += bench_seconds(true) - p;
        wall[way] += bench_seconds(false) - t;
    }
    if (status) return status;
    printf("measured on %s, %d threads, %d rounds; one by one takes so many times as long:\n",
           o->measure, k->engine->backend->threads, o->rounds);
    for (int w = 0; w < SIM_WAYS; w++) {
        printf("%-11s  predicted %.3f  measured %.3f (processor), %.3f (clock)  %.2f s an edit\n",
               sim_way_names[w], predicted[0] / predicted[w], processor[0] / processor[w],
               wall[0] / wall[w], processor[w] / (k->count * o->rounds));
    }
    return IE_OK;
}

static ie_status measure(const options *o, const double predicted[SIM_WAYS], ie_error *err)
{
    ie_engine_info info;
    work k = {.count = o->requests, .batch = IE_MAX_LANES};
    ie_options real = o->engine;
    real.device = o->measure;
    ie_status status = ie_engine_open(&k.engine, o->model, &real, err);
    if (status) return status;
    ie_engine_describe(k.engine, &info);
    for (int s = 0; s < info.stage_count; s++) {
        if (info.stages[s].lanes / 2 < k.batch) k.batch = info.stages[s].lanes / 2;
    }
    const size_t bytes = 7 * (size_t)info.canvas * (size_t)info.canvas;
    uint8_t *pixels = ie_alloc((uint64_t)o->requests, bytes);
    k.requests = ie_alloc((uint64_t)o->requests, sizeof *k.requests);
    if (pixels && k.requests) {
        for (int i = 0; i < o->requests; i++) {
            request_of(&k.requests[i], o, &info, i);
            paint(&k.requests[i], pixels + (size_t)i * bytes, info.canvas);
        }
        status = take_turns(o, &k, predicted, err);
    } else {
        status = ie_fail(err, IE_NO_MEMORY, "no memory for %d requests", o->requests);
    }
    ie_free(k.requests);
    ie_free(pixels);
    ie_engine_close(&k.engine);
    return status;
}

/* ---- arguments ------------------------------------------------------------------------------- */

/* "8" for all stages, or "8,4,2". */
static void read_list(int *out, const char *text)
{
    int last = 0;
    for (int i = 0; i < IE_MAX_STAGES; i++) {
        char *end;
        const int value = (int)strtol(text, &end, 10);
        if (end != text) last = value;
        out[i] = last;
        text = *end == ',' ? end + 1 : "";
    }
}

static bool set(options *o, const char *name, const char *value)
{
    if (!strcmp(name, "--model")) {
        o->model = value;
    } else if (!strcmp(name, "--requests")) {
        o->requests = (int)strtol(value, NULL, 10);
    } else if (!strcmp(name, "--rate")) {
        o->rate = strtod(value, NULL);
    } else if (!strcmp(name, "--lanes")) {
        read_list(o->engine.lanes, value);
    } else if (!strcmp(name, "--steps")) {
        read_list(o->steps, value);
    } else if (!strcmp(name, "--fill")) {
        read_list(o->fill, value);
    } else if (!strcmp(name, "--guidance")) {
        o->guidance.kind = IE_GUIDANCE_OSCILLATE;
        return sscanf(value, "%f,%f,%f", &o->guidance.high, &o->guidance.low, &o->guidance.hold) ==
               3;
    } else if (!strcmp(name, "--flops")) {
        o->flops = strtod(value, NULL);
    } else if (!strcmp(name, "--bandwidth")) {
        o->bandwidth = strtod(value, NULL);
    } else if (!strcmp(name, "--seed")) {
        o->seed = strtoull(value, NULL, 10);
    } else if (!strcmp(name, "--measure")) {
        o->measure = value;
    } else if (!strcmp(name, "--threads")) {
        o->engine.threads = (int)strtol(value, NULL, 10);
    } else if (!strcmp(name, "--rounds")) {
        o->rounds = (int)strtol(value, NULL, 10);
    } else if (!strcmp(name, "--precision")) {
        o->engine.precision = strcmp(value, "bf16") == 0 ? IE_PRECISION_BF16 : IE_PRECISION_F32;
    } else {
        return false;
    }
    return true;
}

static bool parse(options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--mixed")) {
            o->mixed = true;
        } else if (i + 1 == argc || !set(o, argv[i], argv[i + 1])) {
            return false;
        } else {
            i++;
        }
    }
    return o->model && o->requests >= 1 && o->requests <= MOST_REQUESTS && o->rounds >= 1;
}

int main(int argc, char **argv)
{
    options o = {.requests = 64, .rounds = 2, .flops = 90e9, .bandwidth = 18e9};
    ie_error err = {0};
    double predicted[SIM_WAYS];
    if (!parse(&o, argc, argv)) {
        fprintf(stderr, "bench_schedule --model DIR [options]: see bench/bench_schedule.c\n");
        return 2;
    }
    ie_status status = simulate_all(predicted, &o, &err);
    fflush(stdout); /* what is measured takes its time */
    if (!status && o.measure) status = measure(&o, predicted, &err);
    if (status) fprintf(stderr, "bench_schedule: %s\n", err.text);
    return (int)status;
}
