/* Putting slices at places given by indices: scatter_nd, scatter_elements.  Updates are applied in order.  Each thread
   owns one part of the result: it copies that part of the data and then goes through all updates, applying what falls
   into its part; so the answer does not depend on the number of threads.  An index outside of its dim ends the run with
   INVALID. */
#include <omp.h>
#include <stdatomic.h>
#include <string.h>

#include "engine/device_cpu.h"
#include "engine/epilogue.h"
#include "engine/indices.h"
#include "engine/op.h"
#include "engine/ops/attrs.h"
#include "engine/tactic.h"

enum { SERIAL_BYTES = 64 << 10, CLEAR_BYTES = 16 * PF_PROBLEM_CLEAR };

/* Combines `bytes` bytes of updates with what is there. */
typedef void put_function(void *there, const void *updates, size_t bytes);

/* Update n (inner elements) goes to where the loops over dim and step lead, plus where its indices do. In elements. */
typedef struct scatter_impl {
    uint32_t      data_slot, update_slot;               /* update_slot UINT32_MAX: the clear ones below */
    pf_indices    indices;
    uint64_t      clear_updates[CLEAR_BYTES / sizeof(uint64_t)];
    size_t        item_bytes;
    int64_t       total, count, inner;                  /* elements of the result; updates; elements of each */
    int32_t       rank;
    int64_t       dim[PF_MAX_RANK], step[PF_MAX_RANK];
    put_function *put;
} scatter_impl;

/* ---- What happens to an element.  Integers wrap; of a number and a NaN, max and min take what is new when that is the
   NaN. */
static void put_none(void *there, const void *updates, size_t bytes)
{
    memcpy(there, updates, bytes);
}

#define PUT_OF(name, type, expression)                                                                                 \
    static void name(void *there, const void *updates, size_t bytes)                                                   \
    {                                                                                                                  \
        type       *y = there;                                                                                         \
        const type *u = updates;                                                                                       \
        for (size_t i = 0; i < bytes / sizeof(type); i++) {                                                            \
            type old = y[i], v = u[i];                                                                                 \
            y[i] = expression;                                                                                         \
        }                                                                                                              \
    }
PUT_OF(add_f32, float, old + v)
PUT_OF(mul_f32, float, old * v)
PUT_OF(max_f32, float, v > old || v != v ? v : old)
PUT_OF(min_f32, float, v < old || v != v ? v : old)
PUT_OF(add_i32, uint32_t, old + v)
PUT_OF(mul_i32, uint32_t, old * v)
PUT_OF(max_i32, int32_t, v < old ? old : v)
PUT_OF(min_i32, int32_t, v < old ? v : old)
PUT_OF(add_i64, uint64_t, old + v)
PUT_OF(mul_i64, uint64_t, old * v)
PUT_OF(max_i64, int64_t, v < old ? old : v)
PUT_OF(min_i64, int64_t, v < old ? v : old)

static put_function *function_of(int32_t reduction, pf_dtype dtype)
{
    static const struct { int32_t reduction; put_function *f32, *i32, *i64; } rows[] = {
        { PF_SCATTER_ADD, add_f32, add_i32, add_i64 }, { PF_SCATTER_MUL, mul_f32, mul_i32, mul_i64 },
        { PF_SCATTER_MAX, max_f32, max_i32, max_i64 }, { PF_SCATTER_MIN, min_f32, min_i32, min_i64 },
    };

    if (reduction == PF_SCATTER_NONE)
        return put_none;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].reduction == reduction)
            return dtype == PF_F32 ? rows[i].f32 : dtype == PF_I32 ? rows[i].i32 : dtype == PF_I64 ? rows[i].i64 : NULL;
    return NULL;
}

static int32_t reduction_of(const pf_node *node)
{
    return node->op == PF_OP_SCATTER_ND ? ((const pf_scatter_nd_attrs *)node->attrs)->reduction
                                        : ((const pf_scatter_elements_attrs *)node->attrs)->reduction;
}

