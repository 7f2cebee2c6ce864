/* What max_pool, average_pool and lp_pool share. */
#ifndef PF_ENGINE_OPS_POOL_H
#define PF_ENGINE_OPS_POOL_H

#include "engine/ops/sliding.h"

extern const pf_attr_field pf_pool_fields[];

/* Checks x [N,C,...] and attributes and fills every output with the pooled shape: slot 0 of x's dtype, slot 1 int64. */
pf_status pf_pool_infer(pf_infer *infer, pf_err *err);

/* One window: the input positions of its elements that are not padding.  padded_count: with the padding, but not
   beyond it. */
typedef struct pf_pool_window { int64_t count; const int64_t *at; int64_t padded_count; } pf_pool_window;
typedef double pf_pool_fn(const double *x, const pf_pool_window *window, const pf_pool_attrs *attrs, int64_t *chosen);
/* Runs fn over all windows of all channels; chosen: position in the channel, for indices (out 1 when the call has
   it). */
pf_status pf_pool_run(pf_reference_call *call, pf_pool_fn *fn, pf_err *err);

#endif
