#include <stddef.h>
#include <string.h>

#include "engine/ops/content.h"
#include "engine/ops/infer.h"
#include "engine/ops/move.h"
#include "engine/ops/rows.h"

static const pf_attr_field fields[] = {
    PF_ATTR_FIELD(pf_slice_attrs, axes, INTS), PF_ATTR_FIELD(pf_slice_attrs, starts, DIMS),
    PF_ATTR_FIELD(pf_slice_attrs, ends, DIMS), PF_ATTR_FIELD(pf_slice_attrs, steps, INTS), { NULL },
};
static const pf_attr_field dynamic_fields[] = {
    PF_ATTR_FIELD(pf_slice_dynamic_attrs, axes, INTS), PF_ATTR_FIELD(pf_slice_dynamic_attrs, steps, INTS), { NULL },
};

/* An index as NumPy reads it: negative numbers count from the end, then it is clamped to [low, size + high]. */
static pf_dim clamp_index(pf_dims *dims, pf_dim at, pf_dim size, int64_t low, int64_t high)
{
    pf_dim most = pf_dim_add(dims, size, high);

    if (pf_dim_is_number(at) && at >= PF_SLICE_FAR)
        return most;
    if (pf_dim_is_number(at) && at <= -PF_SLICE_FAR)
        return low;
    if (pf_dim_is_number(at) && at < 0)
        at = pf_dim_add(dims, at, size);
    return pf_dim_max(dims, pf_dim_min(dims, at, most), low);
}

/* First index and count of a slice of one dim. */
static void slice_dim(pf_dims *dims, pf_dim size, pf_dim start, pf_dim end, int64_t step, pf_dim *first, pf_dim *count)
{
    pf_dim last = 0, length = 0;

    *first = clamp_index(dims, start, size, 0, step < 0 ? -1 : 0);
    last = clamp_index(dims, end, size, step < 0 ? -1 : 0, step < 0 ? -1 : 0);
    length = step > 0 ? pf_dim_sub(dims, last, *first) : pf_dim_sub(dims, *first, last);
    *count = pf_dim_max(dims, pf_dim_ceil_div(dims, length, step > 0 ? step : -step), 0);
}

static pf_status check_lists(const pf_ints *axes, const pf_ints *steps, int32_t rank, pf_err *err)
{
    pf_status st = pf_infer_axes(axes, rank, err);

    if (!st)
        st = pf_infer_count("steps", steps->count, axes->count, err);
    for (int32_t i = 0; i < steps->count && !st; i++)
        if (steps->at[i] == 0 || steps->at[i] < -PF_SLICE_FAR || steps->at[i] > PF_SLICE_FAR)
            st = PF_FAIL(err, PF_INVALID, "step %lld", (long long)steps->at[i]);
    return st;
}

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_slice_attrs *attrs = infer->node->attrs;
    const pf_value       *x = pf_infer_in(infer, 0);
    pf_status             st = pf_infer_rank(infer, 0, 1, PF_MAX_RANK, err);
    pf_shape              out = { 0 };
    int64_t               stride[PF_MAX_RANK] = { 0 }, begin = 0;
    bool                  known = true;     /* where it begins */

    if (!st)
        st = check_lists(&attrs->axes, &attrs->steps, x->shape.rank, err);
    if (!st)
        st = pf_infer_count("starts", attrs->starts.count, attrs->axes.count, err);
    if (!st)
        st = pf_infer_count("ends", attrs->ends.count, attrs->axes.count, err);
    if (st)
        return st;
    out = x->shape;
    pf_content_strides(&x->shape, stride);
    for (int32_t i = 0; i < attrs->axes.count; i++) {
        int64_t d = attrs->axes.at[i];
        pf_dim  first = 0;

        slice_dim(infer->graph->dims, x->shape.dim[d], attrs->starts.at[i], attrs->ends.at[i], attrs->steps.at[i],
                  &first, &out.dim[d]);
        known = known && pf_dim_is_number(first);
        begin += known ? first * stride[d] : 0;
        stride[d] *= attrs->steps.at[i];
    }
    pf_infer_set(infer, 0, x->dtype, &out);
    st = pf_infer_check_out(infer, err);
    return st || !known ? st : pf_content_take(infer, begin, stride, err);
}

/* The count of one dim where the bounds are known after all. */
static pf_dim sliced_dim(pf_infer *infer, const pf_content *starts, const pf_content *ends, int32_t i, pf_dim size)
{
    const pf_slice_dynamic_attrs *attrs = infer->node->attrs;
    pf_dim                        first = 0, count = 0;

    if (starts->count != attrs->axes.count || ends->count != attrs->axes.count)
        return pf_dims_fresh(infer->graph->dims, "sliced");
    slice_dim(infer->graph->dims, size, starts->at[i], ends->at[i], attrs->steps.at[i], &first, &count);
    return count;
}

