/* Channels seen as groups, the groups and what is in them swapped, and seen as channels again: a gather along the
   channels, which needs no other layout where channels are the innermost dim, as the reshapes do. */
#include "base/alloc.h"
#include "engine/make.h"
#include "engine/ops/attrs.h"
#include "engine/rewrite.h"

/* Are these x's dims, with the channels as [groups, each]? */
static bool splits_channels(const pf_shape *x, const pf_shape *split)
{
    if (x->rank < 3 || split->rank != x->rank + 1 || x->dim[0] != split->dim[0])
        return false;
    for (int32_t d = 1; d < 3; d++)
        if (!pf_dim_is_number(split->dim[d]) || split->dim[d] < 2)
            return false;
    for (int32_t d = 2; d < x->rank; d++)
        if (x->dim[d] != split->dim[d + 1])
            return false;
    return pf_dim_is_number(x->dim[1]) && x->dim[1] == split->dim[1] * split->dim[2];
}

static bool swaps_first(const pf_ints *perm)
{
    for (int32_t d = 0; d < perm->count; d++)
        if (perm->at[d] != (d == 1 ? 2 : d == 2 ? 1 : d))
            return false;
    return true;
}

static pf_status add_gather(pf_graph *graph, const char *name, pf_value_id x, int64_t groups, int64_t each,
                            pf_value_id *out, pf_err *err)
{
    pf_shape      shape = { .rank = 1, .dim = { groups * each } };
    size_t        bytes = (size_t)(groups * each) * sizeof(int64_t);
    int64_t      *from = pf_arena_alloc(graph->arena, bytes);
    pf_value_id   in[2] = { x, PF_NONE };
    pf_axis_attrs attrs = { .axis = 1 };
    pf_status     st = from ? PF_OK : PF_FAIL_MEMORY(err, bytes);

    for (int64_t c = 0; c < groups * each && !st; c++)
        from[c] = c % groups * each + c / groups;
    if (!st)
        st = pf_graph_add_constant(graph, "", PF_I64, &shape, from, bytes, &in[1], err);
    return st ? st : pf_graph_add_node(graph, PF_OP_GATHER, name, in, 2, &attrs, 1, out, err);
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph       *graph = pf_rewrite_graph(rewrite);
    pf_node_id      swap = graph->nodes[id].op != PF_OP_RESHAPE
                               ? PF_NONE : pf_rewrite_maker(graph, graph->nodes[id].in[0], PF_OP_TRANSPOSE);
    pf_node_id      split = swap == PF_NONE
                                ? PF_NONE : pf_rewrite_maker(graph, graph->nodes[swap].in[0], PF_OP_RESHAPE);
    const pf_shape *x = NULL, *parts = NULL, *y = &graph->values[graph->nodes[id].out[0]].shape;
    pf_value_id     out = PF_NONE;
    pf_status       st = PF_OK;

    if (split == PF_NONE || !swaps_first(&((const pf_transpose_attrs *)graph->nodes[swap].attrs)->perm))
        return PF_OK;
    x = &graph->values[graph->nodes[split].in[0]].shape;
    parts = &graph->values[graph->nodes[split].out[0]].shape;
    if (!splits_channels(x, parts) || y->rank != x->rank)
        return PF_OK;
    for (int32_t d = 0; d < x->rank; d++)
        if (x->dim[d] != y->dim[d])
            return PF_OK;
    st = add_gather(graph, graph->nodes[swap].name, graph->nodes[split].in[0], parts->dim[1], parts->dim[2], &out, err);
    return st ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

const pf_rule pf_rule_shuffle_channels = {
    .name = "shuffle_channels", .summary = "pick channels instead of moving groups of them through other shapes",
    .phase = PF_RULES_MERGE, .default_on = true, .may_lose = PF_RULE_LOSES_OFTEN, .apply = apply,
};
