/* Two nodes that compute the same become one. */
#include <string.h>

#include "engine/rewrite.h"

enum { COMPARED_BYTES = 4096 };     /* larger constants are the same only when they share their bytes */

static bool same_constant(const pf_value *a, const pf_value *b)
{
    if (!a->is_constant || !b->is_constant || a->dtype != b->dtype || !pf_shape_equal(&a->shape, &b->shape))
        return false;
    if (pf_constant_shares(&a->constant, &b->constant))
        return true;
    return a->dtype != PF_STRING && a->constant.bytes <= COMPARED_BYTES &&
           !memcmp(a->constant.data, b->constant.data, a->constant.bytes);
}

static bool same_value(const pf_graph *graph, pf_value_id a, pf_value_id b)
{
    return a == b || (a != PF_NONE && b != PF_NONE && same_constant(&graph->values[a], &graph->values[b]));
}

static bool same_inputs(const pf_graph *graph, const pf_node *a, const pf_node *b, bool swapped)
{
    for (uint32_t i = 0; i < a->in_count; i++)
        if (!same_value(graph, a->in[i], b->in[swapped && i < 2 ? 1 - i : i]))
            return false;
    return true;
}

static bool same_node(const pf_graph *graph, const pf_node *a, const pf_node *b)
{
    const pf_op_def *def = pf_op_def_of(a->op);
    bool             commutes = def->flags & PF_OPF_COMMUTATIVE && a->in_count >= 2;

    if (a->op != b->op || a->in_count != b->in_count || a->out_count != b->out_count || def->flags & PF_OPF_RANDOM)
        return false;
    if (!same_inputs(graph, a, b, false) && !(commutes && same_inputs(graph, a, b, true)))
        return false;
    return !def->attr_bytes || pf_attrs_equal(def, a->attrs, b->attrs);
}

/* Candidates share an input that is no constant; of several equal nodes the one of the least id stays. */
static pf_node_id find_twin(const pf_graph *graph, pf_node_id id)
{
    const pf_node *node = &graph->nodes[id];
    pf_value_id    shared = PF_NONE;
    pf_node_id     twin = PF_NONE;

    for (uint32_t i = 0; i < node->in_count && shared == PF_NONE; i++)
        if (node->in[i] != PF_NONE && !graph->values[node->in[i]].is_constant)
            shared = node->in[i];
    for (uint32_t i = 0; shared != PF_NONE && i < pf_graph_use_count(graph, shared); i++) {
        pf_node_id other = pf_graph_use(graph, shared, i).node;

        if (other != PF_NONE && other < id && other < twin && same_node(graph, node, &graph->nodes[other]))
            twin = other;
    }
    return twin;
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph  *graph = pf_rewrite_graph(rewrite);
    pf_node_id twin = graph->nodes[id].op == PF_OP_IDENTITY ? PF_NONE : find_twin(graph, id);

    if (twin == PF_NONE)
        return PF_OK;
    for (uint32_t i = 0; i < graph->nodes[id].out_count; i++) {
        pf_status st = PF_OK;

        if (!pf_graph_use_count(graph, graph->nodes[id].out[i]))
            continue;
        st = pf_rewrite_replace(rewrite, id, i, graph->nodes[twin].out[i], changed, err);
        if (st)
            return st;
    }
    return PF_OK;
}

const pf_rule pf_rule_merge_common = {
    .name = "merge_common", .summary = "compute once what is computed twice", .phase = PF_RULES_CLEAN,
    .default_on = true, .apply = apply,
};
