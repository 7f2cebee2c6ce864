/* The invariants of engine/graph.h, one function each. */
#include <string.h>

#include "base/alloc.h"
#include "engine/graph_private.h"

static pf_status fail(const pf_graph *graph, pf_node_id node, const char *what, pf_err *err)
{
    return PF_FAIL(err, PF_INTERNAL, "%s \"%s\" (node %u): %s", pf_op_def_of(graph->nodes[node].op)->name,
                   graph->nodes[node].name, node, what);
}

static bool is_live_output(const pf_graph *graph, const pf_value *value, pf_value_id id)
{
    const pf_node *node = NULL;

    if (value->producer >= graph->node_count)
        return false;
    node = &graph->nodes[value->producer];
    return value->slot < node->out_count && node->out[value->slot] == id;
}

/* 1. */
static pf_status check_producers(const pf_graph *graph, pf_err *err)
{
    for (pf_value_id id = 0; id < graph->value_count; id++) {
        const pf_value *value = &graph->values[id];
        bool            made = value->producer != PF_NONE;

        if (value->is_input + value->is_constant + made != 1)
            return PF_FAIL(err, PF_INTERNAL, "value %u \"%s\" has %d producers", id, value->name,
                           value->is_input + value->is_constant + made);
        if (made && !is_live_output(graph, value, id))
            return PF_FAIL(err, PF_INTERNAL, "value %u \"%s\" is not the output that it says it is", id, value->name);
        if (made && !graph->nodes[value->producer].live && pf_graph_use_count(graph, id))
            return PF_FAIL(err, PF_INTERNAL, "value %u \"%s\" is used, but its node was removed", id, value->name);
    }
    for (uint32_t i = 0; i < graph->input_count; i++)
        if (graph->inputs[i] >= graph->value_count || !graph->values[graph->inputs[i]].is_input)
            return PF_FAIL(err, PF_INTERNAL, "graph input %u is value %u, which is not an input", i, graph->inputs[i]);
    return PF_OK;
}

/* 2. */
static pf_status check_order(const pf_graph *graph, pf_err *err)
{
    pf_node_id *order = NULL;
    uint32_t    count = 0;
    pf_status   st = pf_graph_order(graph, &order, &count, err);

    pf_free(order);
    return st;
}

/* 3., counts only: infer looks at the rest. */
static pf_status check_node(const pf_graph *graph, pf_node_id id, pf_err *err)
{
    const pf_node   *node = &graph->nodes[id];
    const pf_op_def *def = pf_op_def_of(node->op);

    if (node->op == PF_OP_NONE || node->op >= PF_OP_COUNT)
        return fail(graph, id, "there is no such op", err);
    if (node->in_count < def->in_min || (def->in_max != 255 && node->in_count > def->in_max))
        return fail(graph, id, "its op does not take so many inputs", err);
    if (node->out_count < def->out_min || (def->out_max != 255 && node->out_count > def->out_max))
        return fail(graph, id, "its op does not have so many outputs", err);
    if (def->attr_bytes && !node->attrs)
        return fail(graph, id, "its attributes are missing", err);
    for (uint32_t i = 0; i < node->in_count; i++)
        if (node->in[i] != PF_NONE && node->in[i] >= graph->value_count)
            return fail(graph, id, "an input does not exist", err);
    return PF_OK;
}

static pf_status check_nodes(const pf_graph *graph, pf_err *err)
{
    for (pf_node_id id = 0; id < graph->node_count; id++) {
        pf_status st = graph->nodes[id].live ? check_node(graph, id, err) : PF_OK;

        if (st)
            return st;
    }
    return PF_OK;
}

static bool same_content(const pf_value *a, const pf_value *b)
{
    if (!a->content || !b->content)
        return !a->content && !b->content;
    return a->content_count == b->content_count &&
           (!a->content_count || !memcmp(a->content, b->content, a->content_count * sizeof *a->content));
}

static pf_status check_inferred(const pf_graph *graph, pf_node_id id, const pf_value *made, pf_err *err)
{
    for (uint32_t i = 0; i < graph->nodes[id].out_count; i++) {
        const pf_value *value = &graph->values[graph->nodes[id].out[i]];

        if (value->kind != made[i].kind || value->dtype != made[i].dtype)
            return fail(graph, id, "the type of an output is not what inference says", err);
        if (!pf_shape_equal(&value->shape, &made[i].shape))
            return fail(graph, id, "the shape of an output is not what inference says", err);
        if (!same_content(value, &made[i]))
            return fail(graph, id, "the known elements of an output are not what inference says", err);
    }
    return PF_OK;
}

