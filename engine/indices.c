#include "engine/indices.h"

#include "engine/epilogue.h"

const char *pf_indices_decline(const pf_problem *p, bool any_layout)
{
    const pf_node *node = pf_graph_node(p->graph, 0);
    pf_dtype       x = pf_graph_value(p->graph, node->in[0])->dtype, at = pf_graph_value(p->graph, node->in[1])->dtype;

    if (pf_dtype_bits(x) < 8 || x == PF_STRING)
        return "elements of less than a byte, or strings";
    if (at != PF_I64 && at != PF_I32)
        return "indices are neither i64 nor i32";
    if (pf_problem_input_index(p, node->in[0]) == UINT32_MAX)
        return "the data is a small constant";
    for (uint32_t i = 0; i < p->graph->input_count && !any_layout; i++)
        if (p->in_layout[i] != PF_LAYOUT_LINEAR)
            return "not linear";
    return any_layout || p->out_layout[0] == PF_LAYOUT_LINEAR ? NULL : "not linear";
}

int64_t pf_indices_elems(const pf_shape *shape, int64_t from, int64_t to)
{
    int64_t elems = 1;

    for (int64_t d = from; d < to; d++)
        elems *= shape->dim[d];
    return elems;
}

void pf_indices_init(pf_indices *indices, const pf_problem *p, int64_t first, int64_t depth)
{
    const pf_node  *node = pf_graph_node(p->graph, 0);
    const pf_value *at = pf_graph_value(p->graph, node->in[1]);
    const pf_shape *x = &pf_graph_value(p->graph, node->in[0])->shape;

    indices->slot = pf_problem_input_index(p, node->in[1]);
    indices->dtype = at->dtype;
    for (int64_t i = 0; indices->slot == UINT32_MAX && i < pf_indices_elems(&at->shape, 0, at->shape.rank); i++)
        indices->clear[i] = pf_dtype_get_i64(at->dtype, at->constant.data, (uint64_t)i);
    indices->depth = (int32_t)depth;
    for (int32_t k = 0; k < depth; k++) {
        indices->size[k] = x->dim[first + k];
        indices->step[k] = pf_indices_elems(x, first + k + 1, x->rank);
    }
}
