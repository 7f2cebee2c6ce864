/* How one axis is resized: for each output position some input positions and their weights. */
#ifndef PF_ENGINE_OPS_RESIZE_WEIGHTS_H
#define PF_ENGINE_OPS_RESIZE_WEIGHTS_H

#include "base/status.h"
#include "engine/ops/attrs.h"

typedef struct pf_resize_axis { int64_t from, to; double scale, roi_begin, roi_end; } pf_resize_axis;

typedef struct pf_resize_weights {
    int64_t  to, taps;          /* taps per output position */
    int64_t *at;                /* [to, taps]: input positions, clamped; the first is -1 where the result is the
                                   extrapolation value */
    double  *weight;            /* [to, taps] */
} pf_resize_weights;

pf_status pf_resize_weights_init(pf_resize_weights *weights, const pf_resize_attrs *attrs, const pf_resize_axis *axis,
                                 pf_err *err);
void      pf_resize_weights_clear(pf_resize_weights *weights);
/* out[0..inner) = sum over taps of weight * in[at * inner ...]. */
void      pf_resize_weights_apply(const pf_resize_weights *weights, int64_t position, const double *in, int64_t inner,
                                  double extrapolation, double *out);

#endif
