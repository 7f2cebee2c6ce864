/* Softmax of one row of scores with all that attention does to it. */
#ifndef PF_KERNELS_CPU_SOFTMAX_H
#define PF_KERNELS_CPU_SOFTMAX_H

#include "kernels/cpu_isa.h"

#include <stdint.h>

typedef struct pf_softmax_row {
    float         *x;               /* n floats, replaced by the result */
    int64_t        n, visible;      /* elements from `visible` on get 0 */
    float          scale, softcap;  /* x * scale first; then softcap * tanh(x / softcap) unless softcap is 0 */
    const float   *mask;            /* NULL: none; else added, mask_step apart */
    const uint8_t *keep;            /* NULL: none; else elements where it is 0 get 0 */
    int64_t        mask_step;       /* 0 or 1 */
} pf_softmax_row;

/* A row without a visible element that is more than minus infinity becomes zeros. */
void pf_softmax_row_run(pf_isa isa, const pf_softmax_row *row);

#endif
