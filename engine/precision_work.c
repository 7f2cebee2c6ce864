#include "engine/precision_work.h"

#include <math.h>

#include "engine/op.h"

static double elems_of(const pf_graph *graph, const int64_t *bindings, pf_value_id value)
{
    const pf_shape *shape = &graph->values[value].shape;
    double          elems = 1;

    for (int32_t d = 0; d < shape->rank; d++) {
        int64_t size = 1;

        if (pf_dim_eval(graph->dims, shape->dim[d], bindings, &size, NULL) == PF_OK)
            elems *= (double)size;
    }
    return elems;
}

/* Terms of each sum. */
static double depth_of(const pf_graph *graph, const int64_t *bindings, const pf_node *node)
{
    const pf_value *w = node->in_count > 1 && node->in[1] != PF_NONE ? &graph->values[node->in[1]] : NULL;

    if (node->op == PF_OP_CONV && w->shape.rank > 0 && pf_dim_is_number(w->shape.dim[0]))
        return 2 * elems_of(graph, bindings, node->in[1]) / (double)w->shape.dim[0];
    if (node->op != PF_OP_MATMUL && node->op != PF_OP_GEMM)
        return 1;
    /* rows by depth, times depth by columns, over rows by columns */
    return 2 * sqrt(elems_of(graph, bindings, node->in[0]) * elems_of(graph, bindings, node->in[1]) /
                    fmax(elems_of(graph, bindings, node->out[0]), 1));
}

double pf_precision_work(const pf_graph *graph, const int64_t *bindings)
{
    double work = 0;

    for (uint32_t n = 0; n < graph->node_count; n++) {
        const pf_node *node = &graph->nodes[n];

        if (node->live && node->out_count && node->out[0] != PF_NONE)
            work += elems_of(graph, bindings, node->out[0]) * depth_of(graph, bindings, node);
    }
    return work;
}

double pf_precision_elems(const pf_graph *graph, const int64_t *bindings)
{
    double elems = 0;

    for (uint32_t n = 0; n < graph->node_count; n++)
        for (uint32_t i = 0; graph->nodes[n].live && i < graph->nodes[n].out_count; i++)
            if (graph->nodes[n].out[i] != PF_NONE)
                elems += elems_of(graph, bindings, graph->nodes[n].out[i]);
    return elems;
}
