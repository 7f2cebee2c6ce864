/* Contexts: shapes and pointers in, one run at a time out. */
#include "engine/runtime.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "engine/device_capture.h"
#include "engine/op.h"

/* ---- Life */

static bool allocate_tables(pf_context *c)
{
    const pf_plan *plan = c->plan;
    size_t         slots = 0;

    for (uint32_t s = 0; s < plan->step_count; s++)
        slots += plan->steps[s].problem->graph->input_count + plan->steps[s].problem->graph->output_count;
    c->dim = pf_calloc(plan->io_count + 1, sizeof *c->dim);
    c->has_shape = pf_calloc(plan->io_count + 1, sizeof *c->has_shape);
    c->bindings = pf_calloc(plan->symbol_count + 1, sizeof *c->bindings);
    c->bound = pf_calloc(plan->io_count + 1, sizeof(void *));
    c->value_pointer = pf_calloc(plan->value_count + 1, sizeof(void *));
    c->slots = pf_calloc(slots + 1, sizeof(void *));
    c->step_bindings = pf_calloc(plan->step_count + 1, sizeof *c->step_bindings);
    c->staging = pf_calloc(plan->io_count + 1, sizeof(void *));
    c->staging_bytes = pf_calloc(plan->io_count + 1, sizeof *c->staging_bytes);
    c->host_inputs = pf_calloc(plan->io_count + 1, sizeof(pf_tensor *));
    c->tail_outputs = pf_calloc(plan->tail.out_count + 1, sizeof *c->tail_outputs);
    for (int i = 0; i < PF_CAPTURES_KEPT; i++) {
        c->captures[i].bound = pf_calloc(plan->io_count + 1, sizeof(void *));
        if (!c->captures[i].bound)
            return false;
    }
    return c->dim && c->has_shape && c->bindings && c->bound && c->value_pointer && c->slots && c->step_bindings &&
           c->staging && c->staging_bytes && c->host_inputs && c->tail_outputs;
}

/* Any program can be looked at without a change to it. */
static pf_ranges ranges_of_environment(void)
{
    const char *given = getenv("PLANFARM_RANGES");

    if (!given)
        return PF_RANGES_OFF;
    return !strcmp(given, "layers") ? PF_RANGES_LAYERS : !strcmp(given, "runs") ? PF_RANGES_RUNS : PF_RANGES_OFF;
}

pf_status pf_context_new(pf_plan *plan, pf_device *device, const pf_allocator *allocator, pf_context **out, pf_err *err)
{
    pf_context *c = pf_calloc(1, sizeof *c);
    pf_status   st = PF_OK;

    *out = NULL;
    if (!c)
        return PF_FAIL_MEMORY(err, sizeof *c);
    c->plan = plan;
    c->device = device;
    c->capture = -1;
    c->failed_step = PF_NONE;
    c->ranges = ranges_of_environment();
    c->shapes_changed = c->pointers_changed = true;
    if (!allocate_tables(c))
        st = PF_FAIL_MEMORY(err, plan->value_count * sizeof(void *));
    if (!st)
        st = pf_plan_fits(plan, device, err);
    if (!st)
        st = pf_resident_take(plan, device, allocator, &c->resident, err);
    if (!st)
        st = device->ops->stream_new(device, &c->stream, err);
    if (st) {
        pf_context_free(c);
        return st;
    }
    *out = c;
    return PF_OK;
}

static void drop_capture(pf_context *c, pf_capture *capture)
{
    if (!capture->graph)
        return;
    c->device->ops->graph_free(c->device, capture->graph);
    pf_instance_drop(c->resident, capture->instance);
    capture->graph = NULL;
    capture->instance = NULL;
}

static void drop_arena(pf_context *c)
{
    for (int i = 0; i < PF_CAPTURES_KEPT; i++)      /* they hold pointers into it */
        drop_capture(c, &c->captures[i]);
    if (!c->arena_borrowed)
        pf_resident_free(c->resident, c->arena);
    c->arena = NULL;
    c->arena_bytes = 0;
    c->arena_borrowed = false;
    c->capture = -1;
}

