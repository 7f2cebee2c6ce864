/* x / sqrt(mean of x^2 + epsilon) over the last dims, with a quotient or with rsqrt.
   Condition: the dims reduced are numbers, and nothing else reads the mean.  A scale on either side is
   norm_affine's. */
#include "engine/fold.h"
#include "engine/make.h"
#include "engine/ops/attrs.h"
#include "engine/pattern.h"

enum { X, MEAN = 0 };

#define LIFTED PF_NODE(ADD, PF_KNOWN(MEAN, REDUCE, PF_NODE(MUL, PF_X, PF_X)), PF_P)

static const pf_pattern *const forms[] = {
    PF_NODE(DIV, PF_X, PF_NODE(SQRT, LIFTED)), PF_NODE(MUL, PF_NODE(RSQRT, LIFTED), PF_X),
    PF_NODE(MUL, PF_NODE(RSQRT, LIFTED), PF_X, PF_Y),
};

static bool find_form(const pf_graph *graph, pf_value_id value, pf_match *match, int64_t *axis)
{
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        const pf_reduce_attrs *attrs = NULL;

        if (!pf_pattern_match(graph, forms[i], value, match) || !pf_pattern_is_closed(graph, match, value))
            continue;
        attrs = graph->nodes[match->known[MEAN]].attrs;
        *axis = graph->values[match->value[X]].shape.rank - 1;
        return attrs->mode == PF_REDUCE_MEAN && attrs->keepdims && attrs->axes.count == 1 && attrs->axes.at[0] == *axis;
    }
    return false;
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph         *graph = pf_rewrite_graph(rewrite);
    const char       *name = graph->nodes[id].name;
    pf_value_id       made = graph->nodes[id].out[0], in[2] = { PF_NONE, PF_NONE }, out = PF_NONE;
    pf_rms_norm_attrs attrs = { 0 };
    pf_shape          shape = { .rank = 1 };
    pf_match          match;
    pf_status         st = PF_OK;

    if (graph->values[made].kind != PF_VALUE_TENSOR || !pf_dtype_is_float(graph->values[made].dtype) ||
        !find_form(graph, made, &match, &attrs.axis) ||
        !pf_shape_equal(&graph->values[match.value[X]].shape, &graph->values[made].shape))
        return PF_OK;
    in[0] = match.value[X];
    attrs.epsilon = match.number[0];
    shape.dim[0] = graph->values[in[0]].shape.dim[attrs.axis];
    if (!pf_shape_is_static(&shape))
        return PF_OK;
    st = pf_make_filled(graph, graph->values[in[0]].dtype, &shape, 1, &in[1], err);
    if (!st)
        st = pf_graph_add_node(graph, PF_OP_RMS_NORM, name, in, 2, &attrs, 1, &out, err);
    if (!st && match.value[1] != PF_NONE)
        st = pf_make_binary(graph, PF_OP_MUL, name, out, match.value[1], &out, err);
    return st ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

const pf_rule pf_rule_rms_norm = {
    .name = "rms_norm", .summary = "recognize normalization by the root of the mean square", .phase = PF_RULES_PATTERN,
    .default_on = true, .apply = apply,
};
