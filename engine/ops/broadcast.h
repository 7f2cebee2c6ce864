/* Broadcasting of host tensors: one nest of loops over the output with a stride per operand, neighbouring dims merged
   where all allow. */
#ifndef PF_ENGINE_OPS_BROADCAST_H
#define PF_ENGINE_OPS_BROADCAST_H

#include "engine/tensor.h"

enum { PF_BROADCAST_OPERANDS = 6 };

typedef struct pf_broadcast {
    uint32_t operands;
    int32_t  rank;                                              /* after merging, at least 1 */
    int64_t  dim[PF_MAX_RANK];
    int64_t  stride[PF_BROADCAST_OPERANDS][PF_MAX_RANK];        /* elements; 0 where an operand is repeated */
    int64_t  index[PF_MAX_RANK], at[PF_BROADCAST_OPERANDS];     /* where the walk is: rows of the last dim */
} pf_broadcast;

/* The dims that in[] broadcast to.  INVALID when they do not. */
pf_status pf_broadcast_dims(const pf_tensor *in, uint32_t count, int32_t *rank, int64_t *dim, pf_err *err);
/* Starts a walk over dims of rank; every operand must broadcast to them. */
pf_status pf_broadcast_begin(pf_broadcast *walk, int32_t rank, const int64_t *dim, const pf_tensor *const *operand,
                             uint32_t operands, pf_err *err);
/* Next row; false after the last. */
bool      pf_broadcast_next(pf_broadcast *walk);
/* Rows of the walk, and going to one of them. */
int64_t   pf_broadcast_rows(const pf_broadcast *walk);
void      pf_broadcast_seek(pf_broadcast *walk, int64_t row);
/* False when there is nothing to walk. */
bool      pf_broadcast_any(const pf_broadcast *walk);

#endif
