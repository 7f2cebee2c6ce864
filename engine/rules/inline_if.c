/* A branch that is known to be taken takes the place of its if.
   Condition: no op in it holds graphs of its own or finds out sizes, which belong to the branch. */
#include "base/alloc.h"
#include "engine/graph_private.h"
#include "engine/ops/attrs.h"
#include "engine/rewrite.h"

/* The branch, and where its captures begin among the inputs of the node; NULL when it is not known. */
static pf_graph *taken_branch(const pf_graph *graph, const pf_node *node, uint32_t *captures)
{
    const pf_if_attrs *attrs = node->op == PF_OP_IF ? node->attrs : NULL;
    const pf_value    *condition = attrs ? &graph->values[node->in[0]] : NULL;

    if (!condition || !condition->is_constant || !condition->constant.bytes)
        return NULL;
    *captures = *(const uint8_t *)condition->constant.data ? 1 : 1 + attrs->then_branch->input_count;
    return *(const uint8_t *)condition->constant.data ? attrs->then_branch : attrs->else_branch;
}

static bool can_move(const pf_graph *branch)
{
    for (pf_node_id id = 0; id < branch->node_count; id++) {
        const pf_node *node = &branch->nodes[id];
        pf_graph      *bodies[GRAPH_BODY_LIMIT] = { NULL };
        uint32_t       sizes = 0;

        if (!node->live)
            continue;
        (void)pf_graph_sizes_of(branch, id, &sizes);
        if (sizes || (node->attrs && graph_bodies(pf_op_def_of(node->op), node->attrs, bodies)))
            return false;
    }
    return true;
}

/* moved[v]: the value of graph that stands for value v of the branch. */
static pf_status move_values(pf_graph *graph, const pf_graph *branch, const pf_value_id *captured, pf_value_id *moved,
                             pf_err *err)
{
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < branch->input_count; i++)
        moved[branch->inputs[i]] = captured[i];
    for (pf_value_id v = 0; v < branch->value_count && !st; v++) {
        const pf_value *value = &branch->values[v];

        if (value->is_constant)
            st = pf_graph_add_shared(graph, value, &moved[v], err);
    }
    return st;
}

static pf_status move_node(pf_graph *graph, const pf_node *node, pf_value_id *moved, pf_err *err)
{
    pf_value_id *io = pf_alloc((node->in_count + node->out_count + 1) * sizeof *io);
    pf_status    st = io ? PF_OK : PF_FAIL_MEMORY(err, (node->in_count + node->out_count + 1) * sizeof *io);

    for (uint32_t i = 0; i < node->in_count && !st; i++)
        io[i] = node->in[i] == PF_NONE ? PF_NONE : moved[node->in[i]];
    if (!st)
        st = pf_graph_add_node(graph, node->op, node->name, io, node->in_count, node->attrs, node->out_count,
                               io + node->in_count, err);
    for (uint32_t i = 0; i < node->out_count && !st; i++)
        moved[node->out[i]] = io[node->in_count + i];
    pf_free(io);
    return st;
}

static pf_status move_branch(pf_graph *graph, const pf_graph *branch, const pf_value_id *captured, pf_value_id *moved,
                             pf_err *err)
{
    pf_node_id *order = NULL;
    uint32_t    count = 0;
    pf_status   st = pf_graph_order(branch, &order, &count, err);

    if (!st)
        st = move_values(graph, branch, captured, moved, err);
    for (uint32_t i = 0; i < count && !st; i++)
        st = move_node(graph, &branch->nodes[order[i]], moved, err);
    pf_free(order);
    return st;
}

static pf_status apply(pf_rewrite *rewrite, pf_node_id id, bool *changed, pf_err *err)
{
    pf_graph    *graph = pf_rewrite_graph(rewrite);
    pf_node      node = graph->nodes[id];        /* a copy: adding nodes moves them */
    uint32_t     captures = 0;
    pf_graph    *branch = taken_branch(graph, &node, &captures);
    pf_value_id *moved = NULL;
    pf_status    st = PF_OK;

    if (!branch || !can_move(branch))
        return PF_OK;
    moved = pf_calloc(branch->value_count + 1, sizeof *moved);
    if (!moved)
        return PF_FAIL_MEMORY(err, branch->value_count * sizeof *moved);
    st = move_branch(graph, branch, node.in + captures, moved, err);
    for (uint32_t i = 0; i < node.out_count && !st; i++)
        if (pf_graph_use_count(graph, node.out[i]))
            st = pf_rewrite_replace(rewrite, id, i, moved[branch->outputs[i]], changed, err);
    pf_free(moved);
    return st;
}

const pf_rule pf_rule_inline_if = {
    .name = "inline_if", .summary = "put a branch that is known to be taken in the place of its if",
    .phase = PF_RULES_CLEAN, .default_on = true, .apply = apply,
};