void pf_context_free(pf_context *c)
{
    if (!c)
        return;
    if (c->stream)
        c->device->ops->stream_sync(c->device, c->stream, NULL);
    for (int i = 0; i < PF_CAPTURES_KEPT; i++) {
        drop_capture(c, &c->captures[i]);
        pf_free(c->captures[i].bound);
    }
    pf_context_clear_tail(c);
    for (uint32_t i = 0; c->staging && i < c->plan->io_count; i++)
        pf_resident_free(c->resident, c->staging[i]);
    if (c->resident) {
        drop_arena(c);
        pf_instance_drop(c->resident, c->instance);
    }
    pf_resident_drop(c->resident);
    if (c->stream)
        c->device->ops->stream_free(c->device, c->stream);
    pf_free(c->dim);
    pf_free(c->has_shape);
    pf_free(c->bindings);
    pf_free(c->bound);
    pf_free(c->value_pointer);
    pf_free(c->slots);
    pf_free(c->step_bindings);
    pf_free(c->staging);
    pf_free(c->staging_bytes);
    pf_free(c->host_inputs);
    pf_free(c->tail_outputs);
    pf_free(c);
}

/* ---- Shapes */

static pf_status no_such_io(const pf_context *c, uint32_t io, pf_err *err)
{
    return PF_FAIL(err, PF_INVALID, "there is no input or output %u: the plan has %u", io, c->plan->io_count);
}

pf_status pf_context_set_shape(pf_context *c, uint32_t io, const int64_t *dim, int32_t rank, pf_err *err)
{
    const pf_io *port = pf_plan_io(c->plan, io);

    if (!port)
        return no_such_io(c, io, err);
    if (!port->is_input)
        return PF_FAIL(err, PF_INVALID, "\"%s\" is an output: its shape follows from the inputs", port->name);
    if (port->rank < 0)
        return PF_FAIL(err, PF_INVALID, "input \"%s\" has the shape of the tensor that is given for it", port->name);
    if (rank != port->rank)
        return PF_FAIL(err, PF_INVALID, "input \"%s\" has %d dims, not %d", port->name, port->rank, rank);
    for (int32_t d = 0; d < rank; d++)
        if (dim[d] < port->min[d] || dim[d] > port->max[d])
            return PF_FAIL(err, PF_INVALID, "dim %d of input \"%s\" is %lld, and the plan serves %lld to %lld: "
                           "build it with other min_shapes and max_shapes",
                           d, port->name, (long long)dim[d], (long long)port->min[d], (long long)port->max[d]);
    if (!c->has_shape[io] || memcmp(c->dim[io], dim, (size_t)rank * sizeof *dim))
        c->shapes_changed = true;
    memcpy(c->dim[io], dim, (size_t)rank * sizeof *dim);
    c->has_shape[io] = true;
    return PF_OK;
}

static pf_status bind_symbol(pf_context *c, const pf_io *port, uint32_t symbol, int64_t number, pf_err *err)
{
    if (c->bindings[symbol] != PF_UNBOUND && c->bindings[symbol] != number)
        return PF_FAIL(err, PF_INVALID, "the dim \"%s\" is %lld in input \"%s\" and %lld in another one",
                       c->plan->symbols[symbol].name, (long long)number, port->name, (long long)c->bindings[symbol]);
    c->bindings[symbol] = number;
    return PF_OK;
}

