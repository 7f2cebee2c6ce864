/* The outputs of a split are slices: each is read where it stands, and joins what reads it.
   Condition: the sizes are known, and there are no more outputs than LIMIT. */
#include "engine/make.h"
#include "engine/ops/attrs.h"
#include "engine/rewrite.h"

enum { LIMIT = 16 };

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph      *graph = pf_rewrite_graph(rewrite);
    pf_node        node = graph->nodes[id];          /* a copy: adding nodes moves them */
    int64_t        axis = node.op == PF_OP_SPLIT ? ((const pf_split_attrs *)node.attrs)->axis : -1;
    pf_dim         start = 0;

    if (axis < 0 || node.out_count < 2 || node.out_count > LIMIT)
        return PF_OK;
    for (uint32_t i = 0; i < node.out_count; i++)
        if (graph->values[node.out[i]].shape.rank < 0 || graph->values[node.out[i]].shape.dim[axis] == PF_DIM_INVALID)
            return PF_OK;
    for (uint32_t i = 0; i < node.out_count; i++) {
        pf_value_id out = PF_NONE;
        pf_dim      end = pf_dim_add(graph->dims, start, graph->values[node.out[i]].shape.dim[axis]);
        pf_status   st = PF_OK;

        if (pf_graph_use_count(graph, node.out[i])) {
            st = pf_make_slice(graph, node.name, node.in[0], axis, start, end, 1, &out, err);
            if (!st)
                st = pf_rewrite_replace(rewrite, id, i, out, changed, err);
            if (st)
                return st;
        }
        start = end;
    }
    return PF_OK;
}

const pf_rule pf_rule_split_to_slices = {
    .name = "split_to_slices", .summary = "slice what a split would copy apart", .phase = PF_RULES_CLEAN,
    .default_on = true, .apply = apply,
};
