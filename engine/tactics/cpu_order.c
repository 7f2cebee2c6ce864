/* The greatest or least elements along an axis: top-k, and the place of the first or last of them. */
#include <omp.h>
#include <string.h>

#include "engine/device_cpu.h"
#include "engine/op.h"
#include "engine/ops/attrs.h"
#include "engine/tactic.h"
#include "kernels/cpu_order.h"

enum { SERIAL_ELEMS = 1 << 13, VALUES = 0, PLACES = 1, NOT_READ = UINT32_MAX };

typedef struct order_impl {
    pf_isa        isa;
    pf_order_type type;
    size_t        item_bytes;
    int64_t       outer, size, inner, k;
    bool          place_only, smallest, last;   /* place_only: of the best one */
    uint32_t      outs[2];                      /* of a top-k: slots of values and places; NOT_READ */
} order_impl;

static bool find_type(pf_dtype dtype, pf_order_type *out)
{
    static const struct { pf_dtype dtype; pf_order_type type; } types[] = {
        { PF_F32, PF_ORDER_F32 }, { PF_I32, PF_ORDER_I32 }, { PF_I64, PF_ORDER_I64 },
    };

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].dtype == dtype) {
            *out = types[i].type;
            return true;
        }
    return false;
}

static const char *declines(const pf_device *device, const pf_problem *p)
{
    const pf_node *node = pf_graph_node(p->graph, 0);
    pf_order_type  type = PF_ORDER_F32;

    (void)device;
    if (p->graph->node_count != 1 || (node->op != PF_OP_TOPK && node->op != PF_OP_ARG_REDUCE))
        return "neither a top-k nor a search for the greatest alone";
    if (p->graph->input_count != 1)
        return "a small constant is searched";
    if (!find_type(pf_graph_value(p->graph, node->in[0])->dtype, &type))
        return "elements that are neither f32 nor i32 nor i64";
    for (uint32_t i = 0; i < p->graph->output_count; i++)
        if (p->out_layout[i] != PF_LAYOUT_LINEAR)
            return "not linear";
    return p->in_layout[0] == PF_LAYOUT_LINEAR ? NULL : "not linear";
}

static bool prefers(const pf_device *device, const pf_problem *p, uint32_t index, pf_layout *in, pf_layout *out)
{
    (void)device;
    if (p->graph->input_count != 1)
        return false;
    in[0] = PF_LAYOUT_LINEAR;
    for (uint32_t i = 0; i < p->graph->output_count; i++)
        out[i] = PF_LAYOUT_LINEAR;
    return index == 0;
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    (void)device, (void)p, (void)effort;
    return pf_tuning_add(out, err, "keys");
}

static uint32_t slot_of(const pf_problem *p, const pf_node *node, uint32_t output)
{
    for (uint32_t i = 0; i < p->graph->output_count && output < node->out_count; i++)
        if (p->graph->outputs[i] == node->out[output])
            return i;
    return NOT_READ;
}

static void measure(order_impl *impl, const pf_shape *x, int64_t axis)
{
    impl->outer = impl->inner = 1;
    impl->size = x->dim[axis];
    for (int32_t d = 0; d < x->rank; d++)
        *(d < axis ? &impl->outer : &impl->inner) *= d == axis ? 1 : x->dim[d];
}

/* Keys of a line, and the best of them with their places. */
static size_t bytes_per_thread(const order_impl *impl)
{
    return ((size_t)(impl->size + 2 * impl->k) * sizeof(int64_t) + 63) / 64 * 64;
}