/* 4.  Inference of a node that it was done for before changes nothing in the graph; it only uses some of its arena. */
static pf_status check_types(const pf_graph *graph, pf_err *err)
{
    pf_graph   *again = (pf_graph *)(uintptr_t)graph;
    pf_node_id *order = NULL;
    uint32_t    count = 0;
    pf_status   st = pf_graph_order(graph, &order, &count, err);

    for (uint32_t i = 0; i < count && !st; i++) {
        pf_value *made = pf_calloc(graph->nodes[order[i]].out_count, sizeof *made);

        st = made ? graph_infer_node(again, order[i], made, err) : PF_FAIL_MEMORY(err, sizeof *made);
        if (st)
            st = pf_err_add(err, st, "%s \"%s\"", pf_op_def_of(graph->nodes[order[i]].op)->name,
                            graph->nodes[order[i]].name);
        else
            st = check_inferred(graph, order[i], made, err);
        pf_free(made);
    }
    pf_free(order);
    return st;
}

static bool has_use(const pf_graph *graph, pf_value_id value, pf_node_id node, uint32_t slot)
{
    for (uint32_t i = 0; i < pf_graph_use_count(graph, value); i++) {
        pf_use use = pf_graph_use(graph, value, i);

        if (use.node == node && use.slot == slot)
            return true;
    }
    return false;
}

/* Input slots and outputs are as many as the uses noted, and each one is noted: so none is noted twice. */
static pf_status check_uses(const pf_graph *graph, pf_err *err)
{
    uint64_t noted = 0, slots = graph->output_count;

    for (pf_value_id id = 0; id < graph->value_count; id++)
        noted += pf_graph_use_count(graph, id);
    for (pf_node_id id = 0; id < graph->node_count; id++)
        for (uint32_t i = 0; graph->nodes[id].live && i < graph->nodes[id].in_count; i++) {
            pf_value_id value = graph->nodes[id].in[i];

            slots += value != PF_NONE;
            if (value != PF_NONE && !has_use(graph, value, id, i))
                return fail(graph, id, "an input is not noted as a use", err);
        }
    for (uint32_t i = 0; i < graph->output_count; i++)
        if (graph->outputs[i] >= graph->value_count || !has_use(graph, graph->outputs[i], PF_NONE, i))
            return PF_FAIL(err, PF_INTERNAL, "graph output %u is not noted as a use", i);
    return noted == slots ? PF_OK
                          : PF_FAIL(err, PF_INTERNAL, "%llu uses are noted where there are %llu",
                                    (unsigned long long)noted, (unsigned long long)slots);
}

/* 6. */
static pf_status check_bodies_of(const pf_graph *graph, pf_node_id id, pf_err *err)
{
    const pf_node   *node = &graph->nodes[id];
    const pf_op_def *def = pf_op_def_of(node->op);
    pf_graph        *bodies[GRAPH_BODY_LIMIT] = { NULL };
    uint32_t         count = node->live && node->attrs ? graph_bodies(def, node->attrs, bodies) : 0;
    uint64_t         captures = 0;

    for (uint32_t i = 0; i < count; i++) {
        pf_status st = PF_OK;

        if (!bodies[i])
            return fail(graph, id, "a body is missing", err);
        if (bodies[i]->outer != graph || bodies[i]->dims != graph->dims)
            return fail(graph, id, "a body belongs to another graph", err);
        captures += bodies[i]->capture_count;
        st = pf_graph_verify(bodies[i], err);
        if (st)
            return pf_err_add(err, st, "in a body of %s \"%s\"", def->name, node->name);
    }
    return captures <= node->in_count ? PF_OK
                                      : fail(graph, id, "its bodies capture more values than it has inputs", err);
}

static pf_status check_bodies(const pf_graph *graph, pf_err *err)
{
    for (pf_node_id id = 0; id < graph->node_count; id++) {
        pf_status st = check_bodies_of(graph, id, err);

        if (st)
            return st;
    }
    return PF_OK;
}

static const struct { const char *rule; pf_status (*check)(const pf_graph *graph, pf_err *err); } checks[] = {
    { "every value has one producer", check_producers },
    { "nodes obey their ops", check_nodes },
    { "every use is known", check_uses },
    { "nodes have an order", check_order },
    { "bodies are whole", check_bodies },
    { "types are as inferred", check_types },
};

pf_status pf_graph_verify(const pf_graph *graph, pf_err *err)
{
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        pf_status st = checks[i].check(graph, err);

        if (st)
            return pf_err_add(err, st, "the graph \"%s\" breaks the rule \"%s\"", graph->name, checks[i].rule);
    }
    return PF_OK;
}
