#include "client/bench_report.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "client/output.h"
#include "client/percentile.h"

enum { TRACE_ENDS = 200 };

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

static void put(pf_call *call, const pf_ready_plan *ready, const pf_bench *bench, const pf_summary s[METRICS])
{
    json_t *to = call->result;
    double  qps = bench->count / bench->walltime_s, compute_s = 0;
    int64_t batch = batch_of(&ready->inputs);

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
    warn_of_noise(call, ready->device, s);
}

pf_status pf_bench_report(pf_call *call, const pf_ready_plan *ready, const pf_bench *bench, pf_err *err)
{
    pf_summary summaries[METRICS];
    pf_status  status = summarize(bench, summaries, err);

    if (!status)
        put(call, ready, bench, summaries);
    return status;
}
