#include <stddef.h>

#include "engine/ops/content.h"
#include "engine/ops/infer.h"
#include "engine/ops/move.h"
#include "engine/ops/rows.h"

static const pf_attr_field fields[] = { PF_ATTR_FIELD(pf_reshape_attrs, shape, DIMS), { NULL } };

/* Replaces the entry that is -1 by what remains of `elems`. */
static pf_status resolve(pf_dims *dims, pf_dim elems, pf_shape *shape, pf_err *err)
{
    pf_dim  known = 1;
    int32_t open = -1;

    for (int32_t d = 0; d < shape->rank; d++) {
        if (shape->dim[d] == -1 && open >= 0)
            return PF_FAIL(err, PF_INVALID, "the new shape has two dims of -1");
        if (shape->dim[d] == -1)
            open = d;
        else
            known = pf_dim_mul(dims, known, shape->dim[d]);
    }
    if (open >= 0) {
        if (known == 0 && elems == 0)
            shape->dim[open] = 0;
        else
            shape->dim[open] = pf_dim_floor_div(dims, elems, known);
        known = pf_dim_mul(dims, known, shape->dim[open]);
    }
    if (pf_dim_is_number(known) && pf_dim_is_number(elems) && known != elems)
        return PF_FAIL(err, PF_INVALID, "%lld elements do not fit a shape of %lld", (long long)elems, (long long)known);
    return PF_OK;
}

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_reshape_attrs *attrs = infer->node->attrs;
    const pf_value         *x = pf_infer_in(infer, 0);
    pf_content              content = pf_content_of_any(infer, 0);
    pf_shape                shape = { 0 };
    pf_status               st = pf_infer_shape_from_list(&attrs->shape, &shape, err);

    if (!st && !x)
        st = PF_FAIL(err, PF_INVALID, "the input is left out");
    if (!st && x->shape.rank >= 0)
        st = resolve(infer->graph->dims, pf_shape_elems(infer->graph->dims, &x->shape), &shape, err);
    if (st)
        return st;
    pf_infer_set(infer, 0, x->dtype, &shape);
    st = pf_infer_check_out(infer, err);
    return st ? st : pf_content_set_any(infer, &content, err);
}

/* A target whose entries are known, by ONNX's rules. False when it says nothing of the result. */
static bool known_target(pf_infer *infer, const pf_content *known, pf_shape *shape)
{
    const pf_reshape_dynamic_attrs *attrs = infer->node->attrs;
    const pf_value                 *x = pf_infer_in(infer, 0);
    pf_shape                        made = { .rank = known->count };
    pf_err                          ignored = { 0 };

    if (known->count < 0 || known->count > PF_MAX_RANK || x->shape.rank < 0)
        return false;
    for (int32_t d = 0; d < made.rank; d++) {
        made.dim[d] = known->at[d] == 0 && !attrs->allow_zero && d < x->shape.rank ? x->shape.dim[d] : known->at[d];
        if (pf_dim_is_number(made.dim[d]) && made.dim[d] < -1)
            return false;
    }
    if (resolve(infer->graph->dims, pf_shape_elems(infer->graph->dims, &x->shape), &made, &ignored))
        return false;
    *shape = made;
    return true;
}

static pf_status infer_dynamic(pf_infer *infer, pf_err *err)
{
    const pf_value *x = pf_infer_in(infer, 0), *target = pf_infer_in(infer, 1);
    pf_content      known = pf_content_of(infer, 1);
    pf_shape        shape = { .rank = -1 };

    if (!x || !target || target->dtype != PF_I64)
        return PF_FAIL(err, PF_INVALID, "reshape_dynamic takes a tensor and an int64 shape");
    if (!known_target(infer, &known, &shape) && target->shape.rank == 1 && pf_dim_is_number(target->shape.dim[0]) &&
        target->shape.dim[0] <= PF_MAX_RANK) {
        shape.rank = (int32_t)target->shape.dim[0];
        for (int32_t d = 0; d < shape.rank; d++)
            shape.dim[d] = known.count == shape.rank && known.at[d] > 0 ? known.at[d]
                                                                        : pf_dims_fresh(infer->graph->dims, "reshaped");
    }
    pf_infer_set(infer, 0, x->dtype, &shape);
    return pf_infer_check_out(infer, err);
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    if (pf_tensor_elems(&call->in[0]) != pf_tensor_elems(&call->out[0]))
        return PF_FAIL(err, PF_INVALID, "%lld elements do not fit a shape of %lld",
                       (long long)pf_tensor_elems(&call->in[0]), (long long)pf_tensor_elems(&call->out[0]));
    return pf_move_whole(&call->in[0], &call->out[0], err);
}

/* ONNX Reshape's rules: 0 keeps a dim unless allow_zero, -1 is what remains. */
static pf_status target_dims(const pf_reference_call *call, int32_t *rank, int64_t *dim, pf_err *err)
{
    const pf_reshape_dynamic_attrs *attrs = call->attrs;
    const pf_tensor                *x = &call->in[0], *target = &call->in[1];
    int64_t                         known = 1, elems = pf_tensor_elems(x), open = -1;

    *rank = (int32_t)pf_tensor_elems(target);
    if (pf_tensor_elems(target) > PF_MAX_RANK)
        return PF_FAIL(err, PF_UNSUPPORTED, "a shape of more than %d dims is not handled", PF_MAX_RANK);
    for (int32_t d = 0; d < *rank; d++) {
        dim[d] = ((const int64_t *)target->data)[d];
        if (dim[d] == 0 && !attrs->allow_zero && d < x->rank)
            dim[d] = x->dim[d];
        if (dim[d] < -1 || dim[d] > INT64_C(1) << 40 || (dim[d] == -1 && open >= 0))
            return PF_FAIL(err, PF_INVALID, "dim %d of the new shape is %lld", d, (long long)dim[d]);
        if (dim[d] == -1)
            open = d;
        else if (__builtin_mul_overflow(known, dim[d], &known))
            return PF_FAIL(err, PF_INVALID, "the new shape is too large");
    }
    if (open >= 0)
        dim[open] = known > 0 ? elems / known : 0;
    return PF_OK;
}

static pf_status reference_dynamic(pf_reference_call *call, pf_err *err)
{
    int32_t   rank = 0;
    int64_t   dim[PF_MAX_RANK] = { 0 };
    pf_status st = target_dims(call, &rank, dim, err);

    if (!st)
        st = pf_rows_size(&call->out[0], rank, dim, err);
    return st ? st : reference(call, err);
}

static const pf_attr_field dynamic_fields[] = { PF_ATTR_FIELD(pf_reshape_dynamic_attrs, allow_zero, INT), { NULL } };

const pf_op_def pf_op_reshape = {
    .name = "reshape", .klass = PF_CLASS_VIEW, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_reshape_attrs), .attr_fields = fields, .infer = infer, .reference = reference,
};
const pf_op_def pf_op_reshape_dynamic = {
    .name = "reshape_dynamic", .klass = PF_CLASS_HOST, .in_min = 2, .in_max = 2, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_reshape_dynamic_attrs), .attr_fields = dynamic_fields, .infer = infer_dynamic,
    .reference = reference_dynamic,
};
