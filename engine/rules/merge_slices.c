/* A slice along one dim of a slice along another is one slice along both.
   Condition: only slices read the inner one.  Slices along the same dim are slice_first's. */
#include "engine/ops/attrs.h"
#include "engine/rewrite.h"

/* Puts axis i of `from` among those of attrs, which are in order; false when it is there already. */
static bool add_axis(pf_slice_attrs *attrs, const pf_slice_attrs *from, int32_t i)
{
    int32_t at = attrs->axes.count;

    if (at == PF_ATTR_LIST || pf_ints_have(&attrs->axes, from->axes.at[i]))
        return false;
    for (; at > 0 && attrs->axes.at[at - 1] > from->axes.at[i]; at--) {
        attrs->axes.at[at] = attrs->axes.at[at - 1];
        attrs->starts.at[at] = attrs->starts.at[at - 1];
        attrs->ends.at[at] = attrs->ends.at[at - 1];
        attrs->steps.at[at] = attrs->steps.at[at - 1];
    }
    attrs->axes.at[at] = from->axes.at[i];
    attrs->starts.at[at] = from->starts.at[i];
    attrs->ends.at[at] = from->ends.at[i];
    attrs->steps.at[at] = from->steps.at[i];
    attrs->axes.count = attrs->starts.count = attrs->ends.count = attrs->steps.count = attrs->axes.count + 1;
    return true;
}

static bool only_slices_read(const pf_graph *graph, pf_value_id value)
{
    for (uint32_t i = 0; i < pf_graph_use_count(graph, value); i++) {
        pf_node_id user = pf_graph_use(graph, value, i).node;

        if (user == PF_NONE || graph->nodes[user].op != PF_OP_SLICE)
            return false;
    }
    return true;
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph             *graph = pf_rewrite_graph(rewrite);
    pf_node_id            before = graph->nodes[id].op == PF_OP_SLICE
                                       ? pf_rewrite_maker(graph, graph->nodes[id].in[0], PF_OP_SLICE)
                                       : PF_NONE;
    const pf_slice_attrs *inner = before == PF_NONE ? NULL : graph->nodes[before].attrs;
    pf_slice_attrs        attrs = { 0 };
    pf_value_id           out = PF_NONE;
    pf_status             st = PF_OK;

    if (!inner || !only_slices_read(graph, graph->nodes[id].in[0]))
        return PF_OK;
    attrs = *(const pf_slice_attrs *)graph->nodes[id].attrs;
    for (int32_t i = 0; i < inner->axes.count; i++)
        if (!add_axis(&attrs, inner, i))
            return PF_OK;
    st = pf_graph_add_node(graph, PF_OP_SLICE, graph->nodes[id].name, graph->nodes[before].in, 1, &attrs, 1, &out, err);
    return st ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

const pf_rule pf_rule_merge_slices = {
    .name = "merge_slices", .summary = "one slice along several dims instead of several slices",
    .phase = PF_RULES_MERGE, .default_on = true, .apply = apply,
};
