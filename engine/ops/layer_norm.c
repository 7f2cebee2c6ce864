/* layer_norm and rms_norm: normalisation over the dims from `axis` on. */
#include <math.h>
#include <stddef.h>

#include "base/alloc.h"
#include "engine/ops/broadcast.h"
#include "engine/ops/infer.h"
#include "engine/ops/lines.h"
#include "engine/ops/rows.h"

static const pf_attr_field layer_fields[] = {
    PF_ATTR_FIELD(pf_layer_norm_attrs, axis, INT), PF_ATTR_FIELD(pf_layer_norm_attrs, epsilon, FLOAT), { NULL },
};
static const pf_attr_field rms_fields[] = {
    PF_ATTR_FIELD(pf_rms_norm_attrs, axis, INT), PF_ATTR_FIELD(pf_rms_norm_attrs, epsilon, FLOAT), { NULL },
};

/* scale and bias broadcast to x. */
static pf_status check_parameters(const pf_infer *infer, uint32_t count, pf_err *err)
{
    const pf_value *x = pf_infer_in(infer, 0);
    pf_status       st = PF_OK;

    for (uint32_t i = 1; i < count && !st; i++) {
        const pf_value *v = pf_infer_in(infer, i);
        pf_shape        both = { 0 };

        if (v && v->shape.rank > x->shape.rank)
            return PF_FAIL(err, PF_INVALID, "input %u has rank %d, more than x", i, v->shape.rank);
        if (v && v->shape.rank >= 0)
            st = pf_shape_broadcast(infer->graph->dims, &x->shape, &v->shape, &both, err);
        if (!st)
            st = pf_infer_float(infer, i, err);
    }
    return st;
}

static pf_status infer_over(pf_infer *infer, int64_t axis, uint32_t inputs, pf_err *err)
{
    const pf_value *x = pf_infer_in(infer, 0);
    pf_status       st = pf_infer_rank(infer, 0, 1, PF_MAX_RANK, err);
    pf_shape        statistics = { 0 };

    if (!st)
        st = pf_infer_axis(axis, x->shape.rank, err);
    if (!st)
        st = pf_infer_float(infer, 0, err);
    if (!st)
        st = check_parameters(infer, inputs, err);
    if (st)
        return st;
    pf_infer_like(infer, 0);
    statistics = x->shape;
    for (int32_t d = (int32_t)axis; d < statistics.rank; d++)
        statistics.dim[d] = 1;
    pf_infer_set(infer, 1, PF_F32, &statistics);
    pf_infer_set(infer, 2, PF_F32, &statistics);
    return PF_OK;
}

static pf_status infer_layer(pf_infer *infer, pf_err *err)
{
    return infer_over(infer, ((const pf_layer_norm_attrs *)infer->node->attrs)->axis, 3, err);
}

static pf_status infer_rms(pf_infer *infer, pf_err *err)
{
    return infer_over(infer, ((const pf_rms_norm_attrs *)infer->node->attrs)->axis, 2, err);
}

/* Turns the line into (x - mean) / deviation; with about_zero the mean is taken as 0. */
static void normalise(double *line, int64_t size, double epsilon, bool about_zero, double *mean, double *inverse)
{
    double sum = 0, squares = 0;

    for (int64_t i = 0; i < size; i++)
        sum += line[i];
    *mean = about_zero ? 0 : sum / (double)size;
    for (int64_t i = 0; i < size; i++) {
        line[i] -= *mean;
        squares += line[i] * line[i];
    }
    *inverse = 1 / sqrt(squares / (double)size + epsilon);
    for (int64_t i = 0; i < size; i++)
        line[i] *= *inverse;
}

/* x = x * scale + bias, both broadcast. */
static pf_status scale_and_shift(const pf_reference_call *call, double *x, pf_err *err)
{
    const pf_tensor *bias = call->in_count > 2 && call->in[2].data ? &call->in[2] : NULL;
    const pf_tensor *list[2] = { &call->in[1], bias };
    pf_broadcast     walk = { 0 };
    pf_status        st = pf_broadcast_begin(&walk, call->in[0].rank, call->in[0].dim, list, bias ? 2 : 1, err);

    if (st || !pf_broadcast_any(&walk))
        return st;
    do {
        int32_t last = walk.rank - 1;

        for (int64_t i = 0; i < walk.dim[last]; i++, x++) {
            *x *= pf_dtype_get(list[0]->dtype, list[0]->data, (uint64_t)(walk.at[0] + i * walk.stride[0][last]));
            if (bias)
                *x += pf_dtype_get(bias->dtype, bias->data, (uint64_t)(walk.at[1] + i * walk.stride[1][last]));
        }
    } while (pf_broadcast_next(&walk));
    return PF_OK;
}

