/* A slice of the spatial dims of a transposed convolution, with step 1, is padding of that, which leaves out what it
   makes at the borders. Condition: the sizes are numbers, nothing else reads what is sliced, and as much is left out at
   both ends of each dim then, which kernels of all devices take. */
#include "engine/ops/attrs.h"
#include "engine/rewrite.h"

/* [start, end) of one dim, counted from the front; false when they are no numbers. */
static bool read_cut(const pf_slice_attrs *slice, int32_t i, pf_dim size, int64_t *start, int64_t *end)
{
    *start = slice->starts.at[i];
    *end = slice->ends.at[i];
    if (!pf_dim_is_number(size) || !pf_dim_is_number(*start) || !pf_dim_is_number(*end) || slice->steps.at[i] != 1)
        return false;
    *start += *start < 0 ? size : 0;
    *end += *end < 0 ? size : 0;
    *end = *end > size ? size : *end;
    return *start >= 0 && *start < *end;
}

static bool crop(pf_conv_transpose_attrs *attrs, const pf_slice_attrs *slice, const pf_shape *whole)
{
    int32_t spatial = whole->rank - 2;

    if (attrs->auto_pad != PF_AUTO_PAD_NONE || attrs->output_shape.count || 2 * spatial > PF_ATTR_LIST)
        return false;
    for (int32_t i = attrs->pads.count; i < 2 * spatial; i++)
        attrs->pads.at[i] = 0;
    attrs->pads.count = 2 * spatial;
    for (int32_t i = 0; i < slice->axes.count; i++) {
        int64_t axis = slice->axes.at[i], start = 0, end = 0;

        if (axis < 2 || !read_cut(slice, i, whole->dim[axis], &start, &end))
            return false;
        attrs->pads.at[axis - 2] += start;
        attrs->pads.at[axis - 2 + spatial] += whole->dim[axis] - end;
    }
    return true;
}

static bool is_even(const pf_ints *pads)
{
    for (int32_t i = 0; i < pads->count / 2; i++)
        if (pads->at[i] != pads->at[i + pads->count / 2])
            return false;
    return true;
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph               *graph = pf_rewrite_graph(rewrite);
    const pf_node          *node = &graph->nodes[id];
    pf_node_id              before = node->op == PF_OP_SLICE
                                         ? pf_rewrite_maker(graph, node->in[0], PF_OP_CONV_TRANSPOSE)
                                         : PF_NONE;
    pf_conv_transpose_attrs attrs = { .groups = 1 };
    pf_value_id             out = PF_NONE;
    pf_status               st = PF_OK;

    if (before == PF_NONE || !pf_rewrite_used_once(graph, node->in[0]))
        return PF_OK;
    attrs = *(const pf_conv_transpose_attrs *)graph->nodes[before].attrs;
    if (!crop(&attrs, node->attrs, &graph->values[node->in[0]].shape) || !is_even(&attrs.pads))
        return PF_OK;
    st = pf_graph_add_node(graph, PF_OP_CONV_TRANSPOSE, graph->nodes[before].name, graph->nodes[before].in,
                           graph->nodes[before].in_count, &attrs, 1, &out, err);
    return st ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

const pf_rule pf_rule_fold_crop = {
    .name = "fold_crop", .summary = "leave out inside a transposed convolution what is cut off behind it",
    .phase = PF_RULES_WEIGHTS, .default_on = true, .apply = apply,
};
