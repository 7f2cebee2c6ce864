/* Running numbers whose bounds are known. */
#include "engine/device_cpu.h"
#include "engine/op.h"
#include "engine/ops/attrs.h"
#include "engine/tactic.h"

enum { START, LIMIT, DELTA };

typedef struct range_impl { pf_dtype dtype; int64_t count, start, delta; } range_impl;

static const char *declines(const pf_device *device, const pf_problem *p)
{
    const pf_node *node = pf_graph_node(p->graph, 0);

    (void)device;
    if (p->graph->node_count != 1 || node->op != PF_OP_RANGE || node->in_count)
        return "not a range with known bounds";
    return pf_dtype_is_integer(pf_graph_value(p->graph, node->out[0])->dtype) ? NULL : "not integers";
}

static bool prefers(const pf_device *device, const pf_problem *p, uint32_t index, pf_layout *in, pf_layout *out)
{
    (void)device, (void)in;
    if (p->graph->output_count != 1)
        return false;
    out[0] = PF_LAYOUT_LINEAR;
    return index == 0;
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    (void)device, (void)p, (void)effort;
    return pf_tuning_add(out, err, "loop");
}

static pf_status prepare(pf_device *device, const pf_problem *p, const char *tuning, const void *saved,
                         size_t saved_bytes, pf_step **out, pf_err *err)
{
    const pf_node        *node = pf_graph_node(p->graph, 0);
    const pf_range_attrs *attrs = node->attrs;
    const pf_value       *y = pf_graph_value(p->graph, node->out[0]);
    pf_step              *step = NULL;

    (void)device, (void)tuning, (void)saved, (void)saved_bytes;
    *out = NULL;
    if (!pf_problem_is_bound(p) || pf_dim_is_symbolic(attrs->bounds.at[START]) ||
        pf_dim_is_symbolic(attrs->bounds.at[DELTA]))
        return PF_FAIL(err, PF_INVALID, "a step needs a problem whose dims are numbers");
    step = pf_step_new(&pf_tactic_cpu_range, sizeof(range_impl));
    if (!step)
        return PF_FAIL_MEMORY(err, sizeof(range_impl));
    *(range_impl *)step->impl = (range_impl){ y->dtype, y->shape.dim[0], attrs->bounds.at[START],
                                              attrs->bounds.at[DELTA] };
    *out = step;
    return PF_OK;
}

static pf_status enqueue(const pf_step *step, const pf_bindings *b, pf_stream *stream, pf_err *err)
{
    const range_impl *impl = step->impl;

    (void)stream, (void)err;
    for (int64_t i = 0; i < impl->count; i++)
        pf_dtype_set_i64(impl->dtype, b->out[0], (uint64_t)i, impl->start + i * impl->delta);
    return PF_OK;
}

const pf_tactic pf_tactic_cpu_range = {
    .name = "cpu_range", .rev = 1, .needs = PF_CAP_CPU,
    .declines = declines, .prefers = prefers, .tunings = tunings, .prepare = prepare, .enqueue = enqueue,
};
