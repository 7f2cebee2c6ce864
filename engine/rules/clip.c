/* Limits.  min and max with constants are clips, a clip at 0 alone is a relu, and two limits one behind the other are
   one. */
#include <math.h>

#include "engine/fold.h"
#include "engine/ops/attrs.h"

typedef struct limits { double low, high; } limits;

/* What the node limits x to; false when it is no such node. */
static bool limits_of(const pf_graph *graph, const pf_node *node, limits *out)
{
    const pf_pointwise_attrs *attrs = node->attrs;
    double                    number = 0;

    if (!node->out_count || !pf_dtype_is_float(graph->values[node->out[0]].dtype))
        return false;
    *out = (limits){ -INFINITY, INFINITY };
    if (node->op == PF_OP_RELU) {
        out->low = 0;
        return true;
    }
    if (node->op == PF_OP_CLIP) {
        *out = (limits){ attrs->p, attrs->q };
        return !(attrs->p > attrs->q);
    }
    if ((node->op != PF_OP_MAX && node->op != PF_OP_MIN) || !pf_fold_uniform(graph, node->in[1], &number) ||
        isnan(number) || !pf_shape_equal(&graph->values[node->in[0]].shape, &graph->values[node->out[0]].shape))
        return false;
    *(node->op == PF_OP_MAX ? &out->low : &out->high) = number;
    return true;
}

/* First to the inner limits, then to the outer ones. */
static limits join(limits inner, limits outer)
{
    return (limits){ fmin(fmax(inner.low, outer.low), outer.high), fmax(fmin(inner.high, outer.high), outer.low) };
}

static bool is_written_so(const pf_node *node, limits l)
{
    bool is_relu = l.low == 0 && l.high == INFINITY;

    return node->op == (is_relu ? PF_OP_RELU : PF_OP_CLIP);
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph          *graph = pf_rewrite_graph(rewrite);
    pf_node            node = graph->nodes[id];          /* a copy: adding nodes moves them */
    limits             own = { 0, 0 }, before = { 0, 0 };
    pf_value_id        x = PF_NONE, out = PF_NONE;
    pf_node_id         inner = PF_NONE;
    pf_pointwise_attrs attrs = { 0, 0 };
    pf_status          st = PF_OK;

    if (!limits_of(graph, &node, &own))
        return PF_OK;
    x = node.in[0];
    inner = graph->values[x].producer;
    if (inner != PF_NONE && limits_of(graph, &graph->nodes[inner], &before)) {
        own = join(before, own);
        x = graph->nodes[inner].in[0];
    } else if (is_written_so(&node, own))
        return PF_OK;
    attrs.p = own.low;
    attrs.q = own.high;
    if (own.low == 0 && own.high == INFINITY)
        st = pf_graph_add_node(graph, PF_OP_RELU, node.name, &x, 1, NULL, 1, &out, err);
    else
        st = pf_graph_add_node(graph, PF_OP_CLIP, node.name, &x, 1, &attrs, 1, &out, err);
    return st ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

const pf_rule pf_rule_clip = {
    .name = "clip", .summary = "one clip or relu for limits that follow each other", .phase = PF_RULES_PATTERN,
    .default_on = true, .apply = apply,
};
