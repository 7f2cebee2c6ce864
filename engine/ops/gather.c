/* gather, gather_elements, gather_nd. */
#include <stddef.h>
#include <string.h>

#include "engine/ops/content.h"
#include "engine/ops/infer.h"
#include "engine/ops/move.h"
#include "engine/ops/rows.h"

enum { PART = 1 << 12 };

static const pf_attr_field axis_fields[] = { PF_ATTR_FIELD(pf_axis_attrs, axis, INT), { NULL } };
static const pf_attr_field nd_fields[] = { PF_ATTR_FIELD(pf_gather_nd_attrs, batch_dims, INT), { NULL } };

static pf_status check_inputs(const pf_infer *infer, int32_t least_rank, pf_err *err)
{
    pf_status st = pf_infer_rank(infer, 0, least_rank, PF_MAX_RANK, err);

    if (!st)
        st = pf_infer_rank(infer, 1, 0, PF_MAX_RANK, err);
    return st ? st : pf_infer_integer(infer, 1, err);
}

static pf_status pick_content(pf_infer *infer, pf_err *err)
{
    pf_content from = pf_content_of(infer, 0), at = pf_content_of(infer, 1), out = { .count = at.count };

    if (from.count < 0 || at.count < 0 || pf_infer_in(infer, 0)->shape.rank != 1)
        return PF_OK;
    for (int32_t i = 0; i < at.count; i++) {
        pf_dim k = at.at[i];

        if (pf_dim_is_symbolic(k))
            return PF_OK;
        k += k < 0 ? from.count : 0;
        if (k < 0 || k >= from.count)
            return PF_FAIL(err, PF_INVALID, "index %lld is outside of %d elements", (long long)at.at[i], from.count);
        out.at[i] = from.at[k];
    }
    return pf_content_set(infer, &out, err);
}

static pf_status infer_gather(pf_infer *infer, pf_err *err)
{
    const pf_axis_attrs *attrs = infer->node->attrs;
    const pf_value      *x = pf_infer_in(infer, 0), *at = pf_infer_in(infer, 1);
    pf_status            st = check_inputs(infer, 1, err);
    pf_shape             out = { 0 };

    if (!st)
        st = pf_infer_axis(attrs->axis, x->shape.rank, err);
    if (!st && x->shape.rank + at->shape.rank - 1 > PF_MAX_RANK)
        st = PF_FAIL(err, PF_UNSUPPORTED, "the result has rank %d: at most %d is handled",
                     x->shape.rank + at->shape.rank - 1, PF_MAX_RANK);
    if (st)
        return st;
    for (int32_t d = 0; d < x->shape.rank; d++) {
        if (d != attrs->axis)
            out.dim[out.rank++] = x->shape.dim[d];
        for (int32_t i = 0; i < at->shape.rank && d == attrs->axis; i++)
            out.dim[out.rank++] = at->shape.dim[i];
    }
    pf_infer_set(infer, 0, x->dtype, &out);
    return pick_content(infer, err);
}

static pf_status infer_elements(pf_infer *infer, pf_err *err)
{
    const pf_axis_attrs *attrs = infer->node->attrs;
    const pf_value      *x = pf_infer_in(infer, 0), *at = pf_infer_in(infer, 1);
    pf_status            st = check_inputs(infer, 1, err);

    if (!st)
        st = pf_infer_axis(attrs->axis, x->shape.rank, err);
    if (!st && at->shape.rank != x->shape.rank)
        st = PF_FAIL(err, PF_INVALID, "indices have rank %d and data has %d", at->shape.rank, x->shape.rank);
    if (st)
        return st;
    pf_infer_set(infer, 0, x->dtype, &at->shape);
    return PF_OK;
}

static pf_status infer_nd(pf_infer *infer, pf_err *err)
{
    const pf_gather_nd_attrs *attrs = infer->node->attrs;
    const pf_value           *x = pf_infer_in(infer, 0), *at = pf_infer_in(infer, 1);
    pf_status                 st = check_inputs(infer, 1, err);
    pf_dim                    depth = 0;
    pf_shape                  out = { 0 };

    if (st)
        return st;
    depth = at->shape.rank > 0 ? at->shape.dim[at->shape.rank - 1] : PF_DIM_INVALID;
    if (pf_dim_is_symbolic(depth))
        return PF_FAIL(err, PF_UNSUPPORTED, "the last dim of the indices is not a number");
    if (attrs->batch_dims < 0 || attrs->batch_dims >= at->shape.rank || depth < 1 ||
        attrs->batch_dims + depth > x->shape.rank)
        return PF_FAIL(err, PF_INVALID, "indices of %lld behind %lld batch dims do not fit rank %d", (long long)depth,
                       (long long)attrs->batch_dims, x->shape.rank);
    out = pf_infer_shape(at->shape.rank - 1, at->shape.dim);
    for (int32_t d = (int32_t)(attrs->batch_dims + depth); d < x->shape.rank; d++) {
        if (out.rank == PF_MAX_RANK)
            return PF_FAIL(err, PF_UNSUPPORTED, "the result has a rank over %d", PF_MAX_RANK);
        out.dim[out.rank++] = x->shape.dim[d];
    }
    pf_infer_set(infer, 0, x->dtype, &out);
    return PF_OK;
}

static int64_t product(const int64_t *dim, int64_t from, int64_t to)
{
    int64_t p = 1;

    for (int64_t d = from; d < to; d++)
        p *= dim[d];
    return p;
}

