/* Queries whose inputs and outputs lie on the device, timed by its events. */
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "client/bench_stream.h"
#include "client/inputs.h"

enum { IN_FLIGHT = 2, EVENTS = 4 };

enum event_kind { START, COMPUTE, COMPUTED, END };

typedef struct slot {
    pf_event *event[EVENTS];
    int64_t   enqueue_ns;
    bool      used;
} slot;

/* host: copied from or to, where copies are part of a query. */
typedef struct memory { void *device, *host; size_t bytes; bool is_input, is_pinned; } memory;

typedef struct loop {
    pf_device  *device;
    pf_context *context;
    bool        transfers;
    pf_stream  *stream;
    slot        slots[IN_FLIGHT];
    memory     *io;                     /* by the plan's index */
    uint32_t    io_count;
} loop;

/* ---- Setting up */

static pf_status tensor_bytes(loop *l, pf_dtype dtype, uint32_t io, size_t *bytes, pf_err *err)
{
    pf_tensor tensor = {.dtype = dtype};
    pf_status status = pf_context_shape(l->context, io, tensor.dim, &tensor.rank, err);

    if (!status)
        status = pf_tensor_measure(&tensor, err);
    *bytes = tensor.bytes;
    return status;
}

/* Pinned where the device has such memory, as who measures copies would: from other memory they take longer, and keep
   the host waiting. */
static pf_status make_host_memory(loop *l, memory *m, pf_err *err)
{
    const pf_device_ops *ops = l->device->ops;

    m->is_pinned = ops->host_alloc && !ops->host_alloc(l->device, m->bytes, &m->host, NULL);
    if (!m->is_pinned)
        m->host = pf_alloc(m->bytes ? m->bytes : 1);
    return m->host ? PF_OK : PF_FAIL_MEMORY(err, m->bytes);
}

static void free_host_memory(loop *l, memory *m)
{
    if (m->is_pinned)
        l->device->ops->host_free(l->device, m->host);
    else
        pf_free(m->host);
}

/* input: NULL for an output. */
static pf_status make_memory(loop *l, pf_dtype dtype, uint32_t io, const pf_tensor *input, pf_err *err)
{
    memory   *m = &l->io[io];
    pf_status status = tensor_bytes(l, dtype, io, &m->bytes, err);

    m->is_input = input != NULL;
    if (!status)
        status = pf_device_take(l->device, NULL, m->bytes ? m->bytes : 1, &m->device, err);
    if (!status && l->transfers)
        status = make_host_memory(l, m, err);
    if (!status && input && l->transfers)
        memcpy(m->host, input->data, m->bytes);
    if (!status && input)
        status = l->device->ops->upload(l->device, l->stream, m->device, input->data, m->bytes, err);
    return status ? status : pf_context_bind(l->context, io, m->device, err);
}

static pf_status make_events(loop *l, pf_err *err)
{
    pf_status status = PF_OK;

    for (int s = 0; s < IN_FLIGHT; s++)
        for (int e = 0; e < EVENTS && !status; e++)
            status = l->device->ops->event_new(l->device, &l->slots[s].event[e], err);
    return status;
}

static pf_status make_all(loop *l, const pf_bench_shared *shared, pf_err *err)
{
    pf_status status = l->device->ops->stream_new(l->device, &l->stream, err);

    if (!status)
        status = make_events(l, err);
    if (!status)
        status = pf_inputs_set_shapes(shared->plan, shared->inputs, l->context, err);
    if (!status)
        status = pf_context_ready(l->context, err);
    for (uint32_t i = 0, at = 0; i < l->io_count && !status; i++) {
        const pf_io *port = pf_plan_io(shared->plan, i);

        status = make_memory(l, port->dtype, i, port->is_input ? &shared->inputs[at] : NULL, err);
        at += port->is_input;
    }
    if (!status)
        status = l->device->ops->stream_sync(l->device, l->stream, err);
    return status ? status : pf_context_ready(l->context, err);         /* captures, now that all is bound */
}

