/* arg_reduce: the index of the greatest or least element along an axis. */
#include <stddef.h>

#include "engine/ops/infer.h"
#include "engine/ops/lines.h"
#include "engine/ops/order.h"

static const char *const modes[] = { "max", "min", NULL };
static const pf_attr_field fields[] = {
    PF_ATTR_ENUM_FIELD(pf_arg_reduce_attrs, mode, modes), PF_ATTR_FIELD(pf_arg_reduce_attrs, axis, INT),
    PF_ATTR_FIELD(pf_arg_reduce_attrs, keepdims, INT), PF_ATTR_FIELD(pf_arg_reduce_attrs, select_last, INT), { NULL },
};

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_arg_reduce_attrs *attrs = infer->node->attrs;
    const pf_value            *x = pf_infer_in(infer, 0);
    pf_status                  st = pf_infer_rank(infer, 0, 1, PF_MAX_RANK, err);
    pf_shape                   out = { 0 };

    if (!st)
        st = pf_infer_axis(attrs->axis, x->shape.rank, err);
    if (!st && x->shape.dim[attrs->axis] == 0)
        st = PF_FAIL(err, PF_INVALID, "there is no element along axis %lld", (long long)attrs->axis);
    if (st)
        return st;
    for (int32_t d = 0; d < x->shape.rank; d++) {
        if (d != attrs->axis)
            out.dim[out.rank++] = x->shape.dim[d];
        else if (attrs->keepdims)
            out.dim[out.rank++] = 1;
    }
    pf_infer_set(infer, 0, PF_I64, &out);
    return PF_OK;
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    const pf_arg_reduce_attrs *attrs = call->attrs;
    const pf_tensor           *x = &call->in[0];
    pf_lines                   lines = pf_lines_of(x, attrs->axis, attrs->axis + 1);
    int32_t                    wanted = attrs->mode == PF_ARG_MAX ? 1 : -1;

    (void)err;
    for (int64_t i = 0; i < pf_lines_count(&lines); i++) {
        int64_t at = pf_lines_at(&lines, i), best = 0;

        for (int64_t k = 1; k < lines.size; k++) {
            int32_t order = wanted * pf_order_of(x, at + k * lines.inner, at + best * lines.inner);

            if (order > 0 || (order == 0 && attrs->select_last))
                best = k;
        }
        ((int64_t *)call->out[0].data)[i] = best;
    }
    return PF_OK;
}

const pf_op_def pf_op_arg_reduce = {
    .name = "arg_reduce", .klass = PF_CLASS_ANCHOR, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_arg_reduce_attrs), .attr_fields = fields, .infer = infer, .reference = reference,
};