static pf_status reference_gather(pf_reference_call *call, pf_err *err)
{
    const pf_axis_attrs *attrs = call->attrs;
    const pf_tensor     *x = &call->in[0], *at = &call->in[1];
    pf_tensor           *y = &call->out[0];
    int64_t              outer = product(x->dim, 0, attrs->axis), inner = product(x->dim, attrs->axis + 1, x->rank);
    int64_t              count = pf_tensor_elems(at), size = x->dim[attrs->axis], k = 0;
    pf_status            st = PF_OK;

    for (int64_t o = 0; o < outer && !st; o++)
        for (int64_t i = 0; i < count && !st; i++) {
            st = pf_index_read(at, i, size, &k, err);
            if (!st)
                st = pf_move_run(x->dtype, y->data, (o * count + i) * inner, 1, x->data, (o * size + k) * inner, 1,
                                 inner, err);
        }
    return st;
}

/* Elements [first, end) of the result; each is read where its own place says, but for the axis. */
static pf_status elements(const pf_reference_call *call, int64_t first, int64_t end, pf_err *err)
{
    const int64_t    axis = ((const pf_axis_attrs *)call->attrs)->axis;
    const pf_tensor *x = &call->in[0], *at = &call->in[1];
    int64_t          stride[PF_MAX_RANK] = { 0 }, k = 0;
    pf_status        st = PF_OK;

    pf_tensor_strides(x, stride);
    for (int64_t i = first; i < end && !st; i++) {
        int64_t rest = i, from = 0;

        for (int32_t d = at->rank - 1; d >= 0; d--) {
            if (d != axis)
                from += rest % at->dim[d] * stride[d];
            rest /= at->dim[d];
        }
        st = pf_index_read(at, i, x->dim[axis], &k, err);
        if (!st)
            st = pf_move_run(x->dtype, call->out[0].data, i, 1, x->data, from + k * stride[axis], 1, 1, err);
    }
    return st;
}

/* Numbers of whole bytes are shared out among threads; where one of them finds an index that is none, the first such
   is looked for again. */
static pf_status reference_elements(pf_reference_call *call, pf_err *err)
{
    const int64_t    axis = ((const pf_axis_attrs *)call->attrs)->axis, count = pf_tensor_elems(&call->in[1]);
    const pf_tensor *x = &call->in[0], *at = &call->in[1];
    bool             failed = false;

    for (int32_t d = 0; d < x->rank; d++)
        if (d != axis && at->dim[d] > x->dim[d])
            return PF_FAIL(err, PF_INVALID, "dim %d of the indices is larger than that of the data", d);
    if (x->dtype == PF_STRING || pf_dtype_bits(x->dtype) < 8 || count <= PF_ROWS_ALONE)
        return elements(call, 0, count, err);
#pragma omp parallel for schedule(static) reduction(|| : failed)
    for (int64_t first = 0; first < count; first += PART)
        failed = elements(call, first, first + PART < count ? first + PART : count, NULL) != PF_OK || failed;
    return failed ? elements(call, 0, count, err) : PF_OK;
}

static pf_status reference_nd(pf_reference_call *call, pf_err *err)
{
    const pf_gather_nd_attrs *attrs = call->attrs;
    const pf_tensor          *x = &call->in[0], *at = &call->in[1];
    int64_t                   stride[PF_MAX_RANK] = { 0 }, depth = at->dim[at->rank - 1], batch = attrs->batch_dims,
                              k = 0;
    int64_t                   inner = product(x->dim, batch + depth, x->rank),
                              count = product(at->dim, 0, at->rank - 1);
    int64_t                   per_batch = product(at->dim, batch, at->rank - 1),
                              batch_step = product(x->dim, batch, x->rank);
    pf_status                 st = PF_OK;

    pf_tensor_strides(x, stride);
    for (int64_t d = 0; d < batch && !st; d++)
        if (x->dim[d] != at->dim[d])
            st = PF_FAIL(err, PF_INVALID, "batch dim %lld differs between data and indices", (long long)d);
    for (int64_t i = 0; i < count && !st; i++) {
        int64_t from = per_batch ? i / per_batch * batch_step : 0;

        for (int64_t d = 0; d < depth && !st; d++) {
            st = pf_index_read(at, i * depth + d, x->dim[batch + d], &k, err);
            from += st ? 0 : k * stride[batch + d];
        }
        if (!st)
            st = pf_move_run(x->dtype, call->out[0].data, i * inner, 1, x->data, from, 1, inner, err);
    }
    return st;
}

const pf_op_def pf_op_gather = {
    .name = "gather", .klass = PF_CLASS_MOVE, .in_min = 2, .in_max = 2, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_axis_attrs), .attr_fields = axis_fields, .infer = infer_gather,
    .reference = reference_gather,
};
const pf_op_def pf_op_gather_elements = {
    .name = "gather_elements", .klass = PF_CLASS_MOVE, .in_min = 2, .in_max = 2, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_axis_attrs), .attr_fields = axis_fields, .infer = infer_elements,
    .reference = reference_elements,
};
const pf_op_def pf_op_gather_nd = {
    .name = "gather_nd", .klass = PF_CLASS_MOVE, .in_min = 2, .in_max = 2, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_gather_nd_attrs), .attr_fields = nd_fields, .infer = infer_nd, .reference = reference_nd,
};
