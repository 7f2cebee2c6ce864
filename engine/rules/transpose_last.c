/* A transpose goes down through ops that work on each element, each row or each channel alike, where it meets others
   that undo it or join it: networks that change between orders of dims (batch and sequence, channels first and last) do
   so in pairs. Condition: every way down from it, through at most LIMIT ops, ends at a transpose. */
#include <string.h>

#include "engine/make.h"
#include "engine/ops/attrs.h"
#include "engine/reshape_map.h"
#include "engine/rewrite.h"

enum { LIMIT = 24, OPERANDS = 3 };

typedef struct mover { pf_graph *graph; int effort; } mover;

static const pf_shape *shape_of(const mover *m, pf_value_id value) { return &m->graph->values[value].shape; }

static const pf_ints *perm_of(const mover *m, pf_value_id value)
{
    pf_node_id node = pf_rewrite_maker(m->graph, value, PF_OP_TRANSPOSE);

    return node == PF_NONE ? NULL : &((const pf_transpose_attrs *)m->graph->nodes[node].attrs)->perm;
}

static bool same_perm(const pf_ints *a, const pf_ints *b)
{
    return a->count == b->count && !memcmp(a->at, b->at, (size_t)a->count * sizeof a->at[0]);
}

/* The last dim stays the last. */
static bool keeps_last(const pf_ints *perm) { return perm->at[perm->count - 1] == perm->count - 1; }

/* An operand that a pointwise op may read in the order before the transpose: one that is the same along all dims that
   move, a constant, or one that is transposed alike. */
static bool fits_beside(const mover *m, pf_value_id value, const pf_ints *perm)
{
    const pf_value *v = &m->graph->values[value];
    const pf_ints  *other = perm_of(m, value);

    if (other)
        return same_perm(perm, other);
    if (v->is_constant)
        return v->shape.rank <= perm->count;
    for (int32_t i = 0; i < v->shape.rank; i++) {
        int32_t d = i + perm->count - v->shape.rank;

        if (v->shape.dim[i] != 1 && perm->at[d] != d)
            return false;
    }
    return v->shape.rank <= perm->count;
}

static bool fits_pointwise(const mover *m, const pf_node *node, pf_value_id from, const pf_ints *perm)
{
    for (uint32_t i = 0; i < node->in_count; i++)
        if (node->in[i] != from && !fits_beside(m, node->in[i], perm))
            return false;
    return node->in_count <= OPERANDS && node->out_count == 1 && shape_of(m, node->out[0])->rank == perm->count;
}

/* Rows times a matrix. */
static bool fits_product(const mover *m, const pf_node *node, pf_value_id from, const pf_ints *perm)
{
    return node->in[0] == from && node->in[1] != from && keeps_last(perm) &&
           !((const pf_matmul_attrs *)node->attrs)->trans_a && shape_of(m, node->in[1])->rank == 2;
}

static bool fits_row(const mover *m, const pf_node *node, pf_value_id from, const pf_ints *perm)
{
    static const pf_op_kind axes[] = { PF_OP_LAYER_NORM, PF_OP_RMS_NORM, PF_OP_SOFTMAX, PF_OP_LOG_SOFTMAX };
    int64_t                 axis = -1;

    for (size_t i = 0; i < sizeof axes / sizeof axes[0]; i++)
        if (axes[i] == node->op)        /* the axis stands first in the attributes of all of these */
            axis = *(const int64_t *)node->attrs;
    for (uint32_t i = 1; i < node->in_count; i++)
        if (node->in[i] != PF_NONE && shape_of(m, node->in[i])->rank > 1)
            return false;
    return node->in[0] == from && node->out_count == 1 && keeps_last(perm) && axis == perm->count - 1;
}

static bool fits_concat(const mover *m, const pf_node *node, pf_value_id from, const pf_ints *perm)
{
    (void)from;
    for (uint32_t i = 0; i < node->in_count; i++)
        if (!perm_of(m, node->in[i]) || !same_perm(perm, perm_of(m, node->in[i])))
            return false;
    return node->in_count <= PF_ATTR_LIST;
}

