/* What a problem takes at least: multiply-adds of its products counted twice, one operation per element of anything
   else. */
#include "engine/op.h"
#include "engine/problem.h"

static double elems_of(const pf_graph *graph, pf_value_id v)
{
    const pf_shape *shape = v == PF_NONE ? NULL : &pf_graph_value(graph, v)->shape;
    double          elems = shape ? 1 : 0;

    for (int32_t d = 0; shape && d < shape->rank; d++)
        elems *= (double)shape->dim[d];
    return elems;
}

static double bytes_of(const pf_graph *graph, pf_value_id v)
{
    return elems_of(graph, v) * pf_dtype_bits(pf_graph_value(graph, v)->dtype) / 8;
}

/* Each output sums over all of w but its own channel: w is [M, C/groups, kernel...]. */
static double conv_flops(const pf_graph *graph, const pf_node *node)
{
    return 2 * elems_of(graph, node->out[0]) * elems_of(graph, node->in[1]) /
           (double)pf_graph_value(graph, node->in[1])->shape.dim[0];
}

/* Each input is spread over all of w but its own channel: w is [C, M/groups, kernel...]. */
static double conv_transpose_flops(const pf_graph *graph, const pf_node *node)
{
    return 2 * elems_of(graph, node->in[0]) * elems_of(graph, node->in[1]) /
           (double)pf_graph_value(graph, node->in[1])->shape.dim[0];
}

/* a is [batch, rows, depth], perhaps transposed; y is [batch, rows, columns]. */
static double product_flops(const pf_graph *graph, const pf_node *node)
{
    const pf_shape *y = &pf_graph_value(graph, node->out[0])->shape;
    double          a = elems_of(graph, node->in[0]), b = elems_of(graph, node->in[1]),
                    out = elems_of(graph, node->out[0]);
    double          rows = y->rank > 1 ? (double)y->dim[y->rank - 2] : 1,
                    columns = y->rank > 0 ? (double)y->dim[y->rank - 1] : 1;
    double          batch = out / (rows * columns > 0 ? rows * columns : 1);
    double          depth = a / (rows * batch > 0 ? rows * batch : 1);

    if (depth < 1)      /* a is broadcast over batches: b tells the depth */
        depth = b / (columns * batch > 0 ? columns * batch : 1);
    return 2 * out * (depth < 1 ? 1 : depth);
}

/* q k^T and the product with v. */
static double attention_flops(const pf_graph *graph, const pf_node *node)
{
    const pf_shape *q = &pf_graph_value(graph, node->in[0])->shape, *k = &pf_graph_value(graph, node->in[1])->shape;

    return q->rank == 4 && k->rank == 4 ? 4 * elems_of(graph, node->in[0]) * (double)k->dim[2]
                                        : elems_of(graph, node->out[0]);
}

static double (*const flops_of[PF_OP_COUNT])(const pf_graph *graph, const pf_node *node) = {
    [PF_OP_CONV] = conv_flops,     [PF_OP_CONV_TRANSPOSE] = conv_transpose_flops, [PF_OP_MATMUL] = product_flops,
    [PF_OP_GEMM] = product_flops,  [PF_OP_ATTENTION] = attention_flops,
};

void pf_problem_cost(const pf_problem *problem, double *flops, double *bytes)
{
    const pf_graph *graph = problem->graph;

    *flops = *bytes = 0;
    for (uint32_t n = 0; n < graph->node_count; n++) {
        const pf_node *node = pf_graph_node(graph, n);

        if (node->live)
            *flops += flops_of[node->op] ? flops_of[node->op](graph, node) : elems_of(graph, node->out[0]);
    }
    for (uint32_t i = 0; i < graph->input_count; i++)
        *bytes += bytes_of(graph, graph->inputs[i]);
    for (uint32_t i = 0; i < graph->output_count; i++)
        *bytes += bytes_of(graph, graph->outputs[i]);
}
