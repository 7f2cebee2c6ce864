/* Functions round a sum that a reduction has a mode for:
     sum(x * x), sum(|x|)                   sum_square, l1
     sqrt(sum_square(x)), log(sum(x))       l2, log_sum
     sum(x) / n over n elements             mean
     sum_square(x) / n                      the mean of x * x, as norms are written
   Condition: nothing else reads what is in between. */
#include "engine/fold.h"
#include "engine/make.h"
#include "engine/ops/attrs.h"
#include "engine/pattern.h"

enum { X, REDUCE };

/* `before`: what the reduction in the pattern does. */
typedef struct form { const pf_pattern *pattern; int32_t before, after; } form;

#define OF(x) PF_KNOWN(REDUCE, REDUCE, x)

static const form forms[] = {
    { OF(PF_NODE(MUL, PF_X, PF_X)), PF_REDUCE_SUM, PF_REDUCE_SUM_SQUARE },
    { OF(PF_NODE(ABS, PF_X)), PF_REDUCE_SUM, PF_REDUCE_L1 },
    { PF_NODE(SQRT, OF(PF_X)), PF_REDUCE_SUM_SQUARE, PF_REDUCE_L2 },
    { PF_NODE(LOG, OF(PF_X)), PF_REDUCE_SUM, PF_REDUCE_LOG_SUM },
    { PF_NODE(MUL, OF(PF_X), PF_P), PF_REDUCE_SUM, PF_REDUCE_MEAN },
    { PF_NODE(MUL, OF(PF_X), PF_P), PF_REDUCE_SUM_SQUARE, PF_REDUCE_MEAN },
};

/* The factor of a mean is one over the number of elements. */
static bool is_share(const pf_graph *graph, const pf_match *match, const pf_reduce_attrs *attrs)
{
    double share = match->number[0];

    for (int32_t i = 0; i < attrs->axes.count; i++) {
        pf_dim dim = graph->values[match->value[X]].shape.dim[attrs->axes.at[i]];

        if (!pf_dim_is_number(dim))
            return false;
        share *= (double)dim;
    }
    return share > 1 - 1e-6 && share < 1 + 1e-6;
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph   *graph = pf_rewrite_graph(rewrite);
    pf_value_id made = graph->nodes[id].out[0];

    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        pf_match        match;
        pf_reduce_attrs attrs = { 0 };
        pf_value_id     out = PF_NONE;
        pf_status       st = PF_OK;

        if (!pf_pattern_match(graph, forms[i].pattern, made, &match) || !pf_pattern_is_closed(graph, &match, made) ||
            !pf_dtype_is_float(graph->values[made].dtype))
            continue;
        attrs = *(const pf_reduce_attrs *)graph->nodes[match.known[REDUCE]].attrs;
        if (attrs.mode != forms[i].before || (forms[i].after == PF_REDUCE_MEAN && !is_share(graph, &match, &attrs)))
            continue;
        attrs.mode = forms[i].after;
        if (forms[i].before == PF_REDUCE_SUM_SQUARE && attrs.mode == PF_REDUCE_MEAN)
            st = pf_make_binary(graph, PF_OP_MUL, graph->nodes[id].name, match.value[X], match.value[X],
                                &match.value[X], err);
        if (!st)
            st = pf_graph_add_node(graph, PF_OP_REDUCE, graph->nodes[id].name, &match.value[X], 1, &attrs, 1, &out,
                                   err);
        return st ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
    }
    return PF_OK;
}

const pf_rule pf_rule_merge_reduce = {
    .name = "merge_reduce",
    .summary = "sums of squares and of magnitudes, their root, means and logarithms as one reduction",
    .phase = PF_RULES_PATTERN, .default_on = true, .apply = apply,
};
