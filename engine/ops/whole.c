#include "engine/ops/whole.h"

#include <math.h>

#include "engine/op.h"
#include "engine/ops/content.h"

enum { DEEPEST = 12, BITS_LEAST = 32 };

typedef enum rounding { NOT_ROUNDED, DOWN, UP } rounding;

static pf_dim whole_of(pf_graph *graph, pf_value_id id, rounding how, int depth);

/* Tensors of one element, of a type that holds sizes. */
static bool may_be_whole(const pf_value *value)
{
    bool one = value->kind == PF_VALUE_TENSOR && value->shape.rank >= 0;

    for (int32_t d = 0; d < value->shape.rank; d++)
        one = one && value->shape.dim[d] == 1;
    return one && (pf_dtype_is_integer(value->dtype) || pf_dtype_is_float(value->dtype)) &&
           pf_dtype_bits(value->dtype) >= BITS_LEAST;
}

static pf_dim number_of(const pf_value *value)
{
    double number = pf_dtype_get(value->dtype, value->constant.data, 0);

    return number == floor(number) && fabs(number) < INT32_MAX ? (pf_dim)number : PF_DIM_INVALID;
}

static pf_dim same(pf_graph *graph, const pf_node *node, rounding how, int depth)
{
    return whole_of(graph, node->in[0], how, depth);
}

static pf_dim rounded_up(pf_graph *graph, const pf_node *node, rounding how, int depth)
{
    (void)how;
    return whole_of(graph, node->in[0], UP, depth);
}

static pf_dim rounded_down(pf_graph *graph, const pf_node *node, rounding how, int depth)
{
    (void)how;
    return whole_of(graph, node->in[0], DOWN, depth);
}

static pf_dim quotient(pf_graph *graph, const pf_node *node, rounding how, int depth)
{
    pf_dims *dims = graph->dims;
    pf_dim   a = whole_of(graph, node->in[0], NOT_ROUNDED, depth), b = whole_of(graph, node->in[1], NOT_ROUNDED, depth);

    if (how == NOT_ROUNDED || a == PF_DIM_INVALID || b == PF_DIM_INVALID || !pf_content_less(dims, 0, b) ||
        !pf_content_less_equal(dims, 0, a))
        return PF_DIM_INVALID;
    return pf_dim_floor_div(dims, how == UP ? pf_dim_sub(dims, pf_dim_add(dims, a, b), 1) : a, b);
}

static pf_dim combined(pf_graph *graph, const pf_node *node, pf_dim by(pf_dims *, pf_dim, pf_dim), int depth)
{
    pf_dim a = whole_of(graph, node->in[0], NOT_ROUNDED, depth), b = whole_of(graph, node->in[1], NOT_ROUNDED, depth);

    return a == PF_DIM_INVALID || b == PF_DIM_INVALID ? PF_DIM_INVALID : by(graph->dims, a, b);
}

static pf_dim sum(pf_graph *graph, const pf_node *node, rounding how, int depth)
{
    (void)how;
    return combined(graph, node, pf_dim_add, depth);
}

static pf_dim difference(pf_graph *graph, const pf_node *node, rounding how, int depth)
{
    (void)how;
    return combined(graph, node, pf_dim_sub, depth);
}

static pf_dim product(pf_graph *graph, const pf_node *node, rounding how, int depth)
{
    (void)how;
    return combined(graph, node, pf_dim_mul, depth);
}

static pf_dim (*const made_by[PF_OP_COUNT])(pf_graph *graph, const pf_node *node, rounding how, int depth) = {
    [PF_OP_CAST] = same, [PF_OP_IDENTITY] = same, [PF_OP_RESHAPE] = same,
    [PF_OP_CEIL] = rounded_up, [PF_OP_FLOOR] = rounded_down, [PF_OP_DIV] = quotient,
    [PF_OP_ADD] = sum, [PF_OP_SUB] = difference, [PF_OP_MUL] = product,
};

/* An integer's content says what it is; what has none may be what data decide. */
static pf_dim whole_of(pf_graph *graph, pf_value_id id, rounding how, int depth)
{
    const pf_value *value = &graph->values[id];
    const pf_node  *node = NULL;

    if (depth == 0 || !may_be_whole(value))
        return PF_DIM_INVALID;
    if (value->is_constant)
        return value->constant.data ? number_of(value) : PF_DIM_INVALID;
    if (pf_dtype_is_integer(value->dtype))
        return value->content && value->content_count == 1 ? value->content[0] : PF_DIM_INVALID;
    node = pf_graph_maker(graph, id);
    return node && made_by[node->op] ? made_by[node->op](graph, node, how, depth - 1) : PF_DIM_INVALID;
}

pf_dim pf_whole_of(pf_graph *graph, pf_value_id value)
{
    return whole_of(graph, value, DOWN, DEEPEST);
}
