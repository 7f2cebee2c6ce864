/* A reduction of a reduction of the same kind is one over the dims of both: the mean over rows of the means over
   columns. Condition: nothing else reads the inner one, both keep their dims or both drop them, and a mean is of
   floats: one of integers rounds. */
#include "engine/ops/attrs.h"
#include "engine/rewrite.h"

static bool is_merged(int32_t mode, pf_dtype dtype)
{
    return mode == PF_REDUCE_SUM || (mode == PF_REDUCE_MEAN && pf_dtype_is_float(dtype)) || mode == PF_REDUCE_MAX ||
           mode == PF_REDUCE_MIN || mode == PF_REDUCE_PROD;
}

/* The dim of what the inner one reads that dim d of what it makes is. */
static int64_t dim_before(uint32_t dropped, int64_t d)
{
    int64_t at = 0;

    for (; d || dropped >> at & 1; at++)
        d -= !(dropped >> at & 1);
    return at;
}

static uint32_t mask_of(const pf_ints *axes)
{
    uint32_t mask = 0;

    for (int32_t i = 0; i < axes->count; i++)
        mask |= 1u << axes->at[i];
    return mask;
}

static pf_ints join(const pf_reduce_attrs *inner, const pf_reduce_attrs *outer)
{
    uint32_t own = mask_of(&inner->axes), mask = own;
    pf_ints  axes = { 0 };

    for (int32_t i = 0; i < outer->axes.count; i++)
        mask |= 1u << (outer->keepdims ? outer->axes.at[i] : dim_before(own, outer->axes.at[i]));
    for (int32_t d = 0; d < PF_MAX_RANK; d++)
        if (mask >> d & 1)
            axes.at[axes.count++] = d;
    return axes;
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph              *graph = pf_rewrite_graph(rewrite);
    pf_node_id             before = graph->nodes[id].op == PF_OP_REDUCE
                                        ? pf_rewrite_maker(graph, graph->nodes[id].in[0], PF_OP_REDUCE)
                                        : PF_NONE;
    const pf_reduce_attrs *outer = graph->nodes[id].attrs,
                          *inner = before == PF_NONE ? NULL : graph->nodes[before].attrs;
    pf_reduce_attrs        attrs = { 0 };
    const char            *name = NULL;
    pf_value_id            out = PF_NONE;
    pf_status              st = PF_OK;

    if (!inner || inner->mode != outer->mode || inner->keepdims != outer->keepdims ||
        !is_merged(outer->mode, graph->values[graph->nodes[id].out[0]].dtype) ||
        !pf_rewrite_used_once(graph, graph->nodes[id].in[0]))
        return PF_OK;
    attrs = *outer;
    attrs.axes = join(inner, outer);
    name = pf_rewrite_joined_name(graph, graph->nodes[before].name, graph->nodes[id].name);
    if (!name)
        return PF_FAIL_MEMORY(err, 1);
    st = pf_graph_add_node(graph, PF_OP_REDUCE, name, graph->nodes[before].in, 1, &attrs, 1, &out, err);
    return st ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

const pf_rule pf_rule_merge_reductions = {
    .name = "merge_reductions", .summary = "one reduction instead of two", .phase = PF_RULES_CLEAN, .default_on = true,
    .apply = apply,
};
