/* A product repeats one matrix over its batch itself.
     matmul(expand(x), w)     matmul(x, w)
   Condition: x is one matrix, and the other operand has the whole batch. */
#include "engine/make.h"
#include "engine/ops/attrs.h"
#include "engine/rewrite.h"

static bool is_one_matrix(const pf_shape *shape)
{
    for (int32_t d = 0; d + 2 < shape->rank; d++)
        if (shape->dim[d] != 1)
            return false;
    return shape->rank >= 2;
}

/* The last two dims are the same, so that only whole matrices are repeated. */
static bool repeats_whole(const pf_shape *from, const pf_shape *to)
{
    return to->rank >= 2 && from->dim[from->rank - 1] == to->dim[to->rank - 1] &&
           from->dim[from->rank - 2] == to->dim[to->rank - 2];
}

static bool has_batch(const pf_shape *other, const pf_shape *result)
{
    for (int32_t d = 0; d + 2 < result->rank; d++)
        if (other->rank != result->rank || other->dim[d] != result->dim[d])
            return false;
    return result->rank > 2;
}

/* The matrix that is repeated; PF_NONE when it is none. */
static pf_value_id matrix_of(const pf_graph *graph, const pf_node *node, uint32_t slot)
{
    pf_node_id  expand = pf_rewrite_maker(graph, node->in[slot], PF_OP_EXPAND);
    pf_value_id x = expand == PF_NONE ? PF_NONE : graph->nodes[expand].in[0];

    if (x == PF_NONE || !is_one_matrix(&graph->values[x].shape) ||
        !repeats_whole(&graph->values[x].shape, &graph->values[node->in[slot]].shape) ||
        !has_batch(&graph->values[node->in[1 - slot]].shape, &graph->values[node->out[0]].shape))
        return PF_NONE;
    return x;
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph              *graph = pf_rewrite_graph(rewrite);
    pf_node                node = graph->nodes[id];         /* a copy: adding nodes moves them */
    const pf_matmul_attrs *attrs = node.attrs;
    pf_value_id            in[2] = { PF_NONE, PF_NONE }, out = PF_NONE;
    pf_shape               flat = { .rank = 2 };
    uint32_t               slot = 0;
    pf_status              st = PF_OK;

    if (node.op != PF_OP_MATMUL)
        return PF_OK;
    slot = matrix_of(graph, &node, 0) != PF_NONE ? 0 : 1;
    in[slot] = matrix_of(graph, &node, slot);
    in[1 - slot] = node.in[1 - slot];
    if (in[slot] == PF_NONE)
        return PF_OK;
    for (int32_t d = 0; d < 2; d++)
        flat.dim[d] = graph->values[in[slot]].shape.dim[graph->values[in[slot]].shape.rank - 2 + d];
    st = pf_make_reshape(graph, node.name, in[slot], &flat, &in[slot], err);
    if (!st)
        st = pf_make_matmul(graph, node.name, in[0], in[1], attrs->trans_a, attrs->trans_b, &out, err);
    return st ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

const pf_rule pf_rule_expand_in_product = {
    .name = "expand_in_product", .summary = "a product repeats one matrix over its batch itself",
    .phase = PF_RULES_MERGE, .default_on = true, .apply = apply,
};
