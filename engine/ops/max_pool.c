#include <math.h>

#include "engine/ops/pool.h"

/* The first of equal maxima; NaN wins. */
static double greatest(const double *x, const pf_pool_window *window, const pf_pool_attrs *attrs, int64_t *chosen)
{
    double best = -INFINITY;

    (void)attrs;
    *chosen = window->count ? window->at[0] : 0;
    for (int64_t i = 0; i < window->count; i++) {
        double v = x[window->at[i]];

        if (v > best || (isnan(v) && !isnan(best))) {
            best = v;
            *chosen = window->at[i];
        }
    }
    return best;
}

static pf_status reference(pf_reference_call *call, pf_err *err) { return pf_pool_run(call, greatest, err); }

const pf_op_def pf_op_max_pool = {
    .name = "max_pool", .klass = PF_CLASS_ANCHOR, .in_min = 1, .in_max = 1, .out_min = 1, .out_max = 2,
    .attr_bytes = sizeof(pf_pool_attrs), .attr_fields = pf_pool_fields, .infer = pf_pool_infer, .reference = reference,
};
