/* A pointwise op computes on what was there before an expand, and the expand comes behind it, or goes where the op
   broadcasts anyway. A constant of one value is a scalar for this. */
#include "engine/fold.h"
#include "engine/make.h"
#include "engine/rewrite.h"

enum { OPERANDS = 3 };

/* What an operand was before it was made larger; itself when it was not. */
static pf_status shrink(pf_graph *graph, pf_value_id x, pf_value_id *out, pf_err *err)
{
    pf_node_id expand = pf_rewrite_maker(graph, x, PF_OP_EXPAND);
    double     value = 0;

    *out = expand == PF_NONE ? x : graph->nodes[expand].in[0];
    if (expand == PF_NONE && graph->values[x].shape.rank > 0 && pf_fold_uniform(graph, x, &value))
        return pf_graph_add_scalar(graph, graph->values[x].dtype, value, out, err);
    return PF_OK;
}

static bool broadcast_all(pf_graph *graph, const pf_value_id *in, uint32_t count, pf_shape *out)
{
    pf_err ignored = { 0 };

    *out = graph->values[in[0]].shape;
    for (uint32_t i = 1; i < count; i++) {
        pf_shape both = { 0 };

        if (pf_shape_broadcast(graph->dims, out, &graph->values[in[i]].shape, &both, &ignored))
            return false;
        *out = both;
    }
    return out->rank >= 0;
}

/* Constants alone that shrink, where the result would too, are left to constant folding. */
static bool has_expand(const pf_graph *graph, const pf_node *node)
{
    for (uint32_t i = 0; i < node->in_count; i++)
        if (pf_rewrite_maker(graph, node->in[i], PF_OP_EXPAND) != PF_NONE)
            return true;
    return false;
}

static bool is_candidate(const pf_graph *graph, const pf_node *node)
{
    bool shrinks = has_expand(graph, node);
    double value = 0;

    if (pf_op_def_of(node->op)->klass != PF_CLASS_POINTWISE || node->out_count != 1 || node->in_count > OPERANDS)
        return false;
    for (uint32_t i = 0; i < node->in_count; i++)
        shrinks |= graph->values[node->in[i]].shape.rank > 0 && pf_fold_uniform(graph, node->in[i], &value);
    return shrinks && graph->values[node->out[0]].shape.rank >= 0;
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph   *graph = pf_rewrite_graph(rewrite);
    pf_node     node = graph->nodes[id];         /* a copy: adding nodes moves them */
    pf_shape    shape = { 0 }, wanted = graph->values[node.out[0]].shape;
    pf_value_id in[OPERANDS] = { PF_NONE }, out = PF_NONE;
    pf_status   st = PF_OK;

    if (!is_candidate(graph, &node))
        return PF_OK;
    for (uint32_t i = 0; i < node.in_count && !st; i++)
        st = shrink(graph, node.in[i], &in[i], err);
    if (st || !broadcast_all(graph, in, node.in_count, &shape) ||
        (!pf_shape_equal(&shape, &wanted) && !has_expand(graph, &node)))
        return st;
    st = pf_graph_add_node(graph, node.op, node.name, in, node.in_count, node.attrs, 1, &out, err);
    if (!st)
        st = pf_make_expand(graph, node.name, out, &wanted, &out, err);
    return st ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

const pf_rule pf_rule_expand_last = {
    .name = "expand_last", .summary = "compute before expanding, and leave broadcasting to the op",
    .phase = PF_RULES_CLEAN, .default_on = true, .apply = apply,
};
