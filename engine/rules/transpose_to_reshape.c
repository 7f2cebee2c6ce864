/* A transpose that leaves the dims larger than 1 in their order moves nothing: it is a reshape. */
#include "engine/make.h"
#include "engine/ops/attrs.h"
#include "engine/rewrite.h"

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph      *graph = pf_rewrite_graph(rewrite);
    const pf_node *node = &graph->nodes[id];
    const pf_ints *perm = node->op == PF_OP_TRANSPOSE ? &((const pf_transpose_attrs *)node->attrs)->perm : NULL;
    pf_shape       to = graph->values[node->out[0]].shape;
    pf_value_id    out = PF_NONE;
    int64_t        last = -1;
    pf_status      st = PF_OK;

    if (!perm)
        return PF_OK;
    for (int32_t d = 0; d < perm->count; d++) {
        if (to.dim[d] == 1)
            continue;
        if (perm->at[d] < last)
            return PF_OK;
        last = perm->at[d];
    }
    st = pf_make_reshape(graph, node->name, node->in[0], &to, &out, err);
    return st ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

const pf_rule pf_rule_transpose_to_reshape = {
    .name = "transpose_to_reshape", .summary = "reshape where a transpose moves nothing", .phase = PF_RULES_CLEAN,
    .default_on = true, .apply = apply,
};
