/* Of a commutative op's inputs a constant is the second, so that other rules and regions look for it in one place. */
#include "engine/rewrite.h"

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph      *graph = pf_rewrite_graph(rewrite);
    const pf_node *node = &graph->nodes[id];
    pf_value_id    first = PF_NONE, second = PF_NONE;
    pf_status      st = PF_OK;

    if (!(pf_op_def_of(node->op)->flags & PF_OPF_COMMUTATIVE) || node->in_count < 2 || node->in[0] == PF_NONE ||
        node->in[1] == PF_NONE)
        return PF_OK;
    first = node->in[0];
    second = node->in[1];
    if (!graph->values[first].is_constant || graph->values[second].is_constant)
        return PF_OK;
    st = pf_graph_set_input(graph, id, 0, second, err);
    if (!st)
        st = pf_graph_set_input(graph, id, 1, first, err);
    *changed = !st;
    return st;
}

const pf_rule pf_rule_constants_last = {
    .name = "constants_last", .summary = "write x + 1 rather than 1 + x", .phase = PF_RULES_CLEAN, .default_on = true,
    .apply = apply,
};
