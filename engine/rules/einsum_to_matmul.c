/* An einsum of two tensors is a matrix product between transposes and reshapes: labels of both and of the result are
   batches, labels of both alone are summed over.  An einsum of one tensor that sums nothing is a transpose.
   Condition: with "->"; no letter twice in a term, none summed that one tensor has alone, and equal dims for equal
   letters. */
#include "engine/einsum_terms.h"
#include "engine/make.h"
#include "engine/rewrite.h"

typedef pf_einsum_term  term;
typedef pf_einsum_terms equation;
/* Labels in the order in which they stand in a matrix of rows and columns. */
typedef struct kinds { term batch, left, right, summed; } kinds;

static bool classify(const equation *e, kinds *out)
{
    *out = (kinds){ .batch = { .count = 0 } };
    for (int32_t i = 0; i < e->in[0].count; i++) {
        char label = e->in[0].label[i];
        bool right = pf_einsum_place(&e->in[1], label) >= 0, kept = pf_einsum_place(&e->out, label) >= 0;

        if (!right && !kept)
            return false;
        (void)pf_einsum_add(right && kept ? &out->batch : right ? &out->summed : &out->left, label);
    }
    for (int32_t i = 0; i < e->in[1].count; i++) {
        char label = e->in[1].label[i];

        if (pf_einsum_place(&e->in[0], label) >= 0)
            continue;
        if (pf_einsum_place(&e->out, label) < 0)
            return false;
        (void)pf_einsum_add(&out->right, label);
    }
    return out->batch.count + out->left.count + out->right.count == e->out.count &&
           out->batch.count + 2 <= PF_MAX_RANK;
}

static pf_dim dim_of(const pf_graph *graph, const pf_node *node, const equation *e, char label)
{
    for (int32_t i = 0; i < e->inputs; i++) {
        int32_t d = pf_einsum_place(&e->in[i], label);

        if (d >= 0)
            return graph->values[node->in[i]].shape.dim[d];
    }
    return PF_DIM_INVALID;
}

static bool dims_agree(const pf_graph *graph, const pf_node *node, const equation *e)
{
    for (int32_t i = 0; i < e->inputs; i++) {
        const pf_shape *shape = &graph->values[node->in[i]].shape;

        for (int32_t d = 0; d < shape->rank; d++)
            if (dim_of(graph, node, e, e->in[i].label[d]) != shape->dim[d])
                return false;
    }
    return true;
}

static pf_dim product_of(pf_graph *graph, const pf_node *node, const equation *e, const term *labels)
{
    pf_dim product = 1;

    for (int32_t i = 0; i < labels->count; i++)
        product = pf_dim_mul(graph->dims, product, dim_of(graph, node, e, labels->label[i]));
    return product;
}

static void append(int64_t *perm, int32_t *count, const term *from, const term *labels)
{
    for (int32_t i = 0; i < labels->count; i++)
        perm[(*count)++] = pf_einsum_place(from, labels->label[i]);
}

/* [batches..., rows, columns] of operand i. */
static pf_status as_matrix(pf_graph *graph, const pf_node *node, const equation *e, int32_t i, const kinds *k,
                           const term *rows, const term *columns, pf_value_id *out, pf_err *err)
{
    pf_shape  shape = { .rank = k->batch.count + 2 };
    int64_t   perm[PF_MAX_RANK] = { 0 };
    int32_t   count = 0;
    pf_status st = PF_OK;

    append(perm, &count, &e->in[i], &k->batch);
    append(perm, &count, &e->in[i], rows);
    append(perm, &count, &e->in[i], columns);
    for (int32_t d = 0; d < k->batch.count; d++)
        shape.dim[d] = dim_of(graph, node, e, k->batch.label[d]);
    shape.dim[k->batch.count] = product_of(graph, node, e, rows);
    shape.dim[k->batch.count + 1] = product_of(graph, node, e, columns);
    st = pf_make_transpose(graph, node->name, node->in[i], perm, out, err);
    return st ? st : pf_make_reshape(graph, node->name, *out, &shape, out, err);
}

