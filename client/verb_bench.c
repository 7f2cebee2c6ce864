#include <string.h>

#include "base/clock.h"
#include "client/bench_report.h"
#include "client/layer_times.h"
#include "client/output.h"

static const pf_option options[] = {
    {.name = "iterations", .kind = PF_OPTION_INT, .value = "N", .fallback = "10", .least = 1, .greatest = 1e9,
     .help = "least number of queries to measure"},
    {.name = "warmup", .kind = PF_OPTION_INT, .value = "MS", .fallback = "200", .least = 0, .greatest = 1e7,
     .help = "milliseconds before the first query that counts"},
    {.name = "duration", .kind = PF_OPTION_REAL, .value = "S", .fallback = "3", .least = 0, .greatest = 1e6,
     .help = "least seconds to measure"},
    {.name = "streams", .kind = PF_OPTION_INT, .value = "N", .fallback = "1", .least = 1, .greatest = 1024,
     .help = "so many contexts at once, each with a stream and a thread of its own"},
    {.name = "transfers", .kind = PF_OPTION_FLAG, .help = "copy inputs to the device and outputs back in every query"},
    {.name = "layers", .kind = PF_OPTION_FLAG, .help = "measure each layer as well, outside the queries"},
    {.name = "avg_runs", .kind = PF_OPTION_INT, .value = "N", .fallback = "0", .least = 0, .greatest = 1e6,
     .help = "print averages of so many queries one after the other; 0: do not"},
    {.name = "ranges", .kind = PF_OPTION_TEXT, .value = "runs|layers",
     .help = "name runs, or layers too, to a GPU's profiler (NVTX); layers are then launched one by one"},
    {.name = "profiler", .kind = PF_OPTION_FLAG,
     .help = "let a GPU's profiler record the queries that count alone (cudaProfilerStart and Stop)"},
    PF_INPUT_OPTIONS,
    PF_DEVICE_OPTIONS,
    {.name = NULL},
};

enum { PROFILE_RUNS = 10 };

static pf_status report_layers(pf_call *call, const pf_ready_plan *ready, pf_err *err)
{
    pf_layer_times times = {0};
    pf_status      status = pf_layer_times_measure(ready->plan, ready->device, &ready->inputs, PROFILE_RUNS, &times,
                                                   err);

    if (!status)
        pf_layer_times_put(call, ready->plan, &times, NULL, times.count);
    pf_layer_times_clear(&times);
    return status;
}

static pf_status read_ranges(const pf_call *call, pf_ranges *out, pf_err *err)
{
    const char *level = pf_args_text(call->args, "ranges");

    *out = !level ? PF_RANGES_OFF : !strcmp(level, "runs") ? PF_RANGES_RUNS : PF_RANGES_LAYERS;
    if (level && strcmp(level, "runs") && strcmp(level, "layers"))
        return PF_FAIL(err, PF_USAGE, "--ranges takes runs or layers, not \"%.40s\"", level);
    return PF_OK;
}

static pf_status measure(pf_call *call, const pf_ready_plan *ready, pf_err *err)
{
    pf_bench_options with = {.iterations = (uint32_t)pf_args_int(call->args, "iterations"),
                             .warmup_ms = (double)pf_args_int(call->args, "warmup"),
                             .duration_s = pf_args_real(call->args, "duration"),
                             .transfers = pf_args_flag(call->args, "transfers"),
                             .profiler = pf_args_flag(call->args, "profiler"),
                             .streams = (uint32_t)pf_args_int(call->args, "streams")};
    pf_bench         bench = {0};
    pf_status        status = read_ranges(call, &with.ranges, err);

    json_object_set_new(call->result, "plan_load_seconds", pf_json_real((double)ready->load_ns / (double)PF_NS_PER_S));
    if (!status)
        status = pf_bench_run(ready->plan, ready->device, ready->inputs.tensors, &with, &bench, err);
    if (!status && pf_bench_is_hosted(ready->plan))
        pf_warn(call, "this plan takes and gives host tensors, since the size of an output comes out of the run or an "
                "input stays on the host: copies count as computation");
    if (!status)
        status = pf_bench_report(call, ready, &bench, err);
    if (!status && pf_args_flag(call->args, "layers"))
        status = report_layers(call, ready, err);
    pf_bench_clear(&bench);
    return status;
}

static pf_status run(pf_call *call, pf_err *err)
{
    return pf_ready_plan_run(call, measure, err);
}

const pf_verb_body pf_verb_bench = {
    .options = options,
    .details = "  Runs queries until both --iterations and --duration are reached, and reports them as trtexec does:\n"
               "  latency is the sum of copies and computation, throughput counts queries.  Percentiles are measured\n"
               "  values, not interpolated.  Without --transfers inputs and outputs stay on the device and the\n"
               "  copies count as 0.  A plan with outputs whose sizes come out of the run, as a detector's boxes, is\n"
               "  run with host tensors, one query after the other.  With --streams each query takes longer, and\n"
               "  throughput counts those of all.  --layers measures each layer as well, as planfarm profile does.\n"
               "\n"
               "  --json: throughput_qps samples_per_second; latency_ms compute_ms h2d_ms d2h_ms enqueue_ms, each\n"
               "  min max mean median p90 p95 p99 variation_percent; streams queries warmup_queries\n"
               "  walltime_seconds plan_load_seconds; device, as it was at the end: clock_mhz temperature_c power_w\n"
               "  (0: it does not tell) held_down_by; with --layers layers, each name tactic median_ms captured_ms\n"
               "  (where runs are captured)\n",
    .run = run,
};
