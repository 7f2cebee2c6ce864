/* The convolution that conv and conv_integer share. */
#ifndef PF_ENGINE_OPS_CONVOLVE_H
#define PF_ENGINE_OPS_CONVOLVE_H

#include "engine/ops/sliding.h"

/* Fills output 0 with dtype and [N, M, out...]; checks x [N,C,...], w [M,C/groups,...]. */
pf_status pf_convolve_infer(pf_infer *infer, pf_dtype dtype, pf_err *err);
/* Output positions of an image that are computed at a time: whole lines, so many that their unfolded inputs stay near a
   core. */
int64_t   pf_convolve_block(const pf_sliding *s, int64_t channels_of_group);

/* A part of one image, in one thread: positions [from, from + count) of group g. x [C, in...] and w [M, C/groups,
   kernel...] in doubles are added to y [M, out...]; floats: both came from floats of 32 bits or fewer.  scratch holds
   channels_of_group * kernel_elems * count doubles. */
typedef struct pf_convolution { pf_sliding s; int64_t groups, channels, outputs; bool floats; } pf_convolution;
void      pf_convolve(const pf_convolution *c, int64_t g, int64_t from, int64_t count, const double *x, const double *w,
                      double *y, double *scratch);

#endif
