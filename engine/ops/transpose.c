#include <stddef.h>

#include "engine/ops/content.h"
#include "engine/ops/infer.h"
#include "engine/ops/move.h"

static const pf_attr_field fields[] = { PF_ATTR_FIELD(pf_transpose_attrs, perm, INTS), { NULL } };

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_transpose_attrs *attrs = infer->node->attrs;
    const pf_value           *x = pf_infer_in(infer, 0);
    pf_status                 st = pf_infer_rank(infer, 0, 0, PF_MAX_RANK, err);
    pf_shape                  out = { 0 };
    int64_t                   in_stride[PF_MAX_RANK] = { 0 }, stride[PF_MAX_RANK] = { 0 };

    if (!st)
        st = pf_infer_count("perm", attrs->perm.count, x->shape.rank, err);
    if (!st)
        st = pf_infer_axes(&attrs->perm, x->shape.rank, err);
    if (st)
        return st;
    out.rank = x->shape.rank;
    pf_content_strides(&x->shape, in_stride);
    for (int32_t d = 0; d < out.rank; d++) {
        out.dim[d] = x->shape.dim[attrs->perm.at[d]];
        stride[d] = in_stride[attrs->perm.at[d]];
    }
    pf_infer_set(infer, 0, x->dtype, &out);
    return pf_content_take(infer, 0, stride, err);
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    const pf_transpose_attrs *attrs = call->attrs;
    pf_tensor                *y = &call->out[0];
    pf_move                   move = { .rank = y->rank };
    int64_t                   in_stride[PF_MAX_RANK] = { 0 };

    pf_tensor_strides(&call->in[0], in_stride);
    pf_tensor_strides(y, move.out_stride);
    for (int32_t d = 0; d < y->rank; d++) {
        move.dim[d] = y->dim[d];
        move.in_stride[d] = in_stride[attrs->perm.at[d]];
    }
    return pf_move_all(y->dtype, &move, call->in[0].data, y->data, err);
}

const pf_op_def pf_op_transpose = {
    .name = "transpose", .klass = PF_CLASS_MOVE, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_transpose_attrs), .attr_fields = fields, .infer = infer, .reference = reference,
};
