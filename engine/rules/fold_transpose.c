/* A transpose of the last two dims in front of a matrix product is a flag of the product.  Looked at from the
   transpose, so that a large constant is not moved before its product was seen.  Not where rows are the places of an
   image that a convolution made: with channels last in memory, as convolutions have them, the transpose is no step, and
   the flag would be one. */
#include "engine/op.h"
#include "engine/ops/attrs.h"
#include "engine/rewrite.h"

static bool swaps_last(const pf_node *node)
{
    const pf_ints *perm = node->op == PF_OP_TRANSPOSE ? &((const pf_transpose_attrs *)node->attrs)->perm : NULL;

    if (!perm || perm->count < 2 || perm->at[perm->count - 1] != perm->count - 2 ||
        perm->at[perm->count - 2] != perm->count - 1)
        return false;
    for (int32_t d = 0; d < perm->count - 2; d++)
        if (perm->at[d] != d)
            return false;
    return true;
}

/* A matrix product reads it as one of its matrices. */
static bool is_factor(const pf_graph *graph, pf_use use)
{
    const pf_node *node = use.node == PF_NONE ? NULL : &graph->nodes[use.node];

    return node && use.slot < 2 &&
           (node->op == PF_OP_GEMM ||
            (node->op == PF_OP_MATMUL && graph->values[node->in[1 - use.slot]].shape.rank >= 2));
}

enum { WAY_LIMIT = 8 };

static bool is_image(const pf_graph *graph, pf_value_id value)
{
    for (int i = 0; i < WAY_LIMIT && graph->values[value].producer != PF_NONE; i++) {
        const pf_node *node = &graph->nodes[graph->values[value].producer];

        if (node->op == PF_OP_CONV || node->op == PF_OP_CONV_TRANSPOSE)
            return graph->values[value].shape.rank > 3;
        if (node->op != PF_OP_RESHAPE && (pf_op_def_of(node->op)->klass != PF_CLASS_POINTWISE || node->in_count < 1))
            return false;
        value = node->in[0];
    }
    return false;
}

/* A row for each place times a matrix. */
static bool takes_places(const pf_graph *graph, pf_use use, pf_value_id x)
{
    return use.slot == 0 && graph->values[x].shape.rank == 3 &&
           graph->values[graph->nodes[use.node].in[1]].shape.rank == 2 && is_image(graph, x);
}

static pf_status flip(pf_graph *graph, pf_use use, pf_value_id x, pf_value_id *out, pf_err *err)
{
    pf_node         node = graph->nodes[use.node];      /* a copy: adding nodes moves them */
    pf_gemm_attrs   gemm = { 0 };
    pf_matmul_attrs matmul = { 0 };
    pf_value_id     in[3] = { PF_NONE, PF_NONE, PF_NONE };

    for (uint32_t i = 0; i < node.in_count; i++)
        in[i] = i == use.slot ? x : node.in[i];
    if (node.op == PF_OP_GEMM) {
        gemm = *(const pf_gemm_attrs *)node.attrs;
        *(use.slot ? &gemm.trans_b : &gemm.trans_a) ^= 1;
        return pf_graph_add_node(graph, node.op, node.name, in, node.in_count, &gemm, 1, out, err);
    }
    matmul = *(const pf_matmul_attrs *)node.attrs;
    *(use.slot ? &matmul.trans_b : &matmul.trans_a) ^= 1;
    return pf_graph_add_node(graph, node.op, node.name, in, node.in_count, &matmul, 1, out, err);
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph   *graph = pf_rewrite_graph(rewrite);
    pf_value_id moved = graph->nodes[id].out[0], x = swaps_last(&graph->nodes[id]) ? graph->nodes[id].in[0] : PF_NONE;
    uint32_t    i = 0;

    while (x != PF_NONE && i < pf_graph_use_count(graph, moved)) {
        pf_use      use = pf_graph_use(graph, moved, i);
        pf_value_id out = PF_NONE;
        bool        replaced = false;
        pf_status   st = PF_OK;

        i++;
        if (!is_factor(graph, use) || takes_places(graph, use, x))
            continue;
        st = flip(graph, use, x, &out, err);
        if (!st)
            st = pf_rewrite_replace(rewrite, use.node, 0, out, &replaced, err);
        if (st)
            return st;
        *changed = true;
        i = 0;
    }
    return PF_OK;
}

const pf_rule pf_rule_fold_transpose = {
    .name = "fold_transpose", .summary = "multiply by a transposed matrix without moving it", .phase = PF_RULES_CLEAN,
    .default_on = true, .apply = apply,
};
