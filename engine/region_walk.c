/* Questions about the graph around nodes that shall become one group. */
#include "engine/region_private.h"

enum { LEAVING_STRETCH_LIMIT = 64 /* nodes: bits of stretch.seen */ };

pf_op_class pf_former_class(const pf_former *f, pf_node_id node)
{
    return pf_op_class_of(pf_graph_node(f->graph, node));
}

bool pf_former_is_free_pointwise(const pf_former *f, pf_node_id node)
{
    return node != PF_NONE && !f->taken[node] && pf_former_class(f, node) == PF_CLASS_POINTWISE
        && pf_graph_node(f->graph, node)->out_count == 1;
}

bool pf_former_is_free_mover(const pf_former *f, pf_node_id node)
{
    return node != PF_NONE && !f->taken[node] &&
           (pf_former_class(f, node) == PF_CLASS_MOVE || pf_former_class(f, node) == PF_CLASS_VIEW);
}

bool pf_former_same_shape(const pf_former *f, pf_value_id a, pf_value_id b)
{
    return pf_shape_equal(&pf_graph_value(f->graph, a)->shape, &pf_graph_value(f->graph, b)->shape);
}

pf_node_id pf_former_only_reader(const pf_former *f, pf_value_id value)
{
    uint32_t   uses = pf_graph_use_count(f->graph, value);
    pf_node_id reader = PF_NONE;

    for (uint32_t i = 0; i < uses; i++) {
        pf_use use = pf_graph_use(f->graph, value, i);

        if (use.node == PF_NONE || (reader != PF_NONE && use.node != reader))
            return PF_NONE;
        reader = use.node;
    }
    return reader;
}

bool pf_former_contains(const pf_node_id *nodes, uint32_t count, pf_node_id node)
{
    for (uint32_t i = 0; i < count; i++)
        if (nodes[i] == node)
            return true;
    return false;
}

bool pf_former_only_group_reads(const pf_former *f, pf_value_id value, const pf_node_id *nodes, uint32_t count)
{
    uint32_t uses = pf_graph_use_count(f->graph, value);

    for (uint32_t i = 0; i < uses; i++) {
        pf_use use = pf_graph_use(f->graph, value, i);

        if (use.node == PF_NONE || !pf_former_contains(nodes, count, use.node))
            return false;
    }
    return true;
}

bool pf_former_outputs_stay(const pf_former *f, pf_node_id producer, const pf_node_id *nodes, uint32_t count)
{
    const pf_node *node = pf_graph_node(f->graph, producer);

    for (uint32_t i = 0; i < node->out_count; i++)
        if (!pf_former_only_group_reads(f, node->out[i], nodes, count))
            return false;
    return true;
}

/* The stretch of the order in which ways back are looked for: from the producer to the group's last node. */
typedef struct stretch { uint32_t first, last; uint64_t seen; } stretch;

/* Does a way lead from `node`, through nodes outside the group, into the group?  Nothing behind the stretch can. */
static bool leads_back(const pf_former *f, pf_node_id node, const pf_node_id *nodes, uint32_t count, stretch *s)
{
    const pf_node *at = pf_graph_node(f->graph, node);
    uint64_t       bit = UINT64_C(1) << (f->position[node] - s->first);

    if (s->seen & bit)
        return false;
    s->seen |= bit;
    for (uint32_t o = 0; o < at->out_count; o++)
        for (uint32_t i = 0; i < pf_graph_use_count(f->graph, at->out[o]); i++) {
            pf_node_id reader = pf_graph_use(f->graph, at->out[o], i).node;

            if (reader == PF_NONE || f->position[reader] > s->last)
                continue;
            if (pf_former_contains(nodes, count, reader) || leads_back(f, reader, nodes, count, s))
                return true;
        }
    return false;
}

bool pf_former_may_leave(const pf_former *f, pf_node_id producer, const pf_node_id *nodes, uint32_t count)
{
    pf_value_id value = pf_graph_node(f->graph, producer)->out[0];
    stretch     s = { .first = f->position[producer] };

    for (uint32_t i = 0; i < count; i++)
        s.last = f->position[nodes[i]] > s.last ? f->position[nodes[i]] : s.last;
    if (s.last - s.first >= LEAVING_STRETCH_LIMIT)
        return false;
    for (uint32_t i = 0; i < pf_graph_use_count(f->graph, value); i++) {
        pf_node_id reader = pf_graph_use(f->graph, value, i).node;

        if (reader != PF_NONE && !pf_former_contains(nodes, count, reader) && f->position[reader] <= s.last &&
            leads_back(f, reader, nodes, count, &s))
            return false;
    }
    return true;
}

bool pf_former_mixes_channels(const pf_former *f, pf_node_id node, const pf_shape *image)
{
    const pf_node  *n = pf_graph_node(f->graph, node);
    const pf_shape *in = &pf_graph_value(f->graph, n->in[0])->shape,
                   *out = &pf_graph_value(f->graph, n->out[0])->shape;

    return n->op == PF_OP_RESHAPE && image->rank == 4 && in->rank >= 3 && out->rank >= 3 &&
           (in->dim[0] != out->dim[0] || in->dim[1] != out->dim[1]);
}
