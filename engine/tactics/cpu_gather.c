/* Picking by indices: gather, gather_elements, gather_nd.  An index outside of its dim ends the run with INVALID. */
#include <omp.h>
#include <stdatomic.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/device_cpu.h"
#include "engine/epilogue.h"
#include "engine/ops/attrs.h"
#include "engine/tactic.h"

enum { CLEAR_INDICES = PF_PROBLEM_CLEAR, SERIAL_BYTES = 32 << 10 };

/* Result item n (inner_bytes long) comes from: (n / per_outer) * outer_step, plus where the place within the outer part leads
   (loops of dim and step), plus the sum over depth of index * index_step. In elements. */
typedef struct gather_impl {
    uint32_t data_slot, index_slot;             /* index_slot UINT32_MAX: clear holds them */
    pf_dtype index_dtype;
    int64_t  clear[CLEAR_INDICES];
    size_t   item_bytes, inner_bytes;
    int64_t  count;                             /* items of the result */
    int64_t  indices_per_outer;                 /* the indices are the same in every outer part, unless each item has its own */
    bool     own_indices;                       /* item n has indices n*depth ...; else (n % indices_per_outer) */
    int64_t  outer_items, outer_step;
    int32_t  rank;                              /* of the loops within an outer part, over items */
    int64_t  dim[PF_MAX_RANK], step[PF_MAX_RANK];
    int32_t  depth;
    int64_t  size[PF_MAX_RANK], index_step[PF_MAX_RANK];
} gather_impl;

static const char *declines(const pf_device *device, const pf_problem *p)
{
    const pf_node  *node = pf_graph_node(p->graph, 0);
    const pf_value *x = NULL, *at = NULL;

    (void)device;
    if (p->graph->node_count != 1 || (node->op != PF_OP_GATHER && node->op != PF_OP_GATHER_ELEMENTS && node->op != PF_OP_GATHER_ND))
        return "not a gather alone";
    x = pf_graph_value(p->graph, node->in[0]);
    at = pf_graph_value(p->graph, node->in[1]);
    if (pf_dtype_bits(x->dtype) < 8 || x->dtype == PF_STRING)
        return "elements of less than a byte, or strings";
    if (at->dtype != PF_I64 && at->dtype != PF_I32)
        return "indices are neither i64 nor i32";
    if (pf_problem_input_index(p, node->in[0]) == UINT32_MAX)
        return "a small constant is picked from";
    for (uint32_t i = 0; i < p->graph->input_count; i++)
        if (p->in_layout[i] != PF_LAYOUT_LINEAR)
            return "not linear";
    return p->out_layout[0] == PF_LAYOUT_LINEAR ? NULL : "not linear";
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    (void)device, (void)p, (void)effort;
    return pf_tuning_add(out, err, "items");
}

static int64_t product(const int64_t *dim, int64_t from, int64_t to)
{
    int64_t out = 1;

    for (int64_t d = from; d < to; d++)
        out *= dim[d];
    return out;
}

static void plan_gather(gather_impl *impl, const pf_shape *x, const pf_shape *at, int64_t axis)
{
    int64_t inner = product(x->dim, axis + 1, x->rank);

    impl->inner_bytes = (size_t)inner * impl->item_bytes;
    impl->indices_per_outer = impl->outer_items = product(at->dim, 0, at->rank);
    impl->count = product(x->dim, 0, axis) * impl->outer_items;
    impl->outer_step = x->dim[axis] * inner;
    impl->depth = 1;
    impl->size[0] = x->dim[axis];
    impl->index_step[0] = inner;
}

static void plan_elements(gather_impl *impl, const pf_shape *x, const pf_shape *at, int64_t axis)
{
    impl->inner_bytes = impl->item_bytes;
    impl->own_indices = true;
    impl->count = impl->outer_items = product(at->dim, 0, at->rank);
    impl->rank = at->rank;
    for (int32_t d = 0; d < at->rank; d++) {
        impl->dim[d] = at->dim[d];
        impl->step[d] = d == axis ? 0 : product(x->dim, d + 1, x->rank);
    }
    impl->depth = 1;
    impl->size[0] = x->dim[axis];
    impl->index_step[0] = product(x->dim, axis + 1, x->rank);
}

static void plan_nd(gather_impl *impl, const pf_shape *x, const pf_shape *at, int64_t batch)
{
    int32_t depth = (int32_t)at->dim[at->rank - 1];

    impl->inner_bytes = (size_t)product(x->dim, batch + depth, x->rank) * impl->item_bytes;
    impl->own_indices = true;
    impl->count = product(at->dim, 0, at->rank - 1);
    impl->outer_items = product(at->dim, batch, at->rank - 1);
    impl->outer_step = product(x->dim, batch, x->rank);
    impl->depth = depth;
    for (int32_t d = 0; d < depth; d++) {
        impl->size[d] = x->dim[batch + d];
        impl->index_step[d] = product(x->dim, batch + d + 1, x->rank);
    }
}