static pf_status prepare(pf_device *device, const pf_problem *p, const char *tuning, const void *saved,
                         size_t saved_bytes, pf_step **out, pf_err *err)
{
    const pf_node  *node = pf_graph_node(p->graph, 0);
    const pf_value *x = pf_graph_value(p->graph, node->in[0]);
    pf_step        *step = NULL;
    order_impl     *impl = NULL;

    (void)tuning, (void)saved, (void)saved_bytes;
    *out = NULL;
    if (!pf_problem_is_bound(p) ||
        (node->op == PF_OP_TOPK && pf_dim_is_symbolic(((const pf_topk_attrs *)node->attrs)->k.at[0])))
        return PF_FAIL(err, PF_INVALID, "a step needs a problem whose dims are numbers");
    step = pf_step_new(&pf_tactic_cpu_order, sizeof *impl);
    if (!step)
        return PF_FAIL_MEMORY(err, sizeof *impl);
    impl = step->impl;
    impl->isa = pf_device_cpu_isa(device);
    impl->item_bytes = pf_dtype_bytes(x->dtype, 1);
    (void)find_type(x->dtype, &impl->type);
    if (node->op == PF_OP_TOPK) {
        const pf_topk_attrs *attrs = node->attrs;

        measure(impl, &x->shape, attrs->axis);
        impl->k = attrs->k.at[0] < impl->size ? attrs->k.at[0] : impl->size;
        impl->smallest = attrs->smallest;
        impl->outs[VALUES] = slot_of(p, node, VALUES);
        impl->outs[PLACES] = slot_of(p, node, PLACES);
    } else {
        const pf_arg_reduce_attrs *attrs = node->attrs;

        measure(impl, &x->shape, attrs->axis);
        impl->place_only = true;
        impl->smallest = attrs->mode == PF_ARG_MIN;
        impl->last = attrs->select_last;
    }
    step->workspace_bytes = bytes_per_thread(impl) * (size_t)device->threads;
    *out = step;
    return PF_OK;
}

static void write_top(const order_impl *impl, const char *x, int64_t line, const int64_t *places, const pf_bindings *b)
{
    int64_t at = line / impl->inner * impl->k * impl->inner + line % impl->inner;

    for (int64_t i = 0; i < impl->k; i++, at += impl->inner) {
        if (impl->outs[VALUES] != NOT_READ)
            memcpy((char *)b->out[impl->outs[VALUES]] + (size_t)at * impl->item_bytes,
                   x + (size_t)(places[i] * impl->inner) * impl->item_bytes, impl->item_bytes);
        if (impl->outs[PLACES] != NOT_READ)
            ((int64_t *)b->out[impl->outs[PLACES]])[at] = places[i];
    }
}

static void run_line(const order_impl *impl, int64_t line, const pf_bindings *b)
{
    int64_t    *keys = (int64_t *)(void *)((char *)b->workspace +
                                           (size_t)omp_get_thread_num() * bytes_per_thread(impl));
    int64_t     first = line / impl->inner * impl->size * impl->inner + line % impl->inner;
    const char *x = (const char *)b->in[0] + (size_t)first * impl->item_bytes;

    pf_order_keys(impl->isa, impl->type, x, impl->inner, impl->size, impl->smallest, keys);
    if (impl->place_only) {
        ((int64_t *)b->out[0])[line] = pf_order_best(impl->isa, keys, impl->size, impl->last);
        return;
    }
    pf_order_top(impl->isa, keys, impl->size, impl->k, keys + impl->size, keys + impl->size + impl->k);
    write_top(impl, x, line, keys + impl->size + impl->k, b);
}

static void run_strip(const order_impl *impl, int64_t outer, int64_t from, const pf_bindings *b)
{
    int64_t     columns = impl->inner - from < PF_ORDER_STRIP ? impl->inner - from : PF_ORDER_STRIP;
    const char *x = (const char *)b->in[0] + (size_t)(outer * impl->size * impl->inner + from) * impl->item_bytes;

    pf_order_best_columns(impl->isa, impl->type, x, impl->size, impl->inner, columns, impl->smallest, impl->last,
                          (int64_t *)b->out[0] + outer * impl->inner + from);
}

static pf_status enqueue(const pf_step *step, const pf_bindings *b, pf_stream *stream, pf_err *err)
{
    const order_impl *impl = step->impl;
    bool              strips = impl->place_only && impl->inner > 1,
                      parallel = impl->outer * impl->size * impl->inner >= SERIAL_ELEMS;
    int64_t           parts = strips ? (impl->inner + PF_ORDER_STRIP - 1) / PF_ORDER_STRIP : impl->inner;

    (void)err;
    pf_stream_cpu_enter(stream);
    if (!impl->place_only && !impl->k)
        return PF_OK;
#pragma omp parallel for num_threads(pf_stream_cpu_threads(stream)) if (parallel) schedule(static)
    for (int64_t i = 0; i < impl->outer * parts; i++) {
        if (strips)
            run_strip(impl, i / parts, i % parts * PF_ORDER_STRIP, b);
        else
            run_line(impl, i, b);
    }
    return PF_OK;
}

const pf_tactic pf_tactic_cpu_order = {
    .name = "cpu_order", .rev = 1, .needs = PF_CAP_CPU,
    .declines = declines, .prefers = prefers, .tunings = tunings, .prepare = prepare, .enqueue = enqueue,
};
