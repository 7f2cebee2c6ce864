/* lp_norm and mean_variance_norm. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/ops/infer.h"
#include "engine/ops/lines.h"
#include "engine/ops/rows.h"

static const pf_attr_field lp_fields[] = { PF_ATTR_FIELD(pf_lp_norm_attrs, axis, INT),
                                           PF_ATTR_FIELD(pf_lp_norm_attrs, p, INT), { NULL } };
static const pf_attr_field mvn_fields[] = { PF_ATTR_FIELD(pf_mean_variance_norm_attrs, axes, INTS), { NULL } };

static pf_status infer_lp(pf_infer *infer, pf_err *err)
{
    const pf_lp_norm_attrs *a = infer->node->attrs;
    pf_status               st = pf_infer_rank(infer, 0, 1, PF_MAX_RANK, err);

    if (!st)
        st = pf_infer_float(infer, 0, err);
    if (!st)
        st = pf_infer_axis(a->axis, pf_infer_in(infer, 0)->shape.rank, err);
    if (!st && a->p != 1 && a->p != 2)
        st = PF_FAIL(err, PF_INVALID, "p is %lld where 1 or 2 is allowed", (long long)a->p);
    if (st)
        return st;
    pf_infer_like(infer, 0);
    return PF_OK;
}

static void lp_line(const double *in, double *out, int64_t size, const void *user)
{
    const pf_lp_norm_attrs *a = user;
    double                  sum = 0;

    for (int64_t i = 0; i < size; i++)
        sum += a->p == 1 ? fabs(in[i]) : in[i] * in[i];
    sum = a->p == 1 ? sum : sqrt(sum);
    for (int64_t i = 0; i < size; i++)
        out[i] = sum == 0 ? 0 : in[i] / sum;
}

static pf_status reference_lp(pf_reference_call *call, pf_err *err)
{
    const pf_lp_norm_attrs *a = call->attrs;
    pf_lines                lines = pf_lines_of(&call->in[0], a->axis, a->axis + 1);

    return pf_lines_map(&lines, &call->in[0], &call->out[0], lp_line, a, err);
}

static pf_status infer_mvn(pf_infer *infer, pf_err *err)
{
    const pf_mean_variance_norm_attrs *a = infer->node->attrs;
    pf_status                          st = pf_infer_rank(infer, 0, 0, PF_MAX_RANK, err);

    if (!st)
        st = pf_infer_float(infer, 0, err);
    if (!st)
        st = pf_infer_axes(&a->axes, pf_infer_in(infer, 0)->shape.rank, err);
    if (st)
        return st;
    pf_infer_like(infer, 0);
    return PF_OK;
}

/* Which group of statistics element i belongs to: its index with the axes left out. */
static int64_t group_of(const pf_tensor *x, const pf_ints *axes, int64_t i)
{
    int64_t group = 0, step = 1;

    for (int32_t d = x->rank - 1; d >= 0; d--) {
        bool reduced = false;

        for (int32_t k = 0; k < axes->count; k++)
            reduced = reduced || axes->at[k] == d;
        group += reduced ? 0 : i % x->dim[d] * step;
        step *= reduced ? 1 : x->dim[d];
        i /= x->dim[d];
    }
    return group;
}

/* (x - mean) / (sqrt(mean of squares - square of mean) + 1e-9), computed about the mean. */
static pf_status reference_mvn(pf_reference_call *call, pf_err *err)
{
    const pf_mean_variance_norm_attrs *a = call->attrs;
    const pf_tensor                   *t = &call->in[0];
    int64_t                            count = pf_tensor_elems(t), per = 1;
    double                            *x = pf_rows_doubles(t), *mean = pf_rows_new(count), *square = pf_rows_new(count);
    pf_status                          st = x && mean && square ? PF_OK : PF_FAIL_MEMORY(err, t->bytes * 2);

    for (int32_t k = 0; k < a->axes.count; k++)
        per *= t->dim[a->axes.at[k]];
    for (int64_t i = 0; i < count && !st; i++)
        mean[group_of(t, &a->axes, i)] += x[i] / (double)per;
    for (int64_t i = 0; i < count && !st; i++) {
        int64_t g = group_of(t, &a->axes, i);

        x[i] -= mean[g];
        square[g] += x[i] * x[i] / (double)per;
    }
    for (int64_t i = 0; i < count && !st; i++)
        x[i] /= sqrt(square[group_of(t, &a->axes, i)]) + 1e-9;
    if (!st)
        pf_rows_store(&call->out[0], x);
    pf_free(x);
    pf_free(mean);
    pf_free(square);
    return st;
}

const pf_op_def pf_op_lp_norm = {
    .name = "lp_norm", .klass = PF_CLASS_ANCHOR, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_lp_norm_attrs), .attr_fields = lp_fields, .infer = infer_lp, .reference = reference_lp,
};
const pf_op_def pf_op_mean_variance_norm = {
    .name = "mean_variance_norm", .klass = PF_CLASS_ANCHOR, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_mean_variance_norm_attrs), .attr_fields = mvn_fields, .infer = infer_mvn,
    .reference = reference_mvn,
};
