/* Who uses a value, and changes of that. */
#include <string.h>

#include "base/alloc.h"
#include "base/file.h"
#include "engine/graph_private.h"

pf_status graph_use_add(pf_graph *graph, pf_value_id value, pf_use use, pf_err *err)
{
    graph_uses *uses = &graph->private_->uses[value];

    if (pf_grow((void **)&uses->at, &uses->capacity, uses->count + 1, sizeof *uses->at))
        return PF_FAIL_MEMORY(err, sizeof *uses->at);
    uses->at[uses->count++] = use;
    return PF_OK;
}

static void remove_use(pf_graph *graph, pf_value_id value, pf_use use)
{
    graph_uses *uses = &graph->private_->uses[value];

    for (uint32_t i = 0; i < uses->count; i++)
        if (uses->at[i].node == use.node && uses->at[i].slot == use.slot) {
            memmove(&uses->at[i], &uses->at[i + 1], (uses->count - i - 1) * sizeof *uses->at);
            uses->count--;
            return;
        }
}

uint32_t pf_graph_use_count(const pf_graph *graph, pf_value_id value) { return graph->private_->uses[value].count; }
pf_use pf_graph_use(const pf_graph *graph, pf_value_id value, uint32_t i) { return graph->private_->uses[value].at[i]; }

bool pf_graph_is_output(const pf_graph *graph, pf_value_id value)
{
    const graph_uses *uses = &graph->private_->uses[value];

    for (uint32_t i = 0; i < uses->count; i++)
        if (uses->at[i].node == PF_NONE)
            return true;
    return false;
}

pf_status pf_graph_replace(pf_graph *graph, pf_value_id from, pf_value_id to, pf_err *err)
{
    graph_uses *uses = &graph->private_->uses[from];

    if (from == to)
        return PF_OK;
    if (graph->values[from].kind != graph->values[to].kind || graph->values[from].dtype != graph->values[to].dtype)
        return PF_FAIL(err, PF_INTERNAL, "value %u (%s) cannot take the place of value %u (%s)", to,
                       pf_dtype_name(graph->values[to].dtype), from, pf_dtype_name(graph->values[from].dtype));
    for (uint32_t i = 0; i < uses->count; i++) {
        pf_use    use = uses->at[i];
        pf_status st = graph_use_add(graph, to, use, err);

        if (st)
            return st;
        if (use.node == PF_NONE)
            graph->outputs[use.slot] = to;
        else
            graph->nodes[use.node].in[use.slot] = to;
    }
    uses->count = 0;
    if (!graph->values[to].name[0])
        graph->values[to].name = graph->values[from].name;
    return PF_OK;
}

pf_status pf_graph_set_input(pf_graph *graph, pf_node_id node, uint32_t slot, pf_value_id value, pf_err *err)
{
    pf_node    *at = &graph->nodes[node];
    pf_value_id before = 0;

    if (slot >= at->in_count || (value != PF_NONE && value >= graph->value_count))
        return PF_FAIL(err, PF_INTERNAL, "input %u of node %u cannot be value %u", slot, node, value);
    before = at->in[slot];
    if (value == before)
        return PF_OK;
    if (value != PF_NONE) {
        pf_status st = graph_use_add(graph, value, (pf_use){ node, slot }, err);

        if (st)
            return st;
    }
    if (before != PF_NONE)
        remove_use(graph, before, (pf_use){ node, slot });
    at->in[slot] = value;
    return PF_OK;
}

pf_status pf_graph_set_output(pf_graph *graph, uint32_t slot, pf_value_id value, pf_err *err)
{
    pf_value_id before = slot < graph->output_count ? graph->outputs[slot] : PF_NONE;
    pf_status   st = PF_OK;

    if (before == PF_NONE || value >= graph->value_count)
        return PF_FAIL(err, PF_INTERNAL, "output %u cannot be value %u", slot, value);
    if (value == before)
        return PF_OK;
    st = graph_use_add(graph, value, (pf_use){ PF_NONE, slot }, err);
    if (st)
        return st;
    remove_use(graph, before, (pf_use){ PF_NONE, slot });
    graph->outputs[slot] = value;
    return PF_OK;
}

static bool is_used(const pf_graph *graph, pf_node_id id)
{
    const pf_node *node = &graph->nodes[id];

    for (uint32_t i = 0; i < node->out_count; i++)
        if (pf_graph_use_count(graph, node->out[i]))
            return true;
    return graph_makes_needed_size(graph, id);
}

void pf_graph_remove_node(pf_graph *graph, pf_node_id node)
{
    pf_node *at = &graph->nodes[node];

    if (!at->live || is_used(graph, node))
        return;
    for (uint32_t i = 0; i < at->in_count; i++)
        if (at->in[i] != PF_NONE)
            remove_use(graph, at->in[i], (pf_use){ node, i });
    at->live = false;
}

uint32_t pf_graph_remove_dead(pf_graph *graph)
{
    uint32_t total = 0, removed = 0;

    do {        /* consumers mostly come behind producers, so one pass from the end finds nearly all */
        removed = 0;
        for (pf_node_id node = graph->node_count; node-- > 0;)
            if (graph->nodes[node].live && !is_used(graph, node)) {
                pf_graph_remove_node(graph, node);
                removed++;
            }
        total += removed;
    } while (removed);
    return total;
}

void pf_graph_forget_constants(const pf_graph *graph)
{
    for (uint32_t v = 0; v < graph->value_count; v++)
        if (graph->values[v].is_constant)
            pf_constant_forget(&graph->values[v].constant);
}
