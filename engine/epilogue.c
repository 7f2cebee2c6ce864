#include "engine/epilogue.h"

#include "engine/ops/attrs.h"

uint32_t pf_problem_input_index(const pf_problem *p, pf_value_id value)
{
    for (uint32_t i = 0; i < p->graph->input_count; i++)
        if (p->graph->inputs[i] == value)
            return i;
    return UINT32_MAX;
}

static bool has_one_element(const pf_shape *shape)
{
    for (int32_t i = 0; i < shape->rank; i++)
        if (shape->dim[i] != 1)
            return false;
    return true;
}

bool pf_problem_scalar(const pf_problem *p, pf_value_id value, double *out)
{
    const pf_value *v = pf_graph_value(p->graph, value);

    if (!v->is_constant || !has_one_element(&v->shape))
        return false;
    *out = pf_dtype_get(v->dtype, v->constant.data, 0);
    return true;
}

pf_spread pf_spread_of(const pf_shape *operand, const pf_shape *result, int32_t axis)
{
    int32_t shift = result->rank - operand->rank;
    bool    channel = true;

    if (has_one_element(operand))
        return PF_SPREAD_SCALAR;
    if (pf_shape_equal(operand, result))
        return PF_SPREAD_FULL;
    if (shift < 0)
        return PF_SPREAD_OTHER;
    for (int32_t i = 0; i < operand->rank; i++)
        channel = channel && operand->dim[i] == (i + shift == axis ? result->dim[axis] : 1);
    return channel && axis >= shift ? PF_SPREAD_CHANNEL : PF_SPREAD_OTHER;
}

static const char *read_item(const pf_problem *p, const pf_node *node, pf_value_id flow, pf_epilogue_item *item)
{
    const pf_pointwise_attrs *attrs = node->attrs;

    if (!pf_op_is_pointwise(node->op) || node->in_count > 2 || node->out_count != 1)
        return "the epilogue holds an op that is not unary or binary";
    *item = (pf_epilogue_item){ .op = node->op, .p = attrs ? attrs->p : 0, .q = attrs ? attrs->q : 0,
                                .value = node->out[0], .operand = PF_NONE };
    if (node->in_count == 1)
        return NULL;
    if (node->in[0] == node->in[1])
        return "the epilogue uses a value twice";
    item->operand_first = node->in[1] == flow;
    item->operand = node->in[item->operand_first ? 0 : 1];
    item->is_scalar = pf_problem_scalar(p, item->operand, &item->scalar);
    return NULL;
}

/* The node that alone reads a value; NULL when there is none, or the value leaves. */
static const pf_node *reader_of(const pf_graph *graph, pf_value_id value)
{
    pf_use use = { PF_NONE, 0 };

    if (pf_graph_use_count(graph, value) != 1)
        return NULL;
    use = pf_graph_use(graph, value, 0);
    return use.node == PF_NONE ? NULL : pf_graph_node(graph, use.node);
}

/* Behind reshapes that keep rows whole, the value that a pointwise op reads; flow itself when there is none. */
static pf_value_id skip_reshapes(const pf_graph *graph, pf_value_id flow)
{
    const pf_shape *from = &pf_graph_value(graph, flow)->shape;
    pf_value_id     at = flow;
    const pf_node  *next = reader_of(graph, at);

    while (next && (next->op == PF_OP_RESHAPE || next->op == PF_OP_IDENTITY)) {
        at = next->out[0];
        next = reader_of(graph, at);
    }
    if (at == flow || !next || !pf_op_is_pointwise(next->op) || from->rank < 1 ||
        pf_graph_value(graph, at)->shape.rank < 1 ||
        from->dim[from->rank - 1] != pf_graph_value(graph, at)->shape.dim[pf_graph_value(graph, at)->shape.rank - 1])
        return flow;
    return at;
}

static const char *read_chain(const pf_problem *p, pf_value_id start, bool linear, pf_epilogue *out)
{
    const pf_graph *graph = p->graph;
    const char     *reason = NULL;
    pf_value_id     flow = start;

    out->count = 0;
    if (graph->output_count != 1)
        return "more than one output";
    while (flow != graph->outputs[0]) {
        const pf_node *node = NULL;

        flow = linear ? skip_reshapes(graph, flow) : flow;
        node = reader_of(graph, flow);
        if (!node || out->count == PF_EPILOGUE_LIMIT)
            return "the epilogue is not a chain";
        if (linear && !pf_op_is_pointwise(node->op))
            break;
        reason = read_item(p, node, flow, &out->items[out->count]);
        if (reason)
            return reason;
        if (!pf_shape_equal(&pf_graph_value(graph, flow)->shape, &pf_graph_value(graph, node->out[0])->shape))
            return "the epilogue broadcasts the result";
        flow = node->out[0];
        out->count++;
    }
    out->result = flow;
    return pf_graph_use_count(graph, flow) == 1 ? NULL : "the result is read inside too";
}

const char *pf_epilogue_read(const pf_problem *p, pf_value_id start, pf_epilogue *out)
{
    return read_chain(p, start, false, out);
}

const char *pf_epilogue_read_to_moves(const pf_problem *p, pf_value_id start, pf_epilogue *out)
{
    return read_chain(p, start, true, out);
}
