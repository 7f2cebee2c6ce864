/* A reduction of what was transposed goes in front of the transpose, which has less to move then, and nothing when all
   dims that it moves are gone. Condition: nothing else reads what is transposed. */
#include "engine/make.h"
#include "engine/ops/attrs.h"
#include "engine/rewrite.h"

/* The transpose of what is reduced in front of it: dims that are dropped are left out, the others keep their order. */
static pf_ints perm_behind(const pf_ints *perm, uint32_t dropped)
{
    pf_ints out = { 0 };

    for (int32_t d = 0; d < perm->count; d++) {
        int64_t at = 0;

        if (dropped >> perm->at[d] & 1)
            continue;
        for (int64_t i = 0; i < perm->at[d]; i++)
            at += !(dropped >> i & 1);
        out.at[out.count++] = at;
    }
    return out;
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph       *graph = pf_rewrite_graph(rewrite);
    pf_node         node = graph->nodes[id];         /* a copy: adding nodes moves them */
    pf_node_id      before = node.op == PF_OP_REDUCE ? pf_rewrite_maker(graph, node.in[0], PF_OP_TRANSPOSE) : PF_NONE;
    pf_reduce_attrs attrs = { 0 };
    pf_ints         perm = { 0 };
    const char     *moved = NULL;
    uint32_t        dropped = 0;
    pf_value_id     out = PF_NONE;
    pf_status       st = PF_OK;

    if (before == PF_NONE || !pf_rewrite_used_once(graph, node.in[0]))
        return PF_OK;
    attrs = *(const pf_reduce_attrs *)node.attrs;
    perm = ((const pf_transpose_attrs *)graph->nodes[before].attrs)->perm;
    moved = graph->nodes[before].name;
    for (int32_t i = 0; i < attrs.axes.count; i++) {
        attrs.axes.at[i] = perm.at[attrs.axes.at[i]];
        dropped |= attrs.keepdims ? 0 : 1u << attrs.axes.at[i];
    }
    perm = perm_behind(&perm, dropped);
    st = pf_graph_add_node(graph, PF_OP_REDUCE, node.name, graph->nodes[before].in, 1, &attrs, 1, &out, err);
    if (!st)
        st = pf_make_transpose(graph, moved, out, perm.at, &out, err);
    return st ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

const pf_rule pf_rule_reduce_first = {
    .name = "reduce_first", .summary = "reduce in front of a transpose rather than behind it", .phase = PF_RULES_CLEAN,
    .default_on = true, .apply = apply,
};
