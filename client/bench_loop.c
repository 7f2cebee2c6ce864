#include "client/bench_loop.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"

enum { IN_FLIGHT = 2, EVENTS = 4 };

enum event_kind { START, COMPUTE, COMPUTED, END };

typedef struct slot {
    pf_event *event[EVENTS];
    int64_t   enqueue_ns;
    bool      used;
} slot;

typedef struct memory { void *device, *host; size_t bytes; bool is_input; } memory;

typedef struct loop {
    const pf_plan          *plan;
    pf_device              *device;
    pf_context             *context;
    const pf_bench_options *options;
    pf_bench               *out;
    pf_stream              *stream;
    pf_event               *origin;
    slot                    slots[IN_FLIGHT];
    memory                 *io;         /* by the plan's index */
    uint32_t                io_count;
    double                  first_ms, last_ms;      /* of queries that count, since origin */
    double                  now_ms;                 /* start of the latest finished query's computation */
    bool                    records;                /* the profiler was begun */
} loop;

/* ---- Setting up */

static pf_status set_shapes(loop *l, const pf_tensor *inputs, pf_err *err)
{
    pf_status status = PF_OK;

    for (uint32_t i = 0, at = 0; i < l->io_count && !status; i++)
        if (pf_plan_io(l->plan, i)->is_input) {
            status = pf_context_set_shape(l->context, i, inputs[at].dim, inputs[at].rank, err);
            at++;
        }
    return status ? status : pf_context_ready(l->context, err);
}

static pf_status tensor_bytes(loop *l, uint32_t io, size_t *bytes, pf_err *err)
{
    pf_tensor tensor = {.dtype = pf_plan_io(l->plan, io)->dtype};
    pf_status status = pf_context_shape(l->context, io, tensor.dim, &tensor.rank, err);

    if (!status)
        status = pf_tensor_measure(&tensor, err);
    *bytes = tensor.bytes;
    return status;
}

/* Device memory for one input or output; host memory for what is copied back. */
static pf_status make_memory(loop *l, uint32_t io, const pf_tensor *input, pf_err *err)
{
    memory   *m = &l->io[io];
    pf_status status = tensor_bytes(l, io, &m->bytes, err);

    m->is_input = input != NULL;
    if (!status)
        status = pf_device_take(l->device, NULL, m->bytes ? m->bytes : 1, &m->device, err);
    if (!status && input) {
        m->host = input->data;
        status = l->device->ops->upload(l->device, l->stream, m->device, m->host, m->bytes, err);
    } else if (!status) {
        m->host = pf_alloc(m->bytes);
        status = m->host ? PF_OK : PF_FAIL_MEMORY(err, m->bytes);
    }
    return status ? status : pf_context_bind(l->context, io, m->device, err);
}

static pf_status make_events(loop *l, pf_err *err)
{
    pf_status status = l->device->ops->event_new(l->device, &l->origin, err);

    for (int s = 0; s < IN_FLIGHT; s++)
        for (int e = 0; e < EVENTS && !status; e++)
            status = l->device->ops->event_new(l->device, &l->slots[s].event[e], err);
    return status;
}

static pf_status set_up(loop *l, const pf_tensor *inputs, pf_err *err)
{
    pf_status status = l->device->ops->stream_new(l->device, &l->stream, err);

    if (!status)
        status = make_events(l, err);
    if (!status)
        status = set_shapes(l, inputs, err);
    for (uint32_t i = 0, at = 0; i < l->io_count && !status; i++) {
        bool is_input = pf_plan_io(l->plan, i)->is_input;

        status = make_memory(l, i, is_input ? &inputs[at] : NULL, err);
        at += is_input;
    }
    return status ? status : l->device->ops->stream_sync(l->device, l->stream, err);
}

static void tear_down(loop *l)
{
    if (l->stream)
        l->device->ops->stream_sync(l->device, l->stream, NULL);
    for (uint32_t i = 0; i < l->io_count && l->io; i++) {
        pf_device_give_back(l->device, NULL, l->io[i].device);
        if (!l->io[i].is_input)
            pf_free(l->io[i].host);
    }
    for (int s = 0; s < IN_FLIGHT; s++)
        for (int e = 0; e < EVENTS; e++)
            if (l->slots[s].event[e])
                l->device->ops->event_free(l->device, l->slots[s].event[e]);
    if (l->origin)
        l->device->ops->event_free(l->device, l->origin);
    if (l->stream)
        l->device->ops->stream_free(l->device, l->stream);
    pf_free(l->io);
}

/* ---- Queries */

static pf_status copy_all(loop *l, bool in, pf_err *err)
{
    pf_status status = PF_OK;

    for (uint32_t i = 0; i < l->io_count && !status && l->options->transfers; i++) {
        const memory *m = &l->io[i];

        if (m->is_input && in)
            status = l->device->ops->upload(l->device, l->stream, m->device, m->host, m->bytes, err);
        else if (!m->is_input && !in)
            status = l->device->ops->download(l->device, l->stream, m->host, m->device, m->bytes, err);
    }
    return status;
}

static pf_status record(loop *l, slot *s, enum event_kind kind, pf_err *err)
{
    return l->device->ops->event_record(l->device, s->event[kind], l->stream, err);
}

