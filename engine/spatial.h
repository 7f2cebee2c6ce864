/* Windows over the spatial dims of a bound problem, as oneDNN and cuDNN want them: strides, dilations, pads in front
   and behind. */
#ifndef PF_ENGINE_SPATIAL_H
#define PF_ENGINE_SPATIAL_H

#include "engine/ops/attrs.h"

enum { PF_SPATIAL_MAX = 3, PF_SPATIAL_ARRAY = 12 };   /* arrays are as long as oneDNN reads them */

typedef struct pf_spatial {
    int32_t count;                                      /* of spatial dims: 1 to 3 */
    int64_t kernel[PF_SPATIAL_ARRAY], stride[PF_SPATIAL_ARRAY], dilation[PF_SPATIAL_ARRAY];
    int64_t begin[PF_SPATIAL_ARRAY], end[PF_SPATIAL_ARRAY]; /* pads */
} pf_spatial;

/* in: spatial dims of the input; kernel: count entries.  auto_pad is resolved.  strides and dilations may be empty
   lists: ones. */
void pf_spatial_fill(pf_spatial *out, int32_t count, const int64_t *in, const int64_t *kernel, const pf_ints *strides,
                     const pf_ints *dilations, const pf_ints *pads, int32_t auto_pad);

#endif