static pf_status bind_symbols(pf_context *c, uint32_t io, pf_err *err)
{
    const pf_io    *port = &c->plan->io[io];
    const pf_shape *shape = &c->plan->values[c->plan->io_value[io]].shape;
    pf_status       st = PF_OK;

    for (int32_t d = 0; d < shape->rank && !st; d++) {
        if (pf_dim_is_number(shape->dim[d]))
            continue;
        if (!c->has_shape[io] && c->plan->values[c->plan->io_value[io]].home == PF_HOME_TAIL)
            return PF_OK;               /* no step asks for it */
        if (!c->has_shape[io])
            return PF_FAIL(err, PF_INVALID, "input \"%s\" has dims that may vary: set its shape first", port->name);
        for (uint32_t s = 0; s < c->plan->symbol_count && !st; s++)
            if (pf_dims_symbol(c->plan->dims, c->plan->symbols[s].name) == shape->dim[d])
                st = bind_symbol(c, port, s, c->dim[io][d], err);
    }
    return st;
}

/* Dims that are expressions are checked once their symbols are known. */
static pf_status check_input(pf_context *c, uint32_t io, pf_err *err)
{
    int64_t   dim[PF_MAX_RANK] = { 0 };
    pf_status st = PF_OK;

    if (!c->has_shape[io])
        return PF_OK;
    st = pf_context_value_dims(c, c->plan->io_value[io], dim, err);
    if (!st && memcmp(dim, c->dim[io], (size_t)c->plan->io[io].rank * sizeof *dim))
        st = PF_FAIL(err, PF_INVALID, "the shape of input \"%s\" does not go with those of the others",
                     c->plan->io[io].name);
    return st;
}

static pf_status resolve_symbols(pf_context *c, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t s = 0; s < c->plan->symbol_count; s++)
        c->bindings[s] = c->plan->symbols[s].least == c->plan->symbols[s].most ? c->plan->symbols[s].least : PF_UNBOUND;
    for (uint32_t i = 0; i < c->plan->io_count && !st; i++)
        if (c->plan->io[i].is_input)
            st = bind_symbols(c, i, err);
    for (uint32_t i = 0; i < c->plan->io_count && !st; i++)
        if (c->plan->io[i].is_input)
            st = check_input(c, i, err);
    return st;
}

pf_status pf_context_value_dims(const pf_context *c, uint32_t value, int64_t *dim, pf_err *err)
{
    const pf_shape *shape = &c->plan->values[value].shape;
    pf_status       st = PF_OK;

    for (int32_t d = 0; d < shape->rank && !st; d++)
        st = pf_dim_eval(c->plan->dims, shape->dim[d], c->bindings, &dim[d], err);
    return st;
}

pf_status pf_context_shape(const pf_context *c, uint32_t io, int64_t *dim, int32_t *rank, pf_err *err)
{
    *rank = 0;
    if (io >= c->plan->io_count)
        return no_such_io(c, io, err);
    if (c->shapes_changed) {
        /* bindings are no more than a memory of the shapes set */
        pf_status st = resolve_symbols((pf_context *)(uintptr_t)c, err);

        if (st)
            return st;
    }
    for (uint32_t i = 0; i < c->plan->tail.out_count; i++)
        if (c->plan->tail.out[i] == io && c->tail_outputs[i].data) {        /* as the last run had it */
            *rank = c->tail_outputs[i].rank;
            memcpy(dim, c->tail_outputs[i].dim, (size_t)*rank * sizeof *dim);
            return PF_OK;
        }
    if (c->plan->io[io].rank < 0)
        return PF_FAIL(err, PF_INVALID, "the shape of \"%s\" is known only after a run", c->plan->io[io].name);
    *rank = c->plan->io[io].rank;
    return pf_context_value_dims(c, c->plan->io_value[io], dim, err);
}

/* ---- Readiness */

/* Runs that the caller enqueued before may still work with what is about to be freed or written. */
static pf_status wait_for_caller(pf_context *c, pf_err *err)
{
    return c->calling ? c->device->ops->stream_sync(c->device, c->calling, err) : PF_OK;
}

