/* reverse_sequence: of each batch entry the first `length` steps, backwards. */
#include <stddef.h>

#include "engine/ops/infer.h"
#include "engine/ops/move.h"
#include "engine/ops/rows.h"

static const pf_attr_field fields[] = {
    PF_ATTR_FIELD(pf_reverse_sequence_attrs, batch_axis, INT), PF_ATTR_FIELD(pf_reverse_sequence_attrs, time_axis, INT),
    { NULL },
};

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_reverse_sequence_attrs *a = infer->node->attrs;
    pf_status                        st = pf_infer_rank(infer, 0, 2, PF_MAX_RANK, err);

    if (!st)
        st = pf_infer_axis(a->batch_axis, 2, err);
    if (!st && a->time_axis != 1 - a->batch_axis)
        st = PF_FAIL(err, PF_INVALID, "batch and time are axes 0 and 1, in either order");
    if (!st)
        st = pf_infer_vector(infer, 1, pf_infer_in(infer, 0)->shape.dim[a->batch_axis], "lengths", err);
    if (!st)
        st = pf_infer_integer(infer, 1, err);
    if (st)
        return st;
    pf_infer_like(infer, 0);
    return PF_OK;
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    const pf_reverse_sequence_attrs *a = call->attrs;
    const pf_tensor                 *x = &call->in[0], *lengths = &call->in[1];
    int64_t                          inner = 1, steps = x->dim[a->time_axis];
    pf_status                        st = pf_rows_need(call, 1, x->dim[a->batch_axis], "lengths", err);

    for (int32_t d = 2; d < x->rank; d++)
        inner *= x->dim[d];
    for (int64_t i = 0; i < x->dim[0] * x->dim[1] && !st; i++) {
        int64_t index[2] = { i / x->dim[1], i % x->dim[1] }, t = index[a->time_axis], from = 0;
        int64_t length = pf_dtype_get_i64(lengths->dtype, lengths->data, (uint64_t)index[a->batch_axis]);

        if (length < 0 || length > steps)
            return PF_FAIL(err, PF_INVALID, "a length of %lld for %lld steps", (long long)length, (long long)steps);
        index[a->time_axis] = t < length ? length - 1 - t : t;
        from = index[0] * x->dim[1] + index[1];
        st = pf_move_run(x->dtype, call->out[0].data, i * inner, 1, x->data, from * inner, 1, inner, err);
    }
    return st;
}

const pf_op_def pf_op_reverse_sequence = {
    .name = "reverse_sequence", .klass = PF_CLASS_MOVE, .in_min = 2, .in_max = 2, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_reverse_sequence_attrs), .attr_fields = fields, .infer = infer, .reference = reference,
};
