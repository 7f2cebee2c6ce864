/* (x - mean) / sqrt(mean of (x - mean)^2 + epsilon), written with a quotient, with rsqrt, of mean - x, with the mean of
   squares less the square of the mean, as x r + (shift - mean r) with r = scale rsqrt(..), or as the rms_norm of x -
   mean.  Over the last dims it is a layer norm, over all spatial dims an instance norm.
   Condition: the dims reduced are numbers, and nothing else reads the statistics.  Scales and shifts behind it are
   norm_affine's. */
#include "engine/fold.h"
#include "engine/make.h"
#include "engine/ops/attrs.h"
#include "engine/pattern.h"

enum { X, SCALE, SHIFT, MEAN = 0, VARIANCE = 1 };

#define MEAN_OF_X   PF_KNOWN(MEAN, REDUCE, PF_X)
#define CENTERED    PF_NODE(SUB, PF_X, MEAN_OF_X)
#define EVEN_SQUARE PF_KNOWN(VARIANCE, REDUCE, PF_NODE(MUL, CENTERED, CENTERED))
#define TURNED      PF_NODE(SUB, MEAN_OF_X, PF_X)
#define ODD_SQUARE  PF_KNOWN(VARIANCE, REDUCE, PF_NODE(MUL, TURNED, TURNED))
#define LESS_SQUARE \
    PF_NODE(SUB, PF_KNOWN(VARIANCE, REDUCE, PF_NODE(MUL, PF_X, PF_X)), PF_NODE(MUL, MEAN_OF_X, MEAN_OF_X))
#define LIFTED(v)   PF_NODE(ADD, v, PF_P)

#define FORMS(v) \
    PF_NODE(DIV, CENTERED, PF_NODE(SQRT, LIFTED(v))), \
    PF_NODE(DIV, PF_NODE(MUL, CENTERED, PF_VALUE(SCALE)), PF_NODE(SQRT, LIFTED(v))), \
    PF_NODE(MUL, CENTERED, PF_NODE(RSQRT, LIFTED(v))), \
    PF_NODE(MUL, CENTERED, PF_NODE(RSQRT, LIFTED(v)), PF_VALUE(SCALE)), \
    PF_NODE(ADD, PF_NODE(MUL, PF_X, PF_NODE(RSQRT, LIFTED(v)), PF_VALUE(SCALE)), \
            PF_NODE(SUB, PF_VALUE(SHIFT), PF_NODE(MUL, MEAN_OF_X, PF_NODE(RSQRT, LIFTED(v)), PF_VALUE(SCALE)))), \
    PF_NODE(ADD, PF_NODE(MUL, PF_X, PF_NODE(RSQRT, LIFTED(v))), \
            PF_NODE(SUB, PF_VALUE(SHIFT), PF_NODE(MUL, MEAN_OF_X, PF_NODE(RSQRT, LIFTED(v)))))

static const pf_pattern *const forms[] = { FORMS(EVEN_SQUARE), FORMS(ODD_SQUARE), FORMS(LESS_SQUARE) };

static bool is_mean(const pf_graph *graph, pf_node_id reduce, pf_ints *axes)
{
    const pf_reduce_attrs *attrs = graph->nodes[reduce].attrs;

    *axes = attrs->axes;
    return attrs->mode == PF_REDUCE_MEAN && attrs->keepdims;
}

/* Axes in any order that are all dims from the first one on. */
static bool are_last(const pf_ints *axes, int32_t rank, int64_t *first)
{
    uint32_t seen = 0;

    for (int32_t i = 0; i < axes->count; i++)
        seen |= 1u << axes->at[i];
    *first = rank - axes->count;
    return axes->count > 0 && seen == ((1u << rank) - 1) - ((1u << *first) - 1);
}

static bool find_form(const pf_graph *graph, pf_value_id value, pf_match *match, int64_t *first)
{
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        pf_ints mean = { 0 }, variance = { 0 };
        int64_t other = 0;

        if (pf_pattern_match(graph, forms[i], value, match) && pf_pattern_is_closed(graph, match, value))
            return is_mean(graph, match->known[MEAN], &mean) && is_mean(graph, match->known[VARIANCE], &variance) &&
                   are_last(&mean, graph->values[match->value[X]].shape.rank, first) &&
                   are_last(&variance, graph->values[match->value[X]].shape.rank, &other) && *first == other;
    }
    return false;
}

