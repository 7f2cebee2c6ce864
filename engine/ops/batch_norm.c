#include <math.h>
#include <stddef.h>

#include "base/alloc.h"
#include "engine/ops/infer.h"
#include "engine/ops/rows.h"

enum { X, SCALE, BIAS, MEAN, VARIANCE, INPUTS };

static const pf_attr_field fields[] = {
    PF_ATTR_FIELD(pf_batch_norm_attrs, epsilon, FLOAT), PF_ATTR_FIELD(pf_batch_norm_attrs, momentum, FLOAT),
    PF_ATTR_FIELD(pf_batch_norm_attrs, training, INT), { NULL },
};

static pf_status infer(pf_infer *infer, pf_err *err)
{
    static const char *const   names[INPUTS] = { "", "scale", "bias", "mean", "variance" };
    const pf_batch_norm_attrs *attrs = infer->node->attrs;
    const pf_value            *x = pf_infer_in(infer, X);
    pf_status                  st = pf_infer_present(infer, INPUTS, err);
    pf_dim                     channels = 0;

    if (!st)
        st = pf_infer_rank(infer, X, 1, PF_MAX_RANK, err);
    channels = st ? 0 : x->shape.rank > 1 ? x->shape.dim[1] : 1;
    for (uint32_t i = SCALE; i < INPUTS && !st; i++)
        st = pf_infer_vector(infer, i, channels, names[i], err);
    if (!st && infer->node->out_count > 1 && (!attrs->training || infer->node->out_count != 3))
        st = PF_FAIL(err, PF_INVALID, "running statistics are outputs of training only, and both of them");
    if (st)
        return st;
    pf_infer_like(infer, X);
    pf_infer_set(infer, 1, pf_infer_in(infer, MEAN)->dtype, &pf_infer_in(infer, MEAN)->shape);
    pf_infer_set(infer, 2, pf_infer_in(infer, VARIANCE)->dtype, &pf_infer_in(infer, VARIANCE)->shape);
    return PF_OK;
}

typedef struct channel { double mean, variance; } channel;

/* Mean and (biased) variance of channel c over the batch. */
static channel measure(const double *x, int64_t batch, int64_t channels, int64_t inner, int64_t c)
{
    channel m = { 0 };
    double  count = (double)(batch * inner);

    for (int pass = 0; pass < 2; pass++) {
        double sum = 0;

        for (int64_t n = 0; n < batch; n++)
            for (int64_t i = 0; i < inner; i++) {
                double v = x[(n * channels + c) * inner + i] - m.mean;

                sum += pass ? v * v : v;
            }
        *(pass ? &m.variance : &m.mean) = sum / count;
    }
    return m;
}

static double item(const pf_tensor *t, int64_t i) { return pf_dtype_get(t->dtype, t->data, (uint64_t)i); }

static void update(pf_reference_call *call, int64_t c, const channel *m, double momentum)
{
    pf_dtype_set(call->out[1].dtype, call->out[1].data, (uint64_t)c,
                 item(&call->in[MEAN], c) * momentum + m->mean * (1 - momentum));
    pf_dtype_set(call->out[2].dtype, call->out[2].data, (uint64_t)c,
                 item(&call->in[VARIANCE], c) * momentum + m->variance * (1 - momentum));
}

static pf_status reference(pf_reference_call *call, pf_err *err)
{
    const pf_batch_norm_attrs *attrs = call->attrs;
    const pf_tensor           *t = &call->in[X];
    int64_t                    batch = t->dim[0], channels = t->rank > 1 ? t->dim[1] : 1, inner = 1;
    double                    *x = NULL;
    pf_status                  st = PF_OK;

    for (uint32_t i = SCALE; i < INPUTS && !st; i++)
        st = pf_rows_need(call, i, channels, "a parameter", err);
    x = st ? NULL : pf_rows_doubles(t);
    if (!st && !x)
        st = PF_FAIL_MEMORY(err, t->bytes * 2);
    if (st)
        return st;
    for (int32_t d = 2; d < t->rank; d++)
        inner *= t->dim[d];
#pragma omp parallel for schedule(static) if (batch * channels * inner > PF_ROWS_ALONE)
    for (int64_t c = 0; c < channels; c++) {
        channel m = { item(&call->in[MEAN], c), item(&call->in[VARIANCE], c) };
        double  scale = 0, bias = 0;

        if (attrs->training)
            m = measure(x, batch, channels, inner, c);
        if (call->out_count > 1)
            update(call, c, &m, attrs->momentum);
        scale = item(&call->in[SCALE], c) / sqrt(m.variance + attrs->epsilon);
        bias = item(&call->in[BIAS], c);
        for (int64_t n = 0; n < batch; n++)
            for (int64_t i = 0; i < inner; i++) {
                double *v = &x[(n * channels + c) * inner + i];

                *v = (*v - m.mean) * scale + bias;
            }
    }
    pf_rows_store(&call->out[0], x);
    pf_free(x);
    return PF_OK;
}

const pf_op_def pf_op_batch_norm = {
    .name = "batch_norm", .klass = PF_CLASS_ANCHOR, .in_min = INPUTS, .in_max = INPUTS, .out_min = 1, .out_max = 3,
    .attr_bytes = sizeof(pf_batch_norm_attrs), .attr_fields = fields, .infer = infer, .reference = reference,
};
