/* scatter_elements, scatter_nd, tensor_scatter: a copy of x with some elements replaced or combined. */
#include <stddef.h>
#include <string.h>

#include "engine/ops/infer.h"
#include "engine/ops/move.h"
#include "engine/ops/rows.h"

static const char *const reductions[] = { "none", "add", "mul", "max", "min", NULL };
static const char *const modes[] = { "linear", "circular", NULL };
static const pf_attr_field elements_fields[] = {
    PF_ATTR_FIELD(pf_scatter_elements_attrs, axis, INT),
    PF_ATTR_ENUM_FIELD(pf_scatter_elements_attrs, reduction, reductions), { NULL },
};
static const pf_attr_field nd_fields[] = { PF_ATTR_ENUM_FIELD(pf_scatter_nd_attrs, reduction, reductions), { NULL } };
static const pf_attr_field tensor_fields[] = {
    PF_ATTR_FIELD(pf_tensor_scatter_attrs, axis, INT), PF_ATTR_ENUM_FIELD(pf_tensor_scatter_attrs, mode, modes),
    { NULL },
};

static pf_status infer_elements(pf_infer *infer, pf_err *err)
{
    const pf_scatter_elements_attrs *attrs = infer->node->attrs;
    pf_status                        st = pf_infer_rank(infer, 0, 1, PF_MAX_RANK, err);
    int32_t                          rank = st ? 0 : pf_infer_in(infer, 0)->shape.rank;

    for (uint32_t i = 1; i < 3 && !st; i++)
        st = pf_infer_rank(infer, i, rank, rank, err);
    if (!st)
        st = pf_infer_axis(attrs->axis, rank, err);
    if (!st)
        st = pf_infer_integer(infer, 1, err);
    if (!st)
        st = pf_infer_same_dtype(infer, 0, 2, err);
    if (st)
        return st;
    pf_infer_like(infer, 0);
    return PF_OK;
}

static pf_status infer_nd(pf_infer *infer, pf_err *err)
{
    pf_status st = pf_infer_present(infer, 3, err);

    if (!st)
        st = pf_infer_rank(infer, 0, 1, PF_MAX_RANK, err);
    if (!st)
        st = pf_infer_rank(infer, 1, 1, PF_MAX_RANK, err);
    if (!st)
        st = pf_infer_integer(infer, 1, err);
    if (!st)
        st = pf_infer_same_dtype(infer, 0, 2, err);
    if (st)
        return st;
    pf_infer_like(infer, 0);
    return PF_OK;
}

static pf_status infer_tensor(pf_infer *infer, pf_err *err)
{
    const pf_tensor_scatter_attrs *attrs = infer->node->attrs;
    pf_status                      st = pf_infer_rank(infer, 0, 2, PF_MAX_RANK, err);

    if (!st)
        st = pf_infer_axis(attrs->axis, pf_infer_in(infer, 0)->shape.rank, err);
    if (!st && attrs->axis == 0)
        st = PF_FAIL(err, PF_INVALID, "the batch dim cannot be the sequence");
    if (!st)
        st = pf_infer_rank(infer, 1, pf_infer_in(infer, 0)->shape.rank, pf_infer_in(infer, 0)->shape.rank, err);
    if (!st)
        st = pf_infer_same_dtype(infer, 0, 1, err);
    if (!st)
        st = pf_infer_integer(infer, 2, err);
    if (st)
        return st;
    pf_infer_like(infer, 0);
    return PF_OK;
}

static void combine_i64(pf_tensor *y, int64_t at, int64_t v, int32_t reduction)
{
    int64_t old = pf_dtype_get_i64(y->dtype, y->data, (uint64_t)at);
    bool    less = y->dtype == PF_U64 ? (uint64_t)v < (uint64_t)old : v < old;
    int64_t result[] = {
        [PF_SCATTER_ADD] = (int64_t)((uint64_t)old + (uint64_t)v),
        [PF_SCATTER_MUL] = (int64_t)((uint64_t)old * (uint64_t)v),
        [PF_SCATTER_MAX] = less ? old : v, [PF_SCATTER_MIN] = less ? v : old,
    };

    pf_dtype_set_i64(y->dtype, y->data, (uint64_t)at, result[reduction]);
}