/* What every line is scaled and shifted by, when that is the same for all; NULL: no such thing. */
typedef struct affine { double *scale, *bias; } affine;

static bool is_one_line(const pf_tensor *t, int64_t size)
{
    return t->rank > 0 && pf_tensor_elems(t) == size && t->dim[0] == size;
}

static pf_status read_affine(const pf_reference_call *call, int64_t size, int64_t axis, affine *out, pf_err *err)
{
    const pf_tensor *bias = call->in_count > 2 && call->in[2].data ? &call->in[2] : NULL;

    if (axis + 1 != call->in[0].rank || !is_one_line(&call->in[1], size) || (bias && !is_one_line(bias, size)))
        return PF_OK;
    out->scale = pf_rows_doubles(&call->in[1]);
    out->bias = bias ? pf_rows_doubles(bias) : NULL;
    return out->scale && (out->bias || !bias) ? PF_OK : PF_FAIL_MEMORY(err, call->in[1].bytes * 2);
}

static void apply(const affine *a, double *line, int64_t size)
{
    for (int64_t i = 0; i < size; i++)
        line[i] = line[i] * a->scale[i];
    for (int64_t i = 0; i < size && a->bias; i++)
        line[i] += a->bias[i];
}

static pf_status reference_over(pf_reference_call *call, int64_t axis, double epsilon, bool about_zero, pf_err *err)
{
    const pf_tensor *t = &call->in[0];
    pf_lines         lines = pf_lines_of(t, axis, t->rank);
    affine           a = { 0 };
    double          *x = pf_rows_doubles(t);
    pf_status        st = x ? read_affine(call, lines.size, axis, &a, err) : PF_FAIL_MEMORY(err, t->bytes * 2);

    if (st)
        goto out;
#pragma omp parallel for schedule(static) if (lines.outer * lines.size > PF_ROWS_ALONE)
    for (int64_t i = 0; i < lines.outer; i++) {
        double statistic[2] = { 0 };

        normalise(x + i * lines.size, lines.size, epsilon, about_zero, &statistic[0], &statistic[1]);
        for (uint32_t o = 1; o < call->out_count; o++)
            pf_dtype_set(call->out[o].dtype, call->out[o].data, (uint64_t)i, statistic[o - 1]);
        if (a.scale)
            apply(&a, x + i * lines.size, lines.size);
    }
    if (!a.scale)
        st = scale_and_shift(call, x, err);
    if (!st)
        pf_rows_store(&call->out[0], x);
out:
    pf_free(a.scale);
    pf_free(a.bias);
    pf_free(x);
    return st;
}

static pf_status reference_layer(pf_reference_call *call, pf_err *err)
{
    const pf_layer_norm_attrs *attrs = call->attrs;

    return reference_over(call, attrs->axis, attrs->epsilon, false, err);
}

static pf_status reference_rms(pf_reference_call *call, pf_err *err)
{
    const pf_rms_norm_attrs *attrs = call->attrs;

    return reference_over(call, attrs->axis, attrs->epsilon, true, err);
}

const pf_op_def pf_op_layer_norm = {
    .name = "layer_norm", .klass = PF_CLASS_ANCHOR, .in_min = 2, .in_max = 3, .out_min = 1, .out_max = 3,
    .attr_bytes = sizeof(pf_layer_norm_attrs), .attr_fields = layer_fields, .infer = infer_layer,
    .reference = reference_layer,
};
const pf_op_def pf_op_rms_norm = {
    .name = "rms_norm", .klass = PF_CLASS_ANCHOR, .in_min = 2, .in_max = 2, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_rms_norm_attrs), .attr_fields = rms_fields, .infer = infer_rms, .reference = reference_rms,
};
