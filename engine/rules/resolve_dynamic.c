/* reshape, expand and slice by tensors whose elements have become known. */
#include <string.h>

#include "engine/ops/attrs.h"
#include "engine/ops/content.h"
#include "engine/rewrite.h"

/* The elements of an input, when all are known and no more than fit a list of attributes. */
static bool read_list(const pf_graph *graph, pf_value_id id, pf_dim_list *out)
{
    const pf_value *value = id == PF_NONE ? NULL : &graph->values[id];

    out->count = 0;
    if (!value || !value->content || value->content_count > PF_MAX_RANK)
        return false;
    for (uint32_t i = 0; i < value->content_count; i++) {
        if (value->content[i] == PF_DIM_INVALID)
            return false;
        out->at[out->count++] = value->content[i];
    }
    return true;
}

/* At least 0 for every binding: a symbolic dim that may be negative would be read as counted from the end. */
static bool is_size(pf_graph *graph, pf_dim dim)
{
    return pf_dim_is_number(dim) || pf_content_less_equal(graph->dims, 0, dim);
}

static bool all_sizes(pf_graph *graph, const pf_dim_list *list)
{
    for (int32_t i = 0; i < list->count; i++)
        if (!is_size(graph, list->at[i]))
            return false;
    return true;
}

static pf_status resolve_reshape(pf_graph *graph, const pf_node *node, pf_value_id *out, pf_err *err)
{
    const pf_value   *x = &graph->values[node->in[0]];
    bool              allow_zero = ((const pf_reshape_dynamic_attrs *)node->attrs)->allow_zero;
    pf_reshape_attrs  attrs = { .shape = { 0 } };

    if (!read_list(graph, node->in[1], &attrs.shape) || !all_sizes(graph, &attrs.shape))
        return PF_OK;
    for (int32_t i = 0; i < attrs.shape.count; i++) {
        if (attrs.shape.at[i] != 0 || allow_zero)
            continue;
        if (i >= x->shape.rank)              /* also of an input of unknown rank */
            return PF_OK;
        attrs.shape.at[i] = x->shape.dim[i];
    }
    return pf_graph_add_node(graph, PF_OP_RESHAPE, node->name, node->in, 1, &attrs, 1, out, err);
}

static pf_status resolve_expand(pf_graph *graph, const pf_node *node, pf_value_id *out, pf_err *err)
{
    pf_expand_attrs attrs = { .shape = { 0 } };

    if (!read_list(graph, node->in[1], &attrs.shape) || !all_sizes(graph, &attrs.shape))
        return PF_OK;
    return pf_graph_add_node(graph, PF_OP_EXPAND, node->name, node->in, 1, &attrs, 1, out, err);
}

static void clamp_far(pf_dim_list *list)
{
    for (int32_t i = 0; i < list->count; i++)
        if (pf_dim_is_number(list->at[i]) && (list->at[i] > PF_SLICE_FAR || list->at[i] < -PF_SLICE_FAR))
            list->at[i] = list->at[i] > 0 ? PF_SLICE_FAR : -PF_SLICE_FAR;
}

static pf_status resolve_slice(pf_graph *graph, const pf_node *node, pf_value_id *out, pf_err *err)
{
    const pf_slice_dynamic_attrs *from = node->attrs;
    pf_slice_attrs                attrs = { .axes = from->axes, .steps = from->steps };

    if (!read_list(graph, node->in[1], &attrs.starts) || !read_list(graph, node->in[2], &attrs.ends) ||
        !all_sizes(graph, &attrs.starts) || !all_sizes(graph, &attrs.ends) || attrs.starts.count != from->axes.count ||
        attrs.ends.count != from->axes.count)
        return PF_OK;
    clamp_far(&attrs.starts);
    clamp_far(&attrs.ends);
    return pf_graph_add_node(graph, PF_OP_SLICE, node->name, node->in, 1, &attrs, 1, out, err);
}

static const pf_rewrite_row rows[] = {
    { PF_OP_RESHAPE_DYNAMIC, resolve_reshape }, { PF_OP_EXPAND_DYNAMIC, resolve_expand },
    { PF_OP_SLICE_DYNAMIC, resolve_slice },
};

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    return pf_rewrite_by_op(rewrite, id, rows, sizeof rows / sizeof rows[0], changed, err);
}

const pf_rule pf_rule_resolve_dynamic = {
    .name = "resolve_dynamic", .summary = "reshape, expand and slice by sizes that are known", .phase = PF_RULES_CLEAN,
    .default_on = true, .apply = apply,
};