/* ---- What is taken */
static const char *declines(const pf_device *device, const pf_problem *p)
{
    const pf_node *node = pf_graph_node(p->graph, 0);
    const char    *reason = NULL;

    (void)device;
    if (p->graph->node_count != 1 || (node->op != PF_OP_SCATTER_ND && node->op != PF_OP_SCATTER_ELEMENTS))
        return "not a scatter alone";
    reason = pf_indices_decline(p, false);
    if (!reason && !function_of(reduction_of(node), pf_graph_value(p->graph, node->in[0])->dtype))
        reason = "elements that are combined are neither f32, i32 nor i64";
    return reason;
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    (void)device, (void)p, (void)effort;
    return pf_tuning_add(out, err, "parts");
}

/* ---- Making a step */
static pf_status plan_nd(scatter_impl *impl, const pf_problem *p, const pf_shape *x, const pf_shape *at, pf_err *err)
{
    int64_t depth = at->dim[at->rank - 1];

    if (depth > x->rank)
        return PF_FAIL(err, PF_INVALID, "a scatter has indices of %lld numbers for data of rank %d", (long long)depth,
                       x->rank);
    pf_indices_init(&impl->indices, p, 0, depth);
    impl->inner = pf_indices_elems(x, depth, x->rank);
    impl->count = depth > 0 ? pf_indices_elems(at, 0, at->rank - 1) : 0;
    return PF_OK;
}

static pf_status plan_elements(scatter_impl *impl, const pf_problem *p, const pf_shape *x, const pf_shape *at,
                               int64_t axis, pf_err *err)
{
    pf_indices_init(&impl->indices, p, axis, 1);
    impl->inner = 1;
    impl->count = pf_indices_elems(at, 0, at->rank);
    impl->rank = at->rank;
    for (int32_t d = 0; d < at->rank; d++) {
        if (d != axis && at->dim[d] > x->dim[d])
            return PF_FAIL(err, PF_INVALID, "dim %d of a scatter's indices is larger than that of the data", d);
        impl->dim[d] = at->dim[d];
        impl->step[d] = d == axis ? 0 : pf_indices_elems(x, d + 1, x->rank);
    }
    return PF_OK;
}

static pf_status plan(scatter_impl *impl, const pf_problem *p, pf_err *err)
{
    const pf_node  *node = pf_graph_node(p->graph, 0);
    const pf_value *x = pf_graph_value(p->graph, node->in[0]), *at = pf_graph_value(p->graph, node->in[1]),
                   *u = pf_graph_value(p->graph, node->in[2]);
    pf_status       st = PF_OK;

    impl->data_slot = pf_problem_input_index(p, node->in[0]);
    impl->update_slot = pf_problem_input_index(p, node->in[2]);
    impl->item_bytes = pf_dtype_bits(x->dtype) / 8;
    impl->total = pf_indices_elems(&x->shape, 0, x->shape.rank);
    impl->put = function_of(reduction_of(node), x->dtype);
    if (node->op == PF_OP_SCATTER_ND)
        st = plan_nd(impl, p, &x->shape, &at->shape, err);
    else
        st = plan_elements(impl, p, &x->shape, &at->shape, ((const pf_scatter_elements_attrs *)node->attrs)->axis, err);
    if (!st && pf_indices_elems(&u->shape, 0, u->shape.rank) != impl->count * impl->inner)
        st = PF_FAIL(err, PF_INVALID, "the updates of a scatter have another size than its indices ask for");
    if (impl->update_slot == UINT32_MAX)
        memcpy(impl->clear_updates, u->constant.data,
               u->constant.bytes < CLEAR_BYTES ? u->constant.bytes : CLEAR_BYTES);
    return st;
}

