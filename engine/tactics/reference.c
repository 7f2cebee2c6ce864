/* The oracle: runs the references of a problem's ops, one after the other, and converts layouts around them.
   All tensors lie in the workspace, so that a run asks for no memory; the reference of a rare op may still take some of
   its own for the time of its call (sorting, tables), which is why the step is not capturable and is never chosen while
   another one applies. */
#include <string.h>

#include "base/alloc.h"
#include "engine/op.h"
#include "engine/tactic.h"

enum { ALIGNMENT = 64 };

typedef struct node_call { const pf_node *node; const pf_op_def *def; } node_call;

typedef struct reference_impl {
    pf_problem *problem;        /* a copy: steps outlive the problem that they were made from */
    node_call  *calls;          /* in order */
    uint32_t    call_count;
    pf_tensor  *tensors;        /* per value: dtype, dims, bytes; data of clear constants */
    size_t     *offset;         /* per value, in the workspace; SIZE_MAX: bound from outside, or a constant */
    /* in the workspace: this run's copy of tensors, and of one call's inputs and outputs */
    size_t      tensors_at, arguments_at;
    size_t      workspace_bytes;
} reference_impl;

static const char *declines(const pf_device *device, const pf_problem *p)
{
    (void)device;
    for (uint32_t i = 0; i < p->graph->value_count; i++)
        if (p->graph->values[i].dtype == PF_STRING || p->graph->values[i].kind != PF_VALUE_TENSOR)
            return "strings and sequences live on the host";
    return NULL;
}

static pf_status tunings(const pf_device *device, const pf_problem *p, int effort, pf_tuning_list *out, pf_err *err)
{
    (void)device, (void)p, (void)effort;
    return pf_tuning_add(out, err, "plain");
}

