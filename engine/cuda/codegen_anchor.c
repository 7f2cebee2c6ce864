/* A region's nodes: its anchor, and what stands round it. */
#include "engine/cuda/codegen.h"
#include "engine/op.h"

const pf_node *cg_only_node(const pf_graph *graph)
{
    const pf_node *only = NULL;

    for (uint32_t n = 0; n < graph->node_count; n++) {
        if (!graph->nodes[n].live) continue;
        if (only) return NULL;
        only = &graph->nodes[n];
    }
    return only;
}

bool cg_has_node(const pf_graph *graph, pf_op_kind op)
{
    for (uint32_t n = 0; n < graph->node_count; n++)
        if (graph->nodes[n].live && graph->nodes[n].op == op) return true;
    return false;
}

const char *cg_find_anchor(const pf_graph *graph, bool (*is_anchor)(const pf_node *node), const char *none,
                           const char *two, const pf_node **anchor)
{
    const char *reason = NULL;

    *anchor = NULL;
    for (uint32_t n = 0; n < graph->node_count && !reason; n++) {
        const pf_node *node = &graph->nodes[n];

        if (!node->live) continue;
        if (!is_anchor(node)) reason = cg_node_declines(graph, node);
        else if (*anchor) reason = two;
        else *anchor = node;
    }
    return reason ? reason : *anchor ? NULL : none;
}

static bool reads_value(const pf_graph *graph, const pf_node *node, pf_value_id value)
{
    for (uint32_t i = 0; i < pf_graph_use_count(graph, value); i++) {
        pf_use use = pf_graph_use(graph, value, i);

        if (use.node != PF_NONE && &graph->nodes[use.node] == node) return true;
    }
    return false;
}

static const char *check_reader(const pf_graph *graph, const pf_node *reader, pf_value_id value)
{
    if (!pf_op_is_pointwise(reader->op) && reader->op != PF_OP_CAST && reader->op != PF_OP_IDENTITY)
        return "something moves behind the anchor";
    return pf_shape_equal(&pf_graph_value(graph, reader->out[0])->shape, &pf_graph_value(graph, value)->shape)
               ? NULL
               : "the anchor's result is broadcast";
}

const char *cg_behind_declines(const pf_graph *graph, const pf_node *anchor)
{
    const char *reason = NULL;

    for (uint32_t o = 0; o < anchor->out_count && !reason; o++)
        for (uint32_t n = 0; n < graph->node_count && !reason; n++) {
            const pf_node *reader = &graph->nodes[n];

            if (!reader->live || !reads_value(graph, reader, anchor->out[o])) continue;
            reason = check_reader(graph, reader, anchor->out[o]);
            if (!reason) reason = cg_behind_declines(graph, reader);
        }
    return reason;
}
