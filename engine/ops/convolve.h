/* The convolution that conv and conv_integer share. */
#ifndef PF_ENGINE_OPS_CONVOLVE_H
#define PF_ENGINE_OPS_CONVOLVE_H

#include "engine/ops/sliding.h"

/* Fills output 0 with dtype and [N, M, out...]; checks x [N,C,...], w [M,C/groups,...]. */
pf_status pf_convolve_infer(pf_infer *infer, pf_dtype dtype, pf_err *err);
/* One image: x [C, in...] and w [M, C/groups, kernel...] in doubles are added to y [M, out...]. scratch holds pf_convolve_scratch doubles. */
void      pf_convolve_image(const pf_sliding *s, int64_t groups, int64_t channels, int64_t outputs, const double *x, const double *w, double *y,
                            double *scratch);
int64_t   pf_convolve_scratch(const pf_sliding *s, int64_t groups, int64_t channels);

#endif
