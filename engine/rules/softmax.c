/* exp(x) / sum(exp(x)), with or without the greatest x subtracted first, is softmax; its logarithm is log_softmax,
   written log(softmax(x)) or x - m - log(sum(exp(x - m))), with a reduction that takes the logarithm, and the
   exponential too, in one or in steps. */
#include "engine/ops/attrs.h"
#include "engine/pattern.h"

enum { X, MOST = 0, SUM = 1, SOFTMAX = 2 };

#define LOWERED   PF_NODE(SUB, PF_X, PF_KNOWN(MOST, REDUCE, PF_X))
#define SUM_OF(e) PF_KNOWN(SUM, REDUCE, e)

/* sum: what the reduction does. */
typedef struct form { const pf_pattern *pattern; pf_op_kind op; int32_t sum; } form;

static const form forms[] = {
    { PF_NODE(DIV, PF_NODE(EXP, LOWERED), SUM_OF(PF_NODE(EXP, LOWERED))), PF_OP_SOFTMAX },
    { PF_NODE(DIV, PF_NODE(EXP, PF_X), SUM_OF(PF_NODE(EXP, PF_X))), PF_OP_SOFTMAX },
    { PF_NODE(MUL, PF_NODE(EXP, LOWERED), PF_NODE(RECIPROCAL, SUM_OF(PF_NODE(EXP, LOWERED)))), PF_OP_SOFTMAX },
    { PF_NODE(MUL, PF_NODE(EXP, PF_X), PF_NODE(RECIPROCAL, SUM_OF(PF_NODE(EXP, PF_X)))), PF_OP_SOFTMAX },
    { PF_NODE(LOG, PF_KNOWN(SOFTMAX, SOFTMAX, PF_X)), PF_OP_LOG_SOFTMAX },
    { PF_NODE(SUB, LOWERED, PF_NODE(LOG, SUM_OF(PF_NODE(EXP, LOWERED)))), PF_OP_LOG_SOFTMAX },
    { PF_NODE(SUB, PF_X, PF_NODE(LOG, SUM_OF(PF_NODE(EXP, PF_X)))), PF_OP_LOG_SOFTMAX },
    { PF_NODE(SUB, LOWERED, SUM_OF(PF_NODE(EXP, LOWERED))), PF_OP_LOG_SOFTMAX, PF_REDUCE_LOG_SUM },
    { PF_NODE(SUB, PF_X, PF_NODE(ADD, SUM_OF(PF_NODE(EXP, LOWERED)), PF_KNOWN(MOST, REDUCE, PF_X))), PF_OP_LOG_SOFTMAX,
      PF_REDUCE_LOG_SUM },
    { PF_NODE(SUB, PF_X, SUM_OF(PF_NODE(EXP, PF_X))), PF_OP_LOG_SOFTMAX, PF_REDUCE_LOG_SUM },
    { PF_NODE(SUB, LOWERED, SUM_OF(LOWERED)), PF_OP_LOG_SOFTMAX, PF_REDUCE_LOG_SUM_EXP },
    { PF_NODE(SUB, PF_X, SUM_OF(PF_X)), PF_OP_LOG_SOFTMAX, PF_REDUCE_LOG_SUM_EXP },
    { PF_NODE(EXP, PF_KNOWN(SOFTMAX, LOG_SOFTMAX, PF_X)), PF_OP_SOFTMAX },
};

/* The one axis of a reduction that keeps dims. */
static bool reduces(const pf_graph *graph, pf_node_id id, int32_t mode, int64_t *axis)
{
    const pf_reduce_attrs *attrs = graph->nodes[id].attrs;

    *axis = attrs->axes.at[0];
    return attrs->mode == mode && attrs->keepdims && attrs->axes.count == 1;
}

static bool is_softmax(const pf_graph *graph, const pf_match *match, int32_t sum, int64_t *axis)
{
    int64_t other = 0;

    if (match->known[SOFTMAX] != PF_NONE) {
        *axis = ((const pf_axis_attrs *)graph->nodes[match->known[SOFTMAX]].attrs)->axis;
        return true;
    }
    return reduces(graph, match->known[SUM], sum, axis) &&
           (match->known[MOST] == PF_NONE ||
            (reduces(graph, match->known[MOST], PF_REDUCE_MAX, &other) && other == *axis));
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph   *graph = pf_rewrite_graph(rewrite);
    pf_value_id made = graph->nodes[id].out[0];

    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        pf_match      match;
        pf_axis_attrs attrs = { 0 };
        pf_value_id   out = PF_NONE;
        pf_status     st = PF_OK;

        if (!pf_pattern_match(graph, forms[i].pattern, made, &match) ||
            !is_softmax(graph, &match, forms[i].sum, &attrs.axis) || !pf_pattern_is_closed(graph, &match, made) ||
            !pf_shape_equal(&graph->values[match.value[X]].shape, &graph->values[made].shape))
            continue;
        st = pf_graph_add_node(graph, forms[i].op, graph->nodes[id].name, &match.value[X], 1, &attrs, 1, &out, err);
        return st ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
    }
    return PF_OK;
}

const pf_rule pf_rule_softmax = {
    .name = "softmax", .summary = "recognize softmax and its logarithm", .phase = PF_RULES_PATTERN, .default_on = true,
    .apply = apply,
};