static pf_status prepare(pf_device *device, const pf_problem *p, const char *tuning, const void *saved, size_t saved_bytes, pf_step **out, pf_err *err)
{
    const pf_node  *node = pf_graph_node(p->graph, 0);
    const pf_value *x = pf_graph_value(p->graph, node->in[0]), *at = pf_graph_value(p->graph, node->in[1]);
    pf_step        *step = NULL;
    gather_impl    *impl = NULL;

    (void)device, (void)tuning, (void)saved, (void)saved_bytes;
    *out = NULL;
    if (!pf_problem_is_bound(p))
        return PF_FAIL(err, PF_INVALID, "a step needs a problem whose dims are numbers");
    step = pf_step_new(&pf_tactic_cpu_gather, sizeof *impl);
    if (!step)
        return PF_FAIL_MEMORY(err, sizeof *impl);
    impl = step->impl;
    impl->data_slot = pf_problem_input_index(p, node->in[0]);
    impl->index_slot = pf_problem_input_index(p, node->in[1]);
    impl->index_dtype = at->dtype;
    for (int64_t i = 0; at->is_constant && i < product(at->shape.dim, 0, at->shape.rank); i++)
        impl->clear[i] = pf_dtype_get_i64(at->dtype, at->constant.data, (uint64_t)i);
    impl->item_bytes = pf_dtype_bits(x->dtype) / 8;
    if (node->op == PF_OP_GATHER)
        plan_gather(impl, &x->shape, &at->shape, ((const pf_axis_attrs *)node->attrs)->axis);
    else if (node->op == PF_OP_GATHER_ELEMENTS)
        plan_elements(impl, &x->shape, &at->shape, ((const pf_axis_attrs *)node->attrs)->axis);
    else
        plan_nd(impl, &x->shape, &at->shape, ((const pf_gather_nd_attrs *)node->attrs)->batch_dims);
    *out = step;
    return PF_OK;
}

static int64_t index_at(const gather_impl *impl, const void *indices, int64_t i)
{
    if (!indices)
        return impl->clear[i];
    return impl->index_dtype == PF_I64 ? ((const int64_t *)indices)[i] : ((const int32_t *)indices)[i];
}

/* Where item n comes from, in elements; -1: an index is outside. */
static int64_t source_of(const gather_impl *impl, const void *indices, int64_t n)
{
    int64_t from = n / impl->outer_items * impl->outer_step, rest = n % impl->outer_items;
    int64_t first = (impl->own_indices ? n : n % impl->indices_per_outer) * impl->depth;

    for (int32_t d = impl->rank - 1; d >= 0; d--) {
        from += rest % impl->dim[d] * impl->step[d];
        rest /= impl->dim[d];
    }
    for (int32_t k = 0; k < impl->depth; k++) {
        int64_t i = index_at(impl, indices, first + k);

        i += i < 0 ? impl->size[k] : 0;
        if (i < 0 || i >= impl->size[k])
            return -1;
        from += i * impl->index_step[k];
    }
    return from;
}

static bool gather_range(const gather_impl *impl, const void *indices, const char *data, char *out, int64_t begin, int64_t end)
{
    for (int64_t n = begin; n < end; n++) {
        int64_t from = source_of(impl, indices, n);

        if (from < 0)
            return false;
        memcpy(out + (size_t)n * impl->inner_bytes, data + (size_t)from * impl->item_bytes, impl->inner_bytes);
    }
    return true;
}

static pf_status enqueue(const pf_step *step, const pf_bindings *b, pf_stream *stream, pf_err *err)
{
    const gather_impl *impl = step->impl;
    const void        *indices = impl->index_slot == UINT32_MAX ? NULL : b->in[impl->index_slot];
    atomic_bool        inside = true;
    int32_t            threads = (size_t)impl->count * impl->inner_bytes < SERIAL_BYTES ? 1 : pf_stream_cpu_threads(stream);

    pf_stream_cpu_enter(stream);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        int64_t me = omp_get_thread_num(), all = omp_get_num_threads();

        if (!gather_range(impl, indices, b->in[impl->data_slot], b->out[0], impl->count * me / all, impl->count * (me + 1) / all))
            atomic_store(&inside, false);
    }
    return inside ? PF_OK : PF_FAIL(err, PF_INVALID, "an index of a gather is outside of its %lld elements", (long long)impl->size[0]);
}

const pf_tactic pf_tactic_cpu_gather = {
    .name = "cpu_gather", .rev = 1, .needs = PF_CAP_CPU,
    .declines = declines, .prefers = pf_tactic_prefers_linear, .tunings = tunings, .prepare = prepare, .enqueue = enqueue,
};