/* [batches..., rows, columns] with the labels that these are, in the order of the result. */
static pf_status as_result(pf_graph *graph, const pf_node *node, const equation *e, const kinds *k, pf_value_id *x,
                           pf_err *err)
{
    const term *parts[] = { &k->batch, &k->left, &k->right };
    term        made = { .count = 0 };
    pf_shape    shape = { 0 };
    int64_t     perm[PF_MAX_RANK] = { 0 };
    int32_t     count = 0;
    pf_status   st = PF_OK;

    for (size_t p = 0; p < sizeof parts / sizeof parts[0]; p++)
        for (int32_t i = 0; i < parts[p]->count; i++) {
            (void)pf_einsum_add(&made, parts[p]->label[i]);
            shape.dim[shape.rank++] = dim_of(graph, node, e, parts[p]->label[i]);
        }
    append(perm, &count, &made, &e->out);
    st = pf_make_reshape(graph, node->name, *x, &shape, x, err);
    return st ? st : pf_make_transpose(graph, node->name, *x, perm, x, err);
}

/* The operand whose own labels stand first in the result is the left one: no transpose follows then. */
static void put_left_first(equation *e, pf_value_id *in, kinds *k)
{
    const equation as_written = *e;
    const pf_value_id first = in[0];

    if (!k->left.count || !k->right.count ||
        pf_einsum_place(&e->out, k->left.label[0]) < pf_einsum_place(&e->out, k->right.label[0]))
        return;
    e->in[0] = as_written.in[1];
    e->in[1] = as_written.in[0];
    in[0] = in[1];
    in[1] = first;
    (void)classify(e, k);
}

static pf_status make_product(pf_graph *graph, const pf_node *written, const equation *as_written, pf_value_id *out,
                              pf_err *err)
{
    pf_value_id    in[2] = { written->in[0], written->in[1] }, a = PF_NONE, b = PF_NONE;
    pf_node        ordered = *written;
    const pf_node *node = &ordered;
    equation       terms = *as_written;
    const equation *e = &terms;
    kinds          k = { .batch = { .count = 0 } };
    pf_status      st = PF_OK;

    if (!classify(e, &k))
        return PF_OK;
    put_left_first(&terms, in, &k);
    ordered.in = in;
    st = as_matrix(graph, node, e, 0, &k, &k.left, &k.summed, &a, err);
    if (!st)
        st = as_matrix(graph, node, e, 1, &k, &k.summed, &k.right, &b, err);
    if (!st)
        st = pf_make_matmul(graph, node->name, a, b, false, false, out, err);
    return st ? st : as_result(graph, node, e, &k, out, err);
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph   *graph = pf_rewrite_graph(rewrite);
    pf_node     node = graph->nodes[id];         /* a copy: adding nodes moves them */
    equation    e = { .inputs = 0 };
    int64_t     perm[PF_MAX_RANK] = { 0 };
    int32_t     count = 0;
    pf_value_id out = PF_NONE;
    pf_status   st = PF_OK;

    if (node.op != PF_OP_EINSUM || !pf_einsum_read(graph, &node, &e) || e.inputs > 2 || !dims_agree(graph, &node, &e))
        return PF_OK;
    append(perm, &count, &e.in[0], &e.out);
    if (e.inputs == 2 && pf_dtype_is_float(graph->values[node.out[0]].dtype))
        st = make_product(graph, &node, &e, &out, err);
    else if (e.inputs == 1 && e.out.count == e.in[0].count)
        st = pf_make_transpose(graph, node.name, node.in[0], perm, &out, err);
    return st || out == PF_NONE ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

const pf_rule pf_rule_einsum_to_matmul = {
    .name = "einsum_to_matmul", .summary = "a matrix product instead of an einsum of two tensors",
    .phase = PF_RULES_CLEAN, .default_on = true, .apply = apply,
};
