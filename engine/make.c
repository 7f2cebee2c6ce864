#include "engine/make.h"

#include <string.h>

#include "engine/op.h"
#include "engine/ops/attrs.h"

static const pf_shape *shape_of(const pf_graph *graph, pf_value_id x) { return &graph->values[x].shape; }

static pf_status make(pf_graph *graph, pf_op_kind op, const char *name, pf_value_id x, const void *attrs,
                      pf_value_id *out, pf_err *err)
{
    return pf_graph_add_node(graph, op, name, &x, 1, attrs, 1, out, err);
}

pf_status pf_make_reshape(pf_graph *graph, const char *name, pf_value_id x, const pf_shape *shape, pf_value_id *out,
                          pf_err *err)
{
    pf_reshape_attrs attrs = { .shape = { .count = shape->rank } };

    *out = x;
    if (pf_shape_equal(shape_of(graph, x), shape))
        return PF_OK;
    for (int32_t d = 0; d < shape->rank; d++)
        attrs.shape.at[d] = shape->dim[d];
    return make(graph, PF_OP_RESHAPE, name, x, &attrs, out, err);
}

pf_status pf_make_transpose(pf_graph *graph, const char *name, pf_value_id x, const int64_t *perm, pf_value_id *out,
                            pf_err *err)
{
    pf_transpose_attrs attrs = { .perm = { .count = shape_of(graph, x)->rank } };
    bool               in_order = true;

    for (int32_t d = 0; d < attrs.perm.count; d++) {
        attrs.perm.at[d] = perm[d];
        in_order &= perm[d] == d;
    }
    *out = x;
    return in_order ? PF_OK : make(graph, PF_OP_TRANSPOSE, name, x, &attrs, out, err);
}

pf_status pf_make_swapped(pf_graph *graph, const char *name, pf_value_id x, pf_value_id *out, pf_err *err)
{
    int32_t rank = shape_of(graph, x)->rank;
    int64_t perm[PF_MAX_RANK] = { 0 };

    for (int32_t d = 0; d < rank; d++)
        perm[d] = d < rank - 2 ? d : 2 * rank - 3 - d;
    return pf_make_transpose(graph, name, x, perm, out, err);
}

pf_status pf_make_slice(pf_graph *graph, const char *name, pf_value_id x, int64_t axis, pf_dim start, pf_dim end,
                        int64_t step, pf_value_id *out, pf_err *err)
{
    pf_slice_attrs attrs = { .axes = { 1, { axis } }, .starts = { 1, { start } }, .ends = { 1, { end } },
                             .steps = { 1, { step } } };

    *out = x;
    if (start == 0 && step == 1 && end == shape_of(graph, x)->dim[axis])
        return PF_OK;
    return make(graph, PF_OP_SLICE, name, x, &attrs, out, err);
}

pf_status pf_make_expand(pf_graph *graph, const char *name, pf_value_id x, const pf_shape *shape, pf_value_id *out,
                         pf_err *err)
{
    pf_expand_attrs attrs = { .shape = { .count = shape->rank } };

    *out = x;
    if (pf_shape_equal(shape_of(graph, x), shape))
        return PF_OK;
    for (int32_t d = 0; d < shape->rank; d++)
        attrs.shape.at[d] = shape->dim[d];
    return make(graph, PF_OP_EXPAND, name, x, &attrs, out, err);
}

pf_status pf_make_cast(pf_graph *graph, const char *name, pf_value_id x, pf_dtype dtype, pf_value_id *out, pf_err *err)
{
    pf_cast_attrs attrs = { .dtype = (int32_t)dtype };

    *out = x;
    return graph->values[x].dtype == dtype ? PF_OK : make(graph, PF_OP_CAST, name, x, &attrs, out, err);
}

pf_status pf_make_concat(pf_graph *graph, const char *name, const pf_value_id *in, uint32_t count, int64_t axis,
                         pf_value_id *out, pf_err *err)
{
    pf_axis_attrs attrs = { .axis = axis };

    *out = in[0];
    return count == 1 ? PF_OK : pf_graph_add_node(graph, PF_OP_CONCAT, name, in, count, &attrs, 1, out, err);
}

pf_status pf_make_unary(pf_graph *graph, pf_op_kind op, const char *name, pf_value_id x, double p, double q,
                        pf_value_id *out, pf_err *err)
{
    pf_pointwise_attrs attrs = { p, q };

    return make(graph, op, name, x, &attrs, out, err);
}

pf_status pf_make_binary(pf_graph *graph, pf_op_kind op, const char *name, pf_value_id a, pf_value_id b,
                         pf_value_id *out, pf_err *err)
{
    return pf_graph_add_node(graph, op, name, (pf_value_id[]){ a, b }, 2, NULL, 1, out, err);
}

pf_status pf_make_with_number(pf_graph *graph, pf_op_kind op, const char *name, pf_value_id x, double number,
                              pf_value_id *out, pf_err *err)
{
    pf_value_id constant = PF_NONE;
    pf_status   st = pf_graph_add_scalar(graph, graph->values[x].dtype, number, &constant, err);

    return st ? st : pf_make_binary(graph, op, name, x, constant, out, err);
}

pf_status pf_make_matmul(pf_graph *graph, const char *name, pf_value_id a, pf_value_id b, bool trans_a, bool trans_b,
                         pf_value_id *out, pf_err *err)
{
    pf_matmul_attrs attrs = { .trans_a = trans_a, .trans_b = trans_b };

    return pf_graph_add_node(graph, PF_OP_MATMUL, name, (pf_value_id[]){ a, b }, 2, &attrs, 1, out, err);
}

pf_status pf_make_filled(pf_graph *graph, pf_dtype dtype, const pf_shape *shape, double value, pf_value_id *out,
                         pf_err *err)
{
    uint64_t elems = (uint64_t)pf_shape_elems(graph->dims, shape);
    size_t   bytes = pf_dtype_bytes(dtype, elems);
    void    *data = pf_arena_alloc(graph->arena, bytes + 1);

    *out = PF_NONE;
    if (!data)
        return PF_FAIL_MEMORY(err, bytes);
    for (uint64_t i = 0; i < elems; i++)
        pf_dtype_set(dtype, data, i, value);
    return pf_graph_add_constant(graph, "", dtype, shape, data, bytes, out, err);
}
