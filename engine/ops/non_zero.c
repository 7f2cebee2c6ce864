/* non_zero and compress: as many results as the data says. */
#include <stddef.h>

#include "engine/ops/infer.h"
#include "engine/ops/lines.h"
#include "engine/ops/move.h"
#include "engine/ops/rows.h"

static const pf_attr_field compress_fields[] = { PF_ATTR_FIELD(pf_axis_attrs, axis, INT), { NULL } };

static pf_status infer_non_zero(pf_infer *infer, pf_err *err)
{
    pf_status st = pf_infer_rank(infer, 0, 0, PF_MAX_RANK, err);
    pf_shape  out = { .rank = 2 };

    if (st)
        return st;
    out.dim[0] = pf_infer_in(infer, 0)->shape.rank;
    out.dim[1] = pf_dims_fresh(infer->graph->dims, "nonzero");
    pf_infer_set(infer, 0, PF_I64, &out);
    return pf_infer_check_out(infer, err);
}

static pf_status infer_compress(pf_infer *infer, pf_err *err)
{
    const pf_axis_attrs *attrs = infer->node->attrs;
    const pf_value      *x = pf_infer_in(infer, 0);
    pf_status            st = pf_infer_rank(infer, 0, 1, PF_MAX_RANK, err);
    pf_shape             out = { 0 };

    if (!st)
        st = pf_infer_axis(attrs->axis, x->shape.rank, err);
    if (!st)
        st = pf_infer_rank(infer, 1, 1, 1, err);
    if (!st && pf_infer_in(infer, 1)->dtype != PF_BOOL)
        st = PF_FAIL(err, PF_INVALID, "the condition is %s, not bool", pf_dtype_name(pf_infer_in(infer, 1)->dtype));
    if (st)
        return st;
    out = x->shape;
    out.dim[attrs->axis] = pf_dims_fresh(infer->graph->dims, "compressed");
    pf_infer_set(infer, 0, x->dtype, &out);
    return pf_infer_check_out(infer, err);
}

static bool is_set(const pf_tensor *x, int64_t i)
{
    if (pf_dtype_is_float(x->dtype))
        return pf_dtype_get(x->dtype, x->data, (uint64_t)i) != 0;
    return pf_dtype_get_i64(x->dtype, x->data, (uint64_t)i) != 0;
}

static pf_status reference_non_zero(pf_reference_call *call, pf_err *err)
{
    const pf_tensor *x = &call->in[0];
    int64_t          count = pf_tensor_elems(x), dim[2] = { x->rank, 0 }, n = 0;
    pf_status        st = PF_OK;

    for (int64_t i = 0; i < count; i++)
        dim[1] += is_set(x, i);
    st = pf_rows_size(&call->out[0], 2, dim, err);
    for (int64_t i = 0; i < count && !st; i++) {
        int64_t rest = i;

        if (!is_set(x, i))
            continue;
        for (int32_t d = x->rank - 1; d >= 0; d--) {
            ((int64_t *)call->out[0].data)[d * dim[1] + n] = rest % x->dim[d];
            rest /= x->dim[d];
        }
        n++;
    }
    return st;
}

static pf_status reference_compress(pf_reference_call *call, pf_err *err)
{
    const pf_axis_attrs *attrs = call->attrs;
    const pf_tensor     *x = &call->in[0], *condition = &call->in[1];
    const uint8_t       *wanted = condition->data;
    pf_lines             lines = pf_lines_of(x, attrs->axis, attrs->axis + 1);
    int64_t              dim[PF_MAX_RANK] = { 0 },
                         length = condition->dim[0] < lines.size ? condition->dim[0] : lines.size, kept = 0, n = 0;
    pf_status            st = PF_OK;

    for (int64_t i = 0; i < length; i++)
        kept += wanted[i] != 0;
    for (int32_t d = 0; d < x->rank; d++)
        dim[d] = d == attrs->axis ? kept : x->dim[d];
    st = pf_rows_size(&call->out[0], x->rank, dim, err);
    for (int64_t i = 0; i < length && !st; i++) {
        for (int64_t o = 0; o < lines.outer && !st && wanted[i]; o++)
            st = pf_move_run(x->dtype, call->out[0].data, (o * kept + n) * lines.inner, 1, x->data,
                             (o * lines.size + i) * lines.inner, 1, lines.inner, err);
        n += wanted[i] != 0;
    }
    return st;
}

const pf_op_def pf_op_non_zero = {
    .name = "non_zero", .klass = PF_CLASS_HOST, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .infer = infer_non_zero, .reference = reference_non_zero,
};
const pf_op_def pf_op_compress = {
    .name = "compress", .klass = PF_CLASS_HOST, .in_min = 2, .in_max = 2, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_axis_attrs), .attr_fields = compress_fields, .infer = infer_compress,
    .reference = reference_compress,
};
