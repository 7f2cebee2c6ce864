/* softmax, log_softmax, hardmax along one axis. */
#include <math.h>
#include <stddef.h>

#include "engine/ops/infer.h"
#include "engine/ops/lines.h"

static const pf_attr_field fields[] = { PF_ATTR_FIELD(pf_axis_attrs, axis, INT), { NULL } };

static pf_status infer(pf_infer *infer, pf_err *err)
{
    const pf_axis_attrs *attrs = infer->node->attrs;
    pf_status            st = pf_infer_rank(infer, 0, 0, PF_MAX_RANK, err);

    if (!st)
        st = pf_infer_float(infer, 0, err);
    if (!st && pf_infer_in(infer, 0)->shape.rank > 0)
        st = pf_infer_axis(attrs->axis, pf_infer_in(infer, 0)->shape.rank, err);
    if (st)
        return st;
    pf_infer_like(infer, 0);
    return PF_OK;
}

static double greatest(const double *line, int64_t size)
{
    double m = -INFINITY;

    for (int64_t i = 0; i < size; i++)
        m = line[i] > m || line[i] != line[i] ? line[i] : m;
    return m;
}

static void softmax_line(const double *in, double *out, int64_t size, const void *user)
{
    double m = greatest(in, size), sum = 0;

    (void)user;
    for (int64_t i = 0; i < size; i++) {
        out[i] = exp(in[i] - m);
        sum += out[i];
    }
    for (int64_t i = 0; i < size; i++)
        out[i] /= sum;
}

static void log_softmax_line(const double *in, double *out, int64_t size, const void *user)
{
    double m = greatest(in, size), sum = 0;

    (void)user;
    for (int64_t i = 0; i < size; i++)
        sum += exp(in[i] - m);
    sum = log(sum);
    for (int64_t i = 0; i < size; i++)
        out[i] = in[i] - m - sum;
}

static void hardmax_line(const double *in, double *out, int64_t size, const void *user)
{
    int64_t best = 0;

    (void)user;
    for (int64_t i = 1; i < size; i++)
        best = in[i] > in[best] ? i : best;
    for (int64_t i = 0; i < size; i++)
        out[i] = i == best;
}

static pf_status map(pf_reference_call *call, pf_lines_fn *fn, pf_err *err)
{
    const pf_axis_attrs *attrs = call->attrs;
    pf_lines             lines = pf_lines_of(&call->in[0], attrs->axis, attrs->axis + 1);

    return pf_lines_map(&lines, &call->in[0], &call->out[0], fn, NULL, err);
}

static pf_status reference_softmax(pf_reference_call *call, pf_err *err) { return map(call, softmax_line, err); }
static pf_status reference_log_softmax(pf_reference_call *call, pf_err *err)
{
    return map(call, log_softmax_line, err);
}
static pf_status reference_hardmax(pf_reference_call *call, pf_err *err) { return map(call, hardmax_line, err); }

const pf_op_def pf_op_softmax = {
    .name = "softmax", .klass = PF_CLASS_ANCHOR, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_axis_attrs), .attr_fields = fields,
    .infer = infer, .reference = reference_softmax,
};
const pf_op_def pf_op_log_softmax = {
    .name = "log_softmax", .klass = PF_CLASS_ANCHOR, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_axis_attrs), .attr_fields = fields,
    .infer = infer, .reference = reference_log_softmax,
};
const pf_op_def pf_op_hardmax = {
    .name = "hardmax", .klass = PF_CLASS_ANCHOR, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_axis_attrs), .attr_fields = fields, .infer = infer, .reference = reference_hardmax,
};
