/* nll_loss: minus the log probability of each target, weighted, and perhaps summed or averaged. */
#include <stddef.h>

#include "engine/ops/infer.h"
#include "engine/ops/rows.h"

static const char *const reductions[] = { "mean", "sum", "none", NULL };
static const pf_attr_field fields[] = {
    PF_ATTR_ENUM_FIELD(pf_nll_loss_attrs, reduction, reductions),
    PF_ATTR_FIELD(pf_nll_loss_attrs, has_ignore_index, INT),
    PF_ATTR_FIELD(pf_nll_loss_attrs, ignore_index, INT), { NULL },
};

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_nll_loss_attrs *a = infer->node->attrs;
    const pf_value          *x = pf_infer_in(infer, 0), *target = pf_infer_in(infer, 1);
    pf_status                st = pf_infer_rank(infer, 0, 2, PF_MAX_RANK, err);
    pf_shape                 scalar = { .rank = 0 };

    if (!st)
        st = pf_infer_rank(infer, 1, x->shape.rank - 1, x->shape.rank - 1, err);
    if (!st)
        st = pf_infer_integer(infer, 1, err);
    if (!st)
        st = pf_infer_vector(infer, 2, x->shape.dim[1], "weight", err);
    if (st)
        return st;
    pf_infer_set(infer, 0, x->dtype, a->reduction == PF_LOSS_NONE ? &target->shape : &scalar);
    return PF_OK;
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    const pf_nll_loss_attrs *a = call->attrs;
    const pf_tensor         *x = &call->in[0], *target = &call->in[1],
                            *weight = call->in_count > 2 && call->in[2].data ? &call->in[2] : NULL;
    pf_tensor               *y = &call->out[0];
    int64_t                  inner = 1, count = pf_tensor_elems(target);
    double                   sum = 0, weights = 0;
    pf_status                st = pf_rows_need(call, 2, x->dim[1], "weight", err);

    if (!st)
        st = pf_rows_need(call, 1, x->dim[1] ? pf_tensor_elems(x) / x->dim[1] : 0, "target", err);
    if (st)
        return st;
    for (int32_t d = 2; d < x->rank; d++)
        inner *= x->dim[d];
    for (int64_t i = 0; i < count; i++) {
        int64_t t = pf_dtype_get_i64(target->dtype, target->data, (uint64_t)i);
        bool    ignored = a->has_ignore_index && t == a->ignore_index;
        double  w = ignored ? 0 : 1, loss = 0;

        if (!ignored && (t < 0 || t >= x->dim[1]))
            return PF_FAIL(err, PF_INVALID, "target %lld of %lld classes", (long long)t, (long long)x->dim[1]);
        if (!ignored && weight)
            w = pf_dtype_get(weight->dtype, weight->data, (uint64_t)t);
        if (!ignored)
            loss = -w * pf_dtype_get(x->dtype, x->data, (uint64_t)((i / inner * x->dim[1] + t) * inner + i % inner));
        if (a->reduction == PF_LOSS_NONE)
            pf_dtype_set(y->dtype, y->data, (uint64_t)i, loss);
        sum += loss;
        weights += w;
    }
    if (a->reduction != PF_LOSS_NONE)
        pf_dtype_set(y->dtype, y->data, 0, a->reduction == PF_LOSS_SUM ? sum : sum / weights);
    return PF_OK;
}

const pf_op_def pf_op_nll_loss = {
    .name = "nll_loss", .klass = PF_CLASS_ANCHOR, .in_min = 2, .in_max = 3, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_nll_loss_attrs), .attr_fields = fields, .infer = infer, .reference = reference,
};
