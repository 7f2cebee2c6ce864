/* random_normal, random_uniform, bernoulli, multinomial: numbers that depend on the seed alone. */
#include <math.h>
#include <stddef.h>

#include "base/alloc.h"
#include "base/random.h"
#include "engine/ops/infer.h"
#include "engine/ops/rows.h"

static const pf_attr_field normal_fields[] = {
    PF_ATTR_FIELD(pf_random_normal_attrs, dtype, DTYPE), PF_ATTR_FIELD(pf_random_normal_attrs, mean, FLOAT),
    PF_ATTR_FIELD(pf_random_normal_attrs, scale, FLOAT), PF_ATTR_FIELD(pf_random_normal_attrs, seed, INT),
    PF_ATTR_FIELD(pf_random_normal_attrs, shape, DIMS), { NULL },
};
static const pf_attr_field uniform_fields[] = {
    PF_ATTR_FIELD(pf_random_uniform_attrs, dtype, DTYPE), PF_ATTR_FIELD(pf_random_uniform_attrs, low, FLOAT),
    PF_ATTR_FIELD(pf_random_uniform_attrs, high, FLOAT), PF_ATTR_FIELD(pf_random_uniform_attrs, seed, INT),
    PF_ATTR_FIELD(pf_random_uniform_attrs, shape, DIMS), { NULL },
};
static const pf_attr_field bernoulli_fields[] = {
    PF_ATTR_FIELD(pf_bernoulli_attrs, dtype, DTYPE), PF_ATTR_FIELD(pf_bernoulli_attrs, seed, INT), { NULL },
};
static const pf_attr_field multinomial_fields[] = {
    PF_ATTR_FIELD(pf_multinomial_attrs, dtype, DTYPE), PF_ATTR_FIELD(pf_multinomial_attrs, samples, INT),
    PF_ATTR_FIELD(pf_multinomial_attrs, seed, INT), { NULL },
};

static pf_status infer_shape(pf_infer *infer, int32_t dtype, const pf_dim_list *list, pf_err *err)
{
    pf_shape  out = { 0 };
    pf_status st = pf_infer_shape_from_list(list, &out, err);

    if (!st)
        st = pf_infer_numeric_dtype(dtype, err);
    if (st)
        return st;
    pf_infer_set(infer, 0, (pf_dtype)dtype, &out);
    return pf_infer_check_out(infer, err);
}

static pf_status infer_normal(pf_infer *infer, pf_err *err)
{
    const pf_random_normal_attrs *a = infer->node->attrs;

    return infer_shape(infer, a->dtype, &a->shape, err);
}

static pf_status infer_uniform(pf_infer *infer, pf_err *err)
{
    const pf_random_uniform_attrs *a = infer->node->attrs;

    return infer_shape(infer, a->dtype, &a->shape, err);
}

static pf_status infer_bernoulli(pf_infer *infer, pf_err *err)
{
    const pf_bernoulli_attrs *a = infer->node->attrs;
    pf_status                 st = pf_infer_rank(infer, 0, 0, PF_MAX_RANK, err);

    if (!st)
        st = pf_infer_float(infer, 0, err);
    if (!st)
        st = pf_infer_numeric_dtype(a->dtype, err);
    if (st)
        return st;
    pf_infer_set(infer, 0, (pf_dtype)a->dtype, &pf_infer_in(infer, 0)->shape);
    return PF_OK;
}

static pf_status infer_multinomial(pf_infer *infer, pf_err *err)
{
    const pf_multinomial_attrs *a = infer->node->attrs;
    pf_status                   st = pf_infer_rank(infer, 0, 2, 2, err);
    pf_shape                    out = { .rank = 2 };

    if (!st && (a->samples < 1 || (a->dtype != PF_I32 && a->dtype != PF_I64)))
        st = PF_FAIL(err, PF_INVALID, "%lld samples of %s", (long long)a->samples, pf_dtype_name((pf_dtype)a->dtype));
    if (st)
        return st;
    out.dim[0] = pf_infer_in(infer, 0)->shape.dim[0];
    out.dim[1] = a->samples;
    pf_infer_set(infer, 0, (pf_dtype)a->dtype, &out);
    return PF_OK;
}

static pf_status reference_normal(pf_reference_call *call, pf_err *err)
{
    const pf_random_normal_attrs *a = call->attrs;
    pf_random                     random;

    (void)err;
    pf_random_init(&random, (uint64_t)a->seed);
    for (int64_t i = 0, count = pf_tensor_elems(&call->out[0]); i < count; i++)
        pf_dtype_set(call->out[0].dtype, call->out[0].data, (uint64_t)i,
                     a->mean + a->scale * pf_random_normal(&random));
    return PF_OK;
}