static pf_status set_up(pf_bench_stream *s, pf_err *err)
{
    loop *l = s->impl = pf_calloc(1, sizeof *l);

    if (!l)
        return PF_FAIL_MEMORY(err, sizeof *l);
    l->device = s->shared->device;
    l->context = s->context;
    l->transfers = s->shared->options->transfers;
    l->io_count = pf_plan_io_count(s->shared->plan);
    l->io = pf_calloc(l->io_count + 1, sizeof *l->io);
    return l->io ? make_all(l, s->shared, err) : PF_FAIL_MEMORY(err, l->io_count * sizeof *l->io);
}

static void tear_down(pf_bench_stream *s)
{
    loop *l = s->impl;

    if (!l)
        return;
    if (l->stream)
        l->device->ops->stream_sync(l->device, l->stream, NULL);
    for (uint32_t i = 0; i < l->io_count && l->io; i++) {
        pf_device_give_back(l->device, NULL, l->io[i].device);
        free_host_memory(l, &l->io[i]);
    }
    for (int q = 0; q < IN_FLIGHT; q++)
        for (int e = 0; e < EVENTS; e++)
            if (l->slots[q].event[e])
                l->device->ops->event_free(l->device, l->slots[q].event[e]);
    if (l->stream)
        l->device->ops->stream_free(l->device, l->stream);
    pf_free(l->io);
    pf_free(l);
}

/* ---- Queries */

static pf_status copy_all(loop *l, bool in, pf_err *err)
{
    pf_status status = PF_OK;

    for (uint32_t i = 0; i < l->io_count && !status && l->transfers; i++) {
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
static pf_status read_parts(loop *l, const slot *s, pf_query *query, pf_err *err)
{
    pf_status status = between(l, s->event[COMPUTE], s->event[COMPUTED], &query->compute_ms, err);

    if (!status && l->transfers)
        status = between(l, s->event[START], s->event[COMPUTE], &query->h2d_ms, err);
    if (!status && l->transfers)
        status = between(l, s->event[COMPUTED], s->event[END], &query->d2h_ms, err);
    query->enqueue_ms = (double)s->enqueue_ns / 1e6;
    query->latency_ms = query->h2d_ms + query->compute_ms + query->d2h_ms;
    return status;
}

static pf_status finish_query(pf_bench_stream *stream, slot *s, pf_err *err)
{
    loop     *l = stream->impl;
    pf_event *origin = stream->shared->origin;
    pf_query  query = {0};
    double    start_ms = 0, end_ms = 0;
    pf_status status = PF_OK;

    if (!s->used)
        return PF_OK;
    s->used = false;
    status = read_parts(l, s, &query, err);
    if (!status)
        status = between(l, origin, s->event[COMPUTE], &stream->now_ms, err);
    if (!status)
        status = between(l, origin, s->event[START], &start_ms, err);
    if (!status)
        status = between(l, origin, s->event[END], &end_ms, err);
    return status ? status : pf_bench_keep(stream, &query, start_ms, end_ms, err);
}

/* Once the warm-up is over. */
static pf_status begin_recording(pf_bench_stream *s, pf_err *err)
{
    pf_device *device = s->shared->device;

    if (!s->shared->options->profiler || !s->is_first || s->records || s->now_ms < s->shared->options->warmup_ms)
        return PF_OK;
    if (!device->ops->profiler)
        return PF_FAIL(err, PF_UNSUPPORTED, "%s has no profiler that could be begun and ended", device->name);
    s->records = true;
    return device->ops->profiler(device, true, err);
}

static pf_status run(pf_bench_stream *stream, pf_err *err)
{
    loop     *l = stream->impl;
    uint64_t  next = 0;
    pf_status status = PF_OK;

    for (; !status && !pf_bench_is_done(stream); next++) {
        slot *s = &l->slots[next % IN_FLIGHT];

        status = finish_query(stream, s, err);
        if (!status)
            status = begin_recording(stream, err);
        if (!status)
            status = start_query(l, s, err);
    }
    pf_bench_look(stream);
    for (uint64_t i = 0; i < IN_FLIGHT && !status; i++)         /* the oldest first: the last one ends the time */
        status = finish_query(stream, &l->slots[(next + i) % IN_FLIGHT], err);
    return status;
}

const pf_bench_kind pf_bench_on_device = {.set_up = set_up, .run = run, .tear_down = tear_down};
