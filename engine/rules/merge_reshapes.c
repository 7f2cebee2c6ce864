/* A reshape of a reshape is one reshape. */
#include "engine/ops/attrs.h"
#include "engine/rewrite.h"

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph   *graph = pf_rewrite_graph(rewrite);
    pf_node_id  before = graph->nodes[id].op == PF_OP_RESHAPE
                             ? pf_rewrite_maker(graph, graph->nodes[id].in[0], PF_OP_RESHAPE)
                             : PF_NONE;
    const char *name = "";
    pf_value_id in = PF_NONE, out = PF_NONE;
    pf_status   st = PF_OK;

    if (before == PF_NONE)
        return PF_OK;
    in = graph->nodes[before].in[0];
    name = pf_rewrite_joined_name(graph, graph->nodes[before].name, graph->nodes[id].name);
    if (!name)
        return PF_FAIL_MEMORY(err, 1);
    st = pf_graph_add_node(graph, PF_OP_RESHAPE, name, &in, 1, graph->nodes[id].attrs, 1, &out, err);
    return st ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

const pf_rule pf_rule_merge_reshapes = {
    .name = "merge_reshapes", .summary = "one reshape instead of two", .phase = PF_RULES_CLEAN, .default_on = true,
    .apply = apply,
};