/* An arena that is large enough, or the caller's as it is. */
static pf_status fit_arena(pf_context *c, size_t bytes, pf_err *err)
{
    pf_status st = PF_OK;

    if (bytes <= c->arena_bytes)
        return PF_OK;
    if (c->arena_borrowed)
        return PF_FAIL(err, PF_NO_SPACE,
                       "these shapes need %zu bytes of memory between the layers, and %zu were provided", bytes,
                       c->arena_bytes);
    st = wait_for_caller(c, err);
    if (st)
        return st;
    drop_arena(c);
    st = pf_resident_alloc(c->resident, bytes, &c->arena, err);
    if (!st)
        c->arena_bytes = bytes;
    return st;
}

static pf_status take_instance(pf_context *c, pf_err *err)
{
    pf_instance *instance = NULL;
    pf_status    st = resolve_symbols(c, err);

    if (!st)
        st = pf_instance_take(c->resident, c, c->bindings, &instance, err);
    if (!st)
        st = fit_arena(c, instance->memory.bytes, err);
    if (st) {
        pf_instance_drop(c->resident, instance);
        return st;
    }
    pf_instance_drop(c->resident, c->instance);
    c->instance = instance;
    c->capture = -1;                    /* even where no pointer changes */
    c->uncaptured = false;
    c->shapes_changed = false;
    c->pointers_changed = true;
    return PF_OK;
}

pf_status pf_context_memory_bytes(pf_context *c, size_t *bytes, pf_err *err)
{
    pf_instance *instance = NULL;
    pf_status    st = resolve_symbols(c, err);

    *bytes = 0;
    if (!st)
        st = pf_instance_take(c->resident, c, c->bindings, &instance, err);
    if (!st)
        *bytes = instance->memory.bytes;
    pf_instance_drop(c->resident, instance);
    return st;
}

pf_status pf_context_use_memory(pf_context *c, void *memory, size_t bytes, pf_err *err)
{
    if ((uintptr_t)memory % PF_DEVICE_ALIGNMENT)
        return PF_FAIL(err, PF_INVALID, "memory for a context must be aligned to %d bytes", PF_DEVICE_ALIGNMENT);
    drop_arena(c);
    c->arena = memory;
    c->arena_bytes = memory ? bytes : 0;
    c->arena_borrowed = memory != NULL;
    c->shapes_changed = true;           /* so that the next run looks at how much there is */
    return PF_OK;
}

uint64_t pf_context_device_bytes(const pf_context *c)
{
    return c->instance ? pf_resident_bytes(c->resident, c->instance) + (c->arena_borrowed ? 0 : c->arena_bytes) : 0;
}

static void *pointer_of(const pf_context *c, uint32_t v)
{
    const pf_plan_value *value = &c->plan->values[v];
    uint32_t             root = value->view_of == PF_NONE ? v : value->view_of;
    char                *base = NULL;

    switch (value->home) {
    case PF_HOME_IO:     base = c->bound[value->index]; break;
    case PF_HOME_TAIL:   break;
    case PF_HOME_WEIGHT: base = value->index == PF_NONE ? NULL : c->resident->blobs[value->index]; break;
    default:             base = c->arena ? (char *)c->arena + c->instance->value_offset[root] : NULL;
    }
    return base ? base + value->view_offset : NULL;
}

static void fill_step(pf_context *c, uint32_t s, void **slots)
{
    const pf_plan_step *step = &c->plan->steps[s];
    const pf_graph     *graph = step->problem->graph;
    const pf_step      *prepared = c->instance->steps[s];
    pf_bindings        *b = &c->step_bindings[s];

    for (uint32_t i = 0; i < graph->input_count; i++)
        slots[i] = step->problem->in_constant[i] && prepared->packed_bytes ? NULL : c->value_pointer[step->in[i]];
    for (uint32_t i = 0; i < graph->output_count; i++)
        slots[graph->input_count + i] = c->value_pointer[step->out[i]];
    b->in = slots;
    b->out = slots + graph->input_count;
    b->packed = c->instance->packed[s];
    b->workspace = prepared->workspace_bytes ? (char *)c->arena + c->instance->workspace_offset[s] : NULL;
}

