#include <stddef.h>

#include "engine/ops/content.h"
#include "engine/ops/infer.h"
#include "engine/ops/move.h"
#include "engine/ops/rows.h"

static const pf_attr_field fields[] = { PF_ATTR_FIELD(pf_axis_attrs, axis, INT), { NULL } };

static pf_status join_content(pf_infer *infer, pf_err *err)
{
    pf_content all = { 0 };

    for (uint32_t i = 0; i < infer->node->in_count; i++) {
        pf_content one = pf_content_of(infer, i);

        if (one.count < 0 || all.count + one.count > PF_CONTENT_LIMIT)
            return PF_OK;
        for (int32_t k = 0; k < one.count; k++)
            all.at[all.count++] = one.at[k];
    }
    return pf_content_set(infer, &all, err);
}

static pf_status add_input(pf_infer *infer, uint32_t i, int64_t axis, pf_shape *out, pf_err *err)
{
    const pf_value *v = pf_infer_in(infer, i);
    pf_status       st = pf_infer_rank(infer, i, out->rank, out->rank, err);

    if (!st)
        st = pf_infer_same_dtype(infer, 0, i, err);
    for (int32_t d = 0; d < out->rank && !st; d++) {
        if (d == axis) {
            out->dim[d] = pf_dim_add(infer->graph->dims, out->dim[d], v->shape.dim[d]);
            continue;
        }
        st = pf_infer_dims_agree(infer, out->dim[d], v->shape.dim[d], "dims beside the axis", err);
        if (pf_dim_is_symbolic(out->dim[d]))
            out->dim[d] = v->shape.dim[d];
    }
    return st;
}

/* Sums of very many sizes that data decides have no expression: they become a size of their own. */
static bool any_symbolic(const pf_infer *infer, int64_t axis)
{
    for (uint32_t i = 0; i < infer->node->in_count; i++)
        if (pf_dim_is_symbolic(pf_infer_in(infer, i)->shape.dim[axis]) &&
            pf_infer_in(infer, i)->shape.dim[axis] != PF_DIM_INVALID)
            return true;
    return false;
}

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_axis_attrs *attrs = infer->node->attrs;
    const pf_value      *first = pf_infer_in(infer, 0);
    pf_status            st = pf_infer_rank(infer, 0, 1, PF_MAX_RANK, err);
    pf_shape             out = { 0 };

    if (!st)
        st = pf_infer_axis(attrs->axis, first->shape.rank, err);
    if (st)
        return st;
    out = first->shape;
    for (uint32_t i = 1; i < infer->node->in_count && !st; i++)
        st = add_input(infer, i, attrs->axis, &out, err);
    if (st)
        return st;
    if (out.dim[attrs->axis] == PF_DIM_INVALID && any_symbolic(infer, attrs->axis))
        out.dim[attrs->axis] = pf_dims_fresh(infer->graph->dims, "joined");
    pf_infer_set(infer, 0, first->dtype, &out);
    st = pf_infer_check_out(infer, err);
    return st ? st : join_content(infer, err);
}

static pf_status concat_dims(const pf_reference_call *call, int64_t axis, int64_t *dim, pf_err *err)
{
    for (uint32_t i = 1; i < call->in_count; i++) {
        const pf_tensor *t = &call->in[i];

        if (t->rank != call->in[0].rank)
            return PF_FAIL(err, PF_INVALID, "inputs have ranks %d and %d", call->in[0].rank, t->rank);
        for (int32_t d = 0; d < t->rank; d++)
            if (d != axis && t->dim[d] != dim[d])
                return PF_FAIL(err, PF_INVALID, "dim %d is %lld in one input and %lld in another", d, (long long)dim[d],
                               (long long)t->dim[d]);
        dim[axis] += t->dim[axis];
    }
    return PF_OK;
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    const pf_axis_attrs *attrs = call->attrs;
    pf_tensor           *y = &call->out[0];
    int64_t              dim[PF_MAX_RANK] = { 0 }, at = 0;
    pf_status            st = PF_OK;

    for (int32_t d = 0; d < call->in[0].rank; d++)
        dim[d] = call->in[0].dim[d];
    st = concat_dims(call, attrs->axis, dim, err);
    if (!st)
        st = pf_rows_size(y, call->in[0].rank, dim, err);
    for (uint32_t i = 0; i < call->in_count && !st; i++) {
        pf_move move = { .rank = y->rank };

        pf_tensor_strides(&call->in[i], move.in_stride);
        pf_tensor_strides(y, move.out_stride);
        for (int32_t d = 0; d < y->rank; d++)
            move.dim[d] = call->in[i].dim[d];
        move.out_at = at;
        st = pf_move_all(y->dtype, &move, call->in[i].data, y->data, err);
        at += call->in[i].dim[attrs->axis] * move.out_stride[attrs->axis];
    }
    return st;
}

const pf_op_def pf_op_concat = {
    .name = "concat", .klass = PF_CLASS_MOVE, .in_min = 1, .in_max = 255, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_axis_attrs), .attr_fields = fields, .infer = infer, .reference = reference,
};
