/* A pool whose one window holds all that there is of each channel is a reduction over the spatial dims.  Exporters
   write a window of 2560 x 2560 for images of any size: with ceil_mode it reaches beyond them. */
#include "engine/ops/attrs.h"
#include "engine/rewrite.h"

static bool is_one_window(const pf_graph *graph, const pf_node *pool)
{
    const pf_pool_attrs *a = pool->attrs;
    const pf_shape      *in = &graph->values[pool->in[0]].shape, *out = &graph->values[pool->out[0]].shape;

    if (a->auto_pad != PF_AUTO_PAD_NONE || pool->out_count != 1 || in->rank != a->kernel.count + 2)
        return false;
    for (int32_t d = 0; d < a->kernel.count; d++) {
        int64_t least = 0, greatest = 0;

        if (out->dim[d + 2] != 1 || a->dilations.at[d] != 1 || a->pads.at[d] || a->pads.at[d + a->kernel.count] ||
            pf_dim_range(graph->dims, in->dim[d + 2], NULL, NULL, &least, &greatest, NULL) || least < 1 ||
            greatest > a->kernel.at[d])
            return false;
    }
    return true;
}

/* p: of those that have a power; 0: any. */
static const struct { pf_op_kind op; int64_t p; int32_t mode; } modes[] = {
    { PF_OP_AVERAGE_POOL, 0, PF_REDUCE_MEAN }, { PF_OP_MAX_POOL, 0, PF_REDUCE_MAX },
    { PF_OP_LP_POOL, 1, PF_REDUCE_L1 }, { PF_OP_LP_POOL, 2, PF_REDUCE_L2 },
};

/* -1: there is none. */
static int32_t mode_of(const pf_node *pool)
{
    const pf_pool_attrs *a = pool->attrs;

    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
        if (modes[i].op == pool->op && (!modes[i].p || modes[i].p == a->p))
            return modes[i].mode;
    return -1;
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph       *graph = pf_rewrite_graph(rewrite);
    const pf_node  *pool = &graph->nodes[id];
    pf_reduce_attrs attrs = { .mode = mode_of(pool), .keepdims = 1 };
    pf_value_id     out = PF_NONE;
    pf_status       st = PF_OK;

    if (attrs.mode < 0 || !is_one_window(graph, pool))
        return PF_OK;
    for (int32_t d = 2; d < graph->values[pool->in[0]].shape.rank; d++)
        attrs.axes.at[attrs.axes.count++] = d;
    st = pf_graph_add_node(graph, PF_OP_REDUCE, pool->name, pool->in, 1, &attrs, 1, &out, err);
    return st ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

const pf_rule pf_rule_pool_to_reduce = {
    .name = "pool_to_reduce", .summary = "reduce where one window holds all there is", .phase = PF_RULES_CLEAN,
    .default_on = true, .apply = apply,
};