static void fill_pointers(pf_context *c)
{
    void **slots = c->slots;

    for (uint32_t v = 0; v < c->plan->value_count; v++)
        c->value_pointer[v] = pointer_of(c, v);
    for (uint32_t s = 0; s < c->plan->step_count; s++) {
        fill_step(c, s, slots);
        slots += c->plan->steps[s].problem->graph->input_count + c->plan->steps[s].problem->graph->output_count;
    }
    c->pointers_changed = false;
}

static pf_status check_bound(const pf_context *c, pf_err *err)
{
    for (uint32_t i = 0; i < c->plan->io_count; i++)
        if (!c->bound[i] && c->instance->value_bytes[c->plan->io_value[i]])
            return PF_FAIL(err, PF_INVALID, "%s \"%s\" is not bound to memory",
                           c->plan->io[i].is_input ? "input" : "output", c->plan->io[i].name);
    return PF_OK;
}

pf_status pf_context_prepare(pf_context *c, pf_err *err)
{
    pf_status st = c->shapes_changed ? take_instance(c, err) : PF_OK;

    if (!st && c->pointers_changed)
        fill_pointers(c);
    return st;
}

/* ---- Captures */

static int find_capture(const pf_context *c)
{
    for (int i = 0; i < PF_CAPTURES_KEPT; i++) {
        const pf_capture *capture = &c->captures[i];

        if (capture->graph && capture->instance == c->instance && capture->arena == c->arena &&
            !memcmp(capture->bound, c->bound, c->plan->io_count * sizeof(void *)))
            return i;
    }
    return -1;
}

static pf_status enqueue_steps(pf_context *c, pf_stream *stream, pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t s = 0; s < c->plan->step_count && !st; s++)
        st = pf_context_enqueue_step(c, s, stream, err);
    return st;
}

static pf_status enqueue_run(void *context, pf_err *err)
{
    pf_context *c = context;

    return enqueue_steps(c, c->stream, err);
}

static pf_status capture(pf_context *c, pf_err *err)
{
    pf_capture      *place = &c->captures[0];
    pf_device_graph *graph = NULL;
    pf_err           why = { 0 };
    pf_status        st = wait_for_caller(c, err);

    if (!st)
        st = enqueue_run(c, err);       /* loads the code of every kernel */
    if (!st)
        st = c->device->ops->stream_sync(c->device, c->stream, err);
    if (st)
        return st;
    if (pf_device_capture(c->device, c->stream, enqueue_run, c, &graph, &why)) {
        pf_log(PF_LOG_WARN, "runtime", "launched_layer_by_layer network=\"%s\" reason=\"%s\"", c->plan->network_name,
               why.msg);
        c->uncaptured = true;
        return PF_OK;
    }
    for (int i = 1; i < PF_CAPTURES_KEPT; i++)
        if (place->graph && (!c->captures[i].graph || c->captures[i].used_at < place->used_at))
            place = &c->captures[i];
    drop_capture(c, place);
    pf_instance_hold(c->instance);
    place->graph = graph;
    place->instance = c->instance;
    place->arena = c->arena;
    place->used_at = ++c->clock;        /* it may be made ready long before it runs */
    memcpy(place->bound, c->bound, c->plan->io_count * sizeof(void *));
    c->capture = (int)(place - c->captures);
    return PF_OK;
}

static bool captures(const pf_context *c)
{
    return c->device->ops->capture_begin && c->instance->capturable && !c->uncaptured && c->plan->step_count &&
           c->ranges < PF_RANGES_LAYERS;
}

static bool is_ready(const pf_context *c)
{
    return !c->shapes_changed && !c->pointers_changed;
}

pf_status pf_context_ready(pf_context *c, pf_err *err)
{
    pf_status st = PF_OK;

    if (is_ready(c) && (!captures(c) || c->capture >= 0))
        return PF_OK;
    st = pf_context_prepare(c, err);
    if (st || !captures(c) || check_bound(c, NULL))
        return st;
    c->capture = find_capture(c);
    return c->capture >= 0 ? PF_OK : capture(c, err);
}

