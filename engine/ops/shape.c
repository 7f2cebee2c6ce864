/* shape, size, dim_values: dims as data. */
#include <stddef.h>

#include "engine/ops/content.h"
#include "engine/ops/infer.h"
#include "engine/ops/rows.h"

static const pf_attr_field shape_fields[] = {
    PF_ATTR_FIELD(pf_shape_attrs, start, INT), PF_ATTR_FIELD(pf_shape_attrs, end, INT), { NULL },
};
static const pf_attr_field values_fields[] = {
    PF_ATTR_FIELD(pf_dim_values_attrs, dtype, DTYPE), PF_ATTR_FIELD(pf_dim_values_attrs, rank, INT),
    PF_ATTR_FIELD(pf_dim_values_attrs, values, DIMS), { NULL },
};

static pf_status infer_shape(pf_infer *infer, pf_err *err)
{
    const pf_shape_attrs *attrs = infer->node->attrs;
    const pf_value       *x = pf_infer_in(infer, 0);
    pf_content            content = { 0 };
    pf_shape              out = { .rank = 1 };

    if (!x || x->shape.rank < 0) {
        out.dim[0] = pf_dims_fresh(infer->graph->dims, "rank");
        pf_infer_set(infer, 0, PF_I64, &out);
        return PF_OK;
    }
    if (attrs->start < 0 || attrs->end > x->shape.rank || attrs->start > attrs->end)
        return PF_FAIL(err, PF_INVALID, "dims %lld to %lld are not within rank %d", (long long)attrs->start,
                       (long long)attrs->end, x->shape.rank);
    for (int64_t d = attrs->start; d < attrs->end; d++)
        content.at[content.count++] = x->shape.dim[d];
    out.dim[0] = content.count;
    pf_infer_set(infer, 0, PF_I64, &out);
    return pf_content_set(infer, &content, err);
}

static pf_status infer_size(pf_infer *infer, pf_err *err)
{
    const pf_value *x = pf_infer_in(infer, 0);
    pf_content      content = { .count = 1 };
    pf_shape        out = { .rank = 0 };

    if (!x)
        return PF_FAIL(err, PF_INVALID, "the input is left out");
    pf_infer_set(infer, 0, PF_I64, &out);
    if (x->shape.rank < 0)
        return PF_OK;
    content.at[0] = pf_shape_elems(infer->graph->dims, &x->shape);
    return pf_content_set(infer, &content, err);
}

static pf_status infer_values(pf_infer *infer, pf_err *err)
{
    const pf_dim_values_attrs *attrs = infer->node->attrs;
    pf_content                 content = { .count = attrs->values.count };
    pf_shape                   out = { .rank = attrs->rank != 0, .dim = { attrs->values.count } };
    pf_status                  st = pf_infer_numeric_dtype(attrs->dtype, err);

    if (st)
        return st;
    if (attrs->rank < 0 || attrs->rank > 1 || (attrs->rank == 0 && attrs->values.count != 1))
        return PF_FAIL(err, PF_INVALID, "dim_values of rank %lld with %d values", (long long)attrs->rank,
                       attrs->values.count);
    for (int32_t i = 0; i < content.count; i++)
        content.at[i] = attrs->values.at[i];
    pf_infer_set(infer, 0, (pf_dtype)attrs->dtype, &out);
    return pf_content_set(infer, &content, err);
}

static pf_status reference_shape(pf_reference_call *call, pf_err *err)
{
    const pf_shape_attrs *attrs = call->attrs;
    const pf_tensor      *x = &call->in[0];
    int64_t               count = 0;
    pf_status             st = PF_OK;

    if (attrs->start < 0 || attrs->end > x->rank || attrs->end < attrs->start)
        return PF_FAIL(err, PF_INVALID, "dims %lld to %lld are not within rank %d", (long long)attrs->start,
                       (long long)attrs->end, x->rank);
    count = attrs->end - attrs->start;
    st = pf_rows_size(&call->out[0], 1, &count, err);
    for (int64_t d = 0; d < count && !st; d++)
        ((int64_t *)call->out[0].data)[d] = x->dim[attrs->start + d];
    return st;
}

static pf_status reference_size(pf_reference_call *call, pf_err *err)
{
    (void)err;
    *(int64_t *)call->out[0].data = pf_tensor_elems(&call->in[0]);
    return PF_OK;
}

static pf_status reference_values(pf_reference_call *call, pf_err *err)
{
    const pf_dim_values_attrs *attrs = call->attrs;

    (void)err;
    for (int32_t i = 0; i < attrs->values.count; i++) {
        if (pf_dtype_is_float(call->out[0].dtype))
            pf_dtype_set(call->out[0].dtype, call->out[0].data, (uint64_t)i, (double)attrs->values.at[i]);
        else
            pf_dtype_set_i64(call->out[0].dtype, call->out[0].data, (uint64_t)i, attrs->values.at[i]);
    }
    return PF_OK;
}

const pf_op_def pf_op_shape = {
    .name = "shape", .klass = PF_CLASS_HOST, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_shape_attrs), .attr_fields = shape_fields, .infer = infer_shape,
    .reference = reference_shape,
};
const pf_op_def pf_op_size = {
    .name = "size", .klass = PF_CLASS_HOST, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .infer = infer_size, .reference = reference_size,
};
const pf_op_def pf_op_dim_values = {
    .name = "dim_values", .klass = PF_CLASS_HOST, .in_min = 0, .in_max = 0, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_dim_values_attrs), .attr_fields = values_fields, .infer = infer_values,
    .reference = reference_values,
};
