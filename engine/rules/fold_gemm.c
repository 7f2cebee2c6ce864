/* One form for gemm: alpha and beta are 1 wherever they can be moved into constants, and an addend that does not count
   is left out. */
#include "engine/fold.h"
#include "engine/ops/attrs.h"

static bool has_addend(const pf_node *node) { return node->in_count > 2 && node->in[2] != PF_NONE; }

static pf_status drop_addend(pf_graph *graph, pf_node_id id, pf_value_id *out, pf_err *err)
{
    pf_gemm_attrs attrs = *(const pf_gemm_attrs *)graph->nodes[id].attrs;

    attrs.beta = 1;
    return pf_graph_add_node(graph, PF_OP_GEMM, graph->nodes[id].name, graph->nodes[id].in, 2, &attrs, 1, out, err);
}

static bool find_linear(const pf_graph *graph, pf_node_id id, pf_fold_linear *out)
{
    return pf_fold_find_linear(graph, graph->nodes[id].out[0], out);
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph            *graph = pf_rewrite_graph(rewrite);
    const pf_node       *node = &graph->nodes[id];
    const pf_gemm_attrs *attrs = node->attrs;
    pf_fold_linear       linear;
    pf_value_id          out = PF_NONE;
    pf_status            st = PF_OK;

    if (node->op != PF_OP_GEMM)
        return PF_OK;
    if (has_addend(node) && attrs->beta == 0)
        st = drop_addend(graph, id, &out, err);
    else if ((attrs->alpha != 1 || (has_addend(node) && attrs->beta != 1)) && find_linear(graph, id, &linear))
        st = pf_fold_into_linear(graph, &linear, NULL, NULL, "", &out, err);
    return st || out == PF_NONE ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

const pf_rule pf_rule_fold_gemm = {
    .name = "fold_gemm", .summary = "move alpha and beta of a product into its constants", .phase = PF_RULES_WEIGHTS,
    .default_on = true, .apply = apply,
};