static bool fits_reduce(const mover *m, const pf_node *node, pf_value_id from, const pf_ints *perm)
{
    (void)m, (void)from, (void)perm;
    return ((const pf_reduce_attrs *)node->attrs)->keepdims;
}

static bool fits_slice(const mover *m, const pf_node *node, pf_value_id from, const pf_ints *perm)
{
    return (void)m, (void)node, (void)from, (void)perm, true;
}

typedef bool fits_fn(const mover *m, const pf_node *node, pf_value_id from, const pf_ints *perm);
typedef pf_status move_fn(mover *m, const pf_node *node, const pf_ints *perm, pf_value_id *out, pf_err *err);

static pf_value_id behind(const mover *m, pf_value_id value)
{
    return m->graph->nodes[m->graph->values[value].producer].in[0];
}

/* value as it would be in front of a transpose by perm. */
static pf_status put_before(mover *m, pf_value_id value, const pf_ints *perm, pf_value_id *out, pf_err *err)
{
    pf_shape  shape = *shape_of(m, value), whole = { .rank = perm->count };
    int64_t   back[PF_MAX_RANK] = { 0 };
    bool      moves = false;
    pf_status st = PF_OK;

    *out = value;
    if (perm_of(m, value)) {
        *out = behind(m, value);
        return PF_OK;
    }
    for (int32_t d = 0; d < perm->count; d++) {
        int32_t own = d - (perm->count - shape.rank);

        whole.dim[d] = own < 0 ? 1 : shape.dim[own];
        back[perm->at[d]] = d;
        moves |= whole.dim[d] != 1 && perm->at[d] != d;
    }
    if (!moves)
        return PF_OK;
    st = pf_make_reshape(m->graph, "", value, &whole, out, err);
    return st ? st : pf_make_transpose(m->graph, "", *out, back, out, err);
}

static pf_status move_pointwise(mover *m, const pf_node *node, const pf_ints *perm, pf_value_id *out, pf_err *err)
{
    pf_value_id in[OPERANDS] = { PF_NONE };
    pf_status   st = PF_OK;

    for (uint32_t i = 0; i < node->in_count && !st; i++)
        st = put_before(m, node->in[i], perm, &in[i], err);
    return st ? st : pf_graph_add_node(m->graph, node->op, node->name, in, node->in_count, node->attrs, 1, out, err);
}

static pf_status move_first(mover *m, const pf_node *node, const void *attrs, pf_value_id *out, pf_err *err)
{
    pf_value_id in[OPERANDS] = { behind(m, node->in[0]), PF_NONE, PF_NONE };

    for (uint32_t i = 1; i < node->in_count && i < OPERANDS; i++)
        in[i] = node->in[i];
    return pf_graph_add_node(m->graph, node->op, node->name, in, node->in_count, attrs, 1, out, err);
}

static pf_status move_row(mover *m, const pf_node *node, const pf_ints *perm, pf_value_id *out, pf_err *err)
{
    return (void)perm, move_first(m, node, node->attrs, out, err);
}

static pf_status move_reduce(mover *m, const pf_node *node, const pf_ints *perm, pf_value_id *out, pf_err *err)
{
    pf_reduce_attrs attrs = *(const pf_reduce_attrs *)node->attrs;

    for (int32_t i = 0; i < attrs.axes.count; i++)
        attrs.axes.at[i] = perm->at[attrs.axes.at[i]];
    return move_first(m, node, &attrs, out, err);
}

static pf_status move_slice(mover *m, const pf_node *node, const pf_ints *perm, pf_value_id *out, pf_err *err)
{
    pf_slice_attrs attrs = *(const pf_slice_attrs *)node->attrs;

    for (int32_t i = 0; i < attrs.axes.count; i++)
        attrs.axes.at[i] = perm->at[attrs.axes.at[i]];
    return move_first(m, node, &attrs, out, err);
}

