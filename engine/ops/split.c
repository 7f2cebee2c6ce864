#include <stddef.h>

#include "engine/ops/content.h"
#include "engine/ops/infer.h"
#include "engine/ops/move.h"
#include "engine/ops/rows.h"

static const pf_attr_field fields[] = {
    PF_ATTR_FIELD(pf_split_attrs, axis, INT), PF_ATTR_FIELD(pf_split_attrs, sizes, DIMS), { NULL },
};

/* Equal parts: ceil(dim / outputs) each, the last has what remains. */
static pf_dim equal_part(pf_dims *dims, pf_dim size, uint32_t outputs, uint32_t i)
{
    pf_dim part = pf_dim_ceil_div(dims, size, outputs);

    if (i + 1 < outputs)
        return part;
    return pf_dim_sub(dims, size, pf_dim_mul(dims, part, outputs - 1));
}

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_split_attrs *attrs = infer->node->attrs;
    const pf_value       *x = pf_infer_in(infer, 0);
    pf_dims              *dims = infer->graph->dims;
    pf_status             st = pf_infer_rank(infer, 0, 1, PF_MAX_RANK, err);
    pf_dim                total = 0;

    if (!st)
        st = pf_infer_axis(attrs->axis, x->shape.rank, err);
    if (!st && attrs->sizes.count)
        st = pf_infer_count("sizes", attrs->sizes.count, (int32_t)infer->node->out_count, err);
    for (uint32_t i = 0; i < infer->node->out_count && !st; i++) {
        pf_shape out = x->shape;

        out.dim[attrs->axis] = attrs->sizes.count
                                   ? attrs->sizes.at[i]
                                   : equal_part(dims, x->shape.dim[attrs->axis], infer->node->out_count, i);
        total = pf_dim_add(dims, total, out.dim[attrs->axis]);
        pf_infer_set(infer, i, x->dtype, &out);
    }
    if (!st)
        st = pf_infer_dims_agree(infer, total, x->shape.dim[attrs->axis], "the sizes of all parts and the dim", err);
    return st ? st : pf_infer_check_out(infer, err);
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    const pf_split_attrs *attrs = call->attrs;
    const pf_tensor      *x = &call->in[0];
    int64_t               at = 0;
    pf_status             st = PF_OK;

    for (uint32_t i = 0; i < call->out_count && !st; i++) {
        pf_tensor *y = &call->out[i];
        pf_move    move = { .rank = x->rank };

        pf_tensor_strides(x, move.in_stride);
        pf_tensor_strides(y, move.out_stride);
        for (int32_t d = 0; d < x->rank; d++)
            move.dim[d] = y->dim[d];
        move.in_at = at * move.in_stride[attrs->axis];
        at += y->dim[attrs->axis];
        if (at > x->dim[attrs->axis])
            return PF_FAIL(err, PF_INVALID, "the parts are larger than dim %lld", (long long)x->dim[attrs->axis]);
        st = pf_move_all(y->dtype, &move, x->data, y->data, err);
    }
    return st;
}

const pf_op_def pf_op_split = {
    .name = "split", .klass = PF_CLASS_MOVE, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 255,
    .attr_bytes = sizeof(pf_split_attrs), .attr_fields = fields, .infer = infer, .reference = reference,
};
