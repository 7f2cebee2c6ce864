/* Nodes whose output is one of their inputs. */
#include <math.h>

#include "engine/fold.h"
#include "engine/ops/attrs.h"

/* Which input slot the node hands on, or NOT. Dtype and shape are compared by the caller. */
enum { NOT = -1 };

static int always(const pf_graph *graph, const pf_node *node) { return (void)graph, (void)node, 0; }
static int when_single_input(const pf_graph *graph, const pf_node *node)
{
    return (void)graph, node->in_count == 1 ? 0 : NOT;
}
static int when_single_output(const pf_graph *graph, const pf_node *node)
{
    return (void)graph, node->out_count == 1 ? 0 : NOT;
}

static int when_in_order(const pf_graph *graph, const pf_node *node)
{
    const pf_transpose_attrs *attrs = node->attrs;

    (void)graph;
    for (int32_t i = 0; i < attrs->perm.count; i++)
        if (attrs->perm.at[i] != i)
            return NOT;
    return 0;
}

static int when_no_pads(const pf_graph *graph, const pf_node *node)
{
    const pf_pad_attrs *attrs = node->attrs;

    (void)graph;
    for (int32_t i = 0; i < attrs->pads.count; i++)
        if (attrs->pads.at[i] != 0)
            return NOT;
    return 0;
}

static int when_steps_are_one(const pf_graph *graph, const pf_node *node)
{
    const pf_slice_attrs *attrs = node->attrs;

    (void)graph;
    for (int32_t i = 0; i < attrs->steps.count; i++)
        if (attrs->steps.at[i] != 1)
            return NOT;
    return 0;
}

static int when_nothing_reduced(const pf_graph *graph, const pf_node *node)
{
    const pf_reduce_attrs *attrs = node->attrs;
    bool is_itself = attrs->mode == PF_REDUCE_SUM || attrs->mode == PF_REDUCE_MEAN || attrs->mode == PF_REDUCE_MAX ||
                     attrs->mode == PF_REDUCE_MIN || attrs->mode == PF_REDUCE_PROD;

    (void)graph;
    return is_itself && attrs->axes.count == 0 ? 0 : NOT;
}

static int when_unbounded(const pf_graph *graph, const pf_node *node)
{
    const pf_pointwise_attrs *attrs = node->attrs;

    (void)graph;
    return attrs->p == -INFINITY && attrs->q == INFINITY ? 0 : NOT;
}

/* Slot 1, or with commutative ops either one, holds the neutral element everywhere. */
static int beside(const pf_graph *graph, const pf_node *node, double neutral, bool commutes)
{
    double value = 0;

    if (pf_fold_uniform(graph, node->in[1], &value) && value == neutral)
        return 0;
    return commutes && pf_fold_uniform(graph, node->in[0], &value) && value == neutral ? 1 : NOT;
}

static int beside_zero(const pf_graph *graph, const pf_node *node) { return beside(graph, node, 0, true); }
static int minus_zero(const pf_graph *graph, const pf_node *node) { return beside(graph, node, 0, false); }
static int times_one(const pf_graph *graph, const pf_node *node) { return beside(graph, node, 1, true); }

/* A bool that is the same everywhere beside the other operand. */
static int beside_bool(const pf_graph *graph, const pf_node *node, bool neutral)
{
    for (int slot = 0; slot < 2; slot++) {
        const pf_value *v = &graph->values[node->in[slot]];
        bool            same = v->is_constant && v->constant.bytes > 0;

        for (size_t i = 0; i < v->constant.bytes && same; i++)
            same = !((const uint8_t *)v->constant.data)[i] != neutral;
        if (same)
            return 1 - slot;
    }
    return NOT;
}

static int beside_true(const pf_graph *graph, const pf_node *node) { return beside_bool(graph, node, true); }
static int beside_false(const pf_graph *graph, const pf_node *node) { return beside_bool(graph, node, false); }
static int by_one(const pf_graph *graph, const pf_node *node) { return beside(graph, node, 1, false); }

/* A choice that is the same everywhere. */
static int chosen(const pf_graph *graph, const pf_node *node)
{
    const pf_value *condition = &graph->values[node->in[0]];
    const uint8_t  *items = condition->constant.data;

    if (!condition->is_constant || condition->constant.bytes == 0)
        return NOT;
    for (size_t i = 1; i < condition->constant.bytes; i++)
        if (!items[i] != !items[0])
            return NOT;
    return items[0] ? 1 : 2;
}

static const struct { pf_op_kind op; int (*hands_on)(const pf_graph *graph, const pf_node *node); } rows[] = {
    { PF_OP_IDENTITY, always },        { PF_OP_CAST, always },           { PF_OP_RESHAPE, always },
    { PF_OP_EXPAND, always },          { PF_OP_TILE, always },           { PF_OP_CONCAT, when_single_input },
    { PF_OP_SPLIT, when_single_output }, { PF_OP_TRANSPOSE, when_in_order }, { PF_OP_PAD, when_no_pads },
    { PF_OP_SLICE, when_steps_are_one }, { PF_OP_REDUCE, when_nothing_reduced }, { PF_OP_CLIP, when_unbounded },
    { PF_OP_ADD, beside_zero },        { PF_OP_SUB, minus_zero },        { PF_OP_MUL, times_one },
    { PF_OP_DIV, by_one },             { PF_OP_POW, by_one },            { PF_OP_WHERE, chosen },
    { PF_OP_AND, beside_true },        { PF_OP_OR, beside_false },
};

static int input_handed_on(const pf_graph *graph, const pf_node *node)
{
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].op == node->op)
            return rows[i].hands_on(graph, node);
    return NOT;
}

static bool is_same(const pf_value *in, const pf_value *out)
{
    return in->kind == out->kind && in->dtype == out->dtype &&
           (in->kind != PF_VALUE_TENSOR || (in->shape.rank >= 0 && pf_shape_equal(&in->shape, &out->shape)));
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph      *graph = pf_rewrite_graph(rewrite);
    const pf_node *node = &graph->nodes[id];
    int            slot = node->in_count ? input_handed_on(graph, node) : NOT;
    bool           same = slot != NOT && is_same(&graph->values[node->in[slot]], &graph->values[node->out[0]]);

    if (slot == NOT || (!same && node->op != PF_OP_IDENTITY))
        return PF_OK;
    return pf_rewrite_replace(rewrite, id, 0, node->in[slot], changed, err);
}

const pf_rule pf_rule_drop_identity = {
    .name = "drop_identity", .summary = "remove nodes that hand on an input unchanged", .phase = PF_RULES_CLEAN,
    .default_on = true, .apply = apply,
};
