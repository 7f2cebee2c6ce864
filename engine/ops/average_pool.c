/* average_pool and lp_pool: windows that add up. */
#include <math.h>

#include "engine/ops/pool.h"

static double mean(const double *x, const pf_pool_window *window, const pf_pool_attrs *attrs, int64_t *chosen)
{
    double  sum = 0;
    int64_t divisor = attrs->count_include_pad ? window->padded_count : window->count;

    (void)chosen;
    for (int64_t i = 0; i < window->count; i++)
        sum += x[window->at[i]];
    return divisor ? sum / (double)divisor : 0;
}

static double p_norm(const double *x, const pf_pool_window *window, const pf_pool_attrs *attrs, int64_t *chosen)
{
    double sum = 0, p = (double)attrs->p;

    (void)chosen;
    for (int64_t i = 0; i < window->count; i++)
        sum += pow(fabs(x[window->at[i]]), p);
    return pow(sum, 1 / p);
}

static pf_status infer_average(pf_infer *infer, pf_err *err)
{
    pf_status st = pf_infer_float(infer, 0, err);

    return st ? st : pf_pool_infer(infer, err);
}

static pf_status infer_lp(pf_infer *infer, pf_err *err)
{
    const pf_pool_attrs *attrs = infer->node->attrs;

    if (attrs->p < 1)
        return PF_FAIL(err, PF_INVALID, "p is %lld", (long long)attrs->p);
    return infer_average(infer, err);
}

static pf_status reference_average(pf_reference_call *call, pf_err *err) { return pf_pool_run(call, mean, err); }
static pf_status reference_lp(pf_reference_call *call, pf_err *err) { return pf_pool_run(call, p_norm, err); }

const pf_op_def pf_op_average_pool = {
    .name = "average_pool", .klass = PF_CLASS_ANCHOR, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_pool_attrs), .attr_fields = pf_pool_fields, .infer = infer_average,
    .reference = reference_average,
};
const pf_op_def pf_op_lp_pool = {
    .name = "lp_pool", .klass = PF_CLASS_ANCHOR, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 1,
    .attr_bytes = sizeof(pf_pool_attrs), .attr_fields = pf_pool_fields, .infer = infer_lp, .reference = reference_lp,
};
