/* Moving elements of any dtype between host tensors, for the references of ops that compute nothing. */
#ifndef PF_ENGINE_OPS_MOVE_H
#define PF_ENGINE_OPS_MOVE_H

#include "engine/tensor.h"

/* Copies count elements: out[out_at + i * out_step] = in[in_at + i * in_step].  Strings are duplicated; the ones
   overwritten are freed. */
pf_status pf_move_run(pf_dtype dtype, void *out, int64_t out_at, int64_t out_step, const void *in, int64_t in_at,
                      int64_t in_step, int64_t count, pf_err *err);

/* A nest of loops: element (i0, i1, ...) moves from in_at + sum i*in_stride to out_at + sum i*out_stride.  Steps may be
   0 or negative. */
typedef struct pf_move {
    int32_t rank;
    int64_t dim[PF_MAX_RANK], in_stride[PF_MAX_RANK], out_stride[PF_MAX_RANK];
    int64_t in_at, out_at;
} pf_move;
pf_status pf_move_all(pf_dtype dtype, const pf_move *move, const void *in, void *out, pf_err *err);

/* Everything of in to out: same dtype and element count. */
pf_status pf_move_whole(const pf_tensor *in, pf_tensor *out, pf_err *err);
/* Where a pad of that mode (PF_PAD_*) reads position i of a dim of `size` elements, which may lie outside of it; -1:
   the constant. */
int64_t   pf_pad_source(int64_t i, int64_t size, int32_t mode);
/* Index i of a tensor of them, for a dim of `size` elements: one below zero counts from the end.
   Errors   INVALID: it is outside of the dim. */
pf_status pf_index_read(const pf_tensor *indices, int64_t i, int64_t size, int64_t *out, pf_err *err);

#endif
