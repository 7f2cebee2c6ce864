/* Reductions of floats: [outer, reduced, inner] to [outer, inner]. */
#ifndef PF_KERNELS_CPU_REDUCE_H
#define PF_KERNELS_CPU_REDUCE_H

#include "kernels/cpu_isa.h"

#include <stdint.h>

/* What is summed up, and what is done with the sum.  LOG_SUM_EXP takes its greatest element out first. */
typedef enum pf_reduce_kind {
    PF_REDUCE_KIND_SUM, PF_REDUCE_KIND_MAX, PF_REDUCE_KIND_MIN, PF_REDUCE_KIND_PROD, PF_REDUCE_KIND_ABS,
    PF_REDUCE_KIND_SQUARE,
    PF_REDUCE_KIND_LOG_SUM_EXP, PF_REDUCE_KIND_COUNT
} pf_reduce_kind;

/* y[0..inner) from reduced rows of `inner` floats each, step floats apart. */
void pf_reduce_run(pf_isa isa, pf_reduce_kind kind, const float *x, int64_t reduced, int64_t inner, int64_t step,
                   float *y);

#endif