static void combine_f64(pf_tensor *y, int64_t at, double v, int32_t reduction)
{
    double old = pf_dtype_get(y->dtype, y->data, (uint64_t)at);
    double result[] = {
        [PF_SCATTER_ADD] = old + v, [PF_SCATTER_MUL] = old * v, [PF_SCATTER_MAX] = v > old || v != v ? v : old,
        [PF_SCATTER_MIN] = v < old || v != v ? v : old,
    };

    pf_dtype_set(y->dtype, y->data, (uint64_t)at, result[reduction]);
}

/* count elements of updates from `from` go to y from `at`. */
static pf_status put(pf_tensor *y, int64_t at, const pf_tensor *updates, int64_t from, int64_t count, int32_t reduction,
                     pf_err *err)
{
    if (reduction == PF_SCATTER_NONE)
        return pf_move_run(y->dtype, y->data, at, 1, updates->data, from, 1, count, err);
    if (!pf_dtype_is_whole(y->dtype) && !pf_dtype_is_float(y->dtype))
        return PF_FAIL(err, PF_UNSUPPORTED, "%s is not combined", pf_dtype_name(y->dtype));
    for (int64_t i = 0; i < count; i++) {
        if (pf_dtype_is_whole(y->dtype))
            combine_i64(y, at + i, pf_dtype_get_i64(y->dtype, updates->data, (uint64_t)(from + i)), reduction);
        else
            combine_f64(y, at + i, pf_dtype_get(y->dtype, updates->data, (uint64_t)(from + i)), reduction);
    }
    return PF_OK;
}

static pf_status reference_elements(pf_reference_call *call, pf_err *err)
{
    const pf_scatter_elements_attrs *attrs = call->attrs;
    const pf_tensor                 *at = &call->in[1];
    pf_tensor                       *y = &call->out[0];
    int64_t                          stride[PF_MAX_RANK] = { 0 }, k = 0;
    pf_status                        st = pf_move_whole(&call->in[0], y, err);

    if (!st)
        st = pf_rows_need(call, 2, pf_tensor_elems(at), "updates", err);
    for (int32_t d = 0; d < y->rank && !st; d++)
        if (d != attrs->axis && at->dim[d] > y->dim[d])
            st = PF_FAIL(err, PF_INVALID, "dim %d of the indices is larger than that of the data", d);
    pf_tensor_strides(y, stride);
    for (int64_t i = 0, count = pf_tensor_elems(at); i < count && !st; i++) {
        int64_t rest = i, to = 0;

        for (int32_t d = at->rank - 1; d >= 0; d--) {
            if (d != attrs->axis)
                to += rest % at->dim[d] * stride[d];
            rest /= at->dim[d];
        }
        st = pf_index_read(at, i, y->dim[attrs->axis], &k, err);
        if (!st)
            st = put(y, to + k * stride[attrs->axis], &call->in[2], i, 1, attrs->reduction, err);
    }
    return st;
}

