/* trilu and eye_like: diagonals of the last two dims. */
#include <stddef.h>

#include "engine/ops/infer.h"
#include "engine/ops/move.h"

static const pf_attr_field trilu_fields[] = { PF_ATTR_FIELD(pf_trilu_attrs, upper, INT),
                                              PF_ATTR_FIELD(pf_trilu_attrs, k, INT), { NULL } };
static const pf_attr_field eye_fields[] = { PF_ATTR_FIELD(pf_eye_like_attrs, dtype, DTYPE),
                                            PF_ATTR_FIELD(pf_eye_like_attrs, k, INT), { NULL } };

static pf_status infer_trilu(pf_infer *infer, pf_err *err)
{
    pf_status st = pf_infer_rank(infer, 0, 2, PF_MAX_RANK, err);

    if (st)
        return st;
    pf_infer_like(infer, 0);
    return PF_OK;
}

static pf_status infer_eye(pf_infer *infer, pf_err *err)
{
    const pf_eye_like_attrs *attrs = infer->node->attrs;
    pf_status                st = pf_infer_rank(infer, 0, 2, 2, err);

    if (!st)
        st = pf_infer_numeric_dtype(attrs->dtype, err);
    if (st)
        return st;
    pf_infer_set(infer, 0, (pf_dtype)attrs->dtype, &pf_infer_in(infer, 0)->shape);
    return PF_OK;
}

/* Diagonals this far away hold nothing. */
static int64_t bounded(int64_t k)
{
    const int64_t most = INT64_C(1) << 48;

    return k > most ? most : k < -most ? -most : k;
}

static pf_status reference_trilu(pf_reference_call *call, pf_err *err)
{
    const pf_trilu_attrs *attrs = call->attrs;
    const pf_tensor      *x = &call->in[0];
    int64_t               rows = x->dim[x->rank - 2], columns = x->dim[x->rank - 1],
                          lines = columns ? pf_tensor_elems(x) / columns : 0;
    pf_status             st = PF_OK;

    for (int64_t l = 0; l < lines && !st; l++) {
        int64_t edge = l % rows + bounded(attrs->k), low = attrs->upper ? edge : 0,
                high = attrs->upper ? columns : edge + 1;

        low = low < 0 ? 0 : low;
        high = high > columns ? columns : high;
        if (low < high)
            st = pf_move_run(x->dtype, call->out[0].data, l * columns + low, 1, x->data, l * columns + low, 1,
                             high - low, err);
    }
    return st;
}

static pf_status reference_eye(pf_reference_call *call, pf_err *err)
{
    const pf_eye_like_attrs *attrs = call->attrs;
    pf_tensor               *y = &call->out[0];

    (void)err;
    for (int64_t r = 0; r < y->dim[0]; r++) {
        int64_t c = r + bounded(attrs->k);

        if (c < 0 || c >= y->dim[1])
            continue;
        if (pf_dtype_is_float(y->dtype))
            pf_dtype_set(y->dtype, y->data, (uint64_t)(r * y->dim[1] + c), 1);
        else
            pf_dtype_set_i64(y->dtype, y->data, (uint64_t)(r * y->dim[1] + c), 1);
    }
    return PF_OK;
}

const pf_op_def pf_op_trilu = {
    .name = "trilu", .klass = PF_CLASS_MOVE, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_trilu_attrs), .attr_fields = trilu_fields, .infer = infer_trilu,
    .reference = reference_trilu,
};
const pf_op_def pf_op_eye_like = {
    .name = "eye_like", .klass = PF_CLASS_MOVE, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_eye_like_attrs), .attr_fields = eye_fields, .infer = infer_eye, .reference = reference_eye,
};