static pf_status start_query(loop *l, slot *s, pf_err *err)
{
    int64_t   before = 0;
    pf_status status = record(l, s, START, err);

    if (!status)
        status = copy_all(l, true, err);
    if (!status)
        status = record(l, s, COMPUTE, err);
    before = pf_clock_ns();
    if (!status)
        status = pf_context_enqueue(l->context, l->stream, err);
    s->enqueue_ns = pf_clock_ns() - before;
    if (!status)
        status = record(l, s, COMPUTED, err);
    if (!status)
        status = copy_all(l, false, err);
    s->used = true;
    return status ? status : record(l, s, END, err);
}

static pf_status between(loop *l, pf_event *start, pf_event *end, double *ms, pf_err *err)
{
    int64_t   ns = 0;
    pf_status status = l->device->ops->event_elapsed(l->device, start, end, &ns, err);

    *ms = (double)ns / 1e6;
    return status;
}

/* Without transfers the two outer parts hold nothing but the distance of two events, which is no copy. */
static pf_status read_query(loop *l, slot *s, pf_query *query, double *start_ms, double *end_ms, pf_err *err)
{
    pf_status status = between(l, s->event[COMPUTE], s->event[COMPUTED], &query->compute_ms, err);

    if (!status && l->options->transfers)
        status = between(l, s->event[START], s->event[COMPUTE], &query->h2d_ms, err);
    if (!status && l->options->transfers)
        status = between(l, s->event[COMPUTED], s->event[END], &query->d2h_ms, err);
    if (!status)
        status = between(l, l->origin, s->event[COMPUTE], &l->now_ms, err);
    if (!status)
        status = between(l, l->origin, s->event[START], start_ms, err);
    if (!status)
        status = between(l, l->origin, s->event[END], end_ms, err);
    query->enqueue_ms = (double)s->enqueue_ns / 1e6;
    query->latency_ms = query->h2d_ms + query->compute_ms + query->d2h_ms;
    return status;
}

static pf_status finish_query(loop *l, slot *s, pf_err *err)
{
    pf_query  query = {0};
    double    start_ms = 0, end_ms = 0;
    pf_bench *out = l->out;
    pf_status status = PF_OK;

    if (!s->used)
        return PF_OK;
    s->used = false;
    status = read_query(l, s, &query, &start_ms, &end_ms, err);
    if (status)
        return status;
    if (l->now_ms < l->options->warmup_ms) {
        out->warmup_count++;
        return PF_OK;
    }
    if (!out->count)
        l->first_ms = start_ms;
    l->last_ms = end_ms;
    return pf_bench_keep(out, &query, err);
}

static bool is_done(const loop *l)
{
    return l->out->count >= l->options->iterations && l->now_ms >= l->options->warmup_ms + l->options->duration_s * 1e3;
}

/* Once the warm-up is over. */
static pf_status begin_recording(loop *l, pf_err *err)
{
    if (!l->options->profiler || l->records || l->now_ms < l->options->warmup_ms)
        return PF_OK;
    if (!l->device->ops->profiler)
        return PF_FAIL(err, PF_UNSUPPORTED, "%s has no profiler that could be begun and ended", l->device->name);
    l->records = true;
    return l->device->ops->profiler(l->device, true, err);
}

static void end_recording(loop *l)
{
    if (!l->records)
        return;
    l->device->ops->stream_sync(l->device, l->stream, NULL);
    l->device->ops->profiler(l->device, false, NULL);
    l->records = false;
}

static pf_status run_queries(loop *l, pf_err *err)
{
    pf_status status = l->device->ops->event_record(l->device, l->origin, l->stream, err);
    uint64_t  next = 0;

    for (; !status && !is_done(l); next++) {
        slot *s = &l->slots[next % IN_FLIGHT];

        status = finish_query(l, s, err);
        if (!status)
            status = begin_recording(l, err);
        if (!status)
            status = start_query(l, s, err);
    }
    for (uint64_t i = 0; i < IN_FLIGHT && !status; i++)         /* the oldest first: the last one ends the time */
        status = finish_query(l, &l->slots[(next + i) % IN_FLIGHT], err);
    end_recording(l);
    l->out->walltime_s = (l->last_ms - l->first_ms) / 1e3;
    return status;
}

pf_status pf_bench_run(const pf_plan *plan, pf_device *device, pf_context *context, const pf_tensor *inputs,
                       const pf_bench_options *options, pf_bench *out, pf_err *err)
{
    loop      l = {.plan = plan, .device = device, .context = context, .options = options, .out = out,
                   .io_count = pf_plan_io_count(plan)};
    pf_status status = PF_OK;

    *out = (pf_bench){0};
    l.io = pf_calloc(l.io_count ? l.io_count : 1, sizeof *l.io);
    status = l.io ? set_up(&l, inputs, err) : PF_FAIL_MEMORY(err, l.io_count * sizeof *l.io);
    if (!status)
        status = run_queries(&l, err);
    tear_down(&l);
    if (status)
        pf_bench_clear(out);
    return status;
}

pf_status pf_bench_keep(pf_bench *bench, const pf_query *query, pf_err *err)
{
    if (pf_grow((void **)&bench->queries, &bench->capacity, bench->count + 1, sizeof *bench->queries))
        return PF_FAIL_MEMORY(err, sizeof *bench->queries);
    bench->queries[bench->count++] = *query;
    return PF_OK;
}

void pf_bench_clear(pf_bench *bench)
{
    pf_free(bench->queries);
    *bench = (pf_bench){0};
}
