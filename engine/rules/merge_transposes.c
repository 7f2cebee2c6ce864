/* A transpose of a transpose is one transpose, or none. */
#include "engine/ops/attrs.h"
#include "engine/rewrite.h"

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph          *graph = pf_rewrite_graph(rewrite);
    pf_node_id         before = graph->nodes[id].op == PF_OP_TRANSPOSE
                                    ? pf_rewrite_maker(graph, graph->nodes[id].in[0], PF_OP_TRANSPOSE)
                                    : PF_NONE;
    pf_transpose_attrs attrs = { .perm = { 0 } };
    const pf_ints     *first = NULL, *second = NULL;
    const char        *name = "";
    pf_value_id        in = PF_NONE, out = PF_NONE;
    pf_status          st = PF_OK;

    if (before == PF_NONE)
        return PF_OK;
    first = &((const pf_transpose_attrs *)graph->nodes[before].attrs)->perm;
    second = &((const pf_transpose_attrs *)graph->nodes[id].attrs)->perm;
    attrs.perm.count = second->count;
    for (int32_t i = 0; i < second->count; i++)
        attrs.perm.at[i] = first->at[second->at[i]];
    in = graph->nodes[before].in[0];
    name = pf_rewrite_joined_name(graph, graph->nodes[before].name, graph->nodes[id].name);
    if (!name)
        return PF_FAIL_MEMORY(err, 1);
    st = pf_graph_add_node(graph, PF_OP_TRANSPOSE, name, &in, 1, &attrs, 1, &out, err);
    return st ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

const pf_rule pf_rule_merge_transposes = {
    .name = "merge_transposes", .summary = "one transpose instead of two", .phase = PF_RULES_CLEAN, .default_on = true,
    .apply = apply,
};