static pf_status move_concat(mover *m, const pf_node *node, const pf_ints *perm, pf_value_id *out, pf_err *err)
{
    pf_value_id in[PF_ATTR_LIST] = { PF_NONE };

    for (uint32_t i = 0; i < node->in_count; i++)
        in[i] = behind(m, node->in[i]);
    return pf_make_concat(m->graph, node->name, in, node->in_count,
                          perm->at[((const pf_axis_attrs *)node->attrs)->axis], out, err);
}

static const struct row { pf_op_kind op; fits_fn *fits; move_fn *move; } rows[] = {
    { PF_OP_MATMUL, fits_product, move_row }, { PF_OP_LAYER_NORM, fits_row, move_row },
    { PF_OP_RMS_NORM, fits_row, move_row },
    { PF_OP_SOFTMAX, fits_row, move_row },    { PF_OP_LOG_SOFTMAX, fits_row, move_row },
    { PF_OP_CONCAT, fits_concat, move_concat },
    { PF_OP_REDUCE, fits_reduce, move_reduce }, { PF_OP_SLICE, fits_slice, move_slice },
};
static const struct row pointwise = { PF_OP_NONE, fits_pointwise, move_pointwise };

static const struct row *row_of(const pf_node *node)
{
    if (pf_op_def_of(node->op)->klass == PF_CLASS_POINTWISE)
        return &pointwise;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].op == node->op)
            return &rows[i];
    return NULL;
}

/* ---- A reshape that joins dims: the part of the transpose that moves what it makes goes behind it, the part that
   brings dims together stays. */

/* inner brings the dims that are joined together, in the order that they have in front of the transpose, but the last
   stays the last; outer is left to be done behind the reshape.  False when nothing is. */
static bool split_perm(const mover *m, const pf_node *node, const pf_ints *perm, pf_ints *inner, pf_shape *joined,
                       pf_ints *outer)
{
    const pf_shape  *moved = shape_of(m, node->in[0]), *to = shape_of(m, node->out[0]);
    pf_reshape_group groups[PF_RESHAPE_GROUPS];
    int32_t          count = pf_reshape_groups(m->graph->dims, moved, to, groups);
    bool             done[PF_RESHAPE_GROUPS] = { false };

    inner->count = 0;
    *joined = (pf_shape){ .rank = count };
    *outer = (pf_ints){ .count = count };
    for (int32_t g = 0; g < count; g++)
        if (groups[g].to_count != 1 || groups[g].from_count < 1)
            return false;
    for (int32_t n = 0; n < count; n++) {
        int32_t next = n == count - 1 ? n : -1;

        for (int32_t g = 0; g < count - 1; g++)
            if (!done[g] && (next < 0 || perm->at[groups[g].from] < perm->at[groups[next].from]))
                next = g;
        done[next] = true;
        outer->at[next] = n;
        joined->dim[n] = to->dim[next];
        for (int32_t d = groups[next].from; d < groups[next].from + groups[next].from_count; d++)
            inner->at[inner->count++] = perm->at[d];
    }
    for (int32_t d = 0; d < count; d++)
        if (outer->at[d] != d)
            return count > 0;
    return false;
}

/* ---- Looking ahead */

static bool meets_transposes(mover *m, pf_value_id value, const pf_ints *perm);

static bool goes_on(mover *m, const pf_node *node, pf_value_id from, const pf_ints *perm)
{
    const struct row *row = row_of(node);
    pf_ints           inner = { 0 }, outer = { 0 };
    pf_shape          joined = { 0 };

    if (--m->effort < 0)
        return false;
    if (node->op == PF_OP_TRANSPOSE)
        return true;
    if (node->op == PF_OP_RESHAPE && /* reshape_first takes it over there */
        pf_reshape_before_transpose(m->graph->dims, shape_of(m, from), perm, shape_of(m, node->out[0]), &joined,
                                    &outer))
        return meets_transposes(m, node->out[0], &outer);
    if (node->op == PF_OP_RESHAPE && split_perm(m, node, perm, &inner, &joined, &outer))
        return meets_transposes(m, node->out[0], &outer);
    return row && row->fits(m, node, from, perm) && meets_transposes(m, node->out[0], perm);
}

