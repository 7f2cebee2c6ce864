/* A reduction that drops dims which a reshape puts back keeps them. */
#include "engine/ops/attrs.h"
#include "engine/rewrite.h"

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph       *graph = pf_rewrite_graph(rewrite);
    pf_node_id      reduce = graph->nodes[id].op == PF_OP_RESHAPE
                                 ? pf_rewrite_maker(graph, graph->nodes[id].in[0], PF_OP_REDUCE)
                                 : PF_NONE;
    const pf_shape *x = reduce == PF_NONE ? NULL : &graph->values[graph->nodes[reduce].in[0]].shape,
                   *to = &graph->values[graph->nodes[id].out[0]].shape;
    pf_reduce_attrs attrs = { 0 };
    pf_value_id     out = PF_NONE;
    pf_status       st = PF_OK;

    if (!x || x->rank != to->rank)
        return PF_OK;
    attrs = *(const pf_reduce_attrs *)graph->nodes[reduce].attrs;
    for (int32_t d = 0; d < x->rank; d++)
        if (attrs.keepdims || to->dim[d] != (pf_ints_have(&attrs.axes, d) ? 1 : x->dim[d]))
            return PF_OK;
    attrs.keepdims = 1;
    st = pf_graph_add_node(graph, PF_OP_REDUCE, graph->nodes[reduce].name, graph->nodes[reduce].in, 1, &attrs, 1, &out,
                           err);
    return st ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

const pf_rule pf_rule_keep_reduced = {
    .name = "keep_reduced", .summary = "keep dims that are put back after a reduction", .phase = PF_RULES_CLEAN,
    .default_on = true, .apply = apply,
};
