/* A scatter along the first dim whose indices are the same over the others, since they were expanded, puts whole rows:
   one index for each.  Condition: the updates are as wide as the rows. */
#include <string.h>

#include "engine/make.h"
#include "engine/ops/attrs.h"
#include "engine/rewrite.h"

/* Indices [rows, 1] from what was expanded to `wide`; PF_NONE when it was not expanded so. */
static pf_status of_expand(pf_graph *graph, const char *name, pf_value_id wide, pf_value_id *out, pf_err *err)
{
    pf_node_id      expand = pf_rewrite_maker(graph, wide, PF_OP_EXPAND);
    pf_value_id     index = expand == PF_NONE ? PF_NONE : graph->nodes[expand].in[0];
    const pf_shape *from = index == PF_NONE ? NULL : &graph->values[index].shape, *to = &graph->values[wide].shape;
    pf_shape        flat = { .rank = 2, .dim = { 0, 1 } };

    if (!from || from->rank != to->rank || from->dim[0] != to->dim[0])
        return PF_OK;
    for (int32_t d = 1; d < from->rank; d++)
        if (from->dim[d] != 1)
            return PF_OK;
    flat.dim[0] = from->dim[0];
    return pf_make_reshape(graph, name, index, &flat, out, err);
}

/* The same from a constant, each row of which says one number. */
static pf_status of_constant(pf_graph *graph, pf_value_id wide, pf_value_id *out, pf_err *err)
{
    const pf_value value = graph->values[wide];
    int64_t        rows = value.shape.dim[0], elems = pf_shape_elems(graph->dims, &value.shape);
    size_t         bytes = pf_dtype_bytes(value.dtype, 1), width = rows > 0 ? (size_t)(elems / rows) : 0;
    const uint8_t *from = value.constant.data;
    uint8_t       *to = NULL;
    pf_shape       flat = { .rank = 2, .dim = { rows, 1 } };

    if (width < 1)
        return PF_OK;
    to = pf_arena_alloc(graph->arena, (size_t)rows * bytes);
    if (!to)
        return PF_FAIL_MEMORY(err, (size_t)rows * bytes);
    for (size_t row = 0; row < (size_t)rows; row++) {
        const uint8_t *first = from + row * width * bytes;

        if (memcmp(first, first + bytes, (width - 1) * bytes))
            return PF_OK;
        memcpy(to + row * bytes, first, bytes);
    }
    return pf_graph_add_constant(graph, value.name, value.dtype, &flat, to, (size_t)rows * bytes, out, err);
}

/* Are indices and updates there for every element of a row? */
static bool covers_rows(const pf_graph *graph, const pf_node *node)
{
    const pf_shape *x = &graph->values[node->in[0]].shape, *index = &graph->values[node->in[1]].shape;

    if (x->rank < 2 || index->rank != x->rank || !pf_shape_equal(index, &graph->values[node->in[2]].shape))
        return false;
    for (int32_t d = 1; d < x->rank; d++)
        if (index->dim[d] != x->dim[d])
            return false;
    return true;
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph                        *graph = pf_rewrite_graph(rewrite);
    const pf_node                    node = graph->nodes[id];
    const pf_scatter_elements_attrs *attrs = node.attrs;
    pf_scatter_nd_attrs              rows = { 0 };
    pf_value_id                      index = PF_NONE, out = PF_NONE;
    pf_status                        st = PF_OK;

    if (node.op != PF_OP_SCATTER_ELEMENTS || attrs->axis != 0 || !covers_rows(graph, &node))
        return PF_OK;
    rows.reduction = attrs->reduction;
    st = graph->values[node.in[1]].is_constant ? of_constant(graph, node.in[1], &index, err)
                                               : of_expand(graph, node.name, node.in[1], &index, err);
    if (st || index == PF_NONE)
        return st;
    st = pf_graph_add_node(graph, PF_OP_SCATTER_ND, node.name, (pf_value_id[]){ node.in[0], index, node.in[2] }, 3,
                           &rows, 1, &out, err);
    return st ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

const pf_rule pf_rule_scatter_rows = {
    .name = "scatter_rows", .summary = "put whole rows where a scatter's indices are the same along them",
    .phase = PF_RULES_PATTERN, .default_on = true, .apply = apply,
};
