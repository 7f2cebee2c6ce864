#include <stdio.h>
#include <string.h>

#include "client/bench.h"
#include "client/layer_times.h"
#include "client/output.h"
#include "client/percentile.h"
#include "client/ready_plan.h"

#include "base/alloc.h"
#include "base/clock.h"

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

enum { PROFILE_RUNS = 10, TRACE_ENDS = 200 };

/* When trtexec warns, too. */
#define UNSTABLE_PERCENT 2.5
#define ENQUEUE_BOUND    0.8

/* The measured times by the name of the report's member; trtexec's name; from which field of a query. */
static const struct metric { const char *member, *label; size_t offset; } metrics[] = {
    {"latency_ms", "Latency", offsetof(pf_query, latency_ms)},
    {"enqueue_ms", "Enqueue Time", offsetof(pf_query, enqueue_ms)},
    {"h2d_ms", "H2D Latency", offsetof(pf_query, h2d_ms)},
    {"compute_ms", "GPU Compute Time", offsetof(pf_query, compute_ms)},
    {"d2h_ms", "D2H Latency", offsetof(pf_query, d2h_ms)},
};

enum { METRICS = sizeof metrics / sizeof *metrics };

static json_t *summary_json(const pf_summary *s)
{
    json_t *to = json_object();

    json_object_set_new(to, "min", pf_json_real(s->min));
    json_object_set_new(to, "max", pf_json_real(s->max));
    json_object_set_new(to, "mean", pf_json_real(s->mean));
    json_object_set_new(to, "median", pf_json_real(s->median));
    json_object_set_new(to, "p90", pf_json_real(s->p90));
    json_object_set_new(to, "p95", pf_json_real(s->p95));
    json_object_set_new(to, "p99", pf_json_real(s->p99));
    json_object_set_new(to, "variation_percent", pf_json_real(s->variation_percent));
    return to;
}

static pf_status summarize(const pf_bench *bench, pf_summary out[METRICS], pf_err *err)
{
    double *values = pf_alloc(bench->count * sizeof *values);

    if (!values)
        return PF_FAIL_MEMORY(err, bench->count * sizeof *values);
    for (int m = 0; m < METRICS; m++) {
        for (uint32_t i = 0; i < bench->count; i++)
            memcpy(&values[i], (const char *)&bench->queries[i] + metrics[m].offset, sizeof *values);
        pf_summarize(values, bench->count, &out[m]);
    }
    pf_free(values);
    return PF_OK;
}

/* Samples in one query: the first dim that all inputs share; 0 when they do not. */
static int64_t batch_of(const pf_inputs *inputs)
{
    int64_t batch = 0;

    for (uint32_t i = 0; i < inputs->count; i++) {
        const pf_tensor *tensor = &inputs->tensors[i];

        if (tensor->rank < 1 || (batch && tensor->dim[0] != batch))
            return 0;
        batch = tensor->dim[0];
    }
    return batch;
}

static void warn_of_noise(pf_call *call, const pf_device *device, const pf_summary s[METRICS])
{
    const long long   streams = (long long)pf_args_int(call->args, "streams");
    const pf_summary *enqueue = &s[1], *h2d = &s[2], *compute = &s[3], *d2h = &s[4];

    if (device->kind == PF_DEVICE_CUDA && enqueue->median > ENQUEUE_BOUND * compute->median)
        pf_warn(call, "the host hardly keeps up with the device: enqueueing takes %.0f %% of the compute time",
                100 * enqueue->median / compute->median);
    if (streams > 1)
        pf_warn(call, "%lld streams share the device: a query takes longer than alone, and the throughput is of all",
                streams);
    if (h2d->median >= compute->median || d2h->median >= compute->median)
        pf_warn(call, "the copies take as long as the computation");
    if (streams == 1 && compute->variation_percent > UNSTABLE_PERCENT)
        pf_warn(call, "the compute time is unstable: its coefficient of variation is %.1f %%",
                compute->variation_percent);
}

/* NVML's nvmlClocksEventReasons. */
static const struct { uint32_t bit; const char *name; } reasons[] = {
    {0x2, "application clocks"}, {0x4, "power cap"},         {0x8, "hardware slowdown"}, {0x10, "sync boost"},
    {0x20, "thermal slowdown"},  {0x40, "hardware thermal slowdown"}, {0x80, "power brake"}, {0x100, "display clocks"},
};

/* How the device was when the last queries ran; nothing where it does not tell. */
static void put_device(pf_call *call, const pf_device_sample *sample)
{
    json_t *to = json_object(), *held = json_array();

    json_object_set_new(call->result, "device", to);
    json_object_set_new(to, "clock_mhz", pf_json_count(sample->clock_mhz));
    json_object_set_new(to, "temperature_c", pf_json_count(sample->temperature_c));
    json_object_set_new(to, "power_w", pf_json_count(sample->power_w));
    json_object_set_new(to, "held_down_by", held);
    if (sample->clock_mhz)
        pf_say(call, "Device: %u MHz", sample->clock_mhz);
    if (sample->clock_mhz && sample->temperature_c)
        pf_say(call, ", %u C, %u W", sample->temperature_c, sample->power_w);
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        if (!(sample->throttle_bits & reasons[i].bit))
            continue;
        if (sample->clock_mhz)
            pf_say(call, "%s%s", json_array_size(held) ? ", " : "; clocks are held down by: ", reasons[i].name);
        json_array_append_new(held, json_string(reasons[i].name));
    }
    if (sample->clock_mhz)
        pf_say(call, "\n");
}

