/* What the infer functions of the ops share: looking at inputs, refusing them in one sentence, filling outputs.
   Refusals are INVALID unless said otherwise and do not name the node: the caller of infer adds it. */
#ifndef PF_ENGINE_OPS_INFER_H
#define PF_ENGINE_OPS_INFER_H

#include "engine/op.h"
#include "engine/ops/attrs.h"

/* The value at an input slot; NULL when it was left out. */
const pf_value *pf_infer_in(const pf_infer *infer, uint32_t slot);

/* The first `count` inputs must be there. */
pf_status pf_infer_present(const pf_infer *infer, uint32_t count, pf_err *err);
/* An element type from an attribute: one that exists, and a number or bool. */
pf_status pf_infer_numeric_dtype(int32_t dtype, pf_err *err);
/* The input must be there with a known rank between least and most. UNSUPPORTED when the rank is unknown. */
pf_status pf_infer_rank(const pf_infer *infer, uint32_t slot, int32_t least, int32_t most, pf_err *err);
pf_status pf_infer_axis(int64_t axis, int32_t rank, pf_err *err);           /* 0 <= axis < rank */
pf_status pf_infer_axes(const pf_ints *axes, int32_t rank, pf_err *err);    /* each in range, none twice */
pf_status pf_infer_count(const char *what, int32_t count, int32_t want, pf_err *err);  /* entries of a list */
/* Want entries, each >= 1. */
pf_status pf_infer_positive(const char *what, const pf_ints *list, int32_t want, pf_err *err);
pf_status pf_infer_float(const pf_infer *infer, uint32_t slot, pf_err *err);
pf_status pf_infer_integer(const pf_infer *infer, uint32_t slot, pf_err *err);
/* Inputs a and b have one dtype; fine when b was left out. */
pf_status pf_infer_same_dtype(const pf_infer *infer, uint32_t a, uint32_t b, pf_err *err);
/* Two dims that have to be equal: refused only when they are different numbers. */
pf_status pf_infer_dims_agree(const pf_infer *infer, pf_dim a, pf_dim b, const char *what, pf_err *err);
/* An optional input of rank 1 and that size (fine when left out). */
pf_status pf_infer_vector(const pf_infer *infer, uint32_t slot, pf_dim size, const char *what, pf_err *err);

/* Nothing when the node lacks the slot. */
void pf_infer_set(pf_infer *infer, uint32_t slot, pf_dtype dtype, const pf_shape *shape);
/* Output 0 is as input `slot`, without its content. */
void pf_infer_like(pf_infer *infer, uint32_t slot);
/* No output has an invalid or negative dim. */
pf_status pf_infer_check_out(const pf_infer *infer, pf_err *err);
/* Nothing is known of the shapes but the dtype: what ops answer to inputs of unknown rank. */
void pf_infer_unknown(pf_infer *infer, pf_dtype dtype);
bool pf_infer_any_rank_unknown(const pf_infer *infer);

pf_shape pf_infer_shape(int32_t rank, const pf_dim *dim);
/* Copies a dim list to a shape; more than PF_MAX_RANK entries are refused. */
pf_status pf_infer_shape_from_list(const pf_dim_list *list, pf_shape *out, pf_err *err);

#endif