static pf_status prepare(pf_device *device, const pf_problem *p, const char *tuning, const void *saved,
                         size_t saved_bytes, pf_step **out, pf_err *err)
{
    pf_step      *step = NULL;
    scatter_impl *impl = NULL;
    pf_status     st = PF_OK;

    (void)device, (void)tuning, (void)saved, (void)saved_bytes;
    *out = NULL;
    if (!pf_problem_is_bound(p))
        return PF_FAIL(err, PF_INVALID, "a step needs a problem whose dims are numbers");
    step = pf_step_new(&pf_tactic_cpu_scatter, sizeof *impl);
    if (!step)
        return PF_FAIL_MEMORY(err, sizeof *impl);
    impl = step->impl;
    st = plan(impl, p, err);
    if (st) {
        pf_step_free(step);
        return st;
    }
    if (impl->data_slot != impl->indices.slot && impl->data_slot != impl->update_slot &&
        !p->in_constant[impl->data_slot])
        step->in_place = (int32_t)impl->data_slot;
    *out = step;
    return PF_OK;
}

/* ---- Running */
/* One step of the loops: what it adds to the place. */
static int64_t advance(const scatter_impl *impl, int64_t *at)
{
    int64_t moved = 0;

    for (int32_t d = impl->rank - 1; d >= 0; d--) {
        moved += impl->step[d];
        if (++at[d] < impl->dim[d])
            break;
        moved -= at[d] * impl->step[d];
        at[d] = 0;
    }
    return moved;
}

/* Elements [begin, end) of the result. */
static bool run_part(const scatter_impl *impl, const void *data, const void *indices, const char *updates, char *out,
                     int64_t begin, int64_t end)
{
    int64_t at[PF_MAX_RANK] = { 0 }, base = 0;

    if (data != out)
        memcpy(out + (size_t)begin * impl->item_bytes, (const char *)data + (size_t)begin * impl->item_bytes,
               (size_t)(end - begin) * impl->item_bytes);
    for (int64_t n = 0; n < impl->count; n++) {
        int64_t to = pf_indices_place(&impl->indices, indices, n * impl->indices.depth), from = 0, stop = 0;

        if (to < 0)
            return false;
        to += base;
        from = to < begin ? begin : to;
        stop = to + impl->inner > end ? end : to + impl->inner;
        if (from < stop)
            impl->put(out + (size_t)from * impl->item_bytes,
                      updates + (size_t)(n * impl->inner + from - to) * impl->item_bytes,
                      (size_t)(stop - from) * impl->item_bytes);
        base += advance(impl, at);
    }
    return true;
}

static pf_status enqueue(const pf_step *step, const pf_bindings *b, pf_stream *stream, pf_err *err)
{
    const scatter_impl *impl = step->impl;
    const void         *data = b->in[impl->data_slot],
                       *indices = impl->indices.slot == UINT32_MAX ? NULL : b->in[impl->indices.slot];
    const void         *updates = impl->update_slot == UINT32_MAX ? (const void *)impl->clear_updates
                                                                  : b->in[impl->update_slot];
    int64_t             moved = (data == b->out[0] ? 0 : impl->total) + impl->count * impl->inner;
    int32_t             threads = (size_t)moved * impl->item_bytes < SERIAL_BYTES ? 1 : pf_stream_cpu_threads(stream);
    atomic_bool         inside = true;

    pf_stream_cpu_enter(stream);
#pragma omp parallel num_threads(threads) if (threads > 1)
    {
        int64_t me = omp_get_thread_num(), all = omp_get_num_threads();

        if (!run_part(impl, data, indices, updates, b->out[0], impl->total * me / all, impl->total * (me + 1) / all))
            atomic_store(&inside, false);
    }
    if (!inside)
        return PF_FAIL(err, PF_INVALID, "an index of a scatter is outside of its %lld elements",
                       (long long)impl->indices.size[0]);
    return PF_OK;
}

const pf_tactic pf_tactic_cpu_scatter = {
    .name = "cpu_scatter", .rev = 1, .needs = PF_CAP_CPU,
    .declines = declines, .prefers = pf_tactic_prefers_linear, .tunings = tunings,
    .prepare = prepare, .enqueue = enqueue,
};