/* Of a long trace only both ends are shown, as trtexec does. */
static void say_trace(pf_call *call, const pf_bench *bench, uint32_t runs)
{
    uint32_t groups = runs ? bench->count / runs : 0;

    if (!groups)
        return;
    pf_say(call, "=== Trace details ===\nTrace averages of %u runs:\n", runs);
    for (uint32_t g = 0; g < groups; g++) {
        double compute = 0, latency = 0, enqueue = 0;

        if (g >= TRACE_ENDS && g + TRACE_ENDS < groups)
            continue;
        for (uint32_t i = g * runs; i < (g + 1) * runs; i++) {
            compute += bench->queries[i].compute_ms / runs;
            latency += bench->queries[i].latency_ms / runs;
            enqueue += bench->queries[i].enqueue_ms / runs;
        }
        pf_say(call, "Average on %u runs - GPU latency: %.6g ms - Host latency: %.6g ms (enqueue %.6g ms)\n", runs,
               compute, latency, enqueue);
    }
    pf_say(call, "\n");
}

static void report(pf_call *call, const pf_device *device, const pf_bench *bench, const pf_inputs *inputs,
                   const pf_summary s[METRICS])
{
    json_t *to = call->result;
    double  qps = bench->count / bench->walltime_s, compute_s = 0;
    int64_t batch = batch_of(inputs);

    for (uint32_t i = 0; i < bench->count; i++)
        compute_s += bench->queries[i].compute_ms / 1e3;
    json_object_set_new(to, "throughput_qps", pf_json_real(qps));
    if (batch)
        json_object_set_new(to, "samples_per_second", pf_json_real(qps * (double)batch));
    for (int m = 0; m < METRICS; m++)
        json_object_set_new(to, metrics[m].member, summary_json(&s[m]));
    json_object_set_new(to, "streams", pf_json_count((uint64_t)pf_args_int(call->args, "streams")));
    json_object_set_new(to, "queries", pf_json_count(bench->count));
    json_object_set_new(to, "warmup_queries", pf_json_count(bench->warmup_count));
    json_object_set_new(to, "walltime_seconds", pf_json_real(bench->walltime_s));
    pf_say(call, "Warmup completed %u queries over %lld ms\nTiming trace has %u queries over %.5g s\n\n",
           bench->warmup_count, (long long)pf_args_int(call->args, "warmup"), bench->count, bench->walltime_s);
    say_trace(call, bench, (uint32_t)pf_args_int(call->args, "avg_runs"));
    pf_say(call, "=== Performance summary ===\n");
    pf_say(call, "Throughput: %.6g qps\n", qps);
    for (int m = 0; m < METRICS; m++)
        pf_say(call,
               "%s: min = %.6g ms, max = %.6g ms, mean = %.6g ms, median = %.6g ms, percentile(90%%) = %.6g ms, "
               "percentile(95%%) = %.6g ms, percentile(99%%) = %.6g ms\n",
               metrics[m].label, s[m].min, s[m].max, s[m].mean, s[m].median, s[m].p90, s[m].p95, s[m].p99);
    pf_say(call, "Total Host Walltime: %.6g s\nTotal GPU Compute Time: %.6g s\n", bench->walltime_s, compute_s);
    if (batch)
        pf_say(call, "Samples: %.6g/s of %lld in a query\n", qps * (double)batch, (long long)batch);
    put_device(call, &bench->device);
    warn_of_noise(call, device, s);
}

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
    pf_summary       summaries[METRICS];
    pf_status        status = read_ranges(call, &with.ranges, err);

    if (!status)
        status = pf_bench_run(ready->plan, ready->device, ready->inputs.tensors, &with, &bench, err);
    if (!status && pf_bench_is_hosted(ready->plan))
        pf_warn(call, "this plan takes and gives host tensors, since the size of an output comes out of the run or an "
                "input stays on the host: copies count as computation");
    if (!status)
        status = summarize(&bench, summaries, err);
    if (!status)
        report(call, ready->device, &bench, &ready->inputs, summaries);
    if (!status && pf_args_flag(call->args, "layers"))
        status = report_layers(call, ready, err);
    pf_bench_clear(&bench);
    return status;
}

static pf_status run(pf_call *call, pf_err *err)
{
    pf_ready_plan ready = {0};
    pf_status     status = pf_args_expect(call->args, 1, 1, "PLAN", err);

    if (!status)
        status = pf_ready_plan_open(call, pf_args_operand(call->args, 0), &ready, err);
    if (!status) {
        json_object_set_new(call->result, "plan_load_seconds",
                            pf_json_real((double)ready.load_ns / (double)PF_NS_PER_S));
        status = measure(call, &ready, err);
    }
    pf_ready_plan_close(&ready);
    return status;
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
