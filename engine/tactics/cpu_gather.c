/* Picking by indices: gather, gather_elements, gather_nd.  An index outside of its dim ends the run with INVALID. */
#include <omp.h>
#include <stdatomic.h>
#include <string.h>

#include "engine/device_cpu.h"
#include "engine/epilogue.h"
#include "engine/indices.h"
#include "engine/ops/attrs.h"
#include "engine/tactic.h"

enum { SERIAL_BYTES = 32 << 10, ROW_ITEMS = 2048 };

/* Result item n (inner_bytes long) comes from: (n / per_outer) * outer_step, plus where the place within the outer part
   leads (loops of dim and step), plus where its indices lead. In elements. */
typedef struct gather_impl {
    uint32_t   data_slot;
    pf_indices indices;
    size_t     item_bytes, inner_bytes;
    int64_t    count;                           /* items of the result */
    bool       own_indices;                     /* item n has indices n*depth ...; else every outer part has the same */
    int64_t    outer_items, outer_step;
    int32_t    rank;                            /* of the loops within an outer part, over items */
    int64_t    dim[PF_MAX_RANK], step[PF_MAX_RANK];
} gather_impl;

/* Channels are picked for all places alike: where they lie side by side, that is a gather in each of many rows. */
static bool picks_channels(const pf_problem *p)
{
    const pf_node *node = pf_graph_node(p->graph, 0);

    return node->op == PF_OP_GATHER && ((const pf_axis_attrs *)node->attrs)->axis == 1 &&
           pf_problem_shape(p, node->in[0])->rank > 2 &&
           pf_problem_shape(p, node->in[1])->rank == 1;
}

static bool has_channels_last(const pf_problem *p)
{
    uint32_t data = pf_problem_input_index(p, pf_graph_node(p->graph, 0)->in[0]);

    return data != UINT32_MAX && p->in_layout[data] == PF_LAYOUT_CHANNELS_LAST &&
           p->out_layout[0] == PF_LAYOUT_CHANNELS_LAST;
}

static bool prefers(const pf_device *device, const pf_problem *p, uint32_t index, pf_layout *in, pf_layout *out)
{
    uint32_t data = pf_problem_input_index(p, pf_graph_node(p->graph, 0)->in[0]);

    if (index != 1 || !picks_channels(p) || data == UINT32_MAX)
        return pf_tactic_prefers_linear(device, p, index, in, out);
    for (uint32_t i = 0; i < p->graph->input_count; i++)
        in[i] = i == data ? PF_LAYOUT_CHANNELS_LAST : PF_LAYOUT_LINEAR;
    out[0] = PF_LAYOUT_CHANNELS_LAST;
    return true;
}

static const char *declines(const pf_device *device, const pf_problem *p)
{
    const pf_node *node = pf_graph_node(p->graph, 0);

    (void)device;
    if (p->graph->node_count != 1 ||
        (node->op != PF_OP_GATHER && node->op != PF_OP_GATHER_ELEMENTS && node->op != PF_OP_GATHER_ND))
        return "not a gather alone";
    return pf_indices_decline(p, picks_channels(p) && has_channels_last(p));
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    (void)device, (void)p, (void)effort;
    return pf_tuning_add(out, err, "items");
}

static void plan_gather(gather_impl *impl, const pf_problem *p, const pf_shape *x, const pf_shape *at, int64_t axis)
{
    int64_t inner = pf_indices_elems(x, axis + 1, x->rank);

    pf_indices_init(&impl->indices, p, axis, 1);
    impl->inner_bytes = (size_t)inner * impl->item_bytes;
    impl->outer_items = pf_indices_elems(at, 0, at->rank);
    impl->count = pf_indices_elems(x, 0, axis) * impl->outer_items;
    impl->outer_step = x->dim[axis] * inner;
}

static void plan_channels(gather_impl *impl, const pf_problem *p, const pf_shape *x, const pf_shape *at)
{
    pf_indices_init(&impl->indices, p, 1, 1);
    impl->indices.step[0] = 1;
    impl->inner_bytes = impl->item_bytes;
    impl->outer_items = at->dim[0];
    impl->count = x->dim[0] * pf_indices_elems(x, 2, x->rank) * impl->outer_items;
    impl->outer_step = x->dim[1];
}

static void plan_elements(gather_impl *impl, const pf_problem *p, const pf_shape *x, const pf_shape *at, int64_t axis)
{
    pf_indices_init(&impl->indices, p, axis, 1);
    impl->inner_bytes = impl->item_bytes;
    impl->own_indices = true;
    impl->count = impl->outer_items = pf_indices_elems(at, 0, at->rank);
    impl->rank = at->rank;
    for (int32_t d = 0; d < at->rank; d++) {
        impl->dim[d] = at->dim[d];
        impl->step[d] = d == axis ? 0 : pf_indices_elems(x, d + 1, x->rank);
    }
}

