/* Pointwise ops and norms of channels behind a reshape that cuts an image's places otherwise go in front of it: a
   convolution over one dim or a norm of a volume is written out as one over two dims, and what follows it is to join
   it, or to be in its layout. */
#include <string.h>

#include "engine/op.h"
#include "engine/rewrite.h"
#include "engine/spell.h"

enum { ROUNDS = 16, INPUTS_MAX = 3 };

/* Ops that take pointwise ops along. */
static bool is_anchor(pf_op_kind op)
{
    return op == PF_OP_CONV || op == PF_OP_CONV_TRANSPOSE || op == PF_OP_INSTANCE_NORM || op == PF_OP_GROUP_NORM ||
           op == PF_OP_MAX_POOL || op == PF_OP_AVERAGE_POOL;
}

/* Of each channel, or of groups of channels, wherever their places are. */
static bool is_channel_norm(const pf_node *node)
{
    return node->op == PF_OP_INSTANCE_NORM || node->op == PF_OP_GROUP_NORM;
}

static bool may_go(const pf_node *node)
{
    return node->live && node->out_count == 1 && node->in_count <= INPUTS_MAX &&
           ((pf_op_is_pointwise(node->op) && node->op != PF_OP_CAST) || is_channel_norm(node));
}

/* What such a reshape makes `value` of, or several in a row do; PF_NONE when it is made otherwise. */
static pf_value_id behind(const pf_graph *graph, pf_value_id value)
{
    pf_value_id     from = value;
    pf_node_id      reshape = PF_NONE;
    const pf_shape *in = NULL, *out = NULL;

    while (from != PF_NONE && (reshape = pf_rewrite_maker(graph, from, PF_OP_RESHAPE)) != PF_NONE)
        from = graph->nodes[reshape].in[0];
    if (from == value)
        return PF_NONE;
    in = &graph->values[from].shape;
    out = &graph->values[value].shape;
    return in->rank >= 3 && out->rank >= 3 && in->dim[0] == out->dim[0] && in->dim[1] == out->dim[1] &&
                   pf_spell_is_behind(graph, from, is_anchor)
               ? from
               : PF_NONE;
}

/* The first operand that is behind such a reshape and has all places of the result: one that is broadcast does not say
   how they were cut. */
static pf_value_id find_root(const pf_graph *graph, const pf_node *node, const pf_shape *result)
{
    pf_value_id root = PF_NONE;

    for (uint32_t i = 0; i < node->in_count && root == PF_NONE; i++)
        if (node->in[i] != PF_NONE && pf_shape_equal(&graph->values[node->in[i]].shape, result))
            root = behind(graph, node->in[i]);
    return root;
}

/* An operand for results of shape `to` where it was one for results of shape `from`: of that shape itself, a number, or
   one for each channel; false otherwise. */
static bool fit(pf_speller *s, pf_value_id *operand, const pf_shape *from, const pf_shape *to)
{
    const pf_shape shape = *pf_spell_shape(s, *operand);
    pf_dim         dim[PF_MAX_RANK] = { 0 };
    int32_t        lead = from->rank - shape.rank, channels = -1;
    pf_value_id    root = behind(s->graph, *operand);

    if (pf_shape_equal(&shape, from)) {
        *operand = root != PF_NONE && pf_shape_equal(pf_spell_shape(s, root), to)
                       ? root
                       : pf_spell_reshape(s, *operand, to->rank, to->dim);
        return true;
    }
    for (int32_t d = 0; d < shape.rank; d++) {
        if (shape.dim[d] == 1)
            continue;
        if (lead < 0 || d + lead != 1 || shape.dim[d] != from->dim[1])
            return false;
        channels = d;
    }
    for (int32_t d = 0; d < to->rank; d++)
        dim[d] = d == 1 && channels >= 0 ? to->dim[1] : 1;
    *operand = pf_spell_reshape(s, *operand, channels < 0 ? 0 : to->rank, dim);
    return true;
}

static pf_status lift(pf_graph *graph, pf_node_id id, bool *changed, pf_err *err)
{
    const pf_node  node = graph->nodes[id];
    pf_speller     s = { .graph = graph, .name = node.name, .err = err };
    const pf_shape from = graph->values[node.out[0]].shape;
    pf_node_id     first = graph->node_count;
    pf_value_id    root = find_root(graph, &node, &from), in[INPUTS_MAX] = { PF_NONE, PF_NONE, PF_NONE },
                   out = PF_NONE;
    pf_shape       to = { 0 };

    if (root == PF_NONE)
        return PF_OK;
    to = graph->values[root].shape;
    if (is_channel_norm(&node) && to.rank != 4)
        return PF_OK;
    for (uint32_t i = 0; i < node.in_count; i++) {
        bool is_affine = i > 0 && is_channel_norm(&node);

        in[i] = node.in[i];
        if (in[i] == PF_NONE || (!is_affine && !fit(&s, &in[i], &from, &to)))
            return s.status;
    }
    out = pf_spell_node(&s, node.op, in, node.in_count, node.attrs);
    out = pf_spell_reshape(&s, out, from.rank, from.dim);
    if (s.status || graph->values[out].dtype != graph->values[node.out[0]].dtype)
        return s.status;
    for (pf_node_id n = first; n < graph->node_count; n++)
        graph->nodes[n].refuses |= node.refuses;
    *changed = true;
    return pf_graph_replace(graph, node.out[0], out, err);
}

pf_status pf_spell_lift(pf_graph *graph, pf_err *err)
{
    pf_status st = PF_OK;
    bool      changed = true;

    for (int round = 0; round < ROUNDS && changed && !st; round++) {
        uint32_t count = graph->node_count;

        changed = false;
        for (pf_node_id id = 0; id < count && !st; id++)
            if (may_go(&graph->nodes[id]))
                st = lift(graph, id, &changed, err);
        pf_graph_remove_dead(graph);
        if (!st)
            st = pf_graph_infer(graph, err);
    }
    return st;
}
