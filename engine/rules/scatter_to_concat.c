/* A scatter_nd that puts a block in one piece, as `x[:, 1:, 2:5] = y` does, is a concat of the block with what stays
   around it, or the block alone where it is all of x.  Condition: the block's place is known and inside of
   x, and what stays is not empty. */
#include "engine/index_form.h"
#include "engine/make.h"
#include "engine/ops/attrs.h"
#include "engine/ops/content.h"
#include "engine/rewrite.h"

/* [start, end) of the first `count` dims. */
typedef struct block { int32_t count; pf_dim start[PF_MAX_RANK], end[PF_MAX_RANK]; } block;

/* The one dim of the updates that a part of an index is the position along; -1: it is the same everywhere.  False: it
   is something else. */
static bool find_dim(const pf_index_form *part, int32_t rank, int32_t *along)
{
    *along = -1;
    for (int32_t d = 0; d < rank; d++) {
        if (!part->coef[d])
            continue;
        if (part->coef[d] != 1 || *along >= 0)
            return false;
        *along = d;
    }
    return !part->is_choice;
}

/* Parts go along the dims in their order, past those that hold one position.  *next: the first that none has gone along
   yet. */
static bool pass(const pf_shape *index, int32_t along, int32_t *next)
{
    if (along < *next)
        return false;
    for (; *next < along; ++*next)
        if (index->dim[*next] != 1)
            return false;
    ++*next;
    return true;
}

/* What is counted from the end, all of it, is counted from the front then. */
static bool count_from_front(pf_dims *dims, pf_dim whole, pf_dim *start, pf_dim *end)
{
    if (!pf_dim_is_number(*start) || *start >= 0)
        return true;
    if (!pf_dim_is_number(*end) || *end > 0)
        return false;
    *start = pf_dim_add(dims, *start, whole);
    *end = pf_dim_add(dims, *end, whole);
    return true;
}

static bool read_range(const pf_graph *graph, const pf_index_form *part, const pf_shape *index, pf_dim whole,
                       int32_t *next, pf_dim *start, pf_dim *end)
{
    pf_dims *dims = graph->dims;
    int32_t  along = -1;

    if (!find_dim(part, index->rank - 1, &along) || (along >= 0 && !pass(index, along, next)))
        return false;
    *start = part->constant;
    *end = pf_dim_add(dims, *start, along < 0 ? 1 : index->dim[along]);
    return count_from_front(dims, whole, start, end) && *start != PF_DIM_INVALID && *end != PF_DIM_INVALID &&
           pf_content_less_equal(dims, 0, *start) && pf_content_less_equal(dims, *end, whole);
}

static bool read_block(const pf_graph *graph, const pf_node *node, block *out)
{
    const pf_shape *data = &graph->values[node->in[0]].shape, *index = &graph->values[node->in[1]].shape;
    pf_index_form   part[PF_MAX_RANK] = { 0 };
    int32_t         next = 0, lead = index->rank - 1;

    if (data->rank < 1 || lead < 0 || !pf_dim_is_number(index->dim[lead]) || index->dim[lead] < 1 ||
        index->dim[lead] > data->rank)
        return false;
    out->count = (int32_t)index->dim[lead];
    if (!pf_index_form_of_parts(graph, node->in[1], out->count, part))
        return false;
    for (int32_t i = 0; i < out->count; i++)
        if (!read_range(graph, &part[i], index, data->dim[i], &next, &out->start[i], &out->end[i]))
            return false;
    for (; next < lead; next++)
        if (index->dim[next] != 1)
            return false;
    return true;
}

/* Nothing that may turn out to be empty is joined. */
static bool can_cut(const pf_graph *graph, const pf_shape *shape, const block *b)
{
    pf_dims *dims = graph->dims;

    for (int32_t d = 0; d < b->count; d++)
        if ((b->start[d] != 0 && !pf_content_less_equal(dims, 1, b->start[d])) ||
            (b->end[d] != shape->dim[d] &&
             !pf_content_less_equal(dims, pf_dim_add(dims, b->end[d], 1), shape->dim[d])))
            return false;
    return true;
}

/* What stays in front of the block and behind it along one dim, of x cut to the block along the dims before. */
static pf_status put_along(pf_graph *graph, const char *name, pf_value_id x, const block *b, int32_t dim,
                           pf_value_id *y, pf_err *err)
{
    pf_dim      whole = graph->values[x].shape.dim[dim];
    pf_value_id parts[3] = { 0 };
    uint32_t    count = 0;
    pf_status   st = PF_OK;

    if (b->start[dim] == 0 && b->end[dim] == whole)
        return PF_OK;
    for (int32_t d = 0; d < dim && !st; d++)
        st = pf_make_slice(graph, name, x, d, b->start[d], b->end[d], 1, &x, err);
    if (!st && b->start[dim] != 0)
        st = pf_make_slice(graph, name, x, dim, 0, b->start[dim], 1, &parts[count++], err);
    parts[count++] = *y;
    if (!st && b->end[dim] != whole)
        st = pf_make_slice(graph, name, x, dim, b->end[dim], whole, 1, &parts[count++], err);
    return st ? st : pf_make_concat(graph, name, parts, count, dim, y, err);
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph     *graph = pf_rewrite_graph(rewrite);
    const pf_node node = graph->nodes[id];
    pf_shape      shape = { 0 };
    pf_value_id   out = PF_NONE;
    block         b = { 0 };
    pf_status     st = PF_OK;

    if (node.op != PF_OP_SCATTER_ND || ((const pf_scatter_nd_attrs *)node.attrs)->reduction != PF_SCATTER_NONE ||
        !read_block(graph, &node, &b) || !can_cut(graph, &graph->values[node.in[0]].shape, &b))
        return PF_OK;
    shape = graph->values[node.in[0]].shape;
    for (int32_t d = 0; d < b.count; d++)
        shape.dim[d] = pf_dim_sub(graph->dims, b.end[d], b.start[d]);
    st = pf_make_reshape(graph, node.name, node.in[2], &shape, &out, err);
    for (int32_t d = b.count - 1; d >= 0 && !st; d--)
        st = put_along(graph, node.name, node.in[0], &b, d, &out, err);
    return st ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

const pf_rule pf_rule_scatter_to_concat = {
    .name = "scatter_to_concat", .summary = "join what a scatter puts in one piece with what stays around it",
    .phase = PF_RULES_CLEAN, .default_on = true, .apply = apply,
};