/* Scale and shift of norms are constants of their own, to which norm_affine adds what it finds. */
static pf_status add_norm(pf_graph *graph, const char *name, const pf_match *match, int64_t first, bool instance,
                          pf_value_id *out, pf_err *err)
{
    pf_value               x = graph->values[match->value[X]];
    pf_shape               shape = { .rank = instance ? 1 : x.shape.rank - (int32_t)first };
    pf_layer_norm_attrs    layer = { .axis = first, .epsilon = match->number[0] };
    pf_instance_norm_attrs spatial = { .epsilon = match->number[0] };
    pf_value_id            in[3] = { match->value[X], PF_NONE, PF_NONE };
    pf_status              st = PF_OK;

    for (int32_t d = 0; d < shape.rank; d++)
        shape.dim[d] = x.shape.dim[instance ? 1 : first + d];
    *out = PF_NONE;
    if (!pf_shape_is_static(&shape))
        return PF_OK;
    st = pf_make_filled(graph, x.dtype, &shape, 1, &in[1], err);
    if (!st && instance)
        st = pf_make_filled(graph, x.dtype, &shape, 0, &in[2], err);
    if (st)
        return st;
    if (instance)
        return pf_graph_add_node(graph, PF_OP_INSTANCE_NORM, name, in, 3, &spatial, 1, out, err);
    return pf_graph_add_node(graph, PF_OP_LAYER_NORM, name, in, 2, &layer, 1, out, err);
}

/* An rms_norm of x - mean, along the last dim. */
static pf_status center_rms(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph           *graph = pf_rewrite_graph(rewrite);
    pf_node             node = graph->nodes[id];         /* a copy: adding nodes moves them */
    pf_layer_norm_attrs attrs = { 0 };
    pf_value_id         in[2] = { PF_NONE, node.in[1] }, out = PF_NONE;
    pf_ints             axes = { 0 };
    pf_match            match;
    pf_status           st = PF_OK;

    if (!pf_pattern_match(graph, CENTERED, node.in[0], &match) || !pf_pattern_is_closed(graph, &match, node.in[0]) ||
        !pf_rewrite_used_once(graph, node.in[0]) || !is_mean(graph, match.known[MEAN], &axes) ||
        !pf_shape_equal(&graph->values[match.value[X]].shape, &graph->values[node.in[0]].shape))
        return PF_OK;
    attrs.axis = ((const pf_rms_norm_attrs *)node.attrs)->axis;
    attrs.epsilon = ((const pf_rms_norm_attrs *)node.attrs)->epsilon;
    if (axes.count != 1 || axes.at[0] != attrs.axis || attrs.axis != graph->values[node.in[0]].shape.rank - 1)
        return PF_OK;
    in[0] = match.value[X];
    st = pf_graph_add_node(graph, PF_OP_LAYER_NORM, node.name, in, 2, &attrs, 1, &out, err);
    return st ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph   *graph = pf_rewrite_graph(rewrite);
    const char *name = graph->nodes[id].name;
    pf_value_id made = graph->nodes[id].out[0], out = PF_NONE;
    pf_match    match;
    int64_t     first = 0;
    pf_status   st = PF_OK;

    if (graph->nodes[id].op == PF_OP_RMS_NORM)
        return center_rms(rewrite, id, changed, err);
    if (graph->values[made].kind != PF_VALUE_TENSOR || !pf_dtype_is_float(graph->values[made].dtype) ||
        !find_form(graph, made, &match, &first) ||
        !pf_shape_equal(&graph->values[match.value[X]].shape, &graph->values[made].shape))
        return PF_OK;
    st = add_norm(graph, name, &match, first, first == 2 && graph->values[made].shape.rank > 3, &out, err);
    if (!st && out != PF_NONE && match.value[SCALE] != PF_NONE)
        st = pf_make_binary(graph, PF_OP_MUL, name, out, match.value[SCALE], &out, err);
    if (!st && out != PF_NONE && match.value[SHIFT] != PF_NONE)
        st = pf_make_binary(graph, PF_OP_ADD, name, out, match.value[SHIFT], &out, err);
    return st || out == PF_NONE ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

const pf_rule pf_rule_layer_norm = {
    .name = "layer_norm", .summary = "recognize layer and instance normalization", .phase = PF_RULES_PATTERN,
    .default_on = true, .apply = apply,
};
