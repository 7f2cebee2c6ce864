#include <math.h>
#include <stddef.h>

#include "engine/ops/content.h"
#include "engine/ops/infer.h"
#include "engine/ops/rows.h"

enum { START, LIMIT, DELTA, BOUNDS };

static const pf_attr_field fields[] = {
    PF_ATTR_FIELD(pf_range_attrs, dtype, DTYPE), PF_ATTR_FIELD(pf_range_attrs, bounds, DIMS), { NULL },
};

/* max(ceil((limit - start) / delta), 0) */
static pf_dim count_of(pf_dims *dims, const pf_dim *b)
{
    pf_dim span = pf_dim_sub(dims, b[LIMIT], b[START]), delta = b[DELTA];

    if (pf_dim_is_number(delta) && delta < 0) {
        span = pf_dim_sub(dims, 0, span);
        delta = -delta;
    }
    return pf_dim_max(dims, pf_dim_ceil_div(dims, span, delta), 0);
}

static pf_status fill_content(pf_infer *infer, const pf_dim *b, pf_err *err)
{
    pf_content out = { 0 };
    pf_dim     count = infer->out[0].shape.dim[0];

    if (!pf_dim_is_number(count) || count > PF_CONTENT_LIMIT)
        return PF_OK;
    for (int64_t i = 0; i < count; i++)
        out.at[out.count++] = pf_dim_add(infer->graph->dims, b[START], pf_dim_mul(infer->graph->dims, b[DELTA], i));
    return pf_content_set(infer, &out, err);
}

static double count_of_floats(double start, double limit, double delta)
{
    double count = ceil((limit - start) / delta);

    return count > 0 ? count : 0;
}

/* Bounds that are float constants. */
static bool constant_count(const pf_infer *infer, pf_dim *count)
{
    double bound[BOUNDS] = { 0 };

    for (uint32_t i = 0; i < BOUNDS; i++) {
        const pf_value *v = pf_infer_in(infer, i);

        if (!v->is_constant)
            return false;
        bound[i] = pf_dtype_get(v->dtype, v->constant.data, 0);
    }
    bound[START] = count_of_floats(bound[START], bound[LIMIT], bound[DELTA]);
    *count = bound[START] < 0x1p40 ? (pf_dim)bound[START] : PF_DIM_INVALID;
    return true;
}

static pf_status infer_inputs(pf_infer *infer, pf_err *err)
{
    pf_dim    bound[BOUNDS] = { 0 };
    bool      known = true;
    pf_shape  out = { .rank = 1 };
    pf_status st = PF_OK;

    for (uint32_t i = 0; i < BOUNDS && !st; i++) {
        pf_content c = pf_content_of(infer, i);

        st = pf_infer_rank(infer, i, 0, 1, err);
        if (!st)
            st = pf_infer_same_dtype(infer, 0, i, err);
        known = known && c.count == 1;
        bound[i] = c.count == 1 ? c.at[0] : 0;
    }
    if (st)
        return st;
    if (known && bound[DELTA] == 0)
        return PF_FAIL(err, PF_INVALID, "the step is 0");
    if (known)
        out.dim[0] = count_of(infer->graph->dims, bound);
    else if (!constant_count(infer, &out.dim[0]))
        out.dim[0] = pf_dims_fresh(infer->graph->dims, "range");
    pf_infer_set(infer, 0, pf_infer_in(infer, 0)->dtype, &out);
    st = pf_infer_check_out(infer, err);
    return st || !known ? st : fill_content(infer, bound, err);
}

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_range_attrs *attrs = infer->node->attrs;
    pf_shape              out = { .rank = 1 };
    pf_status             st = PF_OK;

    if (infer->node->in_count == BOUNDS)
        return infer_inputs(infer, err);
    if (infer->node->in_count || attrs->bounds.count != BOUNDS || attrs->bounds.at[DELTA] == 0)
        return PF_FAIL(err, PF_INVALID, "range takes three inputs or three bounds, and a step that is not 0");
    st = pf_infer_numeric_dtype(attrs->dtype, err);
    if (st)
        return st;
    out.dim[0] = count_of(infer->graph->dims, attrs->bounds.at);
    pf_infer_set(infer, 0, (pf_dtype)attrs->dtype, &out);
    st = pf_infer_check_out(infer, err);
    return st ? st : fill_content(infer, attrs->bounds.at, err);
}

static pf_status fill_integers(pf_tensor *y, int64_t start, int64_t limit, int64_t delta, pf_err *err)
{
    int64_t   count = 0;
    pf_status st = PF_OK;

    if (delta == 0)
        return PF_FAIL(err, PF_INVALID, "the step is 0");
    if (delta > 0 && limit > start)
        count = (limit - start - 1) / delta + 1;
    if (delta < 0 && limit < start)
        count = (start - limit - 1) / -delta + 1;
    st = pf_rows_size(y, 1, &count, err);
    for (int64_t i = 0; i < count && !st; i++)
        pf_dtype_set_i64(y->dtype, y->data, (uint64_t)i, start + i * delta);
    return st;
}

static pf_status fill_floats(pf_tensor *y, double start, double limit, double delta, pf_err *err)
{
    double    steps = count_of_floats(start, limit, delta);
    int64_t   count = steps < 0x1p40 ? (int64_t)steps : -1;
    pf_status st = count < 0 ? PF_FAIL(err, PF_INVALID, "the range is too long") : pf_rows_size(y, 1, &count, err);

    for (int64_t i = 0; i < count && !st; i++)
        pf_dtype_set(y->dtype, y->data, (uint64_t)i, start + (double)i * delta);
    return st;
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    const pf_range_attrs *attrs = call->attrs;
    int64_t               bound[BOUNDS] = { 0 };
    double                real[BOUNDS] = { 0 };

    for (int i = 0; i < BOUNDS; i++) {
        if (call->in_count == 0) {
            bound[i] = attrs->bounds.at[i];
            real[i] = (double)bound[i];
        } else if (pf_dtype_is_float(call->in[i].dtype)) {
            real[i] = pf_dtype_get(call->in[i].dtype, call->in[i].data, 0);
        } else {
            bound[i] = pf_dtype_get_i64(call->in[i].dtype, call->in[i].data, 0);
        }
    }
    if (pf_dtype_is_float(call->out[0].dtype))
        return fill_floats(&call->out[0], real[START], real[LIMIT], real[DELTA], err);
    return fill_integers(&call->out[0], bound[START], bound[LIMIT], bound[DELTA], err);
}

const pf_op_def pf_op_range = {
    .name = "range", .klass = PF_CLASS_MOVE, .in_min = 0, .in_max = 3, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_range_attrs), .attr_fields = fields, .infer = infer, .reference = reference,
};
