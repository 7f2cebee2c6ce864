/* A device module for test_refine_places: products of small matrices whose packed constants are large, on a device that
   captures.  The constants stand at both ends of what is packed, so that a run sees when something was put over it. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/device_module.h"
#include "engine/op.h"
#include "engine/planfarm.h"
#include "tests/unit/engine/capturing.h"

/* More than places of the arena are apart. */
enum { PACKED_BYTES = 3 << 20, ALONE_NS = 40000, OTHERS_NS = 200000 /* of tactics that do not tell the clock */,
       INNER_MOST = 32 };

typedef struct product { int64_t rows, inner, columns; int tuning; } product;

/* A step of a graph, or an event in it. */
typedef struct item { const pf_step *step; pf_bindings b; void *in[2], *out[1]; pf_event *event; } item;

struct pf_device_graph { item *items; uint32_t count, capacity; bool is_network; };
struct pf_event { int64_t at_ns; };

static capturing        state;
static pf_device_graph *recorded;       /* what is being captured; NULL: nothing */

/* ---- Runs */

/* y may be x where a product is square. */
static void multiply(const product *p, const float *x, const float *w, float *y)
{
    float row[INNER_MOST] = { 0 };

    for (int64_t r = 0; r < p->rows; r++) {
        memcpy(row, x + r * p->inner, (size_t)p->inner * sizeof *row);
        for (int64_t c = 0; c < p->columns; c++) {
            double sum = 0;

            for (int64_t k = 0; k < p->inner; k++)
                sum += (double)row[k] * w[k * p->columns + c];
            y[r * p->columns + c] = (float)sum;
        }
    }
}

/* The second tuning is slower alone, and faster in a network. */
static int64_t ns_of(const product *p, bool in_network)
{
    return p->tuning == 1 ? ALONE_NS : in_network ? ALONE_NS * 3 / 4 : ALONE_NS + 1000;
}

static void run(const pf_step *step, const pf_bindings *b, bool in_network)
{
    const product *p = step->impl;
    const char    *packed = b->packed;
    size_t         bytes = (size_t)(p->inner * p->columns) * sizeof(float);

    state.in_block += packed >= state.block && packed < state.block + state.block_bytes;
    state.spoiled += memcmp(packed, packed + PACKED_BYTES - bytes, bytes) != 0;
    multiply(p, b->in[0], b->packed, b->out[0]);
    state.now_ns += ns_of(p, in_network);
}

static item *add_item(void)
{
    if (pf_grow((void **)&recorded->items, &recorded->capacity, recorded->count + 1, sizeof *recorded->items))
        return NULL;
    recorded->items[recorded->count] = (item){ .step = NULL };
    return &recorded->items[recorded->count++];
}

static pf_status enqueue(const pf_step *step, const pf_bindings *b, pf_stream *stream, pf_err *err)
{
    item *added = NULL;

    (void)stream;
    if (!recorded) {
        run(step, b, false);
        return PF_OK;
    }
    recorded->is_network |= recorded->count && recorded->items[recorded->count - 1].step != step;
    added = add_item();
    if (!added)
        return PF_FAIL_MEMORY(err, sizeof *added);
    *added = (item){ .step = step, .b = *b, .in = { b->in[0] }, .out = { b->out[0] } };
    return PF_OK;
}

/* ---- The device */

static pf_status take(pf_device *device, size_t bytes, void **out, pf_err *err)
{
    bool is_large = state.networks && bytes >= PACKED_BYTES;

    (void)device;
    state.large += is_large;
    *out = is_large && state.large == state.without ? NULL : pf_alloc_aligned(PF_DEVICE_ALIGNMENT, bytes);
    if (!*out)
        return PF_FAIL_MEMORY(err, bytes);
    state.taken++;
    if (bytes > state.block_bytes) {
        state.block = *out;
        state.block_bytes = bytes;
    }
    return PF_OK;
}

static void give_back(pf_device *device, void *memory)
{
    (void)device;
    state.taken--;
    pf_free(memory);
}

static pf_status event_new(pf_device *device, pf_event **out, pf_err *err)
{
    (void)device;
    *out = pf_calloc(1, sizeof **out);
    return *out ? PF_OK : PF_FAIL_MEMORY(err, sizeof **out);
}

static void event_free(pf_device *device, pf_event *event)
{
    (void)device;
    pf_free(event);
}

static pf_status event_record(pf_device *device, pf_event *event, pf_stream *stream, pf_err *err)
{
    (void)device, (void)stream, (void)err;
    event->at_ns = state.now_ns;
    return PF_OK;
}

static pf_status event_elapsed(pf_device *device, pf_event *start, pf_event *end, int64_t *ns, pf_err *err)
{
    (void)device, (void)err;
    *ns = end->at_ns - start->at_ns;
    *ns = *ns ? *ns : OTHERS_NS;
    return PF_OK;
}

static pf_status event_capture(pf_device *device, pf_event *event, pf_stream *stream, pf_err *err)
{
    item *added = add_item();

    (void)device, (void)stream;
    if (!added)
        return PF_FAIL_MEMORY(err, sizeof *added);
    added->event = event;
    return PF_OK;
}

