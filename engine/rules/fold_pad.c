/* Zeros padded round the spatial dims become the padding of the convolution or pool behind them.  Pools look at their
   padding in other ways: an average counts it only when told to, a maximum takes it for minus infinity.  A transposed
   convolution has padding that leaves out what it makes at the borders: it leaves out less then. */
#include <float.h>
#include <math.h>

#include "engine/fold.h"
#include "engine/ops/attrs.h"

static bool pad_value(const pf_graph *graph, const pf_node *pad, double *out)
{
    *out = ((const pf_pad_attrs *)pad->attrs)->value;
    return pad->in_count < 2 || pad->in[1] == PF_NONE || pf_fold_uniform(graph, pad->in[1], out);
}

/* The pads of the spatial dims, when they are numbers and the other dims have none. out: begins, then ends. */
static bool spatial_pads(const pf_graph *graph, const pf_node *pad, pf_ints *out)
{
    const pf_pad_attrs *attrs = pad->attrs;
    int32_t             rank = graph->values[pad->out[0]].shape.rank, spatial = rank - 2;

    if (attrs->mode != PF_PAD_CONSTANT || rank < 3 || attrs->pads.count != 2 * rank || 2 * spatial > PF_ATTR_LIST)
        return false;
    out->count = 2 * spatial;
    for (int32_t i = 0; i < 2 * rank; i++) {
        int32_t axis = i % rank;

        if (!pf_dim_is_number(attrs->pads.at[i]) || attrs->pads.at[i] < 0 || (axis < 2 && attrs->pads.at[i] != 0))
            return false;
        if (axis >= 2)
            out->at[i / rank * spatial + axis - 2] = attrs->pads.at[i];
    }
    return true;
}

static void add_pads(pf_ints *pads, const pf_ints *more)
{
    for (int32_t i = 0; i < more->count; i++)
        pads->at[i] = (i < pads->count ? pads->at[i] : 0) + more->at[i];
    pads->count = more->count;
}

static bool are_zero(const pf_ints *pads)
{
    for (int32_t i = 0; i < pads->count; i++)
        if (pads->at[i])
            return false;
    return true;
}

/* Gives the node's attributes the pads; false when it cannot have them. */
typedef bool absorb_fn(void *attrs, const pf_ints *pads, double value);

static bool absorb_conv(void *attrs, const pf_ints *pads, double value)
{
    pf_conv_attrs *a = attrs;

    if (a->auto_pad != PF_AUTO_PAD_NONE || value != 0)
        return false;
    add_pads(&a->pads, pads);
    return true;
}

static bool absorb_conv_transpose(void *attrs, const pf_ints *pads, double value)
{
    pf_conv_transpose_attrs *a = attrs;
    int32_t                  spatial = pads->count / 2;

    if (a->auto_pad != PF_AUTO_PAD_NONE || a->output_shape.count || value != 0)
        return false;
    for (int32_t i = 0; i < pads->count; i++) {
        int64_t stride = i % spatial < a->strides.count ? a->strides.at[i % spatial] : 1,
                left = i < a->pads.count ? a->pads.at[i] : 0;

        if (pads->at[i] > left / stride)
            return false;
        a->pads.at[i] = left - pads->at[i] * stride;
    }
    a->pads.count = pads->count;
    return true;
}

static bool absorb_max_pool(void *attrs, const pf_ints *pads, double value)
{
    pf_pool_attrs *a = attrs;

    if (a->auto_pad != PF_AUTO_PAD_NONE || a->ceil_mode || value > -FLT_MAX)
        return false;
    add_pads(&a->pads, pads);
    for (int32_t i = 0; i < a->kernel.count; i++)        /* a window of padding alone has no maximum */
        if (a->pads.at[i] >= a->kernel.at[i] || a->pads.at[i + a->kernel.count] >= a->kernel.at[i])
            return false;
    return true;
}

static bool absorb_average_pool(void *attrs, const pf_ints *pads, double value)
{
    pf_pool_attrs *a = attrs;

    if (a->auto_pad != PF_AUTO_PAD_NONE || a->ceil_mode || value != 0 || !(a->count_include_pad || are_zero(&a->pads)))
        return false;
    add_pads(&a->pads, pads);
    a->count_include_pad = 1;
    return true;
}

static const struct { pf_op_kind op; absorb_fn *absorb; } rows[] = {
    { PF_OP_CONV, absorb_conv }, { PF_OP_CONV_TRANSPOSE, absorb_conv_transpose }, { PF_OP_MAX_POOL, absorb_max_pool },
    { PF_OP_AVERAGE_POOL, absorb_average_pool },
};

static absorb_fn *find_absorber(const pf_node *node)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].op == node->op && node->out_count == 1)
            return rows[i].absorb;
    return NULL;
}

static pf_status add_padded(pf_graph *graph, pf_node_id id, pf_node_id pad, const void *attrs, pf_value_id *out,
                            pf_err *err)
{
    const pf_node *node = &graph->nodes[id];
    pf_value_id    in[3] = { graph->nodes[pad].in[0], PF_NONE, PF_NONE };
    const char    *name = pf_rewrite_joined_name(graph, graph->nodes[pad].name, node->name);

    if (!name)
        return PF_FAIL_MEMORY(err, 1);
    for (uint32_t i = 1; i < node->in_count && i < 3; i++)
        in[i] = node->in[i];
    return pf_graph_add_node(graph, node->op, name, in, node->in_count, attrs, 1, out, err);
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph   *graph = pf_rewrite_graph(rewrite);
    absorb_fn  *absorb = find_absorber(&graph->nodes[id]);
    pf_node_id  pad = absorb ? pf_rewrite_maker(graph, graph->nodes[id].in[0], PF_OP_PAD) : PF_NONE;
    union { pf_conv_attrs conv; pf_conv_transpose_attrs transposed; pf_pool_attrs pool; } attrs;
    pf_ints     pads = { 0 };
    pf_value_id out = PF_NONE;
    double      value = 0;
    pf_status   st = PF_OK;

    if (pad == PF_NONE || !pad_value(graph, &graph->nodes[pad], &value) ||
        !spatial_pads(graph, &graph->nodes[pad], &pads))
        return PF_OK;
    if (graph->nodes[id].op == PF_OP_CONV)
        attrs.conv = *(const pf_conv_attrs *)graph->nodes[id].attrs;
    else if (graph->nodes[id].op == PF_OP_CONV_TRANSPOSE)
        attrs.transposed = *(const pf_conv_transpose_attrs *)graph->nodes[id].attrs;
    else
        attrs.pool = *(const pf_pool_attrs *)graph->nodes[id].attrs;
    if (!absorb(&attrs, &pads, value))
        return PF_OK;
    st = add_padded(graph, id, pad, &attrs, &out, err);
    return st ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

const pf_rule pf_rule_fold_pad = {
    .name = "fold_pad", .summary = "pad inside the convolution or pool", .phase = PF_RULES_WEIGHTS, .default_on = true,
    .apply = apply,
};
