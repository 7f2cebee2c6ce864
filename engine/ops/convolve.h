/* The convolution that conv and conv_integer share. */
#ifndef PF_ENGINE_OPS_CONVOLVE_H
#define PF_ENGINE_OPS_CONVOLVE_H

#include "engine/ops/sliding.h"

/* Fills output 0 with dtype and [N, M, out...]; checks x [N,C,...], w [M,C/groups,...]. */
pf_status pf_convolve_infer(pf_infer *infer, pf_dtype dtype, pf_err *err);
/* A convolution in doubles: y [N, M, out...] of x [N, C, in...], w [M, C/groups, kernel...] and bias [M], or NULL.
   x_zero is subtracted from x, not from its padding.  floats: x and w came from floats of 32 bits or fewer. */
typedef struct pf_convolution {
    pf_sliding       s;
    int64_t          groups, channels, outputs;
    bool             floats;
    const pf_tensor *x;
    double           x_zero;
    const double    *w, *bias;
    pf_tensor       *y;
} pf_convolution;
pf_status pf_convolve(const pf_convolution *conv, pf_err *err);

#endif
