#include "client/bench.h"

#include <pthread.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "client/bench_stream.h"

/* ---- Queries */

pf_status pf_bench_keep(pf_bench_stream *s, const pf_query *query, double start_ms, double end_ms, pf_err *err)
{
    pf_bench *bench = &s->bench;

    if (s->now_ms < s->shared->options->warmup_ms) {
        bench->warmup_count++;
        return PF_OK;
    }
    if (pf_grow((void **)&bench->queries, &bench->capacity, bench->count + 1, sizeof *bench->queries))
        return PF_FAIL_MEMORY(err, sizeof *bench->queries);
    if (!bench->count)
        s->first_ms = start_ms;
    s->last_ms = end_ms;
    bench->queries[bench->count++] = *query;
    return PF_OK;
}

bool pf_bench_is_done(const pf_bench_stream *s)
{
    const pf_bench_options *o = s->shared->options;

    return atomic_load(&s->shared->stop) ||
           (s->bench.count >= o->iterations && s->now_ms >= o->warmup_ms + o->duration_s * 1e3);
}

void pf_bench_look(pf_bench_stream *s)
{
    if (s->is_first)
        s->shared->device->ops->sample(s->shared->device, &s->shared->sample);
}

void pf_bench_clear(pf_bench *bench)
{
    pf_free(bench->queries);
    *bench = (pf_bench){0};
}

/* ---- Streams */

static pf_status open_stream(pf_bench_shared *shared, const pf_bench_kind *kind, pf_bench_stream *s, pf_err *err)
{
    pf_status status = PF_OK;

    s->shared = shared;
    status = pf_context_new(shared->plan, shared->device, NULL, &s->context, err);
    if (!status && shared->options->ranges != PF_RANGES_OFF)
        status = pf_context_mark_ranges(s->context, shared->options->ranges, err);
    return status ? status : kind->set_up(s, err);
}

static void close_streams(const pf_bench_kind *kind, pf_bench_stream *streams, uint32_t count)
{
    for (uint32_t i = 0; i < count && streams; i++) {
        kind->tear_down(&streams[i]);
        pf_bench_clear(&streams[i].bench);
        pf_context_free(streams[i].context);
    }
    pf_free(streams);
}

typedef struct runner { const pf_bench_kind *kind; pf_bench_stream *stream; pthread_t thread; bool started; } runner;

static void *run_stream(void *argument)
{
    runner          *r = argument;
    pf_bench_stream *s = r->stream;

    s->status = r->kind->run(s, &s->err);
    if (s->status)
        atomic_store(&s->shared->stop, true);
    return NULL;
}

/* The first one runs in this thread. */
static pf_status run_streams(const pf_bench_kind *kind, pf_bench_stream *streams, uint32_t count, pf_err *err)
{
    runner   *runners = pf_calloc(count, sizeof *runners);
    pf_status status = runners ? PF_OK : PF_FAIL_MEMORY(err, count * sizeof *runners);

    for (uint32_t i = 0; i < count && !status; i++) {
        runners[i] = (runner){.kind = kind, .stream = &streams[i]};
        if (i && pthread_create(&runners[i].thread, NULL, run_stream, &runners[i]))
            status = PF_FAIL(err, PF_NO_SPACE, "no thread can be started for stream %u", i + 1);
        runners[i].started = i && !status;
    }
    if (status && runners)
        atomic_store(&streams[0].shared->stop, true);
    if (!status)
        run_stream(&runners[0]);
    for (uint32_t i = 0; runners && i < count; i++)
        if (runners[i].started)
            pthread_join(runners[i].thread, NULL);
    for (uint32_t i = 0; i < count && !status; i++)
        if (streams[i].status)
            status = PF_FAIL(err, streams[i].status, "%s", streams[i].err.msg);
    pf_free(runners);
    return status;
}

static void end_recording(pf_bench_stream *first, pf_device *device)
{
    if (first->records)
        device->ops->profiler(device, false, NULL);
    first->records = false;
}

/* ---- All of them as one */

static pf_status join(const pf_bench_stream *streams, uint32_t count, pf_bench *out, pf_err *err)
{
    double first_ms = streams[0].first_ms, last_ms = streams[0].last_ms;

    for (uint32_t i = 0; i < count; i++) {
        const pf_bench *from = &streams[i].bench;

        if (pf_grow((void **)&out->queries, &out->capacity, out->count + from->count, sizeof *out->queries))
            return PF_FAIL_MEMORY(err, from->count * sizeof *out->queries);
        for (uint32_t q = 0; q < from->count; q++)
            out->queries[out->count++] = from->queries[q];
        out->warmup_count += from->warmup_count;
        first_ms = streams[i].first_ms < first_ms ? streams[i].first_ms : first_ms;
        last_ms = streams[i].last_ms > last_ms ? streams[i].last_ms : last_ms;
    }
    out->walltime_s = (last_ms - first_ms) / 1e3;
    return PF_OK;
}

/* The event is over when streams begin, so that all of them measure from it. */
static pf_status set_origin(pf_bench_shared *shared, pf_stream *stream, pf_err *err)
{
    const pf_device_ops *ops = shared->device->ops;
    pf_status            status = ops->event_record(shared->device, shared->origin, stream, err);

    if (!status)
        status = ops->stream_sync(shared->device, stream, err);
    shared->origin_ns = pf_clock_ns();
    return status;
}

static pf_status make_origin(pf_bench_shared *shared, pf_err *err)
{
    const pf_device_ops *ops = shared->device->ops;
    pf_stream           *stream = NULL;
    pf_status            status = ops->event_new(shared->device, &shared->origin, err);

    if (!status)
        status = ops->stream_new(shared->device, &stream, err);
    if (!status)
        status = set_origin(shared, stream, err);
    if (stream)
        ops->stream_free(shared->device, stream);
    return status;
}

pf_status pf_bench_run(pf_plan *plan, pf_device *device, const pf_tensor *inputs, const pf_bench_options *options,
                       pf_bench *out, pf_err *err)
{
    const pf_bench_kind *kind = pf_bench_is_hosted(plan) ? &pf_bench_hosted : &pf_bench_on_device;
    pf_bench_shared      shared = {.plan = plan, .device = device, .inputs = inputs, .options = options};
    uint32_t             count = options->streams, made = 0;
    pf_bench_stream     *streams = pf_calloc(count, sizeof *streams);
    pf_status            status = streams ? PF_OK : PF_FAIL_MEMORY(err, count * sizeof *streams);

    *out = (pf_bench){0};
    for (; made < count && !status; made++)
        status = open_stream(&shared, kind, &streams[made], err);
    if (!status) {
        streams[0].is_first = true;
        status = make_origin(&shared, err);
    }
    if (!status)
        status = run_streams(kind, streams, count, err);
    if (made)
        end_recording(&streams[0], device);
    if (!status)
        status = join(streams, count, out, err);
    out->device = shared.sample;
    close_streams(kind, streams, made);
    if (shared.origin)
        device->ops->event_free(device, shared.origin);
    if (status)
        pf_bench_clear(out);
    return status;
}