/* perm: the transpose that value would be behind. */
static bool meets_transposes(mover *m, pf_value_id value, const pf_ints *perm)
{
    for (uint32_t i = 0; i < pf_graph_use_count(m->graph, value); i++) {
        pf_use use = pf_graph_use(m->graph, value, i);

        if (use.node == PF_NONE || !goes_on(m, &m->graph->nodes[use.node], value, perm))
            return false;
    }
    return pf_graph_use_count(m->graph, value) > 0;
}

/* Two operands transposed alike: one transpose behind is less than two in front. */
static bool joins_two(const mover *m, const pf_node *node, pf_value_id from, const pf_ints *perm)
{
    const struct row *row = row_of(node);
    bool              other = false;

    if (!row || (row != &pointwise && node->op != PF_OP_CONCAT) || !row->fits(m, node, from, perm))
        return false;
    for (uint32_t i = 0; i < node->in_count; i++) {
        other |= node->in[i] != from && perm_of(m, node->in[i]);
        if (perm_of(m, node->in[i]) && !pf_rewrite_used_once(m->graph, node->in[i]))
            return false;
    }
    return other;
}

static pf_status move_below(pf_rewrite *rewrite, pf_node_id user, const pf_ints *perm, bool *changed, pf_err *err)
{
    pf_graph         *graph = pf_rewrite_graph(rewrite);
    pf_node           node = graph->nodes[user];         /* a copy: adding nodes moves them */
    mover             m = { graph, 0 };
    const struct row *row = row_of(&node);
    pf_ints           inner = { 0 }, outer = *perm;
    pf_shape          joined = { 0 };
    pf_value_id       out = PF_NONE;
    pf_status         st = PF_OK;

    if (node.op == PF_OP_RESHAPE) {
        (void)split_perm(&m, &node, perm, &inner, &joined, &outer);
        st = pf_make_transpose(graph, graph->nodes[graph->values[node.in[0]].producer].name, behind(&m, node.in[0]),
                               inner.at, &out, err);
        if (!st)
            st = pf_make_reshape(graph, node.name, out, &joined, &out, err);
    } else
        st = row->move(&m, &node, perm, &out, err);
    if (!st)
        st = pf_make_transpose(graph, node.name, out, outer.at, &out, err);
    return st ? st : pf_rewrite_replace(rewrite, user, 0, out, changed, err);
}

/* Whether this rule, and no other, takes the transpose below the node. */
static bool takes(const mover *m, const pf_node *node, const pf_ints *perm)
{
    pf_ints  inner = { 0 }, outer = { 0 };
    pf_shape joined = { 0 };

    if (node->op == PF_OP_RESHAPE)
        return !pf_reshape_before_transpose(m->graph->dims, shape_of(m, node->in[0]), perm, shape_of(m, node->out[0]),
                                            &joined, &outer) &&
               split_perm(m, node, perm, &inner, &joined, &outer);
    return node->op != PF_OP_TRANSPOSE && row_of(node);
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph   *graph = pf_rewrite_graph(rewrite);
    pf_value_id moved = graph->nodes[id].out[0];
    pf_ints     perm = { 0 };
    mover       m = { graph, LIMIT };
    bool        meets = false;

    if (graph->nodes[id].op != PF_OP_TRANSPOSE)
        return PF_OK;
    perm = ((const pf_transpose_attrs *)graph->nodes[id].attrs)->perm;
    meets = meets_transposes(&m, moved, &perm);
    for (uint32_t i = 0; i < pf_graph_use_count(graph, moved); i++) {
        pf_node_id user = pf_graph_use(graph, moved, i).node;

        if (user == PF_NONE || !takes(&m, &graph->nodes[user], &perm) ||
            (!meets && !joins_two(&m, &graph->nodes[user], moved, &perm)))
            continue;
        return move_below(rewrite, user, &perm, changed, err);
    }
    return PF_OK;
}

const pf_rule pf_rule_transpose_last = {
    .name = "transpose_last", .summary = "move transposes down to others that they cancel or join",
    .phase = PF_RULES_PATTERN, .default_on = true, .apply = apply,
};
