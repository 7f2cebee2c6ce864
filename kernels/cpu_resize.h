/* Resizing the last two dims of planes of floats by tables of taps. */
#ifndef PF_KERNELS_CPU_RESIZE_H
#define PF_KERNELS_CPU_RESIZE_H

#include "kernels/cpu_isa.h"

#include <stdint.h>

/* Output position i is the sum of weight[k] * input[at[k]] for k in [first[i], first[i + 1]). */
typedef struct pf_resize_taps { int64_t from, to; const int32_t *first, *at; const float *weight; } pf_resize_taps;

/* One row of the result: x is a plane of rows.from rows, each columns.from places of `inner` floats; y is columns.to
   places. scratch: columns.from * inner floats. */
void pf_resize_row(pf_isa isa, const float *x, float *y, int64_t row, const pf_resize_taps *rows,
                   const pf_resize_taps *columns, int64_t inner, float *scratch);

#endif
