/* What is computed of each element alone, behind a reshape or transpose of a convolution's result, is computed in front
   of it: there it becomes part of the convolution, and what is left behind is a view wherever channels lie last.
   Condition: nothing else reads what is in between, and other operands are scalars. */
#include "engine/op.h"
#include "engine/rewrite.h"

enum { OPERANDS = 3, WAY_LIMIT = 12 };

static bool is_move(const pf_node *node) { return node->op == PF_OP_RESHAPE || node->op == PF_OP_TRANSPOSE; }

static pf_node_id maker(const pf_graph *graph, pf_value_id value)
{
    return value == PF_NONE ? PF_NONE : graph->values[value].producer;
}

/* The slot of the one operand that is no constant; -1 when there are others, constants of many elements, or another
   type of result. */
static int moved_slot(const pf_graph *graph, const pf_node *node)
{
    int slot = -1;

    if (pf_op_def_of(node->op)->klass != PF_CLASS_POINTWISE || node->out_count != 1 || node->in_count > OPERANDS)
        return -1;
    for (uint32_t i = 0; i < node->in_count; i++) {
        const pf_value *in = node->in[i] == PF_NONE ? NULL : &graph->values[node->in[i]];

        if (!in || (in->is_constant && in->shape.rank == 0))
            continue;
        if (in->is_constant || slot >= 0)
            return -1;
        slot = (int)i;
    }
    return slot >= 0 && graph->values[node->in[slot]].dtype == graph->values[node->out[0]].dtype ? slot : -1;
}

/* Is the value what a convolution makes, with what is computed of each element alone, moved? */
static bool is_moved_image(const pf_graph *graph, pf_value_id value)
{
    bool moved = false;

    for (int i = 0; i < WAY_LIMIT; i++) {
        const pf_node *node = maker(graph, value) == PF_NONE ? NULL : &graph->nodes[maker(graph, value)];
        int            slot = 0;

        if (!node || !pf_rewrite_used_once(graph, value))
            return false;
        if (node->op == PF_OP_CONV || node->op == PF_OP_CONV_TRANSPOSE)
            return moved;
        moved |= is_move(node);
        slot = is_move(node) ? 0 : moved ? moved_slot(graph, node) : -1;
        if (slot < 0)
            return false;
        value = node->in[slot];
    }
    return false;
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph   *graph = pf_rewrite_graph(rewrite);
    pf_node     node = graph->nodes[id], move = { 0 };          /* copies: adding nodes moves them */
    int         slot = moved_slot(graph, &node);
    pf_value_id in[OPERANDS] = { PF_NONE, PF_NONE, PF_NONE }, computed = PF_NONE, out = PF_NONE;
    pf_status   st = PF_OK;

    if (slot < 0 || !is_moved_image(graph, node.in[slot]))
        return PF_OK;
    move = graph->nodes[maker(graph, node.in[slot])];
    for (uint32_t i = 0; i < node.in_count; i++)
        in[i] = i == (uint32_t)slot ? move.in[0] : node.in[i];
    st = pf_graph_add_node(graph, node.op, node.name, in, node.in_count, node.attrs, 1, &computed, err);
    if (!st)
        st = pf_graph_add_node(graph, move.op, move.name, &computed, 1, move.attrs, 1, &out, err);
    return st ? st : pf_rewrite_replace(rewrite, id, 0, out, changed, err);
}

const pf_rule pf_rule_compute_first = {
    .name = "compute_first", .summary = "compute behind a convolution what is computed behind moves of its result",
    .phase = PF_RULES_PATTERN, .default_on = true, .apply = apply,
};
