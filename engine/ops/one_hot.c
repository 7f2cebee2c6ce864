#include <stddef.h>

#include "engine/ops/infer.h"
#include "engine/ops/move.h"
#include "engine/ops/rows.h"

static const pf_attr_field fields[] = { PF_ATTR_FIELD(pf_one_hot_attrs, axis, INT),
                                        PF_ATTR_FIELD(pf_one_hot_attrs, depth, DIMS), { NULL } };

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_one_hot_attrs *attrs = infer->node->attrs;
    const pf_value         *x = pf_infer_in(infer, 0), *values = pf_infer_in(infer, 1);
    pf_status               st = pf_infer_present(infer, 2, err);
    pf_shape                out = { 0 };

    if (!st)
        st = pf_infer_rank(infer, 0, 0, PF_MAX_RANK - 1, err);
    if (!st)
        st = pf_infer_axis(attrs->axis, x->shape.rank + 1, err);
    if (!st)
        st = pf_infer_count("depth", attrs->depth.count, 1, err);
    if (!st)
        st = pf_infer_vector(infer, 1, 2, "values", err);
    if (st)
        return st;
    for (int32_t d = 0; d <= x->shape.rank; d++) {
        if (d == attrs->axis)
            out.dim[out.rank++] = attrs->depth.at[0];
        if (d < x->shape.rank)
            out.dim[out.rank++] = x->shape.dim[d];
    }
    pf_infer_set(infer, 0, values->dtype, &out);
    return pf_infer_check_out(infer, err);
}

static int64_t index_of(const pf_tensor *x, int64_t i)
{
    if (pf_dtype_is_float(x->dtype))
        return (int64_t)pf_dtype_get(x->dtype, x->data, (uint64_t)i);
    return pf_dtype_get_i64(x->dtype, x->data, (uint64_t)i);
}

/* Indices outside of [-depth, depth) switch nothing on. */
static pf_status reference(pf_reference_call *call, pf_err *err)
{
    const pf_one_hot_attrs *attrs = call->attrs;
    const pf_tensor        *x = &call->in[0], *values = &call->in[1];
    pf_tensor              *y = &call->out[0];
    int64_t                 depth = attrs->depth.at[0], inner = 1, count = pf_tensor_elems(x);
    pf_status               st = pf_rows_need(call, 1, 2, "values", err);

    if (!st && pf_tensor_elems(y))
        st = pf_move_run(y->dtype, y->data, 0, 1, values->data, 0, 0, pf_tensor_elems(y), err);
    for (int32_t d = (int32_t)attrs->axis; d < x->rank; d++)
        inner *= x->dim[d];
    for (int64_t i = 0; i < count && !st; i++) {
        int64_t k = index_of(x, i);

        k += k < 0 ? depth : 0;
        if (k >= 0 && k < depth)
            st = pf_move_run(y->dtype, y->data, (i / inner * depth + k) * inner + i % inner, 1, values->data, 1, 1, 1,
                             err);
    }
    return st;
}

const pf_op_def pf_op_one_hot = {
    .name = "one_hot", .klass = PF_CLASS_MOVE, .in_min = 2, .in_max = 2, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_one_hot_attrs), .attr_fields = fields, .infer = infer, .reference = reference,
};
