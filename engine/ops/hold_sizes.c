/* hold_sizes: integers that data decides become symbols, for the attributes of other nodes.  For each element there is
   an output without elements, whose second dim is that number. */
#include "engine/ops/infer.h"
#include "engine/ops/rows.h"

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_value *x = pf_infer_in(infer, 0);
    pf_status       st = pf_infer_rank(infer, 0, 0, 1, err);

    if (!st)
        st = pf_infer_integer(infer, 0, err);
    if (!st && x->shape.rank == 0 && infer->node->out_count != 1)
        st = PF_FAIL(err, PF_INVALID, "a scalar holds one size, not %u", infer->node->out_count);
    if (!st && x->shape.rank == 1)
        st = pf_infer_dims_agree(infer, x->shape.dim[0], infer->node->out_count, "the sizes that it holds", err);
    for (uint32_t i = 0; i < infer->node->out_count && !st; i++) {
        pf_shape out = { 2, { 0, pf_dims_fresh(infer->graph->dims, "held") } };

        pf_infer_set(infer, i, PF_U8, &out);
    }
    return st ? st : pf_infer_check_out(infer, err);
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    const pf_tensor *x = &call->in[0];
    pf_status        st = PF_OK;

    if (pf_tensor_elems(x) != call->out_count)
        return PF_FAIL(err, PF_INVALID, "%lld sizes where %u are needed", (long long)pf_tensor_elems(x),
                       call->out_count);
    for (uint32_t i = 0; i < call->out_count && !st; i++) {
        int64_t dim[2] = { 0, pf_dtype_get_i64(x->dtype, x->data, i) };

        if (dim[1] < 0)
            return PF_FAIL(err, PF_INVALID, "a size that data decides is %lld", (long long)dim[1]);
        st = pf_rows_size(&call->out[i], 2, dim, err);
    }
    return st;
}

const pf_op_def pf_op_hold_sizes = {
    .name = "hold_sizes", .klass = PF_CLASS_HOST, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = PF_ATTR_LIST,
    .infer = infer, .reference = reference,
};
