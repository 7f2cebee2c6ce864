/* Normalizations of rows of floats. */
#ifndef PF_KERNELS_CPU_NORM_H
#define PF_KERNELS_CPU_NORM_H

#include "kernels/cpu_isa.h"

#include <stdint.h>

/* rows of n floats, one behind the other: y = (x - mean) / sqrt(variance + epsilon) * scale + bias; scale and bias hold
   n, bias may be NULL.  With `root` the mean is not taken out: x / sqrt(mean of squares + epsilon) * scale.  y may be
   x. */
typedef struct pf_norm_rows {
    const float *x, *scale, *bias;
    float       *y;
    int64_t      rows, n;
    float        epsilon;
    int          root;
} pf_norm_rows;
void pf_norm_rows_run(pf_isa isa, const pf_norm_rows *run);

/* One group of a group norm: `channels` rows of n floats, `channel_step` apart, elements `step` apart; scale and bias
   per channel. */
typedef struct pf_norm_group {
    const float *x, *scale, *bias;
    float       *y;
    int64_t      channels, n, channel_step, step;
    float        epsilon;
} pf_norm_group;
void pf_norm_group_run(pf_isa isa, const pf_norm_group *run);

#endif