static void plan_nd(gather_impl *impl, const pf_problem *p, const pf_shape *x, const pf_shape *at, int64_t batch)
{
    int64_t depth = at->dim[at->rank - 1];

    pf_indices_init(&impl->indices, p, batch, depth);
    impl->inner_bytes = (size_t)pf_indices_elems(x, batch + depth, x->rank) * impl->item_bytes;
    impl->own_indices = true;
    impl->count = pf_indices_elems(at, 0, at->rank - 1);
    impl->outer_items = pf_indices_elems(at, batch, at->rank - 1);
    impl->outer_step = pf_indices_elems(x, batch, x->rank);
}

static pf_status prepare(pf_device *device, const pf_problem *p, const char *tuning, const void *saved,
                         size_t saved_bytes, pf_step **out, pf_err *err)
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
    impl->item_bytes = pf_dtype_bits(x->dtype) / 8;
    if (has_channels_last(p))
        plan_channels(impl, p, &x->shape, &at->shape);
    else if (node->op == PF_OP_GATHER)
        plan_gather(impl, p, &x->shape, &at->shape, ((const pf_axis_attrs *)node->attrs)->axis);
    else if (node->op == PF_OP_GATHER_ELEMENTS)
        plan_elements(impl, p, &x->shape, &at->shape, ((const pf_axis_attrs *)node->attrs)->axis);
    else
        plan_nd(impl, p, &x->shape, &at->shape, ((const pf_gather_nd_attrs *)node->attrs)->batch_dims);
    *out = step;
    return PF_OK;
}

/* Where item n comes from, in elements; -1: an index is outside. */
static int64_t source_of(const gather_impl *impl, const void *indices, int64_t n)
{
    int64_t from = n / impl->outer_items * impl->outer_step, rest = n % impl->outer_items;
    int64_t place = pf_indices_place(&impl->indices, indices, (impl->own_indices ? n : rest) * impl->indices.depth);

    if (place < 0)
        return -1;
    for (int32_t d = impl->rank - 1; d >= 0; d--) {
        from += rest % impl->dim[d] * impl->step[d];
        rest /= impl->dim[d];
    }
    return from + place;
}

static bool gather_range(const gather_impl *impl, const void *indices, const char *data, char *out, int64_t begin,
                         int64_t end)
{
    for (int64_t n = begin; n < end; n++) {
        int64_t from = source_of(impl, indices, n);

        if (from < 0)
            return false;
        memcpy(out + (size_t)n * impl->inner_bytes, data + (size_t)from * impl->item_bytes, impl->inner_bytes);
    }
    return true;
}

/* Many short rows of 4-byte items, each with the same places.  Two halves that go together are no such item: places
   count halves. */
static bool has_rows(const gather_impl *impl)
{
    return impl->item_bytes == 4 && impl->inner_bytes == 4 && !impl->own_indices && impl->outer_items &&
           impl->outer_items <= ROW_ITEMS && impl->outer_step <= INT32_MAX && impl->count / impl->outer_items > 8;
}

static bool gather_rows(const gather_impl *impl, const void *indices, const uint32_t *data, uint32_t *out,
                        int64_t begin, int64_t end)
{
    int32_t place[ROW_ITEMS] = { 0 };

    for (int64_t i = 0; i < impl->outer_items; i++) {
        place[i] = (int32_t)pf_indices_place(&impl->indices, indices, i);
        if (place[i] < 0)
            return false;
    }
    for (int64_t r = begin; r < end; r++) {
        const uint32_t *from = data + r * impl->outer_step;
        uint32_t       *to = out + r * impl->outer_items;

        for (int64_t i = 0; i < impl->outer_items; i++)
            to[i] = from[place[i]];
    }
    return true;
}

static bool gather_part(const gather_impl *impl, const void *indices, const void *data, void *out, int64_t me,
                        int64_t all)
{
    int64_t rows = has_rows(impl) ? impl->count / impl->outer_items : 0;

    if (rows)
        return gather_rows(impl, indices, data, out, rows * me / all, rows * (me + 1) / all);
    return gather_range(impl, indices, data, out, impl->count * me / all, impl->count * (me + 1) / all);
}

static pf_status enqueue(const pf_step *step, const pf_bindings *b, pf_stream *stream, pf_err *err)
{
    const gather_impl *impl = step->impl;
    const void        *indices = impl->indices.slot == UINT32_MAX ? NULL : b->in[impl->indices.slot];
    atomic_bool        inside = true;
    int32_t            threads = (size_t)impl->count * impl->inner_bytes < SERIAL_BYTES
                                     ? 1 : pf_stream_cpu_threads(stream);

    pf_stream_cpu_enter(stream);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        int64_t me = omp_get_thread_num(), all = omp_get_num_threads();

        if (!gather_part(impl, indices, b->in[impl->data_slot], b->out[0], me, all))
            atomic_store(&inside, false);
    }
    if (!inside)
        return PF_FAIL(err, PF_INVALID, "an index of a gather is outside of its %lld elements",
                       (long long)impl->indices.size[0]);
    return PF_OK;
}

const pf_tactic pf_tactic_cpu_gather = {
    .name = "cpu_gather", .rev = 2, .needs = PF_CAP_CPU,
    .declines = declines, .prefers = prefers, .tunings = tunings, .prepare = prepare, .enqueue = enqueue,
};