static void graph_free(pf_device *device, pf_device_graph *graph)
{
    (void)device;
    pf_free(graph->items);
    pf_free(graph);
}

static pf_status capture_begin(pf_device *device, pf_stream *stream, pf_err *err)
{
    (void)device, (void)stream;
    recorded = pf_calloc(1, sizeof *recorded);
    return recorded ? PF_OK : PF_FAIL_MEMORY(err, sizeof *recorded);
}

static pf_status capture_end(pf_device *device, pf_stream *stream, pf_device_graph **out, pf_err *err)
{
    pf_device_graph *graph = recorded;

    (void)stream;
    recorded = NULL;
    state.networks += graph->is_network;
    if (graph->is_network && state.networks == state.fails_at) {
        graph_free(device, graph);
        return PF_FAIL(err, PF_DEVICE, "this graph cannot be made");
    }
    *out = graph;
    return PF_OK;
}

static pf_status graph_launch(pf_device *device, pf_device_graph *graph, pf_stream *stream, pf_err *err)
{
    (void)device, (void)stream, (void)err;
    for (uint32_t i = 0; i < graph->count; i++) {
        item *one = &graph->items[i];

        one->b.in = one->in;
        one->b.out = one->out;
        if (one->event)
            one->event->at_ns = state.now_ns;
        else
            run(one->step, &one->b, graph->is_network);
    }
    return PF_OK;
}

static pf_status open_device(int ordinal, const pf_device_options *options, pf_device **out, pf_err *err)
{
    pf_status st = pf_device_open("cpu", options, out, err);

    if (st)
        return st;
    state = (capturing){ .ops = *(*out)->ops, .fails_at = ordinal < CAPTURING_BLOCKS ? ordinal : 0,
                         .without = ordinal < CAPTURING_BLOCKS ? 0 : ordinal - CAPTURING_BLOCKS };
    state.ops.alloc = take;
    state.ops.free = give_back;
    state.ops.event_new = event_new;
    state.ops.event_free = event_free;
    state.ops.event_record = event_record;
    state.ops.event_elapsed = event_elapsed;
    state.ops.event_capture = event_capture;
    state.ops.capture_begin = capture_begin;
    state.ops.capture_end = capture_end;
    state.ops.graph_launch = graph_launch;
    state.ops.graph_free = graph_free;
    (*out)->ops = &state.ops;
    (*out)->memory_bytes = (size_t)4 << 30;
    return PF_OK;
}

/* ---- The tactic */

static const pf_value *input_of(const pf_problem *p, uint32_t i)
{
    return &p->graph->values[p->graph->inputs[i]];
}

static const char *declines(const pf_device *device, const pf_problem *p)
{
    (void)device;
    if (p->graph->node_count != 1 || p->graph->nodes[0].op != PF_OP_MATMUL || p->graph->input_count != 2)
        return "not a product alone";
    if (!p->in_constant[1] || input_of(p, 0)->shape.rank != 2)
        return "not by a constant matrix";
    return input_of(p, 0)->shape.dim[1] <= INNER_MOST ? NULL : "rows that are too long";
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    pf_status st = pf_tuning_add(out, err, "1");

    (void)device, (void)p, (void)effort;
    return st ? st : pf_tuning_add(out, err, "2");
}

static const pf_tactic packs_much;

/* The second tuning does not. */
static bool works_in_place(const product *p)
{
    return p->tuning == 1 && p->inner == p->columns;
}

static pf_status prepare(pf_device *device, const pf_problem *p, const char *tuning, const void *saved, size_t bytes,
                         pf_step **out, pf_err *err)
{
    const pf_shape *x = &input_of(p, 0)->shape, *w = &input_of(p, 1)->shape;

    (void)device, (void)saved, (void)bytes;
    *out = pf_step_new(&packs_much, sizeof(product));
    if (!*out)
        return PF_FAIL_MEMORY(err, sizeof(product));
    *(product *)(*out)->impl = (product){ x->dim[0], x->dim[1], w->dim[1], atoi(tuning) };
    (*out)->packed_bytes = PACKED_BYTES;
    (*out)->packed_as = 1;
    (*out)->in_place = works_in_place((*out)->impl) ? 0 : -1;
    (*out)->capturable = true;
    return PF_OK;
}

static pf_status pack(const pf_step *step, const pf_problem *p, const pf_tensor *constants, void *packed, pf_err *err)
{
    (void)step, (void)p, (void)err;
    memset(packed, 0x11, PACKED_BYTES);
    memcpy(packed, constants[1].data, constants[1].bytes);
    memcpy((char *)packed + PACKED_BYTES - constants[1].bytes, constants[1].data, constants[1].bytes);
    return PF_OK;
}

static void release(pf_step *step)
{
    pf_free(step->impl);
}

static const pf_tactic packs_much = {
    .name = "packs_much", .rev = 1, .needs = PF_CAP_CPU, .declines = declines, .tunings = tunings, .prepare = prepare,
    .pack = pack, .enqueue = enqueue, .release = release,
};

static const pf_tactic *const tactics[] = { &packs_much, NULL };

extern const pf_device_module pf_device_module_v1;
const pf_device_module pf_device_module_v1 = { .abi = PF_BUILDER_ABI, .open = open_device, .tactics = tactics };
