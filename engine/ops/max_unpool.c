#include <stddef.h>

#include "engine/ops/infer.h"
#include "engine/ops/move.h"
#include "engine/ops/rows.h"

static const pf_attr_field fields[] = {
    PF_ATTR_FIELD(pf_max_unpool_attrs, kernel, INTS), PF_ATTR_FIELD(pf_max_unpool_attrs, strides, INTS),
    PF_ATTR_FIELD(pf_max_unpool_attrs, pads, INTS), PF_ATTR_FIELD(pf_max_unpool_attrs, output_shape, DIMS), { NULL },
};

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_max_unpool_attrs *a = infer->node->attrs;
    const pf_value            *x = pf_infer_in(infer, 0);
    pf_dims                   *dims = infer->graph->dims;
    pf_status                  st = pf_infer_rank(infer, 0, 3, PF_MAX_RANK, err);
    int32_t                    spatial = st ? 0 : x->shape.rank - 2;
    pf_shape                   out = { 0 };

    if (!st)
        st = pf_infer_rank(infer, 1, x->shape.rank, x->shape.rank, err);
    if (!st)
        st = pf_infer_positive("kernel", &a->kernel, spatial, err);
    if (!st)
        st = pf_infer_positive("strides", &a->strides, spatial, err);
    if (!st)
        st = pf_infer_count("pads", a->pads.count, 2 * spatial, err);
    if (!st && a->output_shape.count)
        st = pf_infer_count("output_shape", a->output_shape.count, x->shape.rank, err);
    if (st)
        return st;
    out = x->shape;
    for (int32_t d = 0; d < out.rank; d++) {
        if (d >= 2)
            out.dim[d] = pf_dim_add(dims, pf_dim_mul(dims, pf_dim_sub(dims, x->shape.dim[d], 1), a->strides.at[d - 2]),
                                    a->kernel.at[d - 2] - a->pads.at[d - 2] - a->pads.at[d - 2 + spatial]);
        if (a->output_shape.count)
            out.dim[d] = a->output_shape.at[d];
    }
    pf_infer_set(infer, 0, x->dtype, &out);
    return pf_infer_check_out(infer, err);
}

/* Indices count over the tensor that was pooled, whose size follows from kernel, strides and pads; output_shape may be
   larger. */
static pf_status place(const pf_reference_call *call, int64_t index, int64_t *at, pf_err *err)
{
    const pf_max_unpool_attrs *a = call->attrs;
    const pf_tensor           *x = &call->in[0], *y = &call->out[0];
    int64_t                    rest = index, step = 1;

    *at = 0;
    for (int32_t d = x->rank - 1; d >= 0; d--) {
        int64_t size = x->dim[d];

        if (d >= 2)
            size = (size - 1) * a->strides.at[d - 2] + a->kernel.at[d - 2] - a->pads.at[d - 2] -
                   a->pads.at[d - 2 + x->rank - 2];
        if (size <= 0 || rest < 0 || rest % size >= y->dim[d])
            return PF_FAIL(err, PF_INVALID, "index %lld lies outside of the result", (long long)index);
        *at += rest % size * step;
        step *= y->dim[d];
        rest /= size;
    }
    return rest ? PF_FAIL(err, PF_INVALID, "index %lld lies outside of the result", (long long)index) : PF_OK;
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    const pf_tensor *x = &call->in[0], *indices = &call->in[1];
    pf_status        st = pf_rows_need(call, 1, pf_tensor_elems(x), "indices", err);

    for (int64_t i = 0, count = pf_tensor_elems(x); i < count && !st; i++) {
        int64_t at = 0;

        st = place(call, pf_dtype_get_i64(indices->dtype, indices->data, (uint64_t)i), &at, err);
        if (!st)
            st = pf_move_run(x->dtype, call->out[0].data, at, 1, x->data, i, 1, 1, err);
    }
    return st;
}

const pf_op_def pf_op_max_unpool = {
    .name = "max_unpool", .klass = PF_CLASS_MOVE, .in_min = 2, .in_max = 2, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_max_unpool_attrs), .attr_fields = fields, .infer = infer, .reference = reference,
};