static pf_status infer_dynamic(pf_infer *infer, pf_err *err)
{
    const pf_slice_dynamic_attrs *attrs = infer->node->attrs;
    const pf_value               *x = pf_infer_in(infer, 0);
    pf_status                     st = pf_infer_rank(infer, 0, 1, PF_MAX_RANK, err);
    pf_content                    starts = { 0 }, ends = { 0 };
    pf_shape                      out = { 0 };

    if (!st)
        st = check_lists(&attrs->axes, &attrs->steps, x->shape.rank, err);
    for (uint32_t i = 1; i < 3 && !st; i++)
        st = pf_infer_integer(infer, i, err);
    for (uint32_t i = 1; i < 3 && !st; i++)
        st = pf_infer_vector(infer, i, attrs->axes.count, "starts and ends", err);
    if (st)
        return st;
    out = x->shape;
    starts = pf_content_of(infer, 1);
    ends = pf_content_of(infer, 2);
    for (int32_t i = 0; i < attrs->axes.count; i++)
        out.dim[attrs->axes.at[i]] = sliced_dim(infer, &starts, &ends, i, x->shape.dim[attrs->axes.at[i]]);
    pf_infer_set(infer, 0, x->dtype, &out);
    return pf_infer_check_out(infer, err);
}

/* The same with numbers. */
static int64_t clamp_number(int64_t at, int64_t size, int64_t low, int64_t high)
{
    at = at < 0 && at > -PF_SLICE_FAR ? at + size : at;
    return at < low ? low : at > size + high ? size + high : at;
}

static void slice_number(int64_t size, int64_t start, int64_t end, int64_t step, int64_t *first, int64_t *count)
{
    int64_t back = step < 0 ? -1 : 0, stride = step > 0 ? step : -step, last = clamp_number(end, size, back, back),
            length = 0;

    *first = clamp_number(start, size, 0, back);
    length = step > 0 ? last - *first : *first - last;
    *count = length > 0 ? (length + stride - 1) / stride : 0;
}

typedef struct cut {
    int32_t axis_count;
    int64_t axis[PF_MAX_RANK], start[PF_MAX_RANK], end[PF_MAX_RANK], step[PF_MAX_RANK];
} cut;

static pf_status take(const pf_tensor *x, pf_tensor *y, const cut *c, pf_err *err)
{
    pf_move   move = { .rank = x->rank };
    pf_status st = PF_OK;

    pf_tensor_strides(x, move.in_stride);
    memcpy(move.dim, x->dim, sizeof move.dim);
    for (int32_t i = 0; i < c->axis_count; i++) {
        int64_t d = c->axis[i];
        int64_t first = 0;

        slice_number(x->dim[d], c->start[i], c->end[i], c->step[i], &first, &move.dim[d]);
        move.in_at += first * move.in_stride[d];
        move.in_stride[d] *= c->step[i];
    }
    st = pf_rows_size(y, x->rank, move.dim, err);
    if (st)
        return st;
    pf_tensor_strides(y, move.out_stride);
    return pf_move_all(y->dtype, &move, x->data, y->data, err);
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    const pf_slice_attrs *attrs = call->attrs;
    cut                   c = { .axis_count = attrs->axes.count };

    for (int32_t i = 0; i < c.axis_count; i++) {
        c.axis[i] = attrs->axes.at[i];
        c.start[i] = attrs->starts.at[i];
        c.end[i] = attrs->ends.at[i];
        c.step[i] = attrs->steps.at[i];
    }
    return take(&call->in[0], &call->out[0], &c, err);
}

static int64_t bounded(const pf_tensor *t, int32_t i)
{
    int64_t at = pf_dtype_get_i64(t->dtype, t->data, (uint64_t)i);

    return at > PF_SLICE_FAR ? PF_SLICE_FAR : at < -PF_SLICE_FAR ? -PF_SLICE_FAR : at;
}

static pf_status reference_dynamic(pf_reference_call *call, pf_err *err)
{
    const pf_slice_dynamic_attrs *attrs = call->attrs;
    cut                           c = { .axis_count = attrs->axes.count };

    if (pf_tensor_elems(&call->in[1]) != c.axis_count || pf_tensor_elems(&call->in[2]) != c.axis_count)
        return PF_FAIL(err, PF_INVALID, "%d axes need as many starts and ends", c.axis_count);
    for (int32_t i = 0; i < c.axis_count; i++) {
        c.axis[i] = attrs->axes.at[i];
        c.start[i] = bounded(&call->in[1], i);
        c.end[i] = bounded(&call->in[2], i);
        c.step[i] = attrs->steps.at[i];
    }
    return take(&call->in[0], &call->out[0], &c, err);
}

const pf_op_def pf_op_slice = {
    .name = "slice", .klass = PF_CLASS_MOVE, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_slice_attrs), .attr_fields = fields, .infer = infer, .reference = reference,
};
const pf_op_def pf_op_slice_dynamic = {
    .name = "slice_dynamic", .klass = PF_CLASS_HOST, .in_min = 3, .in_max = 3, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_slice_dynamic_attrs), .attr_fields = dynamic_fields, .infer = infer_dynamic,
    .reference = reference_dynamic,
};
