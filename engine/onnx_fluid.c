#include "engine/onnx_import.h"

#include "engine/onnx_scope.h"
#include "engine/ops/attrs.h"

/* Sizes of loops' states that change from round to round. */

pf_dim pf_onnx_fluid_new(pf_onnx_node *node)
{
    pf_onnx_state *state = node->scope->state;
    pf_dim         dim = node->status ? PF_DIM_INVALID : pf_dims_fresh(node->graph->dims, "state");

    if (dim == PF_DIM_INVALID || state->fluid_count == PF_MAX_SYMBOLS)
        pf_onnx_fail(node, PF_UNSUPPORTED, "the model has more than %d sizes that are not numbers", PF_MAX_SYMBOLS);
    else
        state->fluid[state->fluid_count++] = pf_dims_symbol_count(node->graph->dims) - 1;
    return dim;
}

bool pf_onnx_is_fluid(const pf_onnx_node *node, pf_dim dim)
{
    const pf_onnx_state *state = node->scope->state;

    for (uint32_t i = 0; pf_dim_is_symbolic(dim) && i < state->fluid_count; i++)
        if (pf_dim_uses(node->graph->dims, dim, state->fluid[i]))
            return true;
    return false;
}

static int32_t count_fluid(const pf_onnx_node *node, const pf_dim_list *shape, int32_t *last, bool *rest)
{
    int32_t count = 0;

    *rest = false;
    for (int32_t i = 0; i < shape->count; i++) {
        *rest = *rest || shape->at[i] == -1;
        if (pf_onnx_is_fluid(node, shape->at[i])) {
            *last = i;
            count++;
        }
    }
    return count;
}

/* One entry of a shape that is computed when the network runs: int64 [1]. */
static pf_value_id entry(pf_onnx_node *node, pf_value_id x, pf_dim dim)
{
    int32_t rank = pf_onnx_rank(node, x);

    if (pf_dim_is_number(dim))
        return pf_onnx_i64s(node, &dim, 1);
    for (int32_t i = 0; i < rank; i++) {
        pf_shape_attrs attrs = { i, i + 1 };

        if (pf_onnx_dim(node, x, i) == dim)
            return pf_onnx_emit1(node, PF_OP_SHAPE, &attrs, x);
    }
    pf_onnx_fail(node, PF_UNSUPPORTED, "a size that changes from round to round of a loop");
    return PF_NONE;
}

pf_value_id pf_onnx_reshape_to(pf_onnx_node *node, pf_value_id x, const pf_dim_list *shape)
{
    static const pf_axis_attrs            axis = { 0 };
    static const pf_reshape_dynamic_attrs dynamic = { 1 };
    pf_reshape_attrs                      attrs = { *shape };
    pf_value_id                           parts[PF_ATTR_LIST] = { 0 }, made = PF_NONE;
    int32_t                               last = 0;
    bool                                  rest = false;
    int32_t                               fluid = node->status ? 0 : count_fluid(node, shape, &last, &rest);

    if (fluid == 1 && !rest)
        attrs.shape.at[last] = -1;
    if (fluid == 0 || (fluid == 1 && !rest))
        return pf_onnx_emit1(node, PF_OP_RESHAPE, &attrs, x);
    for (int32_t i = 0; i < shape->count; i++)
        parts[i] = entry(node, x, shape->at[i]);
    pf_onnx_emit(node, PF_OP_CONCAT, &axis, (uint32_t)shape->count, parts, 1, &made);
    return pf_onnx_emit2(node, PF_OP_RESHAPE_DYNAMIC, &dynamic, x, made);
}