static pf_status reference_nd(pf_reference_call *call, pf_err *err)
{
    const pf_scatter_nd_attrs *attrs = call->attrs;
    const pf_tensor           *at = &call->in[1];
    pf_tensor                 *y = &call->out[0];
    int64_t                    stride[PF_MAX_RANK] = { 0 }, depth = at->dim[at->rank - 1], inner = 1, k = 0;
    int64_t                    count = depth > 0 ? pf_tensor_elems(at) / depth : 0;
    pf_status                  st = pf_move_whole(&call->in[0], y, err);

    if (!st && depth > y->rank)
        st = PF_FAIL(err, PF_INVALID, "indices of %lld for rank %d", (long long)depth, y->rank);
    for (int64_t d = depth; d < y->rank && !st; d++)
        inner *= y->dim[d];
    if (!st && pf_tensor_elems(&call->in[2]) != count * inner)
        st = PF_FAIL(err, PF_INVALID, "the updates have another size than the indices ask for");
    pf_tensor_strides(y, stride);
    for (int64_t i = 0; i < count && !st; i++) {
        int64_t to = 0;

        for (int64_t d = 0; d < depth && !st; d++) {
            st = pf_index_read(at, i * depth + d, y->dim[d], &k, err);
            to += st ? 0 : k * stride[d];
        }
        if (!st)
            st = put(y, to, &call->in[2], i * inner, inner, attrs->reduction, err);
    }
    return st;
}

/* cache[batch, ..., (start + i), ...] = update[batch, ..., i, ...]; start is per batch. */
static pf_status reference_tensor(pf_reference_call *call, pf_err *err)
{
    const pf_tensor_scatter_attrs *attrs = call->attrs;
    const pf_tensor               *u = &call->in[1],
                                  *starts = call->in_count > 2 && call->in[2].data ? &call->in[2] : NULL;
    pf_tensor                     *y = &call->out[0];
    int64_t                        inner = 1, lines = 1, size = y->dim[attrs->axis], length = u->dim[attrs->axis];
    pf_status                      st = pf_move_whole(&call->in[0], y, err);

    for (int32_t d = 0; d < y->rank && !st; d++)
        if (d != attrs->axis && u->dim[d] != y->dim[d])
            st = PF_FAIL(err, PF_INVALID, "dim %d of the update is %lld where %lld is needed", d, (long long)u->dim[d],
                         (long long)y->dim[d]);
    if (!st)
        st = pf_rows_need(call, 2, y->dim[0], "write_indices", err);
    for (int32_t d = (int32_t)attrs->axis + 1; d < y->rank; d++)
        inner *= y->dim[d];
    for (int32_t d = 1; d < attrs->axis; d++)
        lines *= y->dim[d];
    for (int64_t l = 0; l < y->dim[0] * lines && !st; l++) {
        int64_t start = starts ? pf_dtype_get_i64(starts->dtype, starts->data, (uint64_t)(l / lines)) : 0;

        if (start < 0 || start > size)
            return PF_FAIL(err, PF_INVALID, "position %lld in a cache of %lld", (long long)start, (long long)size);

        for (int64_t i = 0; i < length && !st; i++) {
            int64_t to = attrs->mode == PF_TENSOR_SCATTER_CIRCULAR && size > 0 ? (start + i) % size : start + i;

            if (to < 0 || to >= size)
                return PF_FAIL(err, PF_INVALID, "position %lld is outside of a cache of %lld", (long long)to,
                               (long long)size);
            st = pf_move_run(y->dtype, y->data, (l * size + to) * inner, 1, u->data, (l * length + i) * inner, 1, inner,
                             err);
        }
    }
    return st;
}

const pf_op_def pf_op_scatter_elements = {
    .name = "scatter_elements", .klass = PF_CLASS_MOVE, .in_min = 3, .in_max = 3, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_scatter_elements_attrs), .attr_fields = elements_fields, .infer = infer_elements,
    .reference = reference_elements,
};
const pf_op_def pf_op_scatter_nd = {
    .name = "scatter_nd", .klass = PF_CLASS_MOVE, .in_min = 3, .in_max = 3, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_scatter_nd_attrs), .attr_fields = nd_fields, .infer = infer_nd, .reference = reference_nd,
};
const pf_op_def pf_op_tensor_scatter = {
    .name = "tensor_scatter", .klass = PF_CLASS_MOVE, .in_min = 2, .in_max = 3, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_tensor_scatter_attrs), .attr_fields = tensor_fields, .infer = infer_tensor,
    .reference = reference_tensor,
};
