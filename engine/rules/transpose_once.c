/* Slices of one value that are each transposed alike: the whole is transposed once, and then sliced. */
#include "engine/make.h"
#include "engine/ops/attrs.h"
#include "engine/rewrite.h"

/* The transpose behind the slice, when nothing else reads it. */
static pf_node_id transpose_behind(const pf_graph *graph, const pf_node *slice)
{
    pf_node_id user = pf_rewrite_used_once(graph, slice->out[0]) ? pf_graph_use(graph, slice->out[0], 0).node : PF_NONE;

    return user != PF_NONE && graph->nodes[user].op == PF_OP_TRANSPOSE ? user : PF_NONE;
}

static bool is_same_move(const pf_graph *graph, pf_node_id a, pf_node_id b)
{
    return pf_attrs_equal(pf_op_def_of(PF_OP_TRANSPOSE), graph->nodes[a].attrs, graph->nodes[b].attrs);
}

enum { LIMIT = 16 };

/* The transposes behind all readers of x, when each reader is such a slice and there are two at least; their count, or
   0. */
static uint32_t find_alike(const pf_graph *graph, pf_value_id x, pf_node_id transpose, pf_node_id *out)
{
    uint32_t count = pf_graph_use_count(graph, x);

    if (count < 2 || count > LIMIT)
        return 0;
    for (uint32_t i = 0; i < count; i++) {
        pf_use use = pf_graph_use(graph, x, i);

        out[i] = use.node != PF_NONE && graph->nodes[use.node].op == PF_OP_SLICE
                     ? transpose_behind(graph, &graph->nodes[use.node])
                     : PF_NONE;
        if (out[i] == PF_NONE || !is_same_move(graph, transpose, out[i]))
            return 0;
    }
    return count;
}

/* The slice in front of the transpose, of whole instead, which is transposed. */
static pf_status slice_whole(pf_rewrite *rewrite, pf_node_id transpose, pf_value_id whole, bool *changed, pf_err *err)
{
    pf_graph      *graph = pf_rewrite_graph(rewrite);
    /* a copy: adding nodes moves them */
    pf_node        slice = graph->nodes[graph->values[graph->nodes[transpose].in[0]].producer];
    pf_ints        perm = ((const pf_transpose_attrs *)graph->nodes[transpose].attrs)->perm;
    pf_slice_attrs attrs = *(const pf_slice_attrs *)slice.attrs;
    pf_value_id    out = PF_NONE;
    pf_status      st = PF_OK;

    for (int32_t i = 0; i < attrs.axes.count; i++)
        for (int32_t d = 0; d < perm.count; d++)
            if (perm.at[d] == ((const pf_slice_attrs *)slice.attrs)->axes.at[i])
                attrs.axes.at[i] = d;
    st = pf_graph_add_node(graph, PF_OP_SLICE, slice.name, &whole, 1, &attrs, 1, &out, err);
    return st ? st : pf_rewrite_replace(rewrite, transpose, 0, out, changed, err);
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph   *graph = pf_rewrite_graph(rewrite);
    pf_node_id  slice = graph->nodes[id].op == PF_OP_TRANSPOSE
                            ? pf_rewrite_maker(graph, graph->nodes[id].in[0], PF_OP_SLICE)
                            : PF_NONE;
    pf_node_id  alike[LIMIT];
    pf_value_id x = slice == PF_NONE ? PF_NONE : graph->nodes[slice].in[0], whole = PF_NONE;
    uint32_t    count = x == PF_NONE ? 0 : find_alike(graph, x, id, alike);
    pf_status   st = PF_OK;

    if (count)
        st = pf_make_transpose(graph, graph->nodes[id].name, x,
                               ((const pf_transpose_attrs *)graph->nodes[id].attrs)->perm.at, &whole, err);
    for (uint32_t i = 0; i < count && !st; i++)
        st = slice_whole(rewrite, alike[i], whole, changed, err);
    return st;
}

const pf_rule pf_rule_transpose_once = {
    .name = "transpose_once", .summary = "transpose a whole before it is sliced rather than each slice",
    .phase = PF_RULES_MERGE, .default_on = true, .apply = apply,
};
