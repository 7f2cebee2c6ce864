/* group_norm and instance_norm: statistics over groups of channels of one image. */
#include <math.h>
#include <stddef.h>

#include "base/alloc.h"
#include "engine/ops/infer.h"
#include "engine/ops/rows.h"

static const pf_attr_field group_fields[] = {
    PF_ATTR_FIELD(pf_group_norm_attrs, groups, INT), PF_ATTR_FIELD(pf_group_norm_attrs, epsilon, FLOAT), { NULL },
};
static const pf_attr_field instance_fields[] = { PF_ATTR_FIELD(pf_instance_norm_attrs, epsilon, FLOAT), { NULL } };

static pf_status infer_instance(pf_infer *infer, pf_err *err)
{
    pf_status st = pf_infer_rank(infer, 0, 2, PF_MAX_RANK, err);

    if (!st)
        st = pf_infer_float(infer, 0, err);
    if (!st)
        st = pf_infer_vector(infer, 1, pf_infer_in(infer, 0)->shape.dim[1], "scale", err);
    if (!st)
        st = pf_infer_vector(infer, 2, pf_infer_in(infer, 0)->shape.dim[1], "bias", err);
    if (st)
        return st;
    pf_infer_like(infer, 0);
    return PF_OK;
}

static pf_status infer_group(pf_infer *infer, pf_err *err)
{
    const pf_group_norm_attrs *attrs = infer->node->attrs;
    pf_status                  st = infer_instance(infer, err);
    pf_dim                     channels = st ? 0 : pf_infer_in(infer, 0)->shape.dim[1];

    if (!st && (attrs->groups < 1 || (pf_dim_is_number(channels) && channels % attrs->groups)))
        st = PF_FAIL(err, PF_INVALID, "%lld channels do not divide into %lld groups", (long long)channels,
                     (long long)attrs->groups);
    return st;
}

static void normalise(double *x, int64_t size, double epsilon)
{
    double mean = 0, variance = 0, inverse = 0;

    for (int64_t i = 0; i < size; i++)
        mean += x[i];
    mean /= (double)size;
    for (int64_t i = 0; i < size; i++) {
        x[i] -= mean;
        variance += x[i] * x[i];
    }
    inverse = 1 / sqrt(variance / (double)size + epsilon);
    for (int64_t i = 0; i < size; i++)
        x[i] *= inverse;
}

static pf_status run(pf_reference_call *call, int64_t groups, double epsilon, pf_err *err)
{
    const pf_tensor *t = &call->in[0], *scale = &call->in[1], *bias = &call->in[2];
    int64_t          channels = t->dim[1], elems = pf_tensor_elems(t),
                     inner = elems ? elems / (t->dim[0] * channels) : 0;
    double          *x = NULL;
    pf_status        st = pf_rows_need(call, 1, channels, "scale", err);

    if (!st)
        st = pf_rows_need(call, 2, channels, "bias", err);
    x = st ? NULL : pf_rows_doubles(t);
    if (!st && !x)
        st = PF_FAIL_MEMORY(err, t->bytes * 2);
    if (st)
        return st;
#pragma omp parallel for schedule(static) if (elems > PF_ROWS_ALONE)
    for (int64_t g = 0; g < t->dim[0] * groups; g++)
        normalise(x + g * channels / groups * inner, channels / groups * inner, epsilon);
#pragma omp parallel for schedule(static) if (elems > PF_ROWS_ALONE)
    for (int64_t c = 0; c < t->dim[0] * channels; c++) {
        double a = pf_dtype_get(scale->dtype, scale->data, (uint64_t)(c % channels));
        double b = pf_dtype_get(bias->dtype, bias->data, (uint64_t)(c % channels));

        for (int64_t i = 0; i < inner; i++)
            x[c * inner + i] = x[c * inner + i] * a + b;
    }
    pf_rows_store(&call->out[0], x);
    pf_free(x);
    return PF_OK;
}

static pf_status reference_group(pf_reference_call *call, pf_err *err)
{
    const pf_group_norm_attrs *attrs = call->attrs;

    if (call->in[0].dim[1] % attrs->groups)
        return PF_FAIL(err, PF_INVALID, "%lld channels do not divide into %lld groups", (long long)call->in[0].dim[1],
                       (long long)attrs->groups);
    return run(call, attrs->groups, attrs->epsilon, err);
}

static pf_status reference_instance(pf_reference_call *call, pf_err *err)
{
    return run(call, call->in[0].dim[1], ((const pf_instance_norm_attrs *)call->attrs)->epsilon, err);
}

const pf_op_def pf_op_group_norm = {
    .name = "group_norm", .klass = PF_CLASS_ANCHOR, .in_min = 3, .in_max = 3, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_group_norm_attrs), .attr_fields = group_fields, .infer = infer_group,
    .reference = reference_group,
};
const pf_op_def pf_op_instance_norm = {
    .name = "instance_norm", .klass = PF_CLASS_ANCHOR, .in_min = 3, .in_max = 3, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_instance_norm_attrs), .attr_fields = instance_fields, .infer = infer_instance,
    .reference = reference_instance,
};