static size_t take(size_t *at, size_t bytes)
{
    size_t start = (*at + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;

    *at = start + bytes;
    return start;
}

static pf_status describe_value(reference_impl *impl, pf_value_id v, pf_err *err)
{
    const pf_value *value = pf_graph_value(impl->problem->graph, v);
    pf_tensor      *tensor = &impl->tensors[v];

    tensor->dtype = value->dtype;
    tensor->rank = value->shape.rank;
    if (!pf_shape_is_static(&value->shape))
        return PF_FAIL(err, PF_INVALID, "the reference needs a problem whose dims are numbers");
    memcpy(tensor->dim, value->shape.dim, sizeof tensor->dim);
    if (value->is_constant)
        tensor->data = (void *)(uintptr_t)value->constant.data;
    impl->offset[v] = SIZE_MAX;
    return pf_tensor_measure(tensor, err);
}

/* Every value has a place of its own in the workspace, but for constants and inputs that come LINEAR. */
static void place_values(reference_impl *impl, size_t *at)
{
    const pf_problem *p = impl->problem;

    for (pf_value_id v = 0; v < p->graph->value_count; v++)
        if (!p->graph->values[v].is_constant && !p->graph->values[v].is_input)
            impl->offset[v] = take(at, impl->tensors[v].bytes);
    for (uint32_t i = 0; i < p->graph->input_count; i++)
        if (!p->in_constant[i] && p->in_layout[i] != PF_LAYOUT_LINEAR)
            impl->offset[p->graph->inputs[i]] = take(at, impl->tensors[p->graph->inputs[i]].bytes);
}

static pf_status plan_calls(reference_impl *impl, size_t *at, pf_err *err)
{
    const pf_graph *graph = impl->problem->graph;
    pf_node_id     *order = NULL;
    size_t          arguments = 0;
    pf_status       st = pf_graph_order(graph, &order, &impl->call_count, err);

    if (!st)
        impl->calls = pf_calloc(impl->call_count + 1, sizeof *impl->calls);
    if (!st && !impl->calls)
        st = PF_FAIL_MEMORY(err, impl->call_count * sizeof *impl->calls);
    for (uint32_t i = 0; i < impl->call_count && !st; i++) {
        const pf_node *node = pf_graph_node(graph, order[i]);

        impl->calls[i] = (node_call){ node, pf_op_def_of(node->op) };
        if (node->in_count + node->out_count > arguments)
            arguments = node->in_count + node->out_count;
    }
    impl->tensors_at = take(at, graph->value_count * sizeof(pf_tensor));
    impl->arguments_at = take(at, arguments * sizeof(pf_tensor));
    pf_free(order);
    return st;
}

static void release(pf_step *step)
{
    reference_impl *impl = step->impl;

    pf_problem_free(impl->problem);
    pf_free(impl->calls);
    pf_free(impl->tensors);
    pf_free(impl->offset);
    pf_free(impl);
}

static pf_status fill(reference_impl *impl, const pf_problem *p, pf_err *err)
{
    size_t    at = 0;
    pf_status st = pf_problem_with_layouts(p, p->in_layout, p->out_layout, &impl->problem, err);

    if (st)
        return st;
    impl->tensors = pf_calloc(p->graph->value_count + 1, sizeof *impl->tensors);
    impl->offset = pf_calloc(p->graph->value_count + 1, sizeof *impl->offset);
    if (!impl->tensors || !impl->offset)
        return PF_FAIL_MEMORY(err, p->graph->value_count * sizeof *impl->tensors);
    for (pf_value_id v = 0; v < impl->problem->graph->value_count && !st; v++)
        st = describe_value(impl, v, err);
    if (!st)
        st = plan_calls(impl, &at, err);
    if (!st)
        place_values(impl, &at);
    impl->workspace_bytes = at;
    return st;
}

static pf_status prepare(pf_device *device, const pf_problem *p, const char *tuning, const void *saved,
                         size_t saved_bytes, pf_step **out, pf_err *err)
{
    pf_step  *step = pf_step_new(&pf_tactic_reference, sizeof(reference_impl));
    pf_status st = step ? PF_OK : PF_FAIL_MEMORY(err, sizeof(reference_impl));

    (void)device, (void)tuning, (void)saved, (void)saved_bytes;
    *out = NULL;
    if (!st)
        st = fill(step->impl, p, err);
    if (st) {
        pf_step_free(step);
        return st;
    }
    step->workspace_bytes = ((reference_impl *)step->impl)->workspace_bytes;
    *out = step;
    return PF_OK;
}

static void bind_inputs(const reference_impl *impl, const pf_bindings *b, pf_tensor *tensors)
{
    const pf_problem *p = impl->problem;

    for (uint32_t i = 0; i < p->graph->input_count; i++) {
        pf_tensor *tensor = &tensors[p->graph->inputs[i]];

        if (p->in_constant[i] || p->in_layout[i] == PF_LAYOUT_LINEAR)
            tensor->data = b->in[i];
        else
            pf_layout_unpack(p->in_layout[i], tensor, b->in[i], tensor->data);
    }
}

static pf_status run_call(const node_call *call, const pf_tensor *tensors, pf_tensor *arguments, pf_err *err)
{
    const pf_node    *node = call->node;
    pf_reference_call reference = { .def = call->def, .attrs = node->attrs, .in = arguments, .in_count = node->in_count,
                                    .out = arguments + node->in_count, .out_count = node->out_count };

    for (uint32_t i = 0; i < node->in_count; i++)
        arguments[i] = node->in[i] == PF_NONE ? (pf_tensor){ 0 } : tensors[node->in[i]];
    for (uint32_t i = 0; i < node->out_count; i++) {
        arguments[node->in_count + i] = tensors[node->out[i]];
        memset(tensors[node->out[i]].data, 0, tensors[node->out[i]].bytes);    /* as pf_tensor_alloc leaves it */
    }
    return call->def->reference(&reference, err);
}

/* A reference may answer with memory of its own: that is copied to the result's place. */
static pf_status take_results(const node_call *call, const pf_tensor *tensors, pf_tensor *arguments, pf_status st,
                              pf_err *err)
{
    for (uint32_t i = 0; i < call->node->out_count; i++) {
        pf_tensor       *answer = &arguments[call->node->in_count + i];
        const pf_tensor *place = &tensors[call->node->out[i]];

        if (answer->data == place->data)
            continue;
        if (!st && answer->bytes != place->bytes)
            st = PF_FAIL(err, PF_INVALID, "%s answers %zu bytes where %zu were inferred", call->def->name,
                         answer->bytes, place->bytes);
        if (!st && answer->bytes)
            memcpy(place->data, answer->data, answer->bytes);
        pf_tensor_clear(answer);
    }
    return st;
}

static pf_status enqueue(const pf_step *step, const pf_bindings *b, pf_stream *stream, pf_err *err)
{
    const reference_impl *impl = step->impl;
    const pf_problem     *p = impl->problem;
    char                 *workspace = b->workspace;
    pf_tensor            *tensors = (pf_tensor *)(void *)(workspace + impl->tensors_at);
    pf_tensor            *arguments = (pf_tensor *)(void *)(workspace + impl->arguments_at);
    pf_status             st = PF_OK;

    (void)stream;
    memcpy(tensors, impl->tensors, p->graph->value_count * sizeof *tensors);
    for (pf_value_id v = 0; v < p->graph->value_count; v++)
        if (impl->offset[v] != SIZE_MAX)
            tensors[v].data = workspace + impl->offset[v];
    bind_inputs(impl, b, tensors);
    for (uint32_t i = 0; i < impl->call_count && !st; i++)
        st = take_results(&impl->calls[i], tensors, arguments, run_call(&impl->calls[i], tensors, arguments, err), err);
    for (uint32_t i = 0; i < p->graph->output_count && !st; i++)
        pf_layout_pack(p->out_layout[i], &tensors[p->graph->outputs[i]], tensors[p->graph->outputs[i]].data, b->out[i]);
    return st;
}

const pf_tactic pf_tactic_reference = {
    .name = "reference", .rev = 1, .flags = PF_TACTIC_ORACLE | PF_TACTIC_PITCHED, .needs = PF_CAP_CPU,
    .declines = declines, .tunings = tunings, .prepare = prepare, .enqueue = enqueue, .release = release,
};
