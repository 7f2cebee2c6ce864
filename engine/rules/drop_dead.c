#include "engine/rewrite.h"

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph      *graph = pf_rewrite_graph(rewrite);
    const pf_node *node = &graph->nodes[id];

    (void)err;
    for (uint32_t i = 0; i < node->out_count; i++)
        if (pf_graph_use_count(graph, node->out[i]))
            return PF_OK;
    *changed = pf_graph_remove_dead(graph) > 0;      /* with what only this node needed */
    return PF_OK;
}

const pf_rule pf_rule_drop_dead = {
    .name = "drop_dead", .summary = "remove nodes that nobody uses", .phase = PF_RULES_CLEAN, .default_on = true,
    .apply = apply,
};