/* ---- Runs */

pf_status pf_context_bind(pf_context *c, uint32_t io, void *pointer, pf_err *err)
{
    if (io >= c->plan->io_count)
        return no_such_io(c, io, err);
    if ((uintptr_t)pointer % PF_IO_ALIGNMENT)
        return PF_FAIL(err, PF_INVALID, "memory for \"%s\" must be aligned to %d bytes", c->plan->io[io].name,
                       PF_IO_ALIGNMENT);
    if (c->bound[io] != pointer) {
        c->bound[io] = pointer;
        c->pointers_changed = true;
        c->capture = -1;
    }
    return PF_OK;
}

static void begin_range(pf_context *c, pf_ranges level, const char *name)
{
    if (c->ranges >= level && c->device->ops->range_begin)
        c->device->ops->range_begin(c->device, name);
}

static void end_range(pf_context *c, pf_ranges level)
{
    if (c->ranges >= level && c->device->ops->range_end)
        c->device->ops->range_end(c->device);
}

pf_status pf_context_mark_ranges(pf_context *c, pf_ranges ranges, pf_err *err)
{
    if ((int)ranges < PF_RANGES_OFF || ranges > PF_RANGES_LAYERS)
        return PF_FAIL(err, PF_INVALID, "there is no level %d of ranges", (int)ranges);
    c->ranges = ranges;
    c->pointers_changed = true;         /* so that the next run asks again whether it is captured */
    c->capture = -1;
    return PF_OK;
}

pf_status pf_context_enqueue_step(pf_context *c, uint32_t s, pf_stream *stream, pf_err *err)
{
    const pf_step *prepared = c->instance->steps[s];
    pf_status      st = PF_OK;

    begin_range(c, PF_RANGES_LAYERS, c->plan->steps[s].name);
    pf_step_tries_tell(&c->resident->tries, s, c->instance->ranked[s], c->instance->guessed[s]);
    st = prepared->tactic->enqueue(prepared, &c->step_bindings[s], stream, err);
    pf_step_tries_tell(&c->resident->tries, PF_NONE, 0, false);
    end_range(c, PF_RANGES_LAYERS);
    if (!st)
        return PF_OK;
    c->failed_step = s;
    pf_err_at(err, c->plan->steps[s].name);
    return pf_err_add(err, st, "layer \"%s\" with %s", c->plan->steps[s].name, prepared->tactic->name);
}

static pf_status enqueue(pf_context *c, pf_stream *stream, pf_err *err)
{
    pf_status st = pf_context_ready(c, err);

    if (!st)
        st = check_bound(c, err);
    if (st)
        return st;
    if (c->capture < 0) {
        st = enqueue_steps(c, stream, err);
    } else {
        c->captures[c->capture].used_at = ++c->clock;
        st = c->device->ops->graph_launch(c->device, c->captures[c->capture].graph, stream, err);
    }
    return st || !c->plan->tail.graph ? st : pf_context_run_tail(c, stream, err);
}

pf_status pf_context_enqueue(pf_context *c, pf_stream *stream, pf_err *err)
{
    int64_t   start = c->device->ops->ran ? pf_clock_ns() : 0;
    pf_status st = PF_OK;

    begin_range(c, PF_RANGES_RUNS, c->plan->network_name);
    c->calling = stream;
    st = enqueue(c, stream, err);
    c->calling = NULL;
    end_range(c, PF_RANGES_RUNS);
    if (c->device->ops->ran)
        c->device->ops->ran(c->device, pf_clock_ns() - start);
    return st;
}

pf_status pf_context_run(pf_context *c, pf_err *err)
{
    pf_status st = pf_context_enqueue(c, c->stream, err);

    return st ? st : c->device->ops->stream_sync(c->device, c->stream, err);
}