static pf_status reference_uniform(pf_reference_call *call, pf_err *err)
{
    const pf_random_uniform_attrs *a = call->attrs;
    pf_random                      random;

    (void)err;
    pf_random_init(&random, (uint64_t)a->seed);
    for (int64_t i = 0, count = pf_tensor_elems(&call->out[0]); i < count; i++)
        pf_dtype_set(call->out[0].dtype, call->out[0].data, (uint64_t)i,
                     a->low + (a->high - a->low) * pf_random_unit(&random));
    return PF_OK;
}

static pf_status reference_bernoulli(pf_reference_call *call, pf_err *err)
{
    const pf_bernoulli_attrs *a = call->attrs;
    const pf_tensor          *p = &call->in[0];
    pf_tensor                *y = &call->out[0];
    pf_random                 random;

    (void)err;
    pf_random_init(&random, (uint64_t)a->seed);
    for (int64_t i = 0, count = pf_tensor_elems(y); i < count; i++) {
        bool hit = pf_random_unit(&random) < pf_dtype_get(p->dtype, p->data, (uint64_t)i);

        if (pf_dtype_is_float(y->dtype))
            pf_dtype_set(y->dtype, y->data, (uint64_t)i, hit);
        else
            pf_dtype_set_i64(y->dtype, y->data, (uint64_t)i, hit);
    }
    return PF_OK;
}

/* Draws a class with probabilities exp(logits), which need not sum to 1. */
static int64_t draw(const double *logits, int64_t classes, double most, pf_random *random)
{
    double sum = 0, at = 0;

    for (int64_t c = 0; c < classes; c++)
        sum += exp(logits[c] - most);
    at = pf_random_unit(random) * sum;
    for (int64_t c = 0; c < classes; c++) {
        at -= exp(logits[c] - most);
        if (at < 0)
            return c;
    }
    return classes - 1;
}

static pf_status reference_multinomial(pf_reference_call *call, pf_err *err)
{
    const pf_multinomial_attrs *a = call->attrs;
    int64_t                     classes = call->in[0].dim[1];
    double                     *logits = pf_rows_doubles(&call->in[0]);
    pf_random                   random;

    if (!logits)
        return PF_FAIL_MEMORY(err, call->in[0].bytes * 2);
    pf_random_init(&random, (uint64_t)a->seed);
    for (int64_t i = 0, count = pf_tensor_elems(&call->out[0]); i < count && classes > 0; i++) {
        const double *row = logits + i / a->samples * classes;
        double        most = row[0];

        for (int64_t c = 1; c < classes; c++)
            most = row[c] > most ? row[c] : most;
        pf_dtype_set_i64(call->out[0].dtype, call->out[0].data, (uint64_t)i, draw(row, classes, most, &random));
    }
    pf_free(logits);
    return PF_OK;
}

const pf_op_def pf_op_random_normal = {
    .name = "random_normal", .klass = PF_CLASS_MOVE, .in_min = 0, .in_max = 0, .out_min = 1, .out_max = 1,
    .flags = PF_OPF_RANDOM,
    .attr_bytes = sizeof(pf_random_normal_attrs), .attr_fields = normal_fields, .infer = infer_normal,
    .reference = reference_normal,
};
const pf_op_def pf_op_random_uniform = {
    .name = "random_uniform", .klass = PF_CLASS_MOVE, .in_min = 0, .in_max = 0, .out_min = 1, .out_max = 1,
    .flags = PF_OPF_RANDOM,
    .attr_bytes = sizeof(pf_random_uniform_attrs), .attr_fields = uniform_fields, .infer = infer_uniform,
    .reference = reference_uniform,
};
const pf_op_def pf_op_bernoulli = {
    .name = "bernoulli", .klass = PF_CLASS_MOVE, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .flags = PF_OPF_RANDOM,
    .attr_bytes = sizeof(pf_bernoulli_attrs), .attr_fields = bernoulli_fields, .infer = infer_bernoulli,
    .reference = reference_bernoulli,
};
const pf_op_def pf_op_multinomial = {
    .name = "multinomial", .klass = PF_CLASS_MOVE, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .flags = PF_OPF_RANDOM,
    .attr_bytes = sizeof(pf_multinomial_attrs), .attr_fields = multinomial_fields, .infer = infer_multinomial,
    .reference = reference_multinomial,
};
