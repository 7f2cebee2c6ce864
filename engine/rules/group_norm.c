/* Channels of an image in groups, as one dim or two, normalized over what is behind the groups, and given their shape
   back: a group norm. The inner norm is an instance norm of the groups or a layer norm without effect of its own. */
#include "base/alloc.h"
#include "engine/fold.h"
#include "engine/make.h"
#include "engine/ops/attrs.h"

typedef struct inner_norm { pf_value_id x, scale, shift; int64_t groups; double epsilon; } inner_norm;

/* x [n, groups, ...] normalized over all dims behind the groups. */
static bool find_inner(const pf_graph *graph, pf_value_id value, inner_norm *out)
{
    const pf_node *node = graph->values[value].producer == PF_NONE ? NULL
                                                                   : &graph->nodes[graph->values[value].producer];
    pf_dim         groups = graph->values[value].shape.rank >= 3 ? graph->values[value].shape.dim[1] : PF_DIM_INVALID;
    double         one = 0;

    if (!node || node->out_count != 1 || !pf_dim_is_number(groups) || groups < 1 ||
        (node->op != PF_OP_INSTANCE_NORM && node->op != PF_OP_LAYER_NORM))
        return false;
    *out = (inner_norm){ .x = node->in[0], .scale = node->in[1], .shift = node->in_count > 2 ? node->in[2] : PF_NONE,
                         .groups = groups };
    if (node->op == PF_OP_INSTANCE_NORM) {
        out->epsilon = ((const pf_instance_norm_attrs *)node->attrs)->epsilon;
        return true;
    }
    out->epsilon = ((const pf_layer_norm_attrs *)node->attrs)->epsilon;
    return ((const pf_layer_norm_attrs *)node->attrs)->axis == 2 && pf_fold_uniform(graph, out->scale, &one) &&
           one == 1 && (out->shift == PF_NONE || (pf_fold_uniform(graph, out->shift, &one) && one == 0));
}

/* A number per group becomes one per channel; `otherwise` where there is none. */
static pf_status per_channel(pf_graph *graph, pf_value_id from, double otherwise, int64_t groups, int64_t channels,
                             pf_dtype dtype, pf_value_id *out, pf_err *err)
{
    double   *items = pf_alloc((size_t)channels * sizeof *items),
             *of_groups = pf_alloc((size_t)groups * sizeof *of_groups);
    pf_status st = items && of_groups ? PF_OK : PF_FAIL_MEMORY(err, (size_t)channels * sizeof *items);
    bool      found = !st && from != PF_NONE && pf_fold_along(graph, from, 1, 0, groups, of_groups);

    for (int64_t c = 0; c < channels && !st; c++)
        items[c] = found ? of_groups[c / (channels / groups)] : otherwise;
    if (!st)
        st = pf_fold_vector(graph, dtype, items, channels, out, err);
    pf_free(of_groups);
    pf_free(items);
    return st;
}

static bool is_constant(const pf_graph *graph, pf_value_id value)
{
    return value == PF_NONE || graph->values[value].is_constant;
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph           *graph = pf_rewrite_graph(rewrite);
    const pf_node      *node = &graph->nodes[id];
    const char         *name = node->name;
    inner_norm          norm = { 0 };
    pf_node_id          split = PF_NONE;
    pf_shape            shape = graph->values[node->out[0]].shape;
    pf_value_id         in[3] = { PF_NONE, PF_NONE, PF_NONE }, out = PF_NONE;
    pf_group_norm_attrs attrs = { 0 };
    pf_status           st = PF_OK;

    if (node->op != PF_OP_RESHAPE || !pf_rewrite_used_once(graph, node->in[0]) ||
        !find_inner(graph, node->in[0], &norm) || shape.rank < 2)
        return PF_OK;
    split = pf_rewrite_maker(graph, norm.x, PF_OP_RESHAPE);
    if (split == PF_NONE || !pf_shape_equal(&graph->values[graph->nodes[split].in[0]].shape, &shape) ||
        !pf_dim_is_number(shape.dim[1]) || shape.dim[1] < 1 || shape.dim[1] % norm.groups ||
        graph->values[norm.x].shape.dim[0] != shape.dim[0] || !is_constant(graph, norm.scale) ||
        !is_constant(graph, norm.shift))
        return PF_OK;
    in[0] = graph->nodes[split].in[0];
    attrs = (pf_group_norm_attrs){ .groups = norm.groups, .epsilon = norm.epsilon };
    st = per_channel(graph, norm.scale, 1, norm.groups, shape.dim[1], graph->values[in[0]].dtype, &in[1], err);
    if (!st)
        st = per_channel(graph, norm.shift, 0, norm.groups, shape.dim[1], graph->values[in[0]].dtype, &in[2], err);
    if (!st)
        st = pf_graph_add_node(graph, PF_OP_GROUP_NORM, name, in, 3, &attrs, 1, &out, err);
    return st ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

const pf_rule pf_rule_group_norm = {
    .name = "group_norm", .summary = "recognize group normalization", .phase = PF_RULES_PATTERN, .default_on = true,
    .apply = apply,
};
