/* A product of matrices between reshapes that flatten all dims but the last and restore them is a product of higher
   rank: what follows it then sees the shape that it works in, and joins it.
     reshape(gemm(reshape(x), w, b))     matmul(x, w) + b
   Condition: the left matrix is not transposed, alpha and beta are 1, and only reshapes of the same kind read the
   product. */
#include "engine/make.h"
#include "engine/ops/attrs.h"
#include "engine/rewrite.h"

typedef struct product { pf_value_id x, w, addend; bool trans_w; } product;

static bool read_product(const pf_graph *graph, pf_value_id value, product *out)
{
    const pf_node         *node = graph->values[value].producer == PF_NONE
                                      ? NULL
                                      : &graph->nodes[graph->values[value].producer];
    const pf_gemm_attrs   *gemm = node && node->op == PF_OP_GEMM ? node->attrs : NULL;
    const pf_matmul_attrs *matmul = node && node->op == PF_OP_MATMUL ? node->attrs : NULL;

    if (!gemm && !matmul)
        return false;
    *out = (product){ node->in[0], node->in[1], node->in_count > 2 ? node->in[2] : PF_NONE,
                      gemm ? gemm->trans_b : matmul->trans_b };
    if (gemm && (gemm->trans_a || gemm->alpha != 1 || (out->addend != PF_NONE && gemm->beta != 1)))
        return false;
    return !(matmul && matmul->trans_a) && graph->values[out->x].shape.rank == 2 &&
           graph->values[out->w].shape.rank == 2;
}

/* The addend is the same for all rows. */
static bool is_row(const pf_graph *graph, pf_value_id addend)
{
    const pf_shape *shape = addend == PF_NONE ? NULL : &graph->values[addend].shape;

    return !shape || shape->rank < 2 || (shape->rank == 2 && shape->dim[0] == 1);
}

/* [.., n] of [m, n] with the dims but the last making m. */
static bool restores(const pf_graph *graph, const pf_node *node)
{
    const pf_shape *flat = &graph->values[node->in[0]].shape, *to = &graph->values[node->out[0]].shape;
    pf_dim          rows = 1;

    for (int32_t d = 0; d + 1 < to->rank; d++)
        rows = pf_dim_mul(graph->dims, rows, to->dim[d]);
    return node->op == PF_OP_RESHAPE && to->rank > 2 && flat->rank == 2 && to->dim[to->rank - 1] == flat->dim[1] &&
           rows == flat->dim[0];
}

static bool all_restore(const pf_graph *graph, pf_value_id value)
{
    for (uint32_t i = 0; i < pf_graph_use_count(graph, value); i++) {
        pf_use use = pf_graph_use(graph, value, i);

        if (use.node == PF_NONE || !restores(graph, &graph->nodes[use.node]))
            return false;
    }
    return true;
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph   *graph = pf_rewrite_graph(rewrite);
    pf_node     node = graph->nodes[id];         /* a copy: adding nodes moves them */
    product     p = { 0 };
    const char *name = "";
    pf_shape    shape = graph->values[node.out[0]].shape;
    pf_value_id out = PF_NONE;
    pf_status   st = PF_OK;

    if (node.op != PF_OP_RESHAPE || !read_product(graph, node.in[0], &p) || !is_row(graph, p.addend) ||
        pf_rewrite_maker(graph, p.x, PF_OP_RESHAPE) == PF_NONE || !all_restore(graph, node.in[0]))
        return PF_OK;
    name = graph->nodes[graph->values[node.in[0]].producer].name;
    shape.dim[shape.rank - 1] = graph->values[p.x].shape.dim[1];
    st = pf_make_reshape(graph, name, p.x, &shape, &out, err);
    if (!st)
        st = pf_make_matmul(graph, name, out, p.w, false, p.trans_w, &out, err);
    if (!st && p.addend != PF_NONE)
        st = pf_make_binary(graph, PF_OP_ADD, name, out, p.addend, &out, err);
    return st ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

const pf_rule pf_rule_flat_product = {
    .name = "flat_product", .summary = "multiply rows of any shape without flattening them", .phase = PF_RULES_PATTERN,
    .default_on = true, .apply = apply,
};
